# SPDX-License-Identifier: Apache-2.0
"""Back ends that do harm: bounded memory, counters that add up, and recovery without a restart."""
import gzip
import os
import socket
import ssl
import time

import parts
import wire
from backends import certificates
from spandrel import Tracer

MIB = 1 << 20
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def peak(t):
    for line in parts.read(f"/proc/{t.proc.pid}/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def pour(c, head, piece, limit):
    """As much as the other end takes, at most `limit` bytes."""
    c.send(head)
    sent = 0
    try:
        while sent < limit:
            c.send(piece)
            sent += len(piece)
    except OSError:
        pass
    return sent


def bomb():
    return gzip.compress(b"\0" * (64 * MIB), 9)


def harm(how):
    def answer(c):
        try:
            if how == "bomb":
                b = bomb()
                c.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: application/x-protobuf\r\nContent-Length: %d\r\n\r\n" % len(b) + b)
            elif how == "huge":
                pour(c, b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n", b"x" * 65536, 10 << 30)
            elif how == "huge refusal":
                pour(c, b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"\x12\x01" * 32768 + b"\r\n", 10 << 30)
            elif how == "fields":
                pour(c, b"HTTP/1.1 200 OK\r\n", b"".join(b"X-%d: %s\r\n" % (i, b"y" * 1000) for i in range(64)), 10 << 30)
            elif how == "one field":
                pour(c, b"HTTP/1.1 200 OK\r\ngrpc-status: ", b"z" * 65536, 10 << 30)
            elif how == "interim":
                pour(c, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 10 << 30)
            elif how == "redirect":
                c.send(b"HTTP/1.1 307 There\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
            elif how == "garbage":
                c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"\xff" * 100)
            elif how == "cut":
                c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
            elif how == "drip":
                c.send(b"HTTP/1.1 200 ")
                for _ in range(100):
                    time.sleep(0.1)
                    c.send(b"O")
            elif how == "noise":
                c.send(os.urandom(5000))
        except OSError:
            pass
    return answer


# what becomes of the first batch: sent again, counted as refused, or taken (the server had it and said so)
HARM = {"bomb": "taken", "huge": "taken", "huge refusal": "refused", "fields": "taken", "one field": None, "interim": "again", "redirect": "refused",
        "garbage": "taken", "cut": "taken", "drip": "again", "noise": "again"}


def case_bad_backend_answers():
    """One harmful answer, then good ones: what came is counted, and everything after it arrives."""
    web = parts.threading_server()
    for n, (how, fate) in enumerate(HARM.items()):
        marks = parts.path(f"marks{n}")

        def handler(c, how=how, marks=marks):
            while c.message():
                with open(marks, "a") as f:
                    f.write("x")
                if len(parts.read(marks)) == 1:
                    harm(how)(c)
                    return
                c.send(GOOD)
        server = wire.Raw(handler, forking=True)
        with Tracer("--otlp-endpoint", server.url, "--batch-age", "50ms", "--otlp-timeout", "1s", "--exclude-port", server.port, file=False, name=f"t{n}") as t:
            parts.curl(web.url + "/first")
            t.wait_for(lambda: parts.read(marks), "first request")
            for i in range(3):
                parts.curl(web.url + f"/{i}")
                time.sleep(0.1)
            t.stop(settle=1.2)
            c = t.counters
        refused = c['requests_dropped{reason="export_refused"}']
        assert c["requests_seen"] == 8 == c["spans_exported"] + refused, (how, c)
        assert not fate or (refused == 2) == (fate == "refused"), (how, fate, c)
        assert fate != "again" or c["batches_retried"], (how, fate, c)
        server.stop()


case_bad_backend_answers.seconds = 35


def case_bad_backend_memory():
    """Every answer a bomb or a flood, four at a time: memory stays what it was."""
    web = parts.threading_server()
    for how in ("bomb", "huge", "fields", "one field", "interim"):
        def handler(c, how=how):
            while c.message():
                harm(how)(c)
                return
        server = wire.Raw(handler, forking=True)
        with Tracer("--otlp-endpoint", server.url, "--batch-size", "2", "--batch-age", "10ms", "--otlp-timeout", "1s", "--exclude-port", server.port,
                    file=False) as t:
            for i in range(8):
                parts.curl(web.url + f"/{i}")
            time.sleep(1.5)
            after = peak(t)
            t.stop(status=None)
        assert 0 < after < 64 * MIB, (how, after)
        server.stop()


def case_bad_backend_certificate():
    """A certificate for another name, one that is out of date, TLS where there is none: never delivered, tried again."""
    d = certificates()
    web = parts.threading_server()
    parts.tool(["openssl", "req", "-new", "-key", f"{d}/server.key", "-subj", "/CN=server", "-out", f"{d}/old.csr"])
    parts.tool(["openssl", "x509", "-req", "-in", f"{d}/old.csr", "-CA", f"{d}/ca.pem", "-CAkey", f"{d}/ca.key", "-CAcreateserial", "-days", "-1",
                "-extfile", f"{d}/san", "-out", f"{d}/old.pem"])
    for n, (cert, host, tls) in enumerate(((f"{d}/server.pem", "127.0.0.2", True), (f"{d}/old.pem", "127.0.0.1", True), (None, "127.0.0.1", False))):
        def handler(c, cert=cert, tls=tls):
            if tls:
                ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                ctx.load_cert_chain(cert, f"{d}/server.key")
                try:
                    s = ctx.wrap_socket(c.sock, server_side=True)
                except (OSError, ssl.SSLError):
                    return
                if s.recv(1):
                    with open(parts.path("leaked"), "w") as f:
                        f.write("x")
            else:
                c.message()
        server = wire.Raw(handler, addr=(host, 0), forking=True)
        with Tracer("--otlp-endpoint", f"https://{host}:{server.port}", "--otlp-ca", f"{d}/ca.pem", "--batch-age", "50ms", "--exclude-port", server.port,
                    file=False, name=f"t{n}") as t:
            parts.curl(web.url + "/")
            t.wait_for(lambda: "cannot be reached" in t.err, "a line about the certificate")
            t.stop(status=None)
        assert not t.counters["spans_exported"] and t.counters['requests_dropped{reason="export_failed"}'] == 2, (n, t.counters)
        assert not os.path.exists(parts.path("leaked")), "not a byte goes to whom we do not know"
        server.stop()


case_bad_backend_certificate.seconds = 35


def case_bad_backend_dns():
    """A name that does not exist, a name server that never answers: other exporters go on, and the end comes in time."""
    web = parts.threading_server()
    conf = parts.path("resolv.conf")
    with open(conf, "w") as f:
        f.write("nameserver 127.77.0.1\noptions timeout:30 attempts:5\n")
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.77.0.1", 53))
    hide = ("unshare", "-m", "sh", "-c", f'mount --bind {conf} /etc/resolv.conf && exec "$@"', "sh")
    for name, wrap, host in (("none", (), "collector.invalid"), ("silent", hide, "collector.example")):
        with Tracer("--otlp-endpoint", f"http://{host}:4318", "--batch-age", "50ms", wrap=wrap, name=name) as t:
            for i in range(3):
                parts.curl(web.url + f"/{i}")
            t.wait_spans(6)
            begin = time.monotonic()
            t.stop()
            took = time.monotonic() - begin
        assert len(t.spans) == 6 and t.counters['spans_undelivered{exporter="otlp"}'] == 6, (name, t.counters)
        assert took < 15, f"{name}: the end took {took} s"


def case_bad_backend_storm():
    """Only 429 and 503 for a while, then good: everything arrives, once."""
    web = parts.threading_server()
    marks = parts.path("marks")

    def handler(c):
        while c.message():
            with open(marks, "a") as f:
                f.write("x")
            n = len(parts.read(marks))
            c.send(GOOD if n > 5 else b"HTTP/1.1 %s\r\nContent-Length: 0\r\n%s\r\n" % ((b"429 Slow", b"Retry-After: 1\r\n") if n % 2 else (b"503 No", b"")))
    server = wire.Raw(handler, forking=True)
    with Tracer("--otlp-endpoint", server.url, "--batch-size", "8", "--batch-age", "50ms", "--exclude-port", server.port, file=False) as t:
        for i in range(40):
            parts.curl(web.url + f"/{i}")
        t.wait_for(lambda: len(parts.read(marks)) >= 5 + 10, "the storm's end")
        t.stop()
    assert t.counters["spans_exported"] == 80 and not t.counters.sum("requests_dropped"), t.counters
