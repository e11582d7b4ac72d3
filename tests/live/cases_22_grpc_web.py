# SPDX-License-Identifier: Apache-2.0
"""gRPC-Web by connect-go over HTTP/1.1 and HTTP/2, and in base64 by hand; methods that are excluded, older names of
attributes, and requests that are open when tracing stops."""
import base64
import os
import struct
import time

import parts
import wire
from grpc_kit import BYTES, MESSAGES, NAMES, build, check_status
from spandrel import CLIENT, SERVER, Tracer

CALLS = [  # method, code, messages, bytes of each
    ("Unary", 0, 1, 100), ("Unary", 0, 1, 0), ("Unary", 0, 1, 12000), ("Unary", 5, 0, 10), ("Unary", 13, 0, 10),
    ("Down", 0, 0, 10), ("Down", 0, 7, 3000), ("Down", 13, 3, 3000), ("Down", 16, 0, 5),
]


def web():
    return build("web") + "/web"


def serve():
    port = parts.free_port()
    return parts.Server(parts.start([web(), "serve", port], "web-serve"), ("127.0.0.1", port), "web-serve")


def call(server, version, method, code, count, size, packed=True):
    """What connect-go sends to its own clients is compressed, trailers too, unless they do not take it."""
    env = dict(os.environ, **({} if packed else {"PLAIN": "1"}))
    out = parts.tool([web(), "call", server.port, version, method, code, count, size], env=env)
    return tuple(int(w) for w in out.stdout.split())


def length(n):
    """Bytes of a BytesValue of so many bytes."""
    return n and n + 2 + (n > 127) + (n > 16383)


def check(span, packed, method, code, count, size):
    assert span.name == span["rpc.method"] == f"spandrel.test.Web/{method}", span.attrs
    assert span["rpc.system.name"] == "grpc" and span["http.request.method"] is None, span.attrs
    assert span["rpc.response.status_code"] == NAMES[code], (span.attrs, packed, method, code, count, size)
    check_status(span, NAMES[code])
    ask = 2 + len(f"{code} {count} {size}")
    assert (span[MESSAGES.format("request")], span[BYTES.format("request")]) == (1, ask), span.attrs
    assert span[MESSAGES.format("response")] == count, span.attrs
    assert span["spandrel.grpc.response.compressed"] == (count if packed and count else None), span.attrs
    got = span[BYTES.format("response")]
    assert got <= (100 + size // 100) * count if packed else got == count * length(size), span.attrs
    assert span["spandrel.grpc.streaming"] == ("server" if count > 1 else None), span.attrs


def connect_calls(version):
    server = serve()
    with Tracer() as t:
        for packed in (True, False):
            for plan in CALLS:
                assert call(server, version, *plan, packed) == (plan[1], plan[2]), plan
        t.stop()
    for kind in (CLIENT, SERVER):
        spans = sorted(t.spans.of(kind), key=lambda s: s.start)
        assert len(spans) == 2 * len(CALLS), t.spans
        for i, span in enumerate(spans):
            check(span, i < len(CALLS), *CALLS[i % len(CALLS)])


def case_grpc_web_http1():
    connect_calls(1)


def case_grpc_web_http2():
    connect_calls(2)


def frame(flags, payload):
    return struct.pack(">BI", flags, len(payload)) + payload


def case_grpc_web_text():
    """Base64, each frame padded by itself, in chunks that cut it anywhere."""
    text = b"".join(base64.b64encode(f) for f in (frame(0, b"x" * 1000), frame(0, b"yy"), frame(0x80, b"grpc-status:9\r\ngrpc-message:no\r\n")))
    chunks = [b"%x\r\n%s\r\n" % (len(c), c) for c in (text[i:i + 77] for i in range(0, len(text), 77))]

    def handler(c):
        while c.message():
            c.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web-text+proto\r\nTransfer-Encoding: chunked\r\n\r\n", *chunks, b"0\r\n\r\n",
                   pause=0.001)
    server = wire.Raw(handler)
    ask = base64.b64encode(frame(0, b"question"))
    with Tracer() as t:
        with wire.connect(server.addr) as c:
            for _ in range(3):
                c.send(b"POST /shop.Cart/Get HTTP/1.1\r\nHost: t\r\nContent-Type: application/grpc-web-text+proto\r\nContent-Length: %d\r\n\r\n" % len(ask), ask)
                assert c.message()[2] == text
        t.stop()
    assert len(t.spans) == 6, t.spans
    for s in t.spans:
        check_status(s, "FAILED_PRECONDITION")
        assert s.name == "shop.Cart/Get", s
        assert [s[MESSAGES.format(w)] for w in ("request", "response")] == [1, 2], s.attrs
        assert [s[BYTES.format(w)] for w in ("request", "response")] == [8, 1002], s.attrs


