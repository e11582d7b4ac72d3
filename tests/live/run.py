#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the live cases and prints TAP. run.py [--list] [--keep] [name …]: a name is the beginning of a case's name.
Each case is a function case_<name> of a cases_*.py file and runs in a process of its own, so that `--pid` of that process
selects exactly what the case starts, and a case that hangs or dies takes nothing with it."""
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


def cases(names):
    for f in sorted(glob.glob(os.path.join(HERE, "cases_*.py"))):
        m = importlib.import_module(os.path.basename(f)[:-3])
        for name, fn in vars(m).items():
            if name.startswith("case_") and fn.__module__ == m.__name__:
                name = name[5:]
                if not names or any(name.startswith(n) for n in names):
                    yield name, fn


def child(fn, d):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    parts.set_workdir(d)
    status = 1
    try:
        fn()
        status = 0
    except parts.Skip as e:
        with open(os.path.join(d, "skip"), "w") as f:
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


def run(fn, d):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        child(fn, d)
    end = time.monotonic() + max(LIMIT, getattr(fn, "limit", 0))
    told = False
    while True:
        got, st = os.waitpid(pid, os.WNOHANG)
        if got:
            return os.waitstatus_to_exitcode(st)
        if time.monotonic() > end:
            print(f"# no end after {max(LIMIT, getattr(fn, 'limit', 0))} s")
            os.kill(pid, signal.SIGKILL if told else signal.SIGTERM)
            told, end = True, time.monotonic() + 15
        time.sleep(0.01)


def main():
    args = sys.argv[1:]
    keep, only_list = "--keep" in args, "--list" in args
    chosen = list(cases([a for a in args if not a.startswith("--")]))
    if only_list:
        print("\n".join(n for n, _ in chosen))
        return 0
    print(f"1..{len(chosen)}")
    if os.geteuid():
        for i, (name, _) in enumerate(chosen, 1):
            print(f"ok {i} - {name} # SKIP needs root")
        return 0
    top = tempfile.mkdtemp(prefix="spandrel-live.")
    os.chmod(top, 0o755)
    failed = []
    for i, (name, fn) in enumerate(chosen, 1):
        d = os.path.join(top, name)
        os.mkdir(d)
        t = time.monotonic()
        status = run(fn, d)
        skip = parts.read(os.path.join(d, "skip")) if status == 2 else None
        if status and skip is None:
            failed.append(name)
        print(f"{'ok' if skip is not None or not status else 'not ok'} {i} - {name}"
              + (f" # SKIP {skip}" if skip is not None else f" # {time.monotonic() - t:.1f} s"), flush=True)
        if not keep and name not in failed:
            shutil.rmtree(d, ignore_errors=True)
    if failed:
        print(f"# failed: {' '.join(failed)}; their files are in {top}")
    elif not keep:
        shutil.rmtree(top, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
