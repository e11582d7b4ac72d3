#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the live cases and prints TAP. run.py [--list] [--keep] [name …]: a name is the beginning of a case's name.
Each case is a function case_<name> of a cases_*.py file and runs in a process of its own, so that `--pid` of that process
selects exactly what the case starts, and a case that hangs or dies takes nothing with it.

Cases run side by side, LIVE_JOBS at a time (two for each processor; 1: one after the other, in the order of the files), and
what each prints comes whole, before its result. What a function of a case may carry:
  alone = True      it measures, loads the machine, or selects programs that others run, too: nothing runs beside it
  seconds = 100     it takes about so long: it starts among the first, beside short ones
  limit = 300       seconds after which it is taken to hang
A case that fails beside others runs once more, alone: that decides, and both results are told. Lines that begin with ## are
for whoever reads the log, and tests/tools/run-tests shows them."""
import collections
import glob
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "tools")]

import parts  # noqa: E402

LIMIT = 100 * parts.SLOW  # seconds: a case that takes longer hangs
SLOWEST = 10


def cases(names):
    for f in sorted(glob.glob(os.path.join(HERE, "cases_*.py"))):
        m = importlib.import_module(os.path.basename(f)[:-3])
        for name, fn in vars(m).items():
            if name.startswith("case_") and fn.__module__ == m.__name__:
                name = name[5:]
                if not names or any(name.startswith(n) for n in names):
                    yield name, fn


class Run:
    """A case in a process of its own. text is what it printed, where that is not to go out at once."""

    def __init__(self, name, fn, top, ports, hold):
        self.name, self.fn, self.dir = name, fn, os.path.join(top, name)
        if os.path.exists(self.dir):
            os.rename(self.dir, self.dir + ".first")
        os.mkdir(self.dir)
        self.out = self.dir + ".out" if hold else None
        self.limit = max(LIMIT, getattr(fn, "limit", 0)) * (2 if hold else 1)  # those beside it take their part of the processors
        self.begin, self.told, self.status = time.monotonic(), False, None
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self.child(ports)

    def child(self, ports):
        os.setsid()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
        parts.die_with_parent(signal.SIGTERM)
        if self.out:
            out = os.open(self.out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(out, 1)
            os.dup2(out, 2)
        parts.set_workdir(self.dir)
        parts.set_ports(ports)
        status = 1
        try:
            self.fn()
            status = 0
        except parts.Skip as e:
            with open(os.path.join(self.dir, "skip"), "w") as f:
                f.write(str(e))
            status = 2
        except SystemExit:
            print("# interrupted")
            traceback.print_exc(file=sys.stdout)
        except BaseException:  # noqa: whatever a case does, its servers are stopped
            print("# " + traceback.format_exc().replace("\n", "\n# "))
        finally:
            sys.stdout.flush()
            parts.stop_all()
            sys.stdout.flush()
            os._exit(status)

    def ended(self):
        got, st = os.waitpid(self.pid, os.WNOHANG)
        if got:
            self.status, self.seconds = os.waitstatus_to_exitcode(st), time.monotonic() - self.begin
            return True
        if time.monotonic() - self.begin > self.limit + 15 * self.told:
            self.note(f"# {self.name}: no end after {self.limit} s")
            os.kill(self.pid, signal.SIGKILL if self.told else signal.SIGTERM)
            self.told = True
        return False

    def note(self, text):
        if self.out:
            with open(self.out, "a") as f:
                f.write(text + "\n")
        else:
            print(text, flush=True)

    @property
    def skip(self):
        return parts.read(os.path.join(self.dir, "skip")) if self.status == 2 else None

    @property
    def failed(self):
        return bool(self.status) and self.skip is None

    @property
    def text(self):
        """As comments, whatever programs print."""
        lines = parts.read(self.out).splitlines() if self.out else []
        return "".join(f"{'' if line.startswith('#') else '# '}{line}\n" for line in lines)


def length(case):
    return getattr(case[1], "seconds", 0)


class Suite:
    def __init__(self, chosen, keep):
        self.top = tempfile.mkdtemp(prefix="spandrel-live.")
        os.chmod(self.top, 0o755)
        self.keep, self.results, self.failed, self.again, self.blocks = keep, [], [], [], parts.port_blocks()
        print(f"1..{len(chosen)}")

    def run(self, cases, jobs, then):
        """Each of them, so many at a time, not more than half of them long ones, which mostly wait; then(run) when one has ended."""
        long, short, running = collections.deque(), collections.deque(), []
        for c in cases:
            (long if length(c) and jobs > 1 else short).append(c)
        while long or short or running:
            while (long or short) and len(running) < jobs:
                few = sum(1 for r in running if length((r.name, r.fn))) < jobs // 2
                kind = long if long and few or not short else short
                running.append(Run(*kind.popleft(), self.top, next(self.blocks), jobs > 1))
            for r in [r for r in running if r.ended()]:
                running.remove(r)
                then(r)
            time.sleep(0.01)

    def tell(self, r, note=""):
        """Its result, which is final."""
        self.results.append(r)
        if r.failed:
            self.failed.append(r.name)
        n, what = len(self.results), f"SKIP {r.skip}" if r.skip is not None else f"{r.seconds:.1f} s{note}"
        print(f"{r.text}{'not ok' if r.failed else 'ok'} {n} - {r.name} # {what}", flush=True)
        if not self.keep and not r.failed:
            for d in (r.dir, r.dir + ".first"):
                shutil.rmtree(d, ignore_errors=True)

    def beside(self, r):
        if not r.failed:
            self.tell(r)
            return
        print(f"## {r.name} failed beside others: it will run once more, alone", flush=True)
        self.again.append(r)

    def once_more(self, first):
        def tell(r):
            mark = "#" if r.failed else "##"
            print(f"{mark} {r.name} failed beside others ({first.seconds:.1f} s), {'failed' if r.failed else 'passed'} alone; beside others:")
            print("".join(f"{mark} | {line.removeprefix('# ')}\n" for line in first.text.splitlines()), end="")
            self.tell(r, ", alone, after a failure beside others")
        self.run([(first.name, first.fn)], 1, tell)

    def end(self):
        if len(self.results) > SLOWEST:
            slow = sorted(self.results, key=lambda r: -r.seconds)[:SLOWEST]
            print("## the slowest: " + ", ".join(f"{r.name} {r.seconds:.0f} s" for r in slow))
        if self.failed:
            print(f"# failed: {' '.join(self.failed)}; their files are in {self.top}")
        elif not self.keep:
            shutil.rmtree(self.top, ignore_errors=True)
        return 1 if self.failed else 0


def run_all(chosen, jobs, keep):
    suite = Suite(chosen, keep)
    if jobs == 1:
        suite.run(chosen, 1, suite.tell)
        return suite.end()
    many = [c for c in chosen if not getattr(c[1], "alone", False)]
    begin = time.monotonic()
    suite.run(sorted(many, key=lambda c: -length(c)), jobs, suite.beside)
    print(f"## {len(many)} cases, {jobs} at a time: {time.monotonic() - begin:.0f} s", flush=True)
    suite.run([c for c in chosen if c not in many], 1, suite.tell)
    for r in suite.again:
        suite.once_more(r)
    return suite.end()


def main():
    args = sys.argv[1:]
    chosen = list(cases([a for a in args if not a.startswith("--")]))
    if "--list" in args:
        print("\n".join(n for n, _ in chosen))
        return 0
    if os.geteuid():
        print(f"1..{len(chosen)}")
        for i, (name, _) in enumerate(chosen, 1):
            print(f"ok {i} - {name} # SKIP needs root")
        return 0
    jobs = int(os.environ.get("LIVE_JOBS") or (1 if parts.SLOW > 1 else 2 * os.cpu_count()))
    return run_all(chosen, min(jobs, max(len(chosen), 1)), "--keep" in args)


if __name__ == "__main__":
    sys.exit(main())
