# SPDX-License-Identifier: Apache-2.0
"""What is inside TLS: real libraries, in the ways that programs use them, against what the programs themselves know."""
import os
import re
import select
import socket
import ssl
import struct
import threading
import time
from collections import Counter

import parts
from spandrel import BIN, CLIENT, SERVER, Tracer, run, read_spans

MB = 1_000_000


def certificate():
    """(certificate, key) for localhost, made by openssl in the case's directory."""
    parts.need("openssl")
    cert, key = parts.path("cert.pem"), parts.path("key.pem")
    if not os.path.exists(cert):
        parts.tool(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
    return cert, key


def secure(server):
    if server.url:
        server.url = server.url.replace("http:", "https:")
    return server


def tls_server(how="thread", env=None, name=None):
    return secure(parts.python_app("tls.py", *certificate(), how, name=name or how, env=env))


def tls_nginx(**more):
    cert, key = certificate()
    return secure(parts.nginx(listen=" ssl http2", server=f"ssl_certificate {cert}; ssl_certificate_key {key};", **more))


def connect(port, protocols=None, starttls=b""):
    """A TLS connection of this process, which is traced as well."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    if protocols:
        c.set_alpn_protocols(protocols)
    s = socket.create_connection(("127.0.0.1", port), timeout=30)
    if starttls:
        s.sendall(starttls)
        assert s.recv(1) == b"S"
    return c.wrap_socket(s, server_hostname="localhost")


def get(path, *headers, method="GET", body=b""):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers] + ([f"Content-Length: {len(body)}"] if body else [])
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Reader:
    """Answers of HTTP/1.1, one after the other."""

    def __init__(self, s):
        self.s, self.have = s, b""

    def more(self, n=65536):
        got = self.s.recv(n)
        assert got, "the connection ended"
        self.have += got

    def answer(self, n=65536):
        while b"\r\n\r\n" not in self.have:
            self.more(n)
        head, _, self.have = self.have.partition(b"\r\n\r\n")
        size = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
        while len(self.have) < size:
            self.more(n)
        self.have = self.have[size:]
        return int(head.split()[1])


def nothing_unread(t):
    c = t.counters
    assert not c["connections_tls_unreadable"], f"a session claims each connection: {dict(c)}"
    for name in ("tls_calls_unfinished", "tls_sessions_evicted", "tls_sessions_refused", "records_unmatched", "responses_unmatched"):
        assert not c[name], (name, dict(c))
    assert not c.sum("requests_dropped"), dict(c)


def both_sides(t, paths, linked=True):
    """Each path once at each side, in order; the server's span hangs on the client's."""
    for kind in (CLIENT, SERVER):
        got = [s.path for s in sorted(t.spans.of(kind), key=lambda s: s.start)]
        assert sorted(got) == sorted(paths), (kind, Counter(got) - Counter(paths), Counter(paths) - Counter(got))
    if linked:
        ids = t.spans.by_id()
        for s in t.spans.of(SERVER):
            assert s.link == "connection" and ids[s.parent].path == s.path, s


# ---- one request and everything said of it ----

def case_tls_attributes():
    web = tls_server()
    with Tracer() as t:
        _, info = parts.curl(web.url + "/status/404", "-k")
        assert info["code"] == 404
        t.stop()
    assert len(t.spans) == 2, t.spans
    s, c = t.spans.one(SERVER), t.spans.one(CLIENT)
    assert s.code == c.code == 404 and s.link == "connection" and s.parent == c.id, t.spans
    want = {"url.scheme": "https", "url.path": "/status/404", "server.address": "127.0.0.1", "server.port": web.port,
            "network.peer.address": "127.0.0.1", "network.peer.port": info["lport"], "network.protocol.version": "1.1"}
    assert {k: s[k] for k in want} == want, s.attrs
    want = {"url.full": f"https://127.0.0.1:{web.port}/status/404", "server.address": "127.0.0.1", "server.port": web.port,
            "network.peer.address": "127.0.0.1", "network.peer.port": web.port}
    assert {k: c[k] for k in want} == want, c.attrs
    assert t.counters["tls_sessions_seen"] == 2, dict(t.counters)
    nothing_unread(t)


def clients():
    yield "curl", lambda url: parts.curl(url, "-k", "--http1.1")
    yield "wget", lambda url: parts.tool(["wget", "-q", "--no-check-certificate", "-O", "/dev/null", url])
    yield "gnutls-cli", lambda url: parts.tool(
        ["gnutls-cli", "--insecure", "-p", url.split(":")[2].split("/")[0], "127.0.0.1"],
        stdin=get("/" + url.split("/", 3)[3], "Connection: close"), ok=False)  # it minds that Python says no farewell


def case_tls_libraries():
    """OpenSSL and GnuTLS as clients of OpenSSL, of nginx and of Python: each request once, linked with the other side."""
    servers, paths = [tls_server(), tls_nginx(locations='location /n/ { return 200 "n\\n"; }')], []
    with Tracer() as t:
        for i, web in enumerate(servers):
            for name, call in clients():
                if parts.shutil.which(name):
                    paths.append(f"/n/{i}{name}")
                    call(web.url + paths[-1])
        t.wait_spans(2 * len(paths))
        t.stop()
    both_sides(t, paths)
    nothing_unread(t)


def case_tls_http2():
    web = tls_nginx()
    with Tracer() as t:
        assert parts.curl(web.url + "/ok", "-k", "--http2")[1]["code"] == 200
        parts.curl(web.url + "/moved", "-k", "--http2", web.url + "/empty")
        t.stop()
    both_sides(t, ["/ok", "/moved", "/empty"])
    assert all(s["network.protocol.version"] == "2" for s in t.spans), t.spans
    nothing_unread(t)


# ---- bodies, keep-alive, pipelines ----

def case_tls_bodies():
    """A megabyte each way, and the next request on the same connection is still in step."""
    web, big = tls_server(), os.urandom(MB)
    with Tracer() as t:
        s = connect(web.port)
        r = Reader(s)
        for i in range(3):
            s.sendall(get(f"/bytes/{MB + i}"))
            assert r.answer() == 200
            s.sendall(get(f"/status/40{i}", method="POST", body=big))
            assert r.answer() == 400 + i
        s.close()
        t.wait_spans(12)
        t.stop()
    both_sides(t, [p for i in range(3) for p in (f"/bytes/{MB + i}", f"/status/40{i}")])
    assert not t.spans.of() or not any(s["spandrel.truncated"] for s in t.spans), t.spans
    nothing_unread(t)


def case_tls_pipelined():
    """Many requests in one write and in one record; answers read a byte at a time."""
    web = tls_nginx(locations='location /p/ { return 200 "p\\n"; }')
    paths = [f"/p/{i}" for i in range(40)]
    with Tracer() as t:
        s = connect(web.port)
        r = Reader(s)
        s.sendall(b"".join(get(p) for p in paths[:20]))
        for _ in paths[:20]:
            assert r.answer(1) == 200
        for p in paths[20:]:
            s.sendall(get(p))
            assert r.answer(7) == 200
        s.close()
        t.wait_spans(80)
        t.stop()
    both_sides(t, paths)
    nothing_unread(t)


def case_tls_many():
    """100 connections at a time, 10 requests each: the server's own log is the truth."""
    log = parts.path("ground")
    web = tls_server(env={"GROUND": log})

    def client(i):
        s = connect(web.port)
        r = Reader(s)
        for k in range(10):
            s.sendall(get(f"/bytes/{10 * i + k}"))
            assert r.answer() == 200
        s.close()
    with Tracer() as t:
        parts.parallel(client, range(100))
        t.wait_spans(2000)
        t.stop()
    truth = [line.split()[1] for line in parts.read(log).splitlines()]
    assert len(truth) == 1000
    both_sides(t, truth)
    nothing_unread(t)


# ---- how a connection comes to speak TLS ----

def case_tls_starttls():
    """Plain bytes first, as PostgreSQL has it; by Python and by openssl's own client."""
    web = tls_server("starttls")
    with Tracer() as t:
        s = connect(web.port, starttls=b"\0\0\0\x08\x04\xd2\x16\x2f")
        s.sendall(get("/one"))
        assert Reader(s).answer() == 200
        s.close()
        parts.tool(["openssl", "s_client", "-starttls", "postgres", "-connect", f"127.0.0.1:{web.port}", "-quiet", "-ign_eof"],
                   stdin=get("/two", "Connection: close"), ok=False)
        t.wait_spans(4)
        t.stop()
    both_sides(t, ["/one", "/two"])
    nothing_unread(t)


def proxy(listener):
    """A proxy that knows CONNECT and nothing else, one connection."""
    a, _ = listener.accept()
    head = b""
    while b"\r\n\r\n" not in head:
        head += a.recv(4096)
    host, port = head.split()[1].decode().split(":")
    b = socket.create_connection((host, int(port)))
    a.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    other = {a: b, b: a}
    while True:
        for s in select.select([a, b], [], [])[0]:
            data = s.recv(65536)
            if not data:
                return
            other[s].sendall(data)


def case_tls_through_a_proxy():
    web = tls_server()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        through = parts.Fork(proxy, listener)
        port = listener.getsockname()[1]
        with Tracer() as t:
            assert parts.curl(web.url + "/far", "-k", "--proxy", f"http://127.0.0.1:{port}")[1]["code"] == 200
            through.wait()
            t.stop()
    assert len(t.spans.of(SERVER, "/far")) == 1 and len(t.spans.of(CLIENT, "/far")) == 1, t.spans
    c = t.spans.one(CLIENT, "/far")
    assert c["network.peer.port"] == port and c["server.port"] == web.port, c.attrs
    assert t.spans.one(SERVER, "/far").link is None, "two connections, not one"


# ---- ways to use the library ----

def case_tls_in_memory():
    """asyncio deciphers in memory: whatever is said of addresses must be true."""
    log = parts.path("ground")
    web = tls_server("asyncio", env={"GROUND": log})
    with Tracer() as t:
        infos = [parts.curl(f"{web.url}/bytes/{i}", "-k", f"{web.url}/status/{400 + i}")[1] for i in range(10)]
        t.stop()
    truth = [line.split()[1] for line in parts.read(log).splitlines()]
    assert len(infos) == 10 and len(truth) == 20
    for kind in (CLIENT, SERVER):
        assert sorted(s.path for s in t.spans.of(kind)) == sorted(truth), t.spans
    ports = {i["lport"] for i in infos}
    for s in t.spans.of(SERVER):
        assert s["url.scheme"] == "https", s.attrs
        assert s["network.peer.port"] is None or s["network.peer.port"] in ports, s.attrs
        assert not s.parent or t.spans.by_id()[s.parent].path == s.path, s
    assert not t.counters.sum("requests_dropped"), dict(t.counters)


def case_tls_forked():
    """The handshake in one process, the requests in its child: the handle is the same, the session is not."""
    web = tls_server("fork")
    with Tracer() as t:
        for i in range(3):
            s = connect(web.port)
            r = Reader(s)
            for k in range(2):
                s.sendall(get(f"/f/{i}{k}"))
                assert r.answer() == 200
            s.close()
        t.wait_spans(12)
        t.stop()
    both_sides(t, [f"/f/{i}{k}" for i in range(3) for k in range(2)], linked=False)
    assert not t.counters.sum("requests_dropped"), dict(t.counters)


def case_tls_until_the_end():
    """A body that ends with the connection."""
    web = tls_server("close")
    with Tracer() as t:
        for i in (0, 1, 100_000):
            assert parts.curl(f"{web.url}/bytes/{i}", "-k")[1]["code"] == 200
        t.wait_spans(6)
        t.stop()
    both_sides(t, ["/bytes/0", "/bytes/1", "/bytes/100000"])
    assert not any(s.status == 2 or s["spandrel.truncated"] for s in t.spans), t.spans
    nothing_unread(t)


def case_tls_tried_again():
    """Writes that the socket does not take at once are repeated: their bytes count once."""
    web, body = tls_server(), os.urandom(MB)

    def client(i):
        s = connect(web.port)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        s.setblocking(False)
        data, tries = get(f"/status/{400 + i}", method="POST", body=body), 0
        while data:
            try:
                data = data[s.send(data[:60_000]):]
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                tries += 1
                select.select([], [s], [], 5)
        s.setblocking(True)
        r = Reader(s)
        assert r.answer() == 400 + i
        s.sendall(get(f"/bytes/{i}"))
        assert r.answer() == 200
        s.close()
        return tries
    with Tracer() as t:
        assert sum(parts.parallel(client, range(4))), "no write was repeated: the case shows nothing"
        t.wait_spans(16)
        t.stop()
    both_sides(t, [p for i in range(4) for p in (f"/status/{400 + i}", f"/bytes/{i}")])
    nothing_unread(t)


def case_tls_given_up():
    """A session was given a socket that was closed before its first byte: the next socket, which the kernel likes to put into the
    same memory, is none of that session's."""
    web, c = parts.threading_server(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    paths, given_up = [f"/n/{i}" for i in range(20)], []
    with Tracer() as t:
        for path in paths:
            tls = c.wrap_socket(socket.create_connection(("127.0.0.1", web.port), timeout=30), do_handshake_on_connect=False)
            tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            given_up.append(tls._sslobj)  # outlives its socket
            tls.close()
            plain = socket.create_connection(("127.0.0.1", web.port), timeout=30)
            plain.sendall(get(path))
            assert Reader(plain).answer() == 200
            plain.close()
        t.wait_spans(2 * len(paths))
        t.stop()
    both_sides(t, paths)
    assert not t.counters["connections_tls_unreadable"], dict(t.counters)


# ---- time ----

def case_tls_joined_in_the_middle():
    """Connections that are older than the tracer: what comes after it is there, once, and of the right request. The server is in
    the middle of reading: what that call returns is not seen, as nobody saw it begin."""
    web = tls_server()
    conns = [connect(web.port) for _ in range(5)]
    readers = [Reader(s) for s in conns]
    for s, r in zip(conns, readers):
        s.sendall(get("/before"))
        assert r.answer() == 200
    with Tracer() as t:
        for k in range(4):
            for i, (s, r) in enumerate(zip(conns, readers)):
                s.sendall(get(f"/status/{400 + 10 * k + i}"))
                assert r.answer() == 400 + 10 * k + i
        t.wait_spans(35)
        for s in conns:
            s.close()
        t.stop()
    for kind, rounds in ((CLIENT, range(4)), (SERVER, range(1, 4))):
        want = [f"/status/{400 + 10 * k + i}" for k in rounds for i in range(5)]
        assert sorted(s.path for s in t.spans.of(kind)) == want, (kind, t.spans)
    for s in t.spans:
        assert s.path == f"/status/{s.code}", s
        assert not s.parent or t.spans.by_id()[s.parent].path == s.path, s
    assert not t.counters.sum("requests_dropped"), dict(t.counters)


def case_tls_cut_off():
    """A client that dies in the middle of a call, and one whose answer never comes."""
    web = tls_server()

    def dies(port):
        s = connect(port)
        s.sendall(get("/bytes/5000000"))
        s.recv(10)
        os.kill(os.getpid(), 9)
    with Tracer() as t:
        child = parts.Fork(dies, web.port)
        child.wait()
        s = connect(web.port)
        s.sendall(get("/good"))
        assert Reader(s).answer() == 200
        s.close()
        t.wait_spans(4)
        t.stop()
    assert len(t.spans.of(CLIENT, "/bytes/5000000")) == 1 and len(t.spans.of(SERVER, "/bytes/5000000")) == 1, t.spans
    assert t.spans.one(CLIENT, "/good").code == t.spans.one(SERVER, "/good").code == 200
    assert not t.counters.sum("requests_dropped"), dict(t.counters)


def case_tls_replay():
    """A recording holds the sessions: it gives the same spans."""
    web, rec, again = tls_server(), parts.path("r.rec"), parts.path("again.json")
    with Tracer("--record", rec) as t:
        parts.curl(web.url + "/a", "-k", web.url + "/b")
        parts.tool(["curl", "-sk", "--http1.1", web.url + "/c"])
        t.stop()
    both_sides(t, ["/a", "/b", "/c"])
    status, _, err = run("--replay", rec, "--file", again)
    assert status == 0, err
    assert sorted(str(s.json) for s in read_spans(again)) == sorted(str(s.json) for s in t.spans)


def case_tls_selected_by_port():
    """Nothing of a session is told before it is known that its port is selected."""
    yes, no, memory = tls_server(), parts.python_app("tls.py", *certificate(), "thread", name="no"), tls_server("asyncio")
    with Tracer(select=["--port", yes.port]) as t:
        for url in (yes.url, secure(no).url, memory.url):
            assert parts.curl(url + "/x", "-k")[1]["code"] == 200
        t.stop()
    assert {s["server.port"] for s in t.spans} == {yes.port} and len(t.spans) == 2, t.spans


# ---- what real libraries rarely do ----

def odd(what):
    """Runs apps/oddtls.c: (tracer, paths of the requests it has sent)."""
    parts.need("gcc")
    binary = parts.path("oddtls")
    parts.tool(["gcc", "-O1", "-g", "-pthread", "-rdynamic", "-o", binary, os.path.join(parts.APPS, "oddtls.c")])
    parts.start([binary, "wait", parts.free_port()], "wait")  # so that its probes are there when the tracer is ready
    with Tracer() as t:
        paths = parts.tool([binary, what, parts.free_port()]).text.split()
        t.stop()
    for s in t.spans:
        assert not s.parent or t.spans.by_id()[s.parent].path == s.path, s
    assert "tls_calls_unfinished" in t.counters or what != "jumped", dict(t.counters)
    return t, paths


def case_tls_odd_nested():
    """Of calls inside each other the outermost counts, whatever the inner ones say."""
    t, paths = odd("nested")
    assert len(paths) == 5
    both_sides(t, paths)
    nothing_unread(t)


def case_tls_odd_jumped():
    """A call that never returns: plain connections are not taken for its own."""
    t, paths = odd("jumped")
    both_sides(t, paths)
    for s in t.spans.of(SERVER):
        assert s["url.scheme"] == ("http" if "plain" in s.path else "https"), s.attrs


def case_tls_odd_died():
    """Threads that end in the middle of a call, and others that get their numbers."""
    t, paths = odd("died")
    both_sides(t, paths)


def case_tls_odd_again():
    """A handle that stands for another socket each time."""
    t, paths = odd("again")
    both_sides(t, paths)
    assert len({s["network.peer.port"] for s in t.spans.of(SERVER)}) == 5, t.spans


def case_tls_odd_beside():
    """Another socket in the middle of calls: the session keeps its own."""
    t, paths = odd("beside")
    both_sides(t, paths)
    nothing_unread(t)
