# SPDX-License-Identifier: Apache-2.0
"""Bad input: bounded memory, a counter, no crash, no wrong span."""
import os
import random
import ssl
import time

import parts
import wire
from spandrel import CLIENT, SERVER, Tracer


def sink(c):
    """Reads and answers whatever comes with an echo of its size."""
    while c.fill():
        c.buf = b""


def rss(pid):
    """Resident memory in bytes, without the mapping of the ring."""
    total = ring = 0
    for part in parts.read(f"/proc/{pid}/smaps").split("VmFlags")[:-1]:
        name = part.splitlines()[0 if not part.startswith(":") else 1]
        n = sum(int(line.split()[1]) for line in part.splitlines() if line.startswith("Rss:")) * 1024
        total += n
        if "bpf-map" in name or "bpf_map" in name:
            ring += n
    return total - ring


def alive(t, srv_url, n=2):
    """The tracer still works: a plain request gives its spans."""
    before = len(__import__("spandrel").read_spans(t.file)) if os.path.exists(t.file) else 0
    parts.curl(srv_url + "/alive")
    t.wait_spans(before + n)


def case_hostile_tls():
    """Where TLS libraries are left alone, ciphertext is nothing but that."""
    parts.need("openssl")
    key, crt = parts.path("key.pem"), parts.path("crt.pem")
    parts.tool(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", crt, "-days", "2", "-subj", "/CN=localhost"])
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(crt, key)

    def handler(c):
        c.sock = ctx.wrap_socket(c.sock, server_side=True)
        while c.message():
            c.send(wire.ok())
    srv = wire.Raw(handler, forking=True)
    with Tracer("--tls", "off") as t:
        for _ in range(5):
            parts.curl(f"https://127.0.0.1:{srv.port}/secret", "-k")
        t.stop()
    assert not t.spans and t.counters["requests_seen"] == 0, t.spans
    assert t.counters["connections_tls_unreadable"] >= 5, t.counters
    said = [line for line in t.err.splitlines() if "TLS" in line and not line.startswith("connections_")]
    assert len(said) == 1, said


def case_hostile_random_bytes():
    rnd = random.Random(7)
    srv = wire.Raw(sink, forking=True)
    web = parts.threading_server()
    starts = [b"", b"GET ", b"HTTP/1.1 ", b"POST / HTTP/1.1\r\n", b"\0" * 10, b"\r\n" * 5, b"\x16\x03\x01", b"PRI * HTTP/2.0\r\n"]
    with Tracer() as t:
        for i in range(60):
            with wire.connect(srv.addr) as c:
                try:
                    for _ in range(5):
                        c.send(starts[i % len(starts)] + rnd.randbytes(rnd.choice([1, 10, 1000, 50000])))
                except OSError:
                    pass
        alive(t, web.url)
        t.stop()
    assert len(t.spans.of(path="/alive")) == 2
    wrong = [s for s in t.spans if s.path != "/alive" and s.code is not None]
    assert not wrong, wrong


SMUGGLING = {
    "both": b"POST /first HTTP/1.1\r\nHost: t\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "two-lengths": b"POST /first HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nContent-Length: 40\r\n\r\nabcGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "list-length": b"POST /first HTTP/1.1\r\nHost: t\r\nContent-Length: 3, 40\r\n\r\nabcGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "plus-length": b"POST /first HTTP/1.1\r\nHost: t\r\nContent-Length: +3\r\n\r\nabcGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "negative": b"POST /first HTTP/1.1\r\nHost: t\r\nContent-Length: -3\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "huge-length": b"POST /first HTTP/1.1\r\nHost: t\r\nContent-Length: 18446744073709551620\r\n\r\nabcdGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "huge-chunk": b"POST /first HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "te-identity": b"POST /first HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "te-space": b"POST /first HTTP/1.1\r\nHost: t\r\nTransfer-Encoding : chunked\r\nContent-Length: 4\r\n\r\nabcdGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "nul": b"GET /first\0 HTTP/1.1\r\nHost: t\0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
}


def case_hostile_smuggling():
    """Where the message ends is not knowable: no span may carry the smuggled request's path with an answer that was the
    first one's; a new connection is understood."""
    def handler(c):
        c.fill()
        time.sleep(0.02)
        c.send(wire.ok(b"first"))
        time.sleep(0.05)
    srv = wire.Raw(handler, forking=True)
    web = parts.threading_server()
    with Tracer() as t:
        for shape in SMUGGLING.values():
            with wire.connect(srv.addr) as c:
                c.send(shape)
                c.rest()
        alive(t, web.url)
        t.stop()
    assert len(t.spans.of(path="/alive")) == 2
    wrong = [s for s in t.spans.of(path="/smuggled") if s.code is not None]
    assert not wrong, wrong
    assert t.counters["parser_out_of_step{protocol=\"http1\"}"] >= 2, t.counters


def case_hostile_endless_head():
    """Header lines without end, and a million of them; memory stays bounded."""
    srv = wire.Raw(sink, forking=True)
    web = parts.threading_server()
    with Tracer() as t:
        parts.curl(web.url + "/warm")
        t.wait_spans(2)
        before = rss(t.proc.pid)
        for line in (b"X-A: b\r\n" * 5000, b"X" * 40000, b"a:\n" * 20000):
            with wire.connect(srv.addr) as c:
                c.send(b"GET /endless HTTP/1.1\r\n")
                for _ in range(200):
                    c.send(line)
        alive(t, web.url)
        after = rss(t.proc.pid)
        t.stop()
    assert not [s for s in t.spans if s.path == "/endless" and s.code is not None], t.spans
    assert t.counters['requests_dropped{reason="head_too_long"}'] >= 3, t.counters
    assert after - before < 16 << 20, (before, after)


def case_hostile_one_byte_at_a_time():
    """Every byte in a call of its own, both ways."""
    def handler(c):
        while c.message():
            c.send(*[bytes([b]) for b in wire.ok(b"slow")])
    srv = wire.Raw(handler)
    with Tracer() as t:
        with wire.connect(srv.addr) as c:
            for i in range(3):
                c.send(*[bytes([b]) for b in b"GET /slow/%d HTTP/1.1\r\nHost: t\r\n\r\n" % i], pause=0.001)
                c.message()
        t.stop()
    assert len(t.spans) == 6 and all(s.code == 200 for s in t.spans), t.spans


def case_hostile_flood():
    """More connections than --max-connections: the oldest are forgotten and counted, the identity holds, it goes on."""
    def handler(c):
        while c.message():
            c.send(wire.ok())
    srv = wire.Raw(handler, forking=True)
    with Tracer("--max-connections", "64") as t:
        conns = [wire.connect(srv.addr) for _ in range(300)]
        for i, c in enumerate(conns):
            c.send(f"GET /flood/{i} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        for c in conns:
            c.message()
        for c in conns:
            c.close()
        for i in range(20):
            with wire.connect(srv.addr) as c:
                c.get(f"/after/{i}")
        t.stop()
    assert t.counters["connections_evicted"] > 0, t.counters
    for i in range(20):
        assert t.spans.of(SERVER, f"/after/{i}") and t.spans.of(CLIENT, f"/after/{i}"), i
    assert all(s.code == 200 for s in t.spans)


def case_hostile_idle_flood():
    """Connections that never say a word, or only half a request."""
    srv = wire.Raw(lambda c: time.sleep(60), forking=True)
    web = parts.threading_server()
    with Tracer("--max-connections", "64") as t:
        conns = [wire.connect(srv.addr) for _ in range(200)]
        for c in conns[::2]:
            c.send(b"GET /half HTTP/1.1\r\nHost: ")
        alive(t, web.url)
        t.stop()
    assert len(t.spans) == 2, t.spans


def case_hostile_pipeline_flood():
    """2,000 requests in flight on one connection: beyond the limit they are dropped by name, in step."""
    n = 2000

    def handler(c):
        for _ in range(n):
            c.message()
        c.send(*[wire.ok()] * n)
        c.message()
        c.send(wire.ok())
    srv = wire.Raw(handler)
    with Tracer() as t:
        with wire.connect(srv.addr) as c:
            c.send(b"".join(b"GET /p/%d HTTP/1.1\r\nHost: t\r\n\r\n" % i for i in range(n)))
            for _ in range(n):
                c.message()
            c.get("/end")
        t.stop()
    dropped = t.counters['requests_dropped{reason="pipeline_limit"}']
    assert t.counters["requests_seen"] == len(t.spans) + t.counters.sum("requests_dropped")
    assert dropped, t.counters
    for kind in (SERVER, CLIENT):
        assert t.spans.one(kind, "/p/0").code == 200


def case_hostile_answers():
    """Answers that lie: bad status, two answers, an answer before the request, rubbish after one."""
    answers = [b"HTTP/1.1 999999 No\r\n\r\n", b"HTTP/1.1 abc No\r\nContent-Length: 0\r\n\r\n", b"HTTP/9.9 200 OK\r\n\r\n", b"\r\n\r\n\r\n", b"ICY 200 OK\r\n\r\n",
               wire.ok() + wire.ok(b"again"), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc", b"\0" * 100]
    srvs = []
    for a in answers:
        def handler(c, a=a):
            c.message()
            c.send(a)
        srvs.append(wire.Raw(handler))
    early = wire.Raw(lambda c: (c.send(wire.ok()), time.sleep(0.05), c.message(), c.send(wire.ok())))
    web = parts.threading_server()
    with Tracer() as t:
        for i, s in enumerate([*srvs, early]):
            with wire.connect(s.addr) as c:
                if s is early:
                    time.sleep(0.05)
                c.send(f"GET /lie/{i} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
                c.rest()
        alive(t, web.url)
        t.stop()
    assert len(t.spans.of(path="/alive")) == 2
    for s in t.spans:
        assert s.code is None or 100 <= s.code <= 999, s
    for kind in (SERVER, CLIENT):
        assert t.spans.one(kind, "/lie/5").code == 200
