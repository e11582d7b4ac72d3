# SPDX-License-Identifier: Apache-2.0
"""Which processes and connections are traced, and that nothing else is."""
import contextlib
import os
import shutil
import socket
import time

import parts
import wire
from spandrel import CLIENT, SERVER, Tracer


def private(program, name=None):
    """A copy of a program under a path of its own."""
    d = parts.path("bin")
    os.makedirs(d, exist_ok=True)
    p = os.path.join(d, name or os.path.basename(program))
    shutil.copy2(os.path.realpath(shutil.which(program) or program), p)
    return p


def case_select_pid_descendants():
    """Workers that run, workers to come, and their children; siblings are not selected."""
    g = parts.gunicorn(workers=2)
    other = parts.threading_server(name="other")
    with Tracer(select=["--pid", g.pid]) as t:
        for i in range(4):
            parts.curl(g.url + f"/w/{i}")
            parts.curl(other.url + f"/no/{i}")
        old = set(parts.children(g.pid))
        for pid in old:
            os.kill(pid, 15)  # workers of this case: the master starts new ones
        end = time.monotonic() + parts.READY
        while (len(parts.children(g.pid)) < 2 or old & set(parts.children(g.pid))) and time.monotonic() < end:
            time.sleep(0.05)
        new = set(parts.children(g.pid))
        assert len(new) == 2 and not new & old, (old, new)
        for i in range(4, 8):
            parts.curl(g.url + f"/w/{i}")
        t.stop()
    assert len(t.spans) == 8 and not t.spans.of(CLIENT), t.spans
    for i in range(8):
        assert t.spans.one(SERVER, f"/w/{i}").pid in (old if i < 4 else new), (i, t.spans)


def case_select_pid_of_worker():
    """One worker alone: neither its master nor its brothers."""
    a = parts.threading_server(name="a")
    b = parts.threading_server(name="b")
    with Tracer(select=["--pid", b.pid]) as t:
        parts.curl(a.url + "/pa")
        parts.curl(b.url + "/pb")
        t.stop()
    assert [s.path for s in t.spans] == ["/pb"], t.spans
    with Tracer(select=["--pid", a.pid, "--pid", b.pid], name="two") as t:
        parts.curl(a.url + "/pa1")
        parts.curl(b.url + "/pb1")
        t.stop()
    assert sorted(s.path for s in t.spans) == ["/pa1", "/pb1"], t.spans


def case_select_exe_starts_later():
    """50 short-lived curls that start after the tracer: every one is traced from its first byte."""
    curl = private("curl")
    web = parts.threading_server()
    with Tracer(select=["--exe", curl]) as t:
        for i in range(50):
            parts.curl(web.url + f"/s/{i}", binary=curl)
        for i in range(5):
            parts.curl(web.url + f"/no/{i}")
        t.stop()
    assert len(t.spans) == 50, len(t.spans)
    for i in range(50):
        s = t.spans.one(CLIENT, f"/s/{i}")
        assert s.res["process.executable.name"] == "curl" and s.res["service.name"] == "curl", s.res


def case_select_exe_glob():
    """`*` crosses /; a pattern without / is for the last component; alternatives are OR-ed, exclusions win."""
    curl, kurl = private("curl"), private("curl", f"kurl-{os.getpid()}")
    d = os.path.dirname(os.path.dirname(curl))
    web = parts.threading_server()
    for n, (select, want) in enumerate((
            (["--exe", d + "/*"], "ck"),
            (["--exe", f"kurl-{os.getpid()}"], "k"),
            (["--exe", f"kurl-{os.getpid()}*"], "k"),
            (["--exe", f"?url-{os.getpid()}"], "k"),
            (["--exe", curl, "--exe", kurl], "ck"),
            (["--exe", d + "/*", "--exclude-exe", "kurl*"], "c"),
            (["--exe", d + "/*", "--exclude-port", str(web.port)], ""),
            (["--exe", d + "/*", "--port", str(web.port)], "ck"),
            (["--exe", d + "/*", "--comm", "curl"], "c"))):
        with Tracer(select=select, name=f"t{n}") as t:
            parts.curl(web.url + "/c", binary=curl)
            parts.curl(web.url + "/k", binary=kurl)
            parts.curl(web.url + "/other")
            t.stop()
        assert sorted(s.path for s in t.spans) == sorted("/" + w for w in want), (select, want, t.spans)


def case_select_comm():
    d = private("curl", f"c{os.getpid()}")
    web = parts.threading_server()
    with Tracer(select=["--comm", os.path.basename(d)]) as t:
        parts.curl(web.url + "/yes", binary=d)
        parts.curl(web.url + "/no")
        t.stop()
    assert [s.path for s in t.spans] == ["/yes"], t.spans


