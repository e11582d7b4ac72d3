# SPDX-License-Identifier: Apache-2.0
"""One request and everything that is said about it: attributes, names, status, privacy, times."""
import json
import socket
import time

import parts
import wire
from spandrel import CLIENT, ERROR, SERVER, UNSET, Tracer

# may be there, are not asked for
OPTIONAL = {"client.port", "network.transport", "network.type", "network.local.address", "network.local.port",
            "network.peer.port", "http.request.body.size", "http.response.body.size", "user_agent.original"}
SLACK = 2_000_000  # ns: reading the offset from boot time to real time is not atomic


def same(span, want):
    got = {k: v for k, v in span.attrs.items() if k not in OPTIONAL or k in want}
    assert got == want, f"attributes of {span}:\n#   got  {got}\n#   want {want}"


def case_http_attributes():
    web = parts.threading_server()
    host = f"127.0.0.1:{web.port}"
    with Tracer("--keep-query", "pag*", "--capture-header", "X-Tenant", "--console", select=["--port", web.port]) as t:
        _, info = parts.curl(web.url + "/hello?page=2&token=SECRETQ&Page=SECRETP", "-A", "agent/1.0",
                             "-H", "x-request-id: r1", "-H", "X-Correlation-ID: c1", "-H", "x-tenant: t1", "-H", "X-Tenant: t2",
                             "-H", "Authorization: Bearer SECRETH", "-H", "Cookie: c=SECRETC", "-d", "body=SECRETB")
        assert info["code"] == 200
        t.stop()
    assert len(t.spans) == 2, t.spans
    s, c = t.spans.one(SERVER), t.spans.one(CLIENT)
    headers = {"http.request.header.x-request-id": ["r1"], "http.request.header.x-correlation-id": ["c1"],
               "http.request.header.x-tenant": ["t1", "t2"]}
    query = "page=2&token=REDACTED&Page=REDACTED"
    same(s, {"http.request.method": "POST", "http.response.status_code": 200, "server.address": "127.0.0.1",
             "server.port": web.port, "url.scheme": "http", "url.path": "/hello", "url.query": query,
             "client.address": "127.0.0.1", "network.peer.address": "127.0.0.1", "network.peer.port": info["lport"],
             "network.protocol.version": "1.1", "user_agent.original": "agent/1.0", "spandrel.link": "connection", **headers})
    same(c, {"http.request.method": "POST", "http.response.status_code": 200, "server.address": "127.0.0.1",
             "server.port": web.port, "url.full": f"http://{host}/hello?{query}", "network.peer.address": "127.0.0.1",
             "network.peer.port": web.port, "network.protocol.version": "1.1", **headers})
    assert s.name == c.name == "POST"
    assert s.parent == c.id and s.trace == c.trace and not c.parent
    assert s.status == c.status == UNSET
    assert s.flags & 0x3ff == 0x103 and c.flags & 0x3ff == 0x103, (hex(s.flags), hex(c.flags))
    for text in (t.out, t.err, parts.read(t.file)):
        assert "SECRET" not in text, text
    line = [x for x in t.out.splitlines() if "/hello" in x]
    assert len(line) == 2, f"a console line for each span: {t.out}"
    assert all("POST" in x and "200" in x for x in line), line


def case_http_resource():
    web = parts.threading_server()
    named = parts.threading_server(name="named", env={"OTEL_SERVICE_NAME": "shop", "OTEL_RESOURCE_ATTRIBUTES": "team=a%20b,service.name=no"})
    with Tracer() as t:
        parts.curl(web.url + "/x")
        parts.curl(named.url + "/y")
        t.stop()
    s = t.spans.one(SERVER, "/x").res
    want = {"process.pid": web.pid, "process.executable.name": "python3.11", "telemetry.sdk.name": "spandrel",
            "telemetry.sdk.language": "python", "host.name": socket.gethostname()}
    want["process.executable.name"] = __import__("os").path.basename(__import__("os").path.realpath(parts.PYTHON))
    assert {k: s.get(k) for k in want} == want, s
    assert s["service.name"] in ("web", "web.py"), s
    assert "telemetry.sdk.version" in s
    n = t.spans.one(SERVER, "/y").res
    assert n["service.name"] == "shop" and n["team"] == "a b", n
    assert t.spans.one(CLIENT, "/x").res["service.name"] == "curl"
    with Tracer("--service-name", "mine", "--resource", "k=v", "--environment", "test", name="t2") as t:
        parts.curl(named.url + "/z")
        t.stop()
    n = t.spans.one(SERVER, "/z").res
    assert (n["service.name"], n["k"], n["deployment.environment.name"]) == ("mine", "v", "test"), n


