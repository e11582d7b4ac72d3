# SPDX-License-Identifier: Apache-2.0
"""Real servers and real clients: exact counts, the right process on each span."""
import json
import re

import parts
import wire
from spandrel import CLIENT, SERVER, UNSET, Tracer


def pairs(spans, n, path="*"):
    """n requests of which both ends were seen and met."""
    s, c = spans.of(SERVER, path), spans.of(CLIENT, path)
    assert len(s) == len(c) == n, (len(s), len(c), n, spans[:6])
    ids = {x.id: x for x in c}
    for x in s:
        assert x.link == "connection" and x.parent in ids and ids[x.parent].path == x.path, (x, ids.get(x.parent))


def case_servers_nginx_static():
    ng = parts.nginx(files={"page": b"page" * 100}, access="off", workers=2)
    with Tracer() as t:
        for p, code in (("/page", 200), ("/ok", 200), ("/empty", 204), ("/moved", 301), ("/none", 404)):
            _, info = parts.curl(ng.url + p)
            assert info["code"] == code
        parts.curl(ng.url + "/page", "-I")
        parts.curl(ng.url + "/page", "-H", "Range: bytes=1-5")
        t.stop()
    pairs(t.spans, 7)
    for p, code in (("/ok", 200), ("/empty", 204), ("/moved", 301), ("/none", 404)):
        s = t.spans.one(SERVER, p)
        assert s.code == code and s.status == UNSET and s.res["service.name"] == "nginx", s
        assert s.pid in parts.children(ng.pid), "a worker answers, not the master"
    assert sorted((s.name, s.code) for s in t.spans.of(SERVER, "/page")) == [("GET", 200), ("GET", 206), ("HEAD", 200)]


def case_servers_nginx_unix():
    sock = parts.path("nginx.sock")
    ng = parts.nginx(unix=sock)
    with Tracer() as t:
        for _ in range(3):
            parts.curl("http://localhost/ok", "--unix-socket", sock)
        t.stop()
    pairs(t.spans, 3)
    assert ng.pid


def case_servers_keepalive():
    """One curl, many requests on one connection."""
    ng = parts.nginx(files={"page": b"p" * 20000})
    with Tracer() as t:
        r = parts.tool(["curl", "-sS", "-w", "%{num_connects} ", "-o", "/dev/null"] +
                       sum(([ng.url + f"/page?n={i}", "-o", "/dev/null"] for i in range(50)), [])[:-2])
        assert r.text.split() == ["1"] + ["0"] * 49
        t.stop()
    pairs(t.spans, 50)
    assert len({s["network.peer.port"] for s in t.spans.of(SERVER)}) == 1


def gunicorn_case(**kw):
    g = parts.gunicorn(**kw)
    args = ["--unix-socket", g.addr] if isinstance(g.addr, str) else []
    with Tracer() as t:
        said = {}
        for i in range(10):
            body, _ = parts.curl(g.url + f"/w/{i}", *args, "-d", "x" * 1000 * i)
            said[f"/w/{i}"] = json.loads(body)
        parts.curl(g.url + "/stream", *args)
        t.stop()
    pairs(t.spans, 11)
    for p, j in said.items():
        assert t.spans.one(SERVER, p).pid == j["pid"], (p, j, t.spans.one(SERVER, p))
    s = t.spans.one(SERVER, "/stream")
    assert s.code == 200 and s.res["telemetry.sdk.language"] == "python", s.res


def case_servers_gunicorn_sync():
    gunicorn_case(workers=3)


def case_servers_gunicorn_gthread():
    gunicorn_case(worker="gthread", threads=4)


def case_servers_gunicorn_unix():
    gunicorn_case(addr=parts.path("g.sock"), workers=2)


def case_servers_node():
    n = parts.node()
    with Tracer() as t:
        for i in range(5):
            parts.curl(n.url + f"/n/{i}")
        parts.curl(n.url + "/chunked")
        parts.curl(n.url + "/post", "-d", "x" * 100000)
        with wire.connect(n.addr) as c:
            for i in range(5):
                c.get(f"/raw/{i}")
            c.send(b"GET /up HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            c.until(b"\r\n\r\n")
            c.send(b"GET /fake HTTP/1.1\r\n\r\n")
            c.exactly(10)
        t.stop()
    pairs(t.spans, 13)
    s = t.spans.one(SERVER, "/n/0")
    assert s.pid == n.pid and s.res["telemetry.sdk.language"] == "nodejs", s.res
    assert not t.spans.of(path="/fake") and t.spans.one(SERVER, "/up").code == 101


def case_servers_wrk():
    """A burst of wrk: as many server spans as wrk and the access log say, requests that wrk left open aside."""
    parts.need("wrk")
    d = parts.path("nginx")
    ng = parts.nginx(access=parts.nginx_log(d))
    with Tracer(select=["--pid", ng.pid], every=20) as t:
        r = parts.tool(["wrk", "-t1", "-c8", "-d2s", ng.url + "/ok"])
        t.stop()
    done = int(re.search(r"(\d+) requests in", r.text)[1])
    parts.stop(ng.proc)
    logged = len(parts.read(ng.log).splitlines())
    c = t.counters
    assert c.sum("records_missed") == 0, c
    assert c.sum("requests_dropped") + t.count == logged, (logged, t.count, c)
    assert t.count >= done and all(s.code == 200 for s in t.spans), (done, t.count)


def case_servers_h2load():
    parts.need("h2load")
    ng = parts.nginx(files={"page": b"x" * 3000})
    with Tracer() as t:
        r = parts.tool(["h2load", "--h1", "-n", "2000", "-c", "10", "-t", "1", ng.url + "/page"])
        assert "2000 succeeded" in r.text, r.text
        t.stop()
    assert t.counters.sum("records_missed") == 0
    pairs(t.spans, 2000)


def case_servers_h2load_pipelined():
    """h2load keeps 4 requests in flight on each connection of HTTP/1.1."""
    parts.need("h2load")
    ng = parts.nginx(files={"page": b"x" * 300})
    with Tracer(select=["--pid", ng.pid]) as t:
        r = parts.tool(["h2load", "--h1", "-n", "1000", "-c", "5", "-m", "4", "-t", "1", ng.url + "/page"])
        assert "1000 succeeded" in r.text, r.text
        t.stop()
    assert len(t.spans) == 1000 and all(s.server and s.code == 200 for s in t.spans), len(t.spans)


def case_servers_ab_http10():
    """HTTP/1.0 without keep-alive: a connection for each request, the body lasts until it closes."""
    def handler(c):
        c.message()
        c.send(b"HTTP/1.0 200 OK\r\n\r\nbody", b"more")
    srv = wire.Raw(handler)
    with Tracer() as t:
        for i in range(100):
            with wire.connect(srv.addr) as c:
                c.send(f"GET /old/{i} HTTP/1.0\r\n\r\n".encode())
                assert c.rest().endswith(b"bodymore")
        t.stop()
    pairs(t.spans, 100)
    assert all(s["network.protocol.version"] == "1.0" and s.code == 200 and s.status == UNSET for s in t.spans)