def case_select_port():
    """Local or remote port, ranges, exclusions."""
    a = parts.threading_server(name="a")
    b = parts.threading_server(name="b")
    lo, hi = sorted((a.port, b.port))
    for n, (select, want) in enumerate((
            (["--port", a.port], {"/pa": 2}), (["--port", f"{lo}-{hi}"], {"/pa": 2, "/pb": 2}),
            (["--port", a.port, "--port", b.port, "--exclude-port", b.port], {"/pa": 2}),
            (["--pid", a.pid, "--port", a.port], {"/pa": 1}),
            (["--pid", a.pid, "--port", b.port], {}))):
        with Tracer(select=select, name=f"t{n}") as t:
            parts.curl(a.url + "/pa")
            parts.curl(b.url + "/pb")
            t.stop()
        got = {}
        for s in t.spans:
            got[s.path] = got.get(s.path, 0) + 1
        assert got == want, (select, got, want)


def case_select_cgroup():
    top = next((line.split()[1] for line in parts.read("/proc/mounts").splitlines() if line.split()[2] == "cgroup2"), None)
    if not top:
        raise parts.Skip("no cgroup v2 hierarchy")
    name = f"spandrel-live-{os.getpid()}"
    outer, inner = os.path.join(top, name), os.path.join(top, name, "inner")
    try:
        os.mkdir(outer)
        os.mkdir(inner)
    except OSError as e:
        raise parts.Skip(f"cannot make a cgroup: {e}") from e

    def join(web, cg):
        with open(os.path.join(cg, "cgroup.procs"), "w") as f:
            f.write(str(web.pid))
    webs = []
    try:
        webs = [parts.threading_server(name=n) for n in ("in", "below", "out")]
        join(webs[0], outer)
        join(webs[1], inner)
        for n, (select, want) in enumerate((
                (["--cgroup", outer], ["/in", "/below"]), (["--cgroup", name], ["/in", "/below"]),
                (["--cgroup", inner], ["/below"]), (["--cgroup", outer, "--exclude-cgroup", f"{name}/inner"], ["/in"]))):
            with Tracer(select=select, name=f"t{n}") as t:
                for w in webs:
                    parts.curl(f"{w.url}/{w.name}")
                t.stop()
            assert sorted(s.path for s in t.spans) == sorted(want), (select, t.spans)
    finally:
        for w in webs:
            w.stop()
        for cg in (inner, outer):
            with contextlib.suppress(OSError):
                os.rmdir(cg)


def case_select_exclude_pid():
    web = parts.threading_server()
    other = parts.threading_server(name="other")
    with Tracer("--exclude-pid", other.pid) as t:
        parts.curl(web.url + "/yes")
        parts.curl(other.url + "/half")
        t.stop()
    assert len(t.spans.of(path="/yes")) == 2, t.spans
    assert [s.kind for s in t.spans.of(path="/half")] == [CLIENT], t.spans


def case_select_exec_into():
    """A process that becomes a selected program is traced from then on, and one that stops being it no longer."""
    curl = private("curl")
    web = parts.threading_server()
    with Tracer(select=["--exe", curl]) as t:
        parts.tool(["/bin/sh", "-c", f"exec {curl} -sS {web.url}/into"])
        parts.tool(["/bin/sh", "-c", f"{curl} -sS {web.url}/child; curl -sS {web.url}/no"])
        t.stop()
    assert sorted(s.path for s in t.spans) == ["/child", "/into"], t.spans


def case_select_starts_later_server():
    """A server that starts after the tracer, by --port and by --exe of its interpreter's copy."""
    def handler(c):
        while c.message():
            c.send(wire.ok())
    port = parts.free_port()
    with Tracer(select=["--port", port]) as t:
        srv = wire.Raw(handler, ("127.0.0.1", port), forking=True)
        for i in range(5):
            with wire.connect(srv.addr) as c:
                c.get(f"/{i}")
        t.stop()
    assert len(t.spans.of(SERVER)) == len(t.spans.of(CLIENT)) == 5, t.spans


def case_select_port_after_the_tracer():
    """A port that a connection of the tracer had is another program's later: that one is traced at both ends."""
    ports = parts.path("ports")

    def sink(c):
        with open(ports, "a") as f:
            f.write(f"{c.sock.getpeername()[1]}\n")
        c.message()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.2)
        c.reset()  # no TIME_WAIT keeps the port

    def handler(c):
        while c.message():
            c.send(wire.ok())
    end, srv = wire.Raw(sink), wire.Raw(handler, forking=True)
    with Tracer("--otlp-endpoint", end.url, "--batch-age", "100ms") as t:
        with wire.connect(srv.addr) as c:
            c.get("/first")
        t.wait_for(lambda: os.path.exists(ports) and os.path.getsize(ports), "an export")
        own = int(parts.read(ports).split()[0])
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        t.wait_for(lambda: bound(s, own), "the port to be free")
        s.connect(srv.addr)
        wire.Conn(s).get("/second")
        s.close()
        t.stop()
    assert len(t.spans.of(path="/second")) == 2, t.spans


def bound(s, port):
    try:
        s.bind(("127.0.0.1", port))
        return True
    except OSError:
        return False
