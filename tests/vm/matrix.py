#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kernels × ways into them: boots each kernel, runs inside.py there, prints TAP and a table. The tracer itself says which ways
a kernel offers; what each kernel must offer is written here, so that a way cannot get lost unnoticed.

  matrix.py [--readme FILE]     KERNELS="5.10 6.1 6.12 newest", WAYS="fentry socktp kprobe", CAPTURE=0 without tests/capture
"""
import json
import os
import re
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
import guest  # noqa: E402
import kernels  # noqa: E402
import packages  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIMIT = 900  # seconds for one guest
MUST = {"fentry": ("5.10", "6.1", "6.12", "newest"), "socktp": ("6.12", "newest"), "kprobe": ("5.10", "6.1", "6.12", "newest")}
WHAT = {"load": "loads", "keep_alive": "keep-alive", "many": "many connections", "before": "open before", "unix_socket": "UNIX socket",
        "sendfile": "sendfile", "curl": "short-lived", "exact": "exact counts", "same": "same spans", "calls": "each call",
        "budget": "instructions, verified"}


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    def say(self, good, name, note="", skip=None):
        self.n += 1
        self.failed += not good
        if note:
            print("# " + note.replace("\n", "\n# "))
        print(f"{'ok' if good else 'not ok'} {self.n} - {name}" + (f" # SKIP {skip}" if skip else ""), flush=True)

    def end(self):
        print(f"1..{self.n}")
        return 1 if self.failed else 0


def load(path):
    try:
        with open(path) as f:
            return json.load(f)
    except (OSError, ValueError):
        return {}


def run_guest(kernel, ways, top):
    out = os.path.join(top, kernel.name)
    os.mkdir(out)
    capture = os.environ.get("CAPTURE", "1")
    command = f"CAPTURE={capture} /usr/bin/python3 {ROOT}/tests/vm/inside.py {ROOT} /out {' '.join(ways)}"
    r = guest.boot(kernel, command, out, limit=LIMIT)
    print(f"# {kernel.version}: {r.seconds:.0f} s")
    return r, load(os.path.join(out, "result.json")), load(os.path.join(out, "spans.json"))


def compare(reference, spans):
    """What one way saw and another did not."""
    mine, theirs = list(spans), []
    for s in reference:
        if s in mine:
            mine.remove(s)
        else:
            theirs.append(s)
    return "ok" if not mine and not theirs else f"{len(mine)} other spans, first: {(mine or ['none'])[0]} for {(theirs or ['none'])[0]}"


def judge(tap, kernel, way, result, console):
    """One line for each thing that was tried."""
    name = f"{kernel.short} {way}"
    if not result:
        tap.say(False, f"{name}: tried", console[-2000:])
        return
    if not result["offered"]:
        must = kernel.name in MUST[way] and result["known"]
        tap.say(not must, f"{name}: refused with a reason" if not must else f"{name}: offered", result["reason"],
                skip=None if result["known"] else "this build has no such way in")
        return
    for what in WHAT:
        text = result.get(what)
        if text is None:
            continue
        skip = text[6:] if text.startswith("skip: ") else None
        tap.say(text == "ok" or bool(skip), f"{name}: {WHAT[what]}", "" if text == "ok" or skip else text, skip)


def cell(result, what):
    text = result.get(what)
    if what == "budget" and text == "ok":
        return f"{result['size']:,}, {result['verified']:,}" if result["verified"] else f"{result['size']:,}"
    if what == "calls" and text == "ok":
        return str(result["calls_passed"])
    if text is None:
        return ""
    return "yes" if text == "ok" else "–" if text.startswith("skip: ") else "**no**"


def table(rows):
    head = ["kernel", "way in", *WHAT.values()]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for version, way, result in rows:
        cells = [cell(result, w) for w in WHAT] if result.get("offered") else ["not offered"] + [""] * (len(WHAT) - 1)
        lines.append(f"| {version} | {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_readme(path, text):
    with open(path) as f:
        old = f.read()
    new = re.sub(r"(<!-- kernels: [^\n]*-->\n).*?(<!-- /kernels -->)", lambda m: m[1] + text + m[2], old, flags=re.S)
    if new != old:
        with open(path, "w") as f:
            f.write(new)


def run(tap, names, ways, top):
    rows, reference = [], None
    for name in names:
        try:
            kernel = kernels.get(name)
        except packages.Unavailable as e:
            tap.say(not os.environ.get("CI"), f"{name}: fetched", skip=str(e))
            continue
        r, results, spans = run_guest(kernel, ways, top)
        if r.status:
            tap.say(False, f"{kernel.short}: ends well", f"status {r.status}\n{r.console[-2000:]}")
        for way in ways:
            result = results.get(way, {})
            if spans.get(way):
                reference = reference or spans[way]
                result["same"] = compare(reference, spans[way])
            judge(tap, kernel, way, result, r.console)
            rows.append((kernel.short, way, result))
    return rows


def main():
    names = os.environ.get("KERNELS", " ".join(kernels.SUITES)).split()
    ways = os.environ.get("WAYS", " ".join(MUST)).split()
    tap, top = Tap(), tempfile.mkdtemp(prefix="spandrel-vm.")
    try:
        if os.geteuid():
            raise packages.Unavailable("needs root")
        guest.need()
    except packages.Unavailable as e:
        tap.say(True, "kernels", skip=str(e))
        return tap.end()
    rows = run(tap, names, ways, top)
    print("".join("# " + line for line in table(rows).splitlines(True)))
    if "--readme" in sys.argv:
        write_readme(sys.argv[sys.argv.index("--readme") + 1], table(rows))
    if tap.failed or os.environ.get("KEEP"):
        print(f"# files of the guests: {top}")
    else:
        shutil.rmtree(top)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
