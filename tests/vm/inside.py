#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What runs in a guest: for each way into the kernel that the tracer knows, real traffic with one tracer, and what became
of it. inside.py REPOSITORY OUT WAY …; writes OUT/result.json, {way: {"offered": …, "seconds": …, what: "ok" or the reason}},
and OUT/spans.json, {way: spans without what differs from run to run}."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
ROOT, OUT, *WAYS = sys.argv[1:]
sys.path[:0] = [os.path.join(ROOT, "tests", d) for d in ("live", "tools", "budget")]
os.environ["SLOW"] = "10"  # emulation; nothing here is timed
os.environ.setdefault("SPANDREL_BIN", os.path.join(ROOT, "build/spandrel"))

import budget  # noqa: E402
import cases_50_tls  # noqa: E402
import cases_51_tls_find  # noqa: E402
import parts  # noqa: E402
import spandrel  # noqa: E402
import wire  # noqa: E402
from spandrel import BIN, CLIENT, SERVER, Tracer  # noqa: E402

CAPTURE = os.path.join(ROOT, "build/tests/capture/capture")
VARYING = re.compile(r"(^|\.)port$|^url\.full$|^client\.address$|^network\.peer\.address$|^server\.address$")


def answer(c):
    while (m := c.message()):
        c.send(wire.ok(m[0].split()[1].encode()))