def case_grpc_web_exclude():
    server = serve()
    with Tracer("--exclude-method", "grpc.health.*/*", "--exclude-method", "*.Web/Down") as t:
        for method in ("Unary", "Down", "Unary"):
            call(server, 1, method, 0, 1, 10)
        t.stop()
    assert len(t.spans) == 4 and {s.name for s in t.spans} == {"spandrel.test.Web/Unary"}, t.spans
    assert t.counters['requests_dropped{reason="excluded"}'] == 2 and t.counters["requests_seen"] == 6, t.counters


def case_grpc_web_older_names():
    """--semconv legacy, and OTEL_SEMCONV_STABILITY_OPT_IN=rpc/dup: both."""
    server = serve()
    old = {"rpc.system": "grpc", "rpc.service": "spandrel.test.Web", "rpc.method": "Unary", "rpc.grpc.status_code": 5}
    new = {"rpc.system.name": "grpc", "rpc.method": "spandrel.test.Web/Unary", "rpc.response.status_code": "NOT_FOUND"}
    for n, (args, env, want, absent) in enumerate(((["--semconv", "legacy"], {}, old, set(new) - set(old)),
                                    ([], {"OTEL_SEMCONV_STABILITY_OPT_IN": "x, rpc/dup"}, {**old, **new}, ()),
                                    ([], {}, new, set(old) - set(new)))):
        with Tracer(*args, env=env, name=f"t{n}") as t:
            call(server, 2, "Unary", 5, 0, 10)
            t.stop()
        assert len(t.spans) == 2, t.spans
        for s in t.spans:
            assert {k: s[k] for k in want} == want and not set(s.attrs) & set(absent), s.attrs


def case_grpc_web_http_older_names():
    server = parts.threading_server()
    with Tracer("--semconv", "legacy") as t:
        parts.curl(server.url + "/old?a=b", "-H", "User-Agent: me", "-H", "X-Request-Id: 7")
        t.stop()
    s, c = t.spans.of(SERVER)[0], t.spans.of(CLIENT)[0]
    assert s["http.method"] == c["http.method"] == "GET" and s["http.status_code"] == 200, s.attrs
    assert s["http.target"] == "/old?a=REDACTED" and s["http.scheme"] == "http" and s["http.flavor"] == "1.1", s.attrs
    assert s["http.user_agent"] == "me" and s["net.host.name"] == "127.0.0.1" and s["net.host.port"] == server.port, s.attrs
    assert c["http.url"] == server.url + "/old?a=REDACTED" and c["net.peer.port"] == server.port, c.attrs
    assert s["http.request.header.x_request_id"] == ["7"], s.attrs
    assert not any(k.startswith(("url.", "server.", "network.", "http.request.method")) for k in {**s.attrs, **c.attrs}), (s.attrs, c.attrs)


def case_grpc_web_open():
    """Server-sent events that never end: no span, and a gauge by service."""
    def handler(c):
        c.message()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        time.sleep(60)
    server = wire.Raw(handler, forking=True)
    with Tracer("--service-name", "events") as t:
        streams = [wire.connect(server.addr) for _ in range(3)]
        for c in streams:
            c.send(b"GET /events HTTP/1.1\r\nHost: t\r\n\r\n")
            c.until(b"data: 1\n\n")
        t.stop()
    assert not t.spans and t.counters['requests_dropped{reason="shutdown"}'] == 6, t.counters
    assert t.counters['requests_open{service="events"}'] == 6, t.counters
    for c in streams:
        c.close()


def case_grpc_web_protocols():
    """--protocols: what it does not name is not looked at."""
    server = serve()
    for n, (name, seen) in enumerate((("http1", 1), ("http2", 2), ("http2, http1", 3), ("all", 3))):
        with Tracer("--protocols", name, name=f"t{n}") as t:
            call(server, 1, "Unary", 0, 1, 10)
            call(server, 2, "Down", 0, 1, 10)
            t.stop()
        want = [m for bit, m in ((1, "Unary"), (2, "Down")) if seen & bit for _ in "cs"]
        assert sorted(s.name for s in t.spans) == sorted("spandrel.test.Web/" + m for m in want), t.spans
