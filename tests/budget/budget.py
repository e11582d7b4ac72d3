#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the tracer's programs and maps may cost at default limits, against the committed table `limits`: verified instructions
of each program, of all that a way in loads, and bytes of kernel maps. A change that needs more raises the table, on purpose.

  budget.py [WAY …]   prints TAP; the ways that this kernel refuses are skipped
"""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests/live"))

import parts  # noqa: E402
from spandrel import BIN, PATIENCE, Tracer  # noqa: E402

COST = os.environ.get("COST_BIN", os.path.join(ROOT, "build/tests/budget/cost"))
WAYS = ("fentry", "socktp", "kprobe")


class Cost:
    """programs: {name: (instructions, verified, runs, ns)}, maps: {name: bytes}. The kernel keeps 15 characters of a name: those
    that begin alike are added up."""

    def __init__(self, text):
        self.programs, self.maps = {}, {}
        for line in text.splitlines():
            kind, name, *numbers = line.split()
            if kind == "program":
                had = self.programs.get(name, (0,) * len(numbers))
                self.programs[name] = tuple(a + int(n) for a, n in zip(had, numbers))
            else:
                self.maps[name] = self.maps.get(name, 0) + int(numbers[0])

    @property
    def verified(self):
        return sum(p[1] for p in self.programs.values())

    @property
    def size(self):
        return sum(p[0] for p in self.programs.values())

    @property
    def memory(self):
        return sum(self.maps.values())


def measure(pid):
    r = subprocess.run([COST, str(pid)], stdout=subprocess.PIPE, check=True, timeout=PATIENCE)
    return Cost(r.stdout.decode())


class Hits:
    """Run time of the programs while the body of `with` runs."""

    def __init__(self, pid):
        self.p = subprocess.Popen([COST, str(pid), "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cost = Cost(self.p.communicate(timeout=PATIENCE)[0].decode())

    def ns(self, part):
        """Nanoseconds of one run of the programs whose name contains `part`, and how many runs."""
        ours = [p for name, p in self.cost.programs.items() if part in name]
        runs = sum(p[2] for p in ours)
        return (sum(p[3] for p in ours) / runs if runs else 0), runs


def read_limits():
    """{(way or "*", name): limit}"""
    out = {}
    with open(os.path.join(HERE, "limits")) as f:
        for line in f:
            words = line.split("#")[0].split()
            if words:
                out[words[0], words[1]] = int(words[2])
    return out


def offered(way):
    r = subprocess.run([BIN, "--check", "--backend", way], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE)
    return r.returncode == 0 and f"way in: {way}" in r.stdout.decode()


def cost_of(way):
    with Tracer("--backend", way, select=["--pid", os.getpid()], file=False, check=False, name=f"budget-{way}") as t:
        c = measure(t.proc.pid)
        t.stop()
    return c


def over(limits, way, cost):
    """What exceeds the table, and what it does not name."""
    values = {name: p[1] for name, p in cost.programs.items()}
    values.update({"size": cost.size, "verified": cost.verified, "memory": cost.memory})
    out = []
    for name, value in values.items():
        limit = limits.get((way, name), limits.get(("*", name)))
        if limit is None:
            out.append(f"{name}: {value}, not in the table")
        elif value > limit:
            out.append(f"{name}: {value}, allowed {limit}")
    return out


def table(way, cost):
    lines = [f"{way}: {cost.size} instructions, {cost.verified} verified, {cost.memory / (1 << 20):.1f} MiB of maps"]
    lines += [f"  {name:16} {p[0]:6} instructions {p[1]:7} verified" for name, p in sorted(cost.programs.items())]
    return lines


def main():
    ways, limits, failed = sys.argv[1:] or WAYS, read_limits(), 0
    print(f"1..{len(ways)}")
    for i, way in enumerate(ways, 1):
        name = f"{i} - {way}: instructions and memory"
        if os.geteuid() or not offered(way):
            print(f"ok {name} # SKIP {'needs root' if os.geteuid() else 'this kernel does not offer it'}")
            continue
        cost = cost_of(way)
        wrong = over(limits, way, cost)
        failed += bool(wrong)
        print("\n".join("# " + line for line in table(way, cost) + wrong))
        print(f"{'not ok' if wrong else 'ok'} {name}", flush=True)
    parts.stop_all()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
