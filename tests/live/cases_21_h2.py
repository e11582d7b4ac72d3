# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 without gRPC: servers and clients of many makes, and what a conformance suite does to a server that is traced."""
import os
import re

import grpc_kit
import parts
from spandrel import CLIENT, ERROR, SERVER, UNSET, Tracer

PRIOR = "--http2-prior-knowledge"


def node_h2():
    parts.need("node")
    port = parts.free_port()
    return parts.Server(parts.start(["node", os.path.join(parts.APPS, "h2.js"), port], "h2"), ("127.0.0.1", port), "h2")


def go_h2c():
    """Go's, which also takes HTTP/1's Upgrade."""
    port = parts.free_port()
    return parts.Server(parts.start([grpc_kit.build("go") + "/h2c", port], "h2c"), ("127.0.0.1", port), "h2c")


def nghttpd(*args, files=None):
    parts.need("nghttpd")
    d, port = parts.path("nghttpd"), parts.free_port()
    os.makedirs(d, exist_ok=True)
    for name, data in (files or {}).items():
        with open(os.path.join(d, name), "wb") as f:
            f.write(data)
    return parts.Server(parts.start(["nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", d, *args, port], "nghttpd"),
                        ("127.0.0.1", port), "nghttpd")


def nginx_h2(**more):
    """Version 1.25.1 made HTTP/2 a directive of its own."""
    version = parts.tool(["nginx", "-v"]).stderr.decode()
    new = tuple(int(x) for x in re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", version).groups()) >= (1, 25, 1)
    return parts.nginx(listen="" if new else " http2", server=("http2 on;" if new else "") +
                       " http2_max_concurrent_streams 1000;", **more)


def clean(t, requests, kinds=2):
    c = t.counters
    assert len(t.spans) == kinds * requests, f"{len(t.spans)} spans of {requests} requests: {dict(c)} {t.spans[:6]}"
    for name in (*grpc_kit.LOSSES, "responses_unmatched"):
        assert c.sum(name) == 0, dict(c)


def check_pairs(spans, paths):
    """Both ends of each request, met; `paths` are all different."""
    for p in paths:
        s, c = spans.one(SERVER, p), spans.one(CLIENT, p)
        assert s.parent == c.id and s.trace == c.trace and s.link == "connection", (s, c)
        assert s["network.protocol.version"] == c["network.protocol.version"] == "2", (s.attrs, c.attrs)
        assert s["spandrel.truncated"] is None and c["spandrel.truncated"] is None, (s.attrs, c.attrs)


def fetch(url, n):
    """n requests at once on one connection. (Some versions of curl cannot use a connection of this kind twice.)"""
    parts.need("nghttp")
    parts.tool(["nghttp", "-n", *(f"{url}/p/{i}" for i in range(n))])


def body(text):
    with open(parts.path("body"), "w", encoding="ascii") as f:
        f.write(text)
    return f.name


def case_h2_curl_node():
    n = node_h2()
    with Tracer() as t:
        fetch(n.url, 50)
        for path, code in (("/status/204", 204), ("/status/404", 404), ("/status/503", 503), ("/bytes/300000", 200),
                           ("/trailers/1", 200), ("/slow/50", 200)):
            _, info = parts.curl(n.url + path, PRIOR, "-o", "/dev/null")
            assert info["code"] == code, info
        parts.curl(n.url + "/posted", PRIOR, "--data-binary", f"@{body('x' * 200000)}")
        parts.tool(["curl", "-sS", PRIOR, n.url + "/reset/1"], ok=False)
        t.stop()
    clean(t, 58)
    check_pairs(t.spans, [f"/p/{i}" for i in range(50)] + ["/status/404", "/posted", "/slow/50", "/trailers/1", "/reset/1"])
    for kind in (SERVER, CLIENT):
        for path, code, method, error in (("/status/204", 204, "GET", False), ("/status/404", 404, "GET", kind == CLIENT),
                                          ("/status/503", 503, "GET", True), ("/bytes/300000", 200, "GET", False),
                                          ("/trailers/1", 200, "GET", False), ("/posted", 200, "POST", False)):
            s = t.spans.one(kind, path)
            assert (s.code, s["http.request.method"], s.name) == (code, method, method), s.attrs
            assert s.status == (ERROR if error else UNSET) and s["error.type"] == (str(code) if error else None), s.attrs
        s = t.spans.one(kind, "/slow/50")
        assert s.end - s.start >= 48_000_000, f"to the last byte: {s.end - s.start}"
        s = t.spans.one(kind, "/reset/1")
        assert s.code is None and s.status == ERROR and s["error.type"] == "INTERNAL_ERROR", s.attrs


def case_h2_curl_nginx():
    ng = nginx_h2(files={"page": b"p" * 200000, "small": b"small"})
    with Tracer() as t:
        for p in ("/page", "/small", "/none", "/ok"):
            parts.curl(ng.url + p, PRIOR, "-o", "/dev/null")
        parts.curl(ng.url + "/small?secret=1", PRIOR, "-I", "-H", "x-request-id: rid-1")
        t.stop()
    clean(t, 5)
    for s in t.spans.of(SERVER):
        assert s.pid in parts.children(ng.pid) and s["server.port"] == ng.port and s["url.scheme"] == "http", s.attrs
    assert t.spans.one(SERVER, "/none").code == 404 and t.spans.one(SERVER, "/page").code == 200
    s, = [s for s in t.spans.of(SERVER, "/small") if s.name == "HEAD"]
    assert s["url.query"] == "secret=REDACTED" and s["http.request.header.x-request-id"] == ["rid-1"], s.attrs
    assert s["user_agent.original"].startswith("curl/"), s.attrs


def case_h2_curl_upgrade():
    """The request of an upgrade is HTTP/1's and is answered as stream 1: one span at each end."""
    h = go_h2c()
    with Tracer() as t:
        for i in range(3):
            body, info = parts.curl(h.url + f"/up/{i}", "--http2", "-v")
            assert info["code"] == 200 and body == f"/up/{i}", (body, info)
        parts.curl(h.url + "/one", "--http1.1")
        t.stop()
    clean(t, 4)
    for p in [f"/up/{i}" for i in range(3)] + ["/one"]:
        s, c = t.spans.one(SERVER, p), t.spans.one(CLIENT, p)
        assert s.parent == c.id and s.code == c.code == 200 and s.name == "GET", (s.attrs, c.attrs)


def case_h2_push():
    """A server that pushes: the promised request has a span too, and the asked one is right."""
    n = node_h2()
    parts.need("nghttp")
    with Tracer() as t:
        r = parts.tool(["nghttp", "-v", n.url + "/push"])
        assert "PUSH_PROMISE" in r.text, r.text
        t.stop()
    for kind in (SERVER, CLIENT):
        assert t.spans.one(kind, "/push").code == 200
        assert [s.code for s in t.spans.of(kind, "/pushed")] == [200], t.spans
    assert len(t.spans) == 4, t.spans


def case_h2_nghttp():
    """nghttp with dependencies, padding and a POST to nghttpd with padding, trailers and small tables."""
    d = nghttpd("--echo-upload", "-b", "200", "--trailer", "x-end: 1", "--header-table-size", "256",
                files={"a.html": b"<img src=b.png>" + b"a" * 50000, "b.png": b"b" * 3000})
    with Tracer() as t:
        for i in range(5):
            parts.tool(["nghttp", "-n", "-a", "-b", "100", "--header-table-size", "128", f"{d.url}/a.html?{i}"])
        parts.tool(["nghttp", "-n", "-d", body("z" * 100000), "--trailer", "x-last: 1", d.url + "/upload"])
        parts.tool(["nghttp", "-n", "--continuation", d.url + "/continued"])
        t.stop()
    clean(t, 5 * 2 + 2)
    for kind in (SERVER, CLIENT):
        assert len(t.spans.of(kind, "/a.html")) == len(t.spans.of(kind, "/b.png")) == 5
        assert t.spans.one(kind, "/upload").name == "POST" and t.spans.one(kind, "/upload").code == 200
        assert t.spans.one(kind, "/continued").code == 404


def h2load(server, path, requests, streams, connections=1):
    parts.need("h2load")
    r = parts.tool(["h2load", "-n", requests, "-c", connections, "-m", streams, server.url + path])
    assert f"{requests} succeeded" in r.text, r.text


def load_case(server, path, code=200):
    """1, 10, 100 and 1,000 streams of one connection: as many spans as requests, each with a parent of its own."""
    n = 0
    with Tracer() as t:
        for streams, requests in ((1, 100), (10, 500), (100, 1000), (1000, 3000)):
            h2load(server, path, requests, streams)
            n += requests
        t.stop(settle=0.3)
    clean(t, n)
    servers, ids = t.spans.of(SERVER, path), t.spans.by_id()
    assert len(servers) == n and len({s.parent for s in servers}) == n
    for s in servers:
        c = ids[s.parent]
        assert c.kind == CLIENT and c.path == path and s.code == c.code == code and s.link == "connection", (s, c)


def case_h2_load_nginx():
    load_case(nginx_h2(files={"page": b"p" * 1000}), "/page")


def case_h2_load_nghttpd():
    load_case(nghttpd("-m", "1000", files={"page": b"p" * 1000}), "/page")


def case_h2_load_node():
    load_case(node_h2(), "/n")


def case_h2_load_go():
    load_case(go_h2c(), "/bytes/100")


def verdicts(report):
    """What each test of the suite came to: its name and whether it failed."""
    out = {}
    for m in re.finditer(r'<testcase package="([^"]*)" classname="([^"]*)"[^>]*?(/>|>.*?</testcase>)', parts.read(report), re.S):
        key = (m[1], m[2])
        assert key not in out, key
        out[key] = "<failure" in m[3] or "<error" in m[3]
    return out


def h2spec(server, name):
    report = parts.path(name + ".xml")
    parts.tool([grpc_kit.build("go") + "/h2spec", "-h", "127.0.0.1", "-p", server.port, "-o", "1", "-P", "/page",
                "-j", report], timeout=90, ok=False)
    return verdicts(report)


def spec_case(server):
    """The suite's verdicts are the same with the tracer; the tracer lives; no span of a request that was not made."""
    plain = h2spec(server, "plain")
    assert len(plain) > 90, len(plain)
    with Tracer(select=["--pid", server.pid]) as t:
        traced = h2spec(server, "traced")
        _, info = parts.curl(server.url + "/page", PRIOR, "-o", "/dev/null")
        t.stop()
    differ = {k for k in plain if plain[k] != traced.get(k)} | (traced.keys() - plain.keys())
    assert not differ, f"with the tracer: {[(k, traced.get(k)) for k in differ]}"
    assert info["code"] == 200 and t.counters.sum("records_missed") == 0, (info, dict(t.counters))
    for s in t.spans:
        assert s.kind == SERVER and s.pid == server.pid, s
        assert s.path in ("/page", None), s.attrs
        assert s["http.request.method"] in (None, "GET", "POST", "HEAD", "OPTIONS"), s.attrs
    return t


def case_h2_spec_nghttpd():
    server = nghttpd("-v", files={"page": b"page"})
    log = parts.path("nghttpd.log")
    t = spec_case(server)
    frames = parts.read(log)
    heads, answers = frames.count("recv HEADERS frame"), frames.count("send HEADERS frame")
    # both rounds and curl's are in the log: the traced half and the last
    assert answers // 2 <= len(t.spans) <= heads // 2 + 1, f"{len(t.spans)} spans; {heads} heads, {answers} answers in two rounds"


def case_h2_joined():
    """h2load's connections are older than the tracer: the right number of spans, nothing on them that is not so."""
    ng = nginx_h2(files={"page": b"p" * 100})
    load = parts.start(["h2load", "-D", "4", "-c", "2", "-m", "10", "--rps", "200", ng.url + "/page"], "load")
    parts.wait_children(os.getpid(), 1)
    with Tracer() as t:
        t.wait_for(lambda: t.proc.poll() is None and load.poll() is not None, "the end of the load")
        t.stop()
    assert len(t.spans.of(SERVER)) > 100 and abs(len(t.spans.of(SERVER)) - len(t.spans.of(CLIENT))) <= 20, len(t.spans)
    for s in t.spans:
        assert s.path in ("/page", None, "") and s.code in (None, 200) and s["http.request.method"] in (None, "GET"), s.attrs
        assert s["network.protocol.version"] == "2", s.attrs