def gnutls_server():
    """Of a GnuTLS that lets the kernel encipher, where both can."""
    with open(parts.path("gnutls.conf"), "w") as f:
        f.write("[global]\nktls = true\n")
    os.environ["GNUTLS_SYSTEM_PRIORITY_FILE"] = parts.path("gnutls.conf")
    subprocess.run(["modprobe", "tls"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (cert, key), port = cases_50_tls.certificate(), parts.free_port()
    proc = parts.start(["gnutls-serv", "--http", "--quiet", "-p", port, "--x509certfile", cert, "--x509keyfile", key], "gnutls")
    return parts.Server(proc, ("127.0.0.1", port), "gnutls")


def ktls_sockets():
    """Of how many sockets the kernel has enciphered a direction."""
    return sum(int(n) for n in re.findall(r"^Tls[TR]xSw\s+(\d+)", parts.read("/proc/net/tls_stat"), re.M))


class Traffic:
    """Servers and connections, some of which are there before the tracer."""

    def __init__(self):
        self.excuses = {}  # kind: why it shows nothing, though its requests must be seen
        self.tcp = wire.Raw(answer, forking=True)
        self.six = wire.Raw(answer, ("::1", 0), forking=True)
        self.path = parts.path("server.sock")
        self.unix = wire.Raw(answer, self.path, forking=True)
        self.nginx = parts.nginx(files={"file": b"x" * 100000}) if shutil.which("nginx") else None
        self.tls = cases_50_tls.tls_server() if shutil.which("openssl") else None
        self.ktls = gnutls_server() if self.tls and shutil.which("gnutls-serv") else None
        self.far = cases_50_tls.tls_server(env={"RTT": "10"}, name="far") if self.tls else None
        self.old = wire.connect(self.tcp.addr)
        self.old.get("/unseen")

    def keep_alive(self):
        for addr in (self.tcp.addr, self.six.addr):
            with wire.connect(addr) as c:
                for i in range(20):
                    c.get(f"/keep_alive/{i}")
        return 40

    def many(self):
        for i in range(30):
            with wire.connect(self.tcp.addr) as c:
                c.get(f"/many/{i}")
        return 30

    def before(self):
        for i in range(5):
            self.old.get(f"/before/{i}")
        return 5

    def unix_socket(self):
        with wire.connect(self.path) as c:
            for i in range(10):
                c.get(f"/unix_socket/{i}")
        return 10

    def sendfile(self):
        """Two of nginx's answers: the head by writev, 100,000 bytes by sendfile."""
        if not self.nginx:
            raise parts.Skip("nginx is not installed")
        with wire.connect(self.nginx.addr) as c:
            for i in range(5):
                _, _, body = c.get(f"/file?sendfile={i}")
                assert len(body) == 100000
        return 5

    def inside_tls(self):
        if not self.tls:
            raise parts.Skip("openssl is not installed")
        with cases_50_tls.connect(self.tls.port) as s:
            r = cases_50_tls.Reader(s)
            for i in range(10):
                s.sendall(cases_50_tls.get(f"/inside_tls/{i}"))
                assert r.answer() == 200
        return 10

    def kernel_tls(self):
        """The kernel enciphers: the library's calls and the socket both show plaintext, which must be told once."""
        if not self.ktls:
            raise parts.Skip("gnutls-serv is not installed")
        before = ktls_sockets()
        for i in range(3):
            parts.tool(["gnutls-cli", "--insecure", "-p", self.ktls.port, "127.0.0.1"], ok=False, timeout=300,
                       stdin=cases_50_tls.get(f"/kernel_tls/{i}"))
        self.excuses["kernel_tls"] = None if ktls_sockets() > before else "skip: this GnuTLS, or this kernel, does not do it"
        return 3

    def loaded_later(self):
        """A program that starts, loads a library that nobody else has, and ends. Emulated, the tracer needs some time: the server is far."""
        if not self.far or not shutil.which("curl"):
            raise parts.Skip("openssl or curl is not installed")
        d = cases_51_tls_find.private_copy("later")
        parts.curl(self.far.url + "/loaded_later/0", "-k", env={**os.environ, "LD_LIBRARY_PATH": d})
        return 1

    def curl(self):
        """Two requests of a program that starts, connects, asks and ends."""
        for i in range(2):
            parts.curl(f"http://127.0.0.1:{self.tcp.addr[1]}/curl/{i}")
        return 2


NESTED = 'records_missed{kind="nested"}'
NO_PARENT = "a server span has no parent"
KINDS = ("keep_alive", "many", "before", "unix_socket", "sendfile", "inside_tls", "kernel_tls", "loaded_later", "curl")


def of_kind(spans, kind):
    return [s for s in spans if (s.path or "").startswith(f"/{kind}/") or kind == "sendfile" and s.path == "/file"]


def judge(spans, kind, n):
    """Exactly the spans there must be: one of each side for each request, answered, whole."""
    for side in (SERVER, CLIENT):
        mine = [s for s in of_kind(spans, kind) if s.kind == side]
        paths = {s["url.full"] or s.path for s in mine}
        if len(mine) != n:
            return f"{len(mine)} of {n} spans"
        if kind not in ("keep_alive", "sendfile") and len(paths) != n:
            return f"{len(paths)} different paths in {n} spans"
        bad = [s for s in mine if s.code != 200 or s["http.request.method"] != "GET" or s["spandrel.truncated"]]
        if bad:
            return f"wrong: {bad[0]}"
        if kind != "unix_socket" and side == SERVER and not all(s.link == "connection" and s.parent for s in mine):
            return NO_PARENT
    return "ok"


def normal(s):
    """A span without what differs from run to run."""
    a = {k: v for k, v in s.attrs.items() if not VARYING.search(k)}
    return json.dumps([s.kind, s.name, s.path, s.status, bool(s.parent), a, s.res.get("process.executable.name")], sort_keys=True)


def excuse(result, runs):
    """A kernel that preempts hooks leaves out those that meet inside one of their kind. That is counted, and no span is wrong."""
    for what, text in result.items():
        if isinstance(text, str) and re.fullmatch(r"\d+ of \d+ spans|" + NO_PARENT, text):
            result[what] = f"skip: {text}: the kernel left out {runs} runs of preempted programs, which are counted"
    result["nested"] = runs


def weigh(way, pid, result):
    """Against the committed table; kernels before 5.16 do not tell what they verified."""
    if not os.path.exists(budget.COST):
        return
    cost = budget.measure(pid)
    over = budget.over(budget.read_limits(), way, cost)
    result.update(budget="; ".join(over) or "ok", size=cost.size, verified=cost.verified, memory=cost.memory)
    with open(os.path.join(OUT, f"cost-{way}"), "w") as f:
        f.write("\n".join(budget.table(way, cost)) + "\n")


def run_traffic(way, result):
    t = Traffic()
    counts = {}
    with Tracer("--backend", way, name=f"tracer-{way}") as tracer:
        for kind in KINDS:
            try:
                counts[kind] = getattr(t, kind)()
            except parts.Skip as e:
                result[kind] = f"skip: {e}"
        weigh(way, tracer.proc.pid, result)
        tracer.stop()
    if f"(way in: {way})" not in tracer.err:
        result["load"] = "the ready line does not name the way in: " + tracer.err.splitlines()[0]
    for kind, n in counts.items():
        text = judge(tracer.spans, kind, n)
        result[kind] = t.excuses.get(kind) or text if text == "ok" else text
    total = sum(counts.values()) * 2
    result["exact"] = "ok" if len(tracer.spans) == total else f"{len(tracer.spans)} of {total} spans"
    missed = {k: v for k, v in tracer.counters.items() if k.startswith(("records_missed", "requests_dropped", "records_invalid"))}
    if missed and NESTED not in missed:
        result["exact"] = f"lost: {missed}"
    if NESTED in missed:
        excuse(result, missed[NESTED])
    return sorted(normal(s) for s in tracer.spans)


def run_capture(way, result):
    """Every call that moves bytes, compared byte for byte (tests/capture)."""
    if not os.path.exists(CAPTURE):
        result["calls"] = "skip: not built"
        return
    r = subprocess.run([CAPTURE], env=dict(os.environ, SPANDREL_BACKEND=way), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=400)
    text = r.stdout.decode(errors="replace")
    with open(os.path.join(OUT, f"capture-{way}"), "w") as f:
        f.write(text)
    good, bad = re.findall(r"^ok \d+ - (\S+)(?! # SKIP)", text, re.M), re.findall(r"^not ok \d+ - (\S+)", text, re.M)
    result["calls_passed"] = len(good)
    result["calls"] = f"wrong: {' '.join(bad)}" if bad else "ok" if good and not r.returncode else f"exit status {r.returncode}"


def check(way):
    r = subprocess.run([BIN, "--check", "--backend", way], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=spandrel.PATIENCE)
    return r.returncode, r.stdout.decode(errors="replace")


def one_way(way):
    result, start = {}, time.monotonic()
    status, text = check(way)
    with open(os.path.join(OUT, f"check-{way}"), "w") as f:
        f.write(text)
    result["offered"] = status == 0 and f"way in: {way}" in text
    result["known"] = status != 2
    if not result["offered"]:
        result["reason"] = (re.findall(r"error: (.*)", text) or ["--check says no"])[0]
        return result, None
    result["load"], spans = "ok", None
    parts.set_workdir(tempfile.mkdtemp(prefix=f"spandrel-{way}."))
    os.chmod(parts.workdir(), 0o755)
    try:
        spans = run_traffic(way, result)
    except Exception:  # noqa: the other ways are to be tried too
        traceback.print_exc()
        result["load"] = "failed: " + traceback.format_exc().strip().splitlines()[-1]
    finally:
        parts.stop_all()
    if os.environ.get("CAPTURE", "1") == "1":
        run_capture(way, result)
    result["seconds"] = round(time.monotonic() - start, 1)
    return result, spans


def kernel_name():
    """Debian names packages by what stays compatible; the version stands elsewhere."""
    u = os.uname()
    debian = re.search(r"Debian ([0-9.]+)", u.version)
    words = [debian[1] if debian else u.release, "PREEMPT_RT" if "PREEMPT_RT" in u.version else "",
             "" if u.machine == "x86_64" else u.machine.replace("aarch64", "arm64")]
    return " ".join(w for w in words if w)


def main():
    results, spans = {"kernel": kernel_name()}, {}
    for way in WAYS:
        results[way], spans[way] = one_way(way)
        print(f"{way}: {results[way]}", flush=True)
        for name, what in (("result.json", results), ("spans.json", spans)):
            with open(os.path.join(OUT, name), "w") as f:
                json.dump(what, f)
    return 0


if __name__ == "__main__":
    sys.exit(main())