def case_http_status():
    """Status and error.type by kind; names of known and unknown methods."""
    def handler(c):
        while (m := c.message()):
            code = m[0].split()[1].split("/")[-1]
            c.send(wire.ok(b"ok", f"{code} Word"))
    srv = wire.Raw(handler, forking=True)
    with Tracer() as t:
        with wire.connect(srv.addr) as c:
            for code in (200, 302, 400, 404, 499, 500, 503, 599):
                c.get(f"/status/{code}")
            for m in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO", "get", "M-SEARCH"):
                c.get(f"/{m}/200", method=m)
        t.stop()
    assert len(t.spans) == 2 * 17, len(t.spans)
    for kind, first_bad in ((SERVER, 500), (CLIENT, 400)):
        for code in (200, 302, 400, 404, 499, 500, 503, 599):
            s = t.spans.one(kind, f"/status/{code}")
            bad = code >= first_bad
            assert s.code == code and s.status == (ERROR if bad else UNSET), s
            assert s["error.type"] == (str(code) if bad else None), s
        for m in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            s = t.spans.one(kind, f"/{m}/200")
            assert s.name == m and s["http.request.method"] == m and s["http.request.method_original"] is None, s
        for m in ("FOO", "get", "M-SEARCH"):
            s = t.spans.one(kind, f"/{m}/200")
            assert (s.name, s["http.request.method"], s["http.request.method_original"]) == ("HTTP", "_OTHER", m), s


