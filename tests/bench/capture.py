# SPDX-License-Identifier: Apache-2.0
"""What capture costs the program itself: nginx under wrk, interleaved: alone, with its system calls captured by tracepoints
(calls.bpf.c, bytes thrown away), traced by spandrel, and beside a spandrel that traces something else. Throughput as a ratio
to alone, and nginx's own CPU time a request, which says what a hook costs wherever the reader runs."""
import os
import statistics
import subprocess
import sys

import parts
from spandrel import Tracer

CALLS = os.environ.get("CALLS_BIN", "build/bench/calls")


def ran(pid):
    """Nanoseconds that a process has run: schedstat counts what /proc/PID/stat rounds to ticks."""
    return int(parts.read(f"/proc/{pid}/schedstat").split()[0])


class Calls:
    def __init__(self, pid):
        self.p = subprocess.Popen([CALLS, CALLS + ".bpf.o", str(pid)], stdout=subprocess.PIPE)
        if self.p.stdout.readline() != b"ready\n":
            raise parts.Skip("system call tracepoints cannot be attached here")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.terminate()
        self.p.wait()


class Alone:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def sides(ng, worker):
    bystander = subprocess.Popen(["sleep", "600"])
    tracer = lambda pid, name: Tracer("--file", "/dev/null", select=["--pid", pid], file=False, check=False, name=name)
    return bystander, {
        "alone": Alone,
        "system calls": lambda: Calls(worker),
        "spandrel": lambda: tracer(ng.pid, "capture"),
        "spandrel, not selected": lambda: tracer(bystander.pid, "bystander"),
    }


def capture(ng, load, rounds):
    """load() runs wrk once and returns (requests a second, requests)."""
    worker = int(subprocess.run(["pgrep", "-P", str(ng.pid)], stdout=subprocess.PIPE).stdout.split()[-1])
    bystander, ways = sides(ng, worker)
    rates, cost = {k: [] for k in ways}, {k: [] for k in ways}
    for i in range(rounds):
        order = list(ways) if i % 2 == 0 else list(ways)[::-1]
        for k in order:
            with ways[k]():
                t0 = ran(worker)
                rate, n = load()
                rates[k].append(rate)
                cost[k].append((ran(worker) - t0) / n / 1000)
        print("# capture " + ", ".join(f"{k} {rates[k][-1]:.0f}/s {cost[k][-1]:.2f} us" for k in ways), file=sys.stderr, flush=True)
    bystander.kill()
    bystander.wait()
    targets = {"spandrel": "≥ 0.93", "spandrel, not selected": "≥ 0.98"}
    rows = []
    for k in list(ways)[1:]:
        ratio = sorted(a / b for a, b in zip(rates[k], rates["alone"]))
        more = statistics.median(cost[k]) / statistics.median(cost["alone"]) - 1
        rows.append((f"nginx throughput, {k} : alone (min / median / max)",
                     f"{ratio[0]:.3f} / {statistics.median(ratio):.3f} / {ratio[-1]:.3f}; nginx's own CPU a request {more:+.1%}",
                     targets.get(k, "")))
    return rows
