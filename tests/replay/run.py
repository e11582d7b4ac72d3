#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py [--write] SPANDREL: replays every *.rec here and compares the spans with the *.jsonl beside it, byte for byte; then
replays it cut and damaged anywhere: never a crash, never an unknown span, always one line about the tail. Prints TAP."""
import glob
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CUTS, FLIPS = 24, 48


def replay(binary, path):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SPANDREL_", "OTEL_"))}
    return subprocess.run([binary, "--replay", path, "--file", "-"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, env=env)


def spans(text):
    """What a request looked like, by service: ids, parents and beginnings can change when the tail is missing."""
    out = set()
    for line in text.splitlines():
        for group in json.loads(line)["resourceSpans"]:
            for scope in group["scopeSpans"]:
                for s in scope["spans"]:
                    out.add((json.dumps(group["resource"], sort_keys=True), s["name"], s["kind"], s["endTimeUnixNano"]))
    return out


class Tap:
    def __init__(self):
        self.n, self.failed = 0, 0

    def result(self, errors, title):
        self.n += 1
        self.failed += bool(errors)
        for e in errors[:10]:
            print(f"# {e}")
        print(f"{'not ok' if errors else 'ok'} {self.n} - {title}", flush=True)


def check_same(binary, rec, want):
    p, again = replay(binary, rec), replay(binary, rec)
    errors = []
    if p.returncode:
        errors.append(f"status {p.returncode}: {p.stderr.decode('utf-8', 'replace')[-500:]}")
    if p.stdout != again.stdout or p.stderr != again.stderr:
        errors.append("two replays differ")
    if p.stdout != want:
        errors.append(f"{len(spans(p.stdout))} spans of {len(spans(want))}, in common {len(spans(p.stdout) & spans(want))}")
    return errors


def check_damaged(binary, data, known, where):
    """One damaged copy. A span of it that the whole recording does not give was made up."""
    with tempfile.NamedTemporaryFile() as f:
        f.write(data)
        f.flush()
        p = replay(binary, f.name)
    if p.returncode not in (0, 1):
        return [f"{where}: status {p.returncode}: {p.stderr.decode('utf-8', 'replace')[-500:]}"]
    if p.returncode == 1 and p.stdout:
        return [f"{where}: refused, with output"]
    # a request that is cut off begins as it did, but may end by the end of the recording
    unknown = spans(p.stdout) - known
    return [f"{where}: not in the whole recording: {u[1:]}" for u in unknown]


def check_cuts(binary, data, known):
    errors = []
    for i in range(CUTS):
        at = len(data) * i // CUTS
        errors += check_damaged(binary, data[:at], known, f"cut at {at}")
    return errors


def check_flips(binary, data, known):
    errors, rng = [], random.Random(1)
    for _ in range(FLIPS):
        at, copy = rng.randrange(len(data)), bytearray(data)
        copy[at] ^= 1 << rng.randrange(8)
        errors += check_damaged(binary, copy, known, f"bit changed at {at}")
    return errors


def check_signals(binary, rec):
    """SIGHUP while a replay waits for its back end, with selectors in the environment: there is nothing to select."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SPANDREL_", "OTEL_"))}
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        p = subprocess.Popen([binary, "--replay", rec, "--otlp-endpoint", f"http://127.0.0.1:{server.getsockname()[1]}"],
                             env=env | {"SPANDREL_PORT": "80"}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
        with server.accept()[0]:
            p.send_signal(signal.SIGHUP)
            p.send_signal(signal.SIGTERM)  # taken after it, and ends the wait
            err = p.communicate(timeout=60)[1]
    return [] if p.returncode == 1 and b"export_failed" in err else [f"status {p.returncode}: {err.decode()[-500:]}"]


def main():
    write, binary = "--write" in sys.argv, sys.argv[1] if sys.argv[1] != "--write" else sys.argv[2]
    tap, recordings = Tap(), sorted(glob.glob(f"{HERE}/*.rec"))
    for rec in recordings:
        name, golden = os.path.basename(rec)[:-4], rec[:-4] + ".jsonl"
        if write:
            with open(golden, "wb") as f:
                f.write(replay(binary, rec).stdout)
            continue
        with open(rec, "rb") as f, open(golden, "rb") as g:
            data, want = f.read(), g.read()
        tap.result(check_same(binary, rec, want), f"{name}: the same spans, byte for byte")
        tap.result(check_cuts(binary, data, spans(want)), f"{name}: cut anywhere")
        tap.result(check_flips(binary, data, spans(want)), f"{name}: a bit changed anywhere")
    if not write:
        if not recordings:
            tap.result(["no recording"], "recordings")
        else:
            tap.result(check_signals(binary, recordings[0]), "SIGHUP while a replay waits for its back end")
        print(f"1..{tap.n}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
