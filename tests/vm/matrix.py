#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kernels × ways into them: boots each kernel, runs inside.py there, prints TAP and a table. The tracer itself says which ways
a kernel offers; what each kernel must offer is written here, so that a way cannot get lost unnoticed.

  matrix.py [--readme FILE]     KERNELS="5.10 6.1 6.12 newest", WAYS="fentry socktp kprobe", CAPTURE=0 without tests/capture
VM_MUST=1: what cannot be had is a failure, no skip. GUESTS=n: so many at a time (as many as there is memory for, two at most)
"""
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import arm64  # noqa: E402
import guest  # noqa: E402
import kernels  # noqa: E402
import odd  # noqa: E402
import packages  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIMIT = 900  # seconds for one guest
MUST = {"fentry": tuple(kernels.KERNELS), "socktp": ("6.12", "newest", "rt", "arm64"), "kprobe": tuple(kernels.KERNELS)}
WHAT = {"load": "loads", "keep_alive": "keep-alive", "many": "many connections", "before": "open before", "unix_socket": "UNIX socket",
        "sendfile": "sendfile", "inside_tls": "TLS", "kernel_tls": "kTLS", "loaded_later": "TLS later", "curl": "short-lived", "exact": "exact counts", "same": "same spans", "calls": "each call",
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


def build_arm64():
    """By the Makefile's rule; the sysroot it asks for is the guest's root."""
    root = arm64.root()
    r = subprocess.run(["nice", "-n", "10", "make", "-C", ROOT, "arm64"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")})
    if r.returncode:
        raise RuntimeError("make arm64: " + r.stdout.decode(errors="replace")[-2000:])
    return root


def stage(out):
    """The arm64 build and the tests, where a guest finds them whose root is not the host's."""
    repo = os.path.join(out, "repository")
    for d in ("live", "tools", "budget", "vm"):
        shutil.copytree(os.path.join(ROOT, "tests", d), os.path.join(repo, "tests", d))
    for f in ("spandrel", "tests/capture/capture", "tests/budget/cost"):
        os.makedirs(os.path.dirname(os.path.join(repo, "build", f)), exist_ok=True)
        shutil.copy(os.path.join(ROOT, "build/arm64", f), os.path.join(repo, "build", f))
    return "/out/repository"


def guests():
    """How many at a time: a guest keeps little more than one processor busy."""
    free = re.search(r"MemAvailable: +(\d+)", open("/proc/meminfo").read())
    room = int(free[1]) // 1024 // (guest.MEMORY + 512) if free else 1
    return int(os.environ.get("GUESTS") or max(1, min(2, os.cpu_count(), room)))


def prepare(kernel, ways, top):
    """(directory of what it writes, its root, the command)"""
    out = os.path.join(top, kernel.name)
    os.mkdir(out)
    root, repo = "/", ROOT
    if kernel.arch == "arm64":
        root, repo = build_arm64(), stage(out)
    capture = os.environ.get("CAPTURE", "1")
    return out, root, f"CAPTURE={capture} /usr/bin/python3 {repo}/tests/vm/inside.py {repo} /out {' '.join(ways)}"


def start_guest(pool, name, ways, top):
    """(its kernel, its directory, what will be its end), or why not."""
    try:
        guest.need(kernels.KERNELS[name][1])
        kernel = kernels.get(name)
        out, root, command = prepare(kernel, ways, top)
    except (packages.Unavailable, RuntimeError) as e:
        return e
    return kernel, out, pool.submit(guest.boot, kernel, command, out, root=root, limit=LIMIT)


def asked(spans, result):
    """Those of what was tried with this way, too: a guest may lack a program."""
    skipped = tuple(f"/{kind}/" for kind, text in result.items() if isinstance(text, str) and text.startswith("skip: ") and "spans" not in text)
    return [s for s in spans if not (json.loads(s)[2] or "").startswith(skipped)] if skipped else spans


def orphan(span):
    """The same span without a parent (inside.py's normal())."""
    s = json.loads(span)
    s[4] = False
    s[5].pop("spandrel.link", None)
    return json.dumps(s, sort_keys=True)


def compare(reference, spans, nested):
    """What one way saw and another did not; `nested`: the kernel left some out."""
    mine, theirs = list(spans), []
    for s in reference:
        if s in mine:
            mine.remove(s)
        else:
            theirs.append(s)
    if nested and not set(mine) - {orphan(s) for s in theirs}:
        return f"skip: {len(theirs) - len(mine)} spans fewer, {len(mine)} without their parents, none other"
    return "ok" if not mine and not theirs else f"{len(mine)} other spans, first: {(mine or ['none'])[0]} for {(theirs or ['none'])[0]}"


def judge(tap, kernel, label, way, result, console):
    """One line for each thing that was tried."""
    name = f"{label} {way}"
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
    counted = re.match(r"skip: (\d+ of \d+) spans", text)
    return "yes" if text == "ok" else counted[1] if counted else "–" if text.startswith("skip: ") else "**no**"


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


def run(tap, started, ways):
    """Judges them in their order; `started`: [(name, what start_guest() gave)]."""
    rows, reference = [], None
    for name, what in started:
        if isinstance(what, packages.Unavailable):
            must = bool(os.environ.get("VM_MUST"))
            tap.say(not must, f"{name}: boots", str(what) if must else "", None if must else str(what))
            continue
        if isinstance(what, RuntimeError):
            tap.say(False, f"{name}: builds", str(what))
            continue
        kernel, out, end = what
        r, results, spans = end.result(), load(os.path.join(out, "result.json")), load(os.path.join(out, "spans.json"))
        print(f"## {kernel.version}: {r.seconds:.0f} s")
        label = results.get("kernel", kernel.version)
        if r.status:
            tap.say(False, f"{label}: ends well", f"status {r.status}\n{r.console[-2000:]}")
        for way in ways:
            result = results.get(way, {})
            if spans.get(way):
                reference = reference or (None if "nested" in result else spans[way])
                result["same"] = compare(asked(reference or spans[way], result), asked(spans[way], result), "nested" in result)
            judge(tap, kernel, label, way, result, r.console)
            rows.append((label, way, result))
    return rows


def main():
    names = os.environ.get("KERNELS", " ".join(kernels.KERNELS)).split()
    ways = os.environ.get("WAYS", " ".join(MUST)).split()
    tap, top = Tap(), tempfile.mkdtemp(prefix="spandrel-vm.")
    try:
        if os.geteuid():
            raise packages.Unavailable("needs root")
    except packages.Unavailable as e:
        tap.say(True, "kernels", skip=str(e))
        return tap.end()
    with concurrent.futures.ThreadPoolExecutor(guests()) as pool:
        started = [(name, start_guest(pool, name, ways, top)) for name in names]
        there = [name for name, what in started if isinstance(what, tuple)]
        others = odd.start(pool, there, ROOT, top)
        rows = run(tap, started, ways)
        odd.judge(tap, others)
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
