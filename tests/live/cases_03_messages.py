# SPDX-License-Identifier: Apache-2.0
"""Message framing through raw sockets: each shape must give its span, and the one after it on the same connection too."""
import os
import socket
import time

import parts
import wire
from spandrel import CLIENT, SERVER, UNSET, Tracer

H = b"Host: t\r\n"

# name: (writes of the client, writes of the server, method, status); the connection stays usable after each
SHAPES = {
    "plain": ([b"GET %p HTTP/1.1\r\n" + H + b"\r\n"], [wire.ok()], "GET", 200),
    "split-head": ([b"GE", b"T %", b"p HT", b"TP/1.1\r", b"\n" + H + b"\r", b"\n"], [b"HTTP/1.1 2", b"00 OK\r\nContent-Length: 2\r\n", b"\r\no", b"k"], "GET", 200),
    "head": ([b"HEAD %p HTTP/1.1\r\n" + H + b"\r\n"], [b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"], "HEAD", 200),
    "head-chunked": ([b"HEAD %p HTTP/1.1\r\n" + H + b"\r\n"], [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"], "HEAD", 200),
    "304": ([b"GET %p HTTP/1.1\r\n" + H + b"\r\n"], [b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n"], "GET", 304),
    "204": ([b"DELETE %p HTTP/1.1\r\n" + H + b"\r\n"], [b"HTTP/1.1 204 No Content\r\n\r\n"], "DELETE", 204),
    "chunked": ([b"GET %p HTTP/1.1\r\n" + H + b"\r\n"], [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=\"a b\"\r\nabc\r\n", b"5\r\nGET /", b"\r\n0\r\nX-Trailer: 1\r\n\r\n"], "GET", 200),
    "chunked-up": ([b"POST %p HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n", b"4\r\nabcd\r\n", b"A\r\n0123456789\r\n0\r\n\r\n"], [wire.ok()], "POST", 200),
    "body-like-head": ([b"POST %p HTTP/1.1\r\n" + H + b"Content-Length: 41\r\n\r\n", b"GET /wrong HTTP/1.1\r\nHost: wrong.test\r\n\r\n"], [wire.ok(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")], "POST", 200),
    "continue": ([b"POST %p HTTP/1.1\r\n" + H + b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n", b"WAIT", b"abcd"], [b"HTTP/1.1 100 Continue\r\n\r\n", b"READ", wire.ok()], "POST", 200),
    "early-hints": ([b"GET %p HTTP/1.1\r\n" + H + b"\r\n"], [b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", wire.ok()], "GET", 200),
    "empty-body": ([b"PUT %p HTTP/1.1\r\n" + H + b"Content-Length: 0\r\n\r\n"], [b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"], "PUT", 201),
    "no-reason": ([b"GET %p HTTP/1.1\r\n" + H + b"\r\n"], [b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"], "GET", 200),
    "bare-lf": ([b"GET %p HTTP/1.1\nHost: t\n\n"], [b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"], "GET", 200),
    "folded": ([b"GET %p HTTP/1.1\r\n" + H + b"X-Old: a\r\n  folded\r\n\r\n"], [b"HTTP/1.1 200 OK\r\nX-Old: a\r\n\tb\r\nContent-Length: 2\r\n\r\nok"], "GET", 200),
    "leading-crlf": ([b"\r\nGET %p HTTP/1.1\r\n" + H + b"\r\n"], [wire.ok()], "GET", 200),
    "http10": ([b"GET %p HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"], [b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"], "GET", 200),
    "head-60k": ([b"GET %p HTTP/1.1\r\n" + H + b"X-Big: " + b"y" * 60000 + b"\r\n\r\n"], [b"HTTP/1.1 200 OK\r\nX-Big: " + b"z" * 60000 + b"\r\nContent-Length: 0\r\n\r\n"], "GET", 200),
    "head-60k-lines": ([b"GET %p HTTP/1.1\r\n" + H] + [b"X-%d: " % i + b"y" * 590 + b"\r\n" for i in range(100)] + [b"\r\n"], [wire.ok()], "GET", 200),
    "lf-in-chunk": ([b"GET %p HTTP/1.1\r\n" + H + b"\r\n"], [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1", b"0\r\n" + b"q" * 7, b"r" * 9 + b"\r\n0\r\n\r\n"], "GET", 200),
    "repeated-length": ([b"POST %p HTTP/1.1\r\n" + H + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab"], [wire.ok()], "POST", 200),
}


def concrete(name, key):
    """The client's writes with the path filled in, wherever the writes cut it."""
    path = b"/shape/" + key
    joined = b"\0".join(SHAPES[name][0])
    return joined.replace(b"%p", path).replace(b"%\0p", path[:9] + b"\0" + path[9:]).split(b"\0")


def by_shape(c):
    """Serves one connection: finds the shape's name in the request, takes exactly its bytes, answers in its writes."""
    while True:
        while b" " not in c.buf.partition(b"/shape/")[2]:
            if not c.fill():
                return
        key = c.buf.partition(b"/shape/")[2].split(b" ")[0]
        name = key.decode().split("/")[0]
        turns = b"\0".join(concrete(name, key)).split(b"WAIT")
        c.exactly(len(turns[0].replace(b"\0", b"")))
        for i, a in enumerate(SHAPES[name][1]):
            if a == b"READ":
                c.exactly(len(turns[1].replace(b"\0", b"")))
                continue
            if i:
                time.sleep(0.003)
            c.send(a)


def ask(c, name, n):
    """Sends a shape and reads exactly the bytes of its answer."""
    answers = [a for a in SHAPES[name][1] if a != b"READ"]
    left = sum(map(len, answers))
    for i, w in enumerate(concrete(name, b"%s/%d" % (name.encode(), n))):
        if w == b"WAIT":
            left -= len(c.exactly(len(answers[0])))
            continue
        if i:
            time.sleep(0.002)
        c.send(w)
    c.exactly(left)


def check_shapes(spans, rounds, unix=False):
    for kind in (SERVER, CLIENT):
        for name, (_, _, method, status) in SHAPES.items():
            for n in range(rounds):
                if unix and (kind, name) == (CLIENT, "http10"):
                    continue  # no host is known: no URL
                s = spans.one(kind, f"/shape/{name}/{n}")
                assert s["http.request.method"] == method and s.code == status, s
                assert s.status == UNSET and s["spandrel.truncated"] is None, (s, s.attrs)
        assert len(spans.of(kind)) == rounds * len(SHAPES), spans.of(kind)
    ids = spans.by_id()
    for s in spans.of(SERVER):
        assert s.link == "connection" and ids[s.parent].path in (s.path, "" if unix else s.path), s


def case_messages_shapes():
    srv = wire.Raw(by_shape, forking=True)
    with Tracer() as t:
        with wire.connect(srv.addr) as c:
            for n in range(3):
                for name in SHAPES:
                    ask(c, name, n)
        t.stop()
    check_shapes(t.spans, 3)
    assert t.counters["parser_out_of_step{protocol=\"http1\"}"] == 0, t.counters


def case_messages_shapes_unix():
    srv = wire.Raw(by_shape, parts.path("s.sock"), forking=True)
    with Tracer() as t:
        with wire.connect(srv.addr) as c:
            for name in SHAPES:
                ask(c, name, 0)
        t.stop()
    check_shapes(t.spans, 1, unix=True)


def case_messages_close_delimited():
    def handler(c):
        m = c.message()
        c.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"some", b"thing" * 20000, pause=0.01)
        if "reset" in m[0]:
            time.sleep(0.05)
            c.reset()
    srv = wire.Raw(handler)
    with Tracer() as t:
        for p in ("/close/0", "/close/1"):
            with wire.connect(srv.addr) as c:
                _, _, body = c.get(p)
                assert len(body) == 100004
        t.stop()
    assert len(t.spans) == 4, t.spans
    for s in t.spans:
        assert s.code == 200 and s.status == UNSET and s["error.type"] is None, (s, s.attrs)


def case_messages_pipelining():
    """20 requests in one write, 20 in many; answered in order, some of the answers in one write."""
    def handler(c):
        while True:
            batch = []
            m = c.message()
            if not m:
                return
            batch.append(m)
            while b"\r\n\r\n" in c.buf:
                batch.append(c.message())
            c.send(b"".join(wire.ok(b"x" * len(b[0]), f"{200 + i % 3} Ok") for i, b in enumerate(batch)))
    srv = wire.Raw(handler)
    with Tracer() as t:
        with wire.connect(srv.addr) as c:
            c.send(b"".join(b"GET /one/%d HTTP/1.1\r\nHost: t\r\n\r\n" % i for i in range(20)))
            first = [c.message()[0] for _ in range(20)]
            c.send(*[b"GET /many/%d HTTP/1.1\r\nHost: t\r\n\r\n" % i for i in range(20)])
            second = [c.message()[0] for _ in range(20)]
        t.stop()
    assert len(t.spans) == 80
    for i in range(20):
        for kind in (SERVER, CLIENT):
            assert t.spans.one(kind, f"/one/{i}").code == int(first[i].split()[1])
            assert t.spans.one(kind, f"/many/{i}").code == int(second[i].split()[1])
        s = t.spans.one(SERVER, f"/one/{i}")
        assert s.parent == t.spans.one(CLIENT, s.path).id and s.link == "connection", s


def case_messages_upgrade():
    """101: the span is complete with it; what follows is another protocol, even when it looks like a request."""
    def handler(c):
        m = c.message()
        c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        while c.fill():
            c.send(c.buf)
            c.buf = b""
    srv = wire.Raw(handler)
    with Tracer() as t:
        with wire.connect(srv.addr) as c:
            c.send(b"GET /up HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            c.until(b"\r\n\r\n")
            fake = b"GET /fake HTTP/1.1\r\nHost: t\r\n\r\n"
            for _ in range(3):
                c.send(fake)
                c.exactly(len(fake))
            t.wait_spans(2)  # before the connection ends
        t.stop()
    assert [s.path for s in t.spans] == ["/up", "/up"] and all(s.code == 101 and s.status == UNSET for s in t.spans), t.spans


def case_messages_connect():
    def handler(c):
        m = c.message(body=False)
        if "refused" in m[0]:
            c.send(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
            m = c.message(body=False)
        c.send(b"HTTP/1.1 200 Connection established\r\nContent-Length: 7\r\n\r\n")  # the length means nothing here
        while c.fill():
            c.send(c.buf)
            c.buf = b""
    srv = wire.Raw(handler)
    with Tracer() as t:
        with wire.connect(srv.addr) as c:
            c.send(b"CONNECT refused.test:443 HTTP/1.1\r\nHost: refused.test:443\r\n\r\n")
            c.until(b"\r\n\r\n")
            c.exactly(2)
            c.send(b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n")
            c.until(b"\r\n\r\n")
            c.send(b"GET /inside HTTP/1.1\r\nHost: t\r\n\r\n")
            c.exactly(10)
            t.wait_spans(4)
        t.stop()
    assert len(t.spans) == 4 and all(s.name == "CONNECT" for s in t.spans), t.spans
    assert sorted(s.code for s in t.spans) == [200, 200, 403, 403], t.spans
    for c in t.spans.of(CLIENT):
        assert c["server.port"] == 443 and c["server.address"].endswith(".test"), c.attrs


def case_messages_big_bodies():
    """10 MB down by sendfile and by write, 10 MB up; kept alive, so that step is kept over them."""
    size = 10_000_000
    ng = parts.nginx(files={"big": os.urandom(size), "small": b"s"}, access="off",
                     locations="location /noop { client_body_buffer_size 16k; proxy_pass http://127.0.0.1:%d; }" % (back := parts.free_port()))
    web = parts.threading_server(addr=("127.0.0.1", back))
    body = parts.path("up")
    with open(body, "wb") as f:
        f.write(os.urandom(size))
    with Tracer() as t:
        for n in range(2):
            r = parts.tool(["curl", "-sS", "-o", "/dev/null", "-w", "%{size_download} %{num_connects}\n",
                            ng.url + f"/big?{n}=", "-o", "/dev/null", ng.url + "/small", "-o", "/dev/null", ng.url + "/small?again"])
            assert r.text.split() == [str(size), "1", "1", "0", "1", "0"], r.text
            parts.curl(ng.url + f"/noop/{n}", "--data-binary", "@" + body)
        parts.curl(web.url + f"/big/{size}", "-o", "/dev/null")
        t.stop()
    assert len(t.spans.of(SERVER, "/big")) == 2 and len(t.spans.of(SERVER, "/small")) == 4, t.spans
    for n in range(2):
        assert len(t.spans.of(SERVER, f"/noop/{n}")) == 2 and len(t.spans.of(CLIENT, f"/noop/{n}")) == 2
    assert len(t.spans) == 6 * 2 + 2 * 4 + 2, t.spans
    for s in t.spans:
        assert s.code == 200 and s.status == UNSET and s["spandrel.truncated"] is None, (s, s.attrs)


def case_messages_head_too_long():
    def handler(c):
        while c.message():
            c.send(wire.ok())
    srv = wire.Raw(handler, forking=True)
    with Tracer() as t:
        for n in range(3):
            with wire.connect(srv.addr) as c:
                c.get("/before")
                c.get("/long", "X: " + "y" * 70 * 1024)
            with wire.connect(srv.addr) as c:
                c.get("/after")
        t.stop()
    c = t.counters
    assert len(t.spans.of(path="/after")) == 6 and len(t.spans.of(path="/before")) == 6, t.spans
    assert not t.spans.of(path="/long"), t.spans
    assert c['requests_dropped{reason="head_too_long"}'] == 6, c


def case_messages_resync_after_long_head():
    """The same connection, kept alive, is understood again after a head that is too long."""
    def handler(c):
        while c.message():
            c.send(wire.ok())
    srv = wire.Raw(handler, forking=True)
    with Tracer() as t:
        with wire.connect(srv.addr) as c:
            c.get("/long", "X: " + "y" * 80 * 1024)
            for i in range(5):
                c.get(f"/again/{i}")
        t.stop()
    assert t.counters['requests_dropped{reason="head_too_long"}'] == 2, t.counters
    for kind in (SERVER, CLIENT):
        assert t.spans.of(kind, "/again/4"), t.spans
    assert not t.spans.of(path="/long")


def case_messages_calls():
    """Every call that moves bytes: writev, sendmsg, sendmmsg-like lists, MSG_PEEK, MSG_TRUNC, recv_into, readv."""
    def handler(c):
        s = c.sock
        while True:
            if not s.recv(3, socket.MSG_PEEK):
                return
            s.recv(70000, socket.MSG_PEEK)  # peeked twice, read once
            bufs = [bytearray(7), bytearray(1), bytearray(4096)]
            n = os.readv(s.fileno(), bufs)
            data = b"".join(bufs)[:n]
            kind = data.split(b"/")[1].split(b" ")[0].decode()
            if kind == "writev":
                os.writev(s.fileno(), [bytes([b]) for b in wire.ok(b"v" * 300)])
            elif kind == "sendmsg":
                s.sendmsg([b"HTTP/1.1 200 OK\r\n", b"", b"Content-Length: 4\r\n\r\n", b"body"])
            elif kind == "sendfile":
                s.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", socket.MSG_MORE)
                with open(parts.path("file"), "rb") as f:
                    left, off = 100000, 0
                    while left:
                        k = os.sendfile(s.fileno(), f.fileno(), off, left)
                        left, off = left - k, off + k
            elif kind == "splice":
                s.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n")
                with open(parts.path("file"), "rb") as f:
                    r, w = os.pipe()
                    left = 50000
                    while left:
                        k = splice(f.fileno(), w, min(left, 65536))
                        left -= k
                        while k:
                            k -= splice(r, s.fileno(), k)
                    os.close(r)
                    os.close(w)
            else:
                os.write(s.fileno(), wire.ok())
    with open(parts.path("file"), "wb") as f:
        f.write(b"HTTP/1.1 500 No\r\n\r\n" * 10000)
    srv = wire.Raw(handler, forking=True)
    kinds = ["write", "writev", "sendmsg", "sendfile", "splice", "write"]
    with Tracer() as t:
        with wire.connect(srv.addr) as c:
            for n in range(3):
                for k in kinds:
                    line, _, _ = c.get(f"/{k}", method="GET" if k != "sendmsg" else "OPTIONS")
                    assert " 200" in line
            c.send(b"GET /trunc HTTP/1.1\r\nHost: t\r\n\r\n")
            c.until(b"\r\n\r\n")
            c.exactly(2)
            # the client throws an answer's body away unread, and asks again
            c.send(b"GET /sendfile HTTP/1.1\r\nHost: t\r\n\r\n")
            c.until(b"\r\n\r\n")
            left = 100000 - len(c.buf)
            c.buf = b""
            while left:
                left -= c.sock.recv_into(bytearray(min(left, 30000)), min(left, 30000), socket.MSG_TRUNC)
            c.get("/last")
        t.stop()
    want = 3 * len(kinds) + 3
    for kind in (SERVER, CLIENT):
        assert len(t.spans.of(kind)) == want, (kind, len(t.spans.of(kind)), t.spans)
        assert t.spans.one(kind, "/last").code == 200
    for s in t.spans:
        assert s.code == 200 and s.status == UNSET, (s, s.attrs)


def splice(src, dst, n):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    r = libc.splice(src, None, dst, None, ctypes.c_size_t(n), 0)
    if r < 0:
        raise OSError(ctypes.get_errno(), "splice")
    return r
