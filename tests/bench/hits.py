# SPDX-License-Identifier: Apache-2.0
"""What one hook takes, by the kernel's own clock (bpf_stats, which itself costs some 20 to 50 ns a run), and what is loaded for it."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../budget"))

import budget  # noqa: E402
from spandrel import Tracer  # noqa: E402

FEW = 1000  # runs: below that the program is not on the way of the data


def measured(select, load, name):
    """(way in, {program: (ns of a run, runs)}, cost) under a load."""
    with Tracer(select=select, check=False, name=name) as t:
        with budget.Hits(t.proc.pid) as h:
            load()
        t.stop()
    way = re.search(r"\(way in: (\w+)\)", t.err)
    return way[1] if way else "?", {n: (p[3] / p[2], p[2]) for n, p in h.cost.programs.items() if p[2] > FEW}, h.cost


def hits(ng, load):
    """nginx traced, then a tracer that selects nothing: the miss path."""
    if not os.path.exists(budget.COST):
        return []
    way, traced, cost = measured(["--pid", ng.pid], load, "hit")
    _, missed, _ = measured(["--exe", "/nowhere/at/all"], load, "miss")
    limits = budget.read_limits()
    rows = [(f"{way}: one run of {n}, ns: traced, not selected", f"{traced[n][0]:.0f}, {missed[n][0]:.0f}" if n in missed else f"{traced[n][0]:.0f}", "")
            for n in sorted(traced)]
    return rows + [(f"{way}: instructions of all programs, and verified", f"{cost.size:,}, {cost.verified:,}", f"≤ 15,000, {limits['*', 'verified']:,}"),
                   (f"{way}: kernel maps, MiB", f"{cost.memory / (1 << 20):.1f}", f"≤ {limits['*', 'memory'] / (1 << 20):.1f}")]