def case_http_targets():
    """Absolute form with user information, `*`, HTTP/1.0 without Host, forwarding headers."""
    def handler(c):
        while c.message():
            c.send(wire.ok())
    srv = wire.Raw(handler, forking=True)
    with Tracer() as t:
        with wire.connect(srv.addr) as c:
            c.get("http://user:SECRET@example.test:8080/abs?q=SECRET", host="other.test")
            c.get("*", method="OPTIONS", host="star.test")
            c.get("/fwd", "X-Forwarded-For: 192.0.2.7, 10.0.0.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.test")
            c.get("/rfc", 'Forwarded: for="[2001:db8::7]:4711";proto=https;host=rfc.test, for=10.0.0.9', host="inner.test:81")
            c.send(b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            c.message()
            c.get("/frag?a=SECRET&b=SECRET=x;c=SECRET#f", host="q.test")
        t.stop()
    assert len(t.spans) == 12, t.spans
    assert "SECRET" not in parts.read(t.file)
    c = t.spans.one(CLIENT, "/abs")
    assert c["url.full"] == "http://REDACTED:REDACTED@example.test:8080/abs?q=REDACTED", c.attrs
    assert (c["server.address"], c["server.port"]) == ("example.test", 8080)
    s = t.spans.one(SERVER, "/fwd")
    assert (s["client.address"], s["url.scheme"], s["server.address"]) == ("192.0.2.7", "https", "shop.test"), s.attrs
    assert s["network.peer.address"] == "127.0.0.1"
    s = t.spans.one(SERVER, "/rfc")
    assert (s["client.address"], s["url.scheme"], s["server.address"]) == ("2001:db8::7", "https", "rfc.test"), s.attrs
    s = t.spans.one(SERVER, "/old")
    assert s["network.protocol.version"] == "1.0" and s["server.address"] in (None, "127.0.0.1"), s.attrs
    s = [s for s in t.spans if s.server and s["http.request.method"] == "OPTIONS"]
    assert len(s) == 1 and s[0]["server.address"] == "star.test" and s[0]["server.port"] == 80, s[0].attrs


def case_http_times():
    """Starts and ends against what client and server saw themselves; nothing is compared with a limit of speed."""
    log = parts.path("truth")

    def handler(c):
        with open(log, "a") as f:
            while (m := c.message()):
                first = c.recvs[0]
                time.sleep(0.05)
                c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none", b"two", pause=0.03)
                f.write(json.dumps({"path": m[0].split()[1], "recv": first, "send": c.sends[-1]}) + "\n")
                f.flush()
                c.recvs, c.sends = [], []
    srv = wire.Raw(handler)
    with Tracer() as t:
        client = {}
        with wire.connect(srv.addr) as c:
            for i in range(10):
                c.sends, c.recvs = [], []
                c.send(f"POST /{i} HTTP/1.1\r\nHost: x\r\nContent-Le".encode(), b"ngth: 4\r\n\r\nab", b"cd", pause=0.02)
                c.message()
                client[f"/{i}"] = (c.sends[0], c.recvs[-1])
        t.stop()
    truth = {}
    for line in open(log):
        j = json.loads(line)
        truth[j["path"]] = j
    assert len(t.spans) == 20
    for i in range(10):
        p = f"/{i}"
        s, c = t.spans.one(SERVER, p), t.spans.one(CLIENT, p)
        (cs0, cs1), (cr0, cr1) = client[p]
        (sr0, sr1), (ss0, ss1) = truth[p]["recv"], truth[p]["send"]
        sr0 = max(sr0, cs0)  # the server may wait in recv before there is anything to receive
        cr0 = max(cr0, ss0)
        for what, lo, x, hi in (("client start", cs0, c.start, cs1), ("client end", cr0, c.end, cr1),
                                ("server start", sr0, s.start, sr1), ("server end", ss0, s.end, ss1)):
            assert lo - SLACK <= x <= hi + SLACK, f"{p}: {what} {x} not in {lo} … {hi}"
        assert c.start <= s.start and s.start < s.end, (c, s)


def case_http_context_headers():
    """W3C with tracestate, B3 single and multi; malformed ones; only the server is traced, so the parent is remote."""
    web = parts.threading_server()
    tr, sp = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    good = {
        "/w3c": [f"traceparent: 00-{tr}-{sp}-01", "tracestate: congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"],
        "/random": [f"traceparent: 00-{tr}-{sp}-03"],
        "/future": [f"TraceParent: cc-{tr}-{sp}-01-what"],
        "/two-states": [f"traceparent: 00-{tr}-{sp}-01", "tracestate: a=1", "tracestate: b=2"],
        "/b3": [f"b3: {tr}-{sp}-1"],
        "/b3-short": [f"b3: {tr[16:]}-{sp}-d"],
        "/multi": [f"X-B3-TraceId: {tr}", f"X-B3-SpanId: {sp}", "X-B3-Sampled: 1"],
        "/b3-after-bad": ["traceparent: 00-xyz", f"b3: {tr}-{sp}-1"],
    }
    bad = {
        "/upper": [f"traceparent: 00-{tr.upper()}-{sp}-01"],
        "/ff": [f"traceparent: ff-{tr}-{sp}-01"],
        "/zero": [f"traceparent: 00-{'0' * 32}-{sp}-01"],
        "/zero-span": [f"traceparent: 00-{tr}-{'0' * 16}-01"],
        "/long": [f"traceparent: 00-{tr}-{sp}-01-x"],
        "/twice": [f"traceparent: 00-{tr}-{sp}-01", f"traceparent: 00-{tr}-{sp}-01"],
        "/state-only": ["tracestate: a=1"],
    }
    with Tracer(select=["--pid", web.pid]) as t:
        for p, hs in {**good, **bad}.items():
            parts.curl(web.url + p, *[x for h in hs for x in ("-H", h)])
        t.stop()
    assert len(t.spans) == len(good) + len(bad), t.spans
    for p in good:
        s = t.spans.one(SERVER, p)
        want = "0" * 16 + tr[16:] if p == "/b3-short" else tr
        assert (s.trace, s.parent, s.link) == (want, sp, "header"), s
        assert s.flags & 0x301 == 0x301, (p, hex(s.flags))
    assert t.spans.one(SERVER, "/w3c").state == "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"
    assert t.spans.one(SERVER, "/two-states").state == "a=1,b=2"
    assert t.spans.one(SERVER, "/random").flags & 0xff == 3
    for p in bad:
        s = t.spans.one(SERVER, p)
        assert s.trace != tr and not s.parent and s.link is None and s.state in ("", "ot=th:0"), (s, s.state)
    assert len({t.spans.one(SERVER, p).trace for p in bad}) == len(bad), "fresh trace ids"
    assert t.counters["contexts_invalid"] >= 6, t.counters
