# SPDX-License-Identifier: Apache-2.0
"""crypto/tls of Go programs, plain and stripped, of old and new compilers, against what their clients counted."""
import os
import shutil
import subprocess
import sys
import time

import grpc_kit as kit
import parts
from cases_50_tls import certificate, nothing_unread
from spandrel import CLIENT, SERVER, Tracer

APP = os.path.join(parts.APPS, "gotls")
CACHE = os.path.join(os.environ.get("SPANDREL_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or
                     os.path.expanduser("~/.cache"), "spandrel"), "gotls")
OLD = ("1.17.13", "1.18.10", "1.20.14", "1.22.12", "1.24.13")
TOO_OLD = "1.16.15"
STRIPPED = ("-ldflags", "-s -w")
BY_C = ("-ldflags", "-s -w -linkmode=external")


def go(version, *args, **more):
    """A go command of that version ('' is the machine's own), which fetches it if need be."""
    env = dict(os.environ, GOENV="off", GOFLAGS="-trimpath", **({"GOTOOLCHAIN": f"go{version}"} if version else {}), **more.pop("env", {}))
    return subprocess.run(["nice", "go", *args], cwd=APP, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


def build(version="", *flags, env=None):
    """The program, made once by that compiler and kept outside the tree."""
    parts.need("go")
    r = go(version, "version", env=env or {})
    if r.returncode:
        raise parts.Skip(f"Go {version} cannot be had here: {r.stdout.decode(errors='replace').strip().splitlines()[-1]}")
    have = r.stdout.decode().split()[2]
    source = parts.read(os.path.join(APP, "main.go"), "rb")
    kind = "-".join([have, f"{hash_of(source):08x}", *(f.strip("-").replace(" ", "").replace("/", "") for f in flags)] + sorted((env or {}).values()))
    path = os.path.join(CACHE, "gotls-" + kind)
    if not os.path.exists(path):
        os.makedirs(CACHE, exist_ok=True)
        new = f"{path}.{os.getpid()}"
        r = go(version, "build", *flags, "-o", new, ".", env=env or {})
        assert r.returncode == 0, r.stdout.decode(errors="replace")[-2000:]
        os.rename(new, path)
    return path


def hash_of(data):
    h = 0
    for b in data:
        h = (h * 31 + b) & 0xffffffff
    return h


def serve(program, how="serve", name="gotls"):
    port = parts.free_port()
    return parts.Server(parts.start([program, how, f"127.0.0.1:{port}", *certificate()], name), ("127.0.0.1", port), name)


class Load:
    """Requests in the program's own process; results() are [id, method, status, bytes] of each."""

    def __init__(self, program, port, connections, requests, proto, size=0, pause=0):
        self.out = parts.path("load.out")
        argv = [program, "load", f"https://127.0.0.1:{port}", connections, requests, proto, size, pause]
        with open(self.out, "wb") as out, open(parts.path("load.err"), "wb") as err:
            self.proc = subprocess.Popen([str(a) for a in argv], stdout=out, stderr=err, preexec_fn=parts.die_with_parent)
        parts.remember(self.proc)

    def results(self):
        assert self.proc.wait(120 * parts.SLOW) == 0, parts.read(parts.path("load.err"))[-2000:]
        return [line.split() for line in parts.read(self.out).splitlines()]


def same(span, result, port):
    ident, method, status, _ = result
    assert span.path == "/" + ident and span["http.request.method"] == method and span.code == int(status), (span, result)
    assert span["server.port"] == port and span["server.address"] == "127.0.0.1", span.attrs
    if span.kind == SERVER:
        assert span["url.scheme"] == "https" and span["network.peer.address"] == "127.0.0.1", span.attrs
    else:
        assert span["url.full"].startswith(f"https://127.0.0.1:{port}/") and span["network.peer.port"] == port, span.attrs


def judge(t, results, port, version):
    """Each request once at each side, as its client saw it; the server's span hangs on the client's."""
    truth = {r[0]: r for r in results}
    assert len(truth) == len(results)
    for kind in (CLIENT, SERVER):
        spans = t.spans.of(kind)
        assert len(spans) == len(results), (kind, len(spans), len(results), dict(t.counters))
        assert {s.path for s in spans} == {"/" + i for i in truth}, kind
        for s in spans:
            same(s, truth[s.path[1:]], port)
            assert s["network.protocol.version"] == version, s.attrs
    ids = t.spans.by_id()
    for s in t.spans.of(SERVER):
        assert s.link == "connection" and ids[s.parent].path == s.path, s
    assert t.counters["tls_files{event=\"attached\"}"] >= 1, dict(t.counters)
    nothing_unread(t)


def run_load(program, proto, connections=50, requests=20, size=0, how="serve"):
    server = serve(program, how)
    with Tracer(name=f"{os.path.basename(program)}-{proto}") as t:
        results = Load(program, server.port, connections, requests, proto, size).results()
        t.stop(settle=0.3)
    assert len(results) == connections * requests + (proto == "h2"), len(results)
    judge(t, results, server.port, "2" if proto == "h2" else "1.1")
    return t


# ---- net/http ----

def case_tls_go_http1():
    t = run_load(build(), "h1")
    assert t.counters["tls_sessions_seen"] == t.counters["connections_seen"] >= 100, dict(t.counters)


def case_tls_go_http2():
    t = run_load(build(), "h2", requests=40)
    # net/http may dial once more while it has a connection that is busy
    assert t.counters["tls_sessions_seen"] == t.counters["connections_seen"] in range(2, 20), dict(t.counters)


def case_tls_go_stripped():
    for proto in ("h1", "h2"):
        run_load(build("", *STRIPPED), proto, connections=20)


def case_tls_go_position_independent():
    run_load(build("", *STRIPPED, "-buildmode=pie"), "h1", connections=10)


def case_tls_go_linked_by_the_c_linker():
    parts.need("gcc")
    run_load(build("", *BY_C, env={"CGO_ENABLED": "1"}), "h1", connections=10)


def case_tls_go_old():
    """The compilers since 1.17, which changed the table of functions four times and the goroutine's layout twice."""
    missing = []
    for version in OLD:
        try:
            run_load(build(version, *STRIPPED), "h1", connections=10)
            if version in (OLD[0], OLD[-1]):
                run_load(build(version), "h2", connections=10)
        except parts.Skip as e:
            missing.append(str(e))
    if len(missing) == len(OLD):
        raise parts.Skip(missing[0])
    for m in missing:
        print("# " + m)


def case_tls_go_bodies():
    """Many records to a write, many reads to a record, both ways."""
    for proto in ("h1", "h2"):
        run_load(build(), proto, connections=4, requests=6, size=400_000)


def case_tls_go_wandering():
    """Goroutines that change threads between the parts of an answer, on stacks that move."""
    t = run_load(build(), "h1", connections=50, requests=20, how="echo")
    assert t.counters["tls_sessions_seen"] == t.counters["connections_seen"] >= 100, dict(t.counters)


def case_tls_go_joined_in_the_middle():
    """Connections that are older than the tracer: what it tells is right, and from some moment on it is all there."""
    program = build()
    server = serve(program)
    load = Load(program, server.port, 10, 1500, "h1", pause=2)
    time.sleep(0.3)
    with Tracer(file=True) as t:
        results = load.results()
        t.stop(settle=0.3)
    truth = {r[0]: r for r in results}
    for kind in (CLIENT, SERVER):
        spans = t.spans.of(kind)
        assert len({s.path for s in spans}) == len(spans), kind
        for s in spans:
            same(s, truth[s.path[1:]], server.port)
        for w in range(10):  # of each connection: none is missing between the first one and the last
            seen = sorted(int(s.path.split("i")[1]) for s in spans if s.path.startswith(f"/w{w}i"))
            assert seen and seen == list(range(seen[0], 1500)), (kind, w, seen[:3], len(seen))
    ids = t.spans.by_id()
    for s in t.spans.of(SERVER):
        assert not s.parent or ids[s.parent].path == s.path, s
    assert not t.counters["connections_tls_unreadable"] and not t.counters.sum("requests_dropped"), dict(t.counters)


def case_tls_go_short_lived():
    """Clients that live for one request: of a file that is known, whole; of one that is new, whole, said to be unreadable, or a
    session that was joined after the request."""
    program = build()
    server = serve(program)
    with Tracer(name="known") as t:
        known = [Load(program, server.port, 1, 1, "h1").results() for _ in range(5)]
        t.stop(settle=0.3)
    assert all(len(r) == 1 for r in known) and len(t.spans.of(CLIENT)) == len(t.spans.of(SERVER)) == 5, (t.spans, dict(t.counters))
    nothing_unread(t)
    with Tracer(name="new") as t:
        for i in range(3):
            copy = parts.path(f"copy{i}")
            shutil.copy(program, copy)
            Load(copy, server.port, 1, 1, "h1").results()
        t.stop(settle=0.3)
    c, clients = t.counters, t.spans.of(CLIENT)
    # the client of a new file runs on while its probes are set: nothing of its session may be seen, or not the request
    claimed = c["tls_sessions_seen"] - c["tls_sessions_without_address"] - 3
    assert len(t.spans.of(SERVER)) == 3 == claimed + c["connections_tls_unreadable"], (t.spans, dict(c))
    assert len({s.trace for s in clients}) == len(clients) <= claimed - c["responses_unmatched"], (t.spans, dict(c))
    assert all(s.code for s in clients) and not c.sum("requests_dropped"), (t.spans, dict(c))


# ---- gRPC ----

def grpc(program):
    with kit.secure(*certificate()):
        nothing_unread(kit.mixed_judged(program))


def case_tls_go_grpc():
    grpc("go")


def case_tls_go_grpc_stripped():
    parts.need("strip")
    program = parts.path("load-stripped")
    parts.tool(["strip", "-s", "-o", program, os.path.join(kit.build("go"), "load")])
    grpc(program)


# ---- what cannot be read ----

def case_tls_go_too_old():
    """Go 1.16 passed arguments on the stack: said, counted, not guessed."""
    program = build(TOO_OLD)
    server = serve(program)
    with Tracer() as t:
        results = Load(program, server.port, 2, 2, "h1").results()
        t.stop(settle=0.3)
    assert len(results) == 4 and not t.spans, t.spans
    assert t.counters['tls_unreadable{library="go"}'] == 1, dict(t.counters)


def build_all():
    """So that no case has to wait for a compiler."""
    for flags, env in (((), None), (STRIPPED, None), ((*STRIPPED, "-buildmode=pie"), None), (BY_C, {"CGO_ENABLED": "1"})):
        build("", *flags, env=env)
    for version in OLD:
        build(version)
        build(version, *STRIPPED)
    build(TOO_OLD)


if __name__ == "__main__":
    try:
        build_all()
    except parts.Skip as e:
        sys.exit(f"  no programs of Go's crypto/tls: {e}")
