#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An OTLP/HTTP end point for tests: takes POST /v1/traces and answers as it is told.

Standard output: `port N` when it listens, then one JSON object a request, and at the end (SIGTERM, SIGINT, or end of
standard input with --until-eof) `total REQUESTS SPANS`, spans being those of requests answered with 2xx.

--do LIST gives the answers in order, separated by commas; the last one repeats:
  200           accepted                     400, 413, 429, 503, …  that status, with a google.rpc.Status
  413:over=N    413 for more than N spans, else accepted
  503:after=N   Retry-After: N               503:date=N   Retry-After as a date N seconds from now
  partial=N     200, N spans rejected        warn         200, none rejected, with a message
  garbage       200, a body that is no message            noise        bytes that are not HTTP
  never         no answer                    close        the connection is closed without an answer
  half          200, closed inside the body  huge         200, a body without end
  redirect      307 to the same address
"""
import argparse
import email.utils
import gzip
import http.server
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import otlp  # noqa: E402


def field(number, payload):
    """A length-delimited field of at most 127 bytes."""
    return bytes([number << 3 | 2, len(payload)]) + payload


def partial(rejected, text):
    return field(1, (bytes([8, rejected]) if rejected else b"") + field(2, text))


class Sink(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, args):
        super().__init__((args.host, args.port), Handler)
        self.args = args
        self.lock = threading.Lock()
        self.script = args.do.split(",")
        self.requests = self.spans = self.connections = 0
        self.out = open(args.out, "a", encoding="utf-8") if args.out else None

    def handle_error(self, request, address):  # a client that goes away is part of the tests
        if not isinstance(sys.exc_info()[1], (OSError, ssl.SSLError)):
            super().handle_error(request, address)

    def next_answer(self):
        with self.lock:
            self.requests += 1
            return self.requests, self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def note(self, entry, body, accepted):
        with self.lock:
            if accepted:
                self.spans += entry["spans"]
                if self.out:
                    self.out.write(json.dumps(otlp.decode(body)) + "\n")
                    self.out.flush()
            if not self.args.quiet:
                print(json.dumps(entry), flush=True)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def setup(self):
        super().setup()
        with self.server.lock:
            self.server.connections += 1
            self.number = self.server.connections

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        wire = len(body)
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        n, what = self.server.next_answer()
        good = self.path == "/v1/traces" and self.headers.get("Content-Type") == "application/x-protobuf"
        if what.startswith("413:over="):
            what = "413" if otlp.count(body) > int(what[9:]) else "200"
        entry = {"request": n, "answer": what if good else "404", "spans": otlp.count(body) if good else 0,
                 "connection": self.number, "wire": wire, "size": len(body), "path": self.path,
                 "headers": {k.lower(): v for k, v in self.headers.items()}}
        accepted = good and (what[0] == "2" or what.split("=")[0] in ("partial", "warn", "garbage", "half", "huge"))
        self.server.note(entry, body, accepted)
        if not good:
            self.answer(404, b"")
        else:
            self.act(*(what.split(":") + [""])[:2])

    def act(self, what, extra):
        name, _, value = what.partition("=")
        if name.isdigit():
            self.status(int(name), extra)
        elif name == "partial":
            self.answer(200, partial(int(value), b"not \x1b[31mthese"))
        elif name == "warn":
            self.answer(200, partial(0, b"old client"))
        elif name == "garbage":
            self.answer(200, b"\xff" * 100)
        elif name == "redirect":
            self.answer(307, b"", [("Location", self.path)])
        else:
            getattr(self, "do_" + name)()
            self.close_connection = True

    def status(self, status, extra):
        headers = []
        name, _, value = extra.partition("=")
        if name == "after":
            headers = [("Retry-After", value)]
        elif name == "date":
            headers = [("Retry-After", email.utils.formatdate(time.time() + int(value), usegmt=True))]
        self.answer(status, b"" if status < 300 else field(2, b"because of \x1b[2J"), headers)

    def do_noise(self):
        self.wfile.write(b"\x00\x01\x02 this is no HTTP\n" * 20)

    def do_never(self):
        while self.rfile.read(1):
            pass

    def do_close(self):
        pass

    def do_half(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")

    def do_huge(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            self.wfile.write(b"x" * 65536)


def make_certificates(folder):
    """ca.pem, server.pem (with its key), client.pem and client.key, signed by the CA; other.pem, a CA that signed nothing."""
    def run(*args):
        subprocess.run(("openssl",) + args, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for ca in "ca", "other":
        run("req", "-x509", *key, "-keyout", ca + ".key", "-out", ca + ".pem", "-days", "2", "-subj", "/CN=test " + ca)
    with open(os.path.join(folder, "san"), "w", encoding="ascii") as f:
        f.write("subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost\n")
    for who in "server", "client":
        run("req", *key, "-keyout", who + ".key", "-out", who + ".csr", "-subj", "/CN=" + who)
        run("x509", "-req", "-in", who + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "san", "-out", who + ".pem")


def wrap_tls(server, args):
    if not os.path.exists(os.path.join(args.tls, "client.pem")):
        make_certificates(args.tls)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(args.tls, "server.pem"), os.path.join(args.tls, "server.key"))
    if args.client_cert:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(os.path.join(args.tls, "ca.pem"))
    # the handshake happens in the connection's thread, at the first read
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)


def wait_for_end(until_eof):
    done = threading.Event()
    for s in signal.SIGTERM, signal.SIGINT:
        signal.signal(s, lambda *_: done.set())
    if until_eof:
        threading.Thread(target=lambda: (sys.stdin.buffer.read(), done.set()), daemon=True).start()
    done.wait()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--do", default="200", metavar="LIST")
    p.add_argument("--out", metavar="FILE", help="append accepted requests as OTLP/JSON lines")
    p.add_argument("--tls", metavar="DIR", help="serve TLS with the certificates in DIR, made there if need be")
    p.add_argument("--client-cert", action="store_true", help="demand a client certificate")
    p.add_argument("--until-eof", action="store_true", help="end when standard input does")
    p.add_argument("--quiet", action="store_true", help="no line a request")
    args = p.parse_args()
    server = Sink(args)
    if args.tls:
        wrap_tls(server, args)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("port", server.server_address[1], flush=True)
    wait_for_end(args.until_eof)
    with server.lock:
        print("total", server.requests, server.spans, flush=True)
    os._exit(0)  # whatever a thread is waiting for


if __name__ == "__main__":
    main()
