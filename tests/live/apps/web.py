# SPDX-License-Identifier: Apache-2.0
"""ThreadingHTTPServer, a thread per connection. web.py host:port|/unix/path [backend URL] [keep]
/a/X calls backend/b/X with a new connection each time (or one per thread with `keep`), /copy/X with the context headers as
they came, /sdk/X with a context of its own. /status/N answers N, /sleep/MS waits, /big/N gives N bytes, /chunked/N N chunks.
GROUND names a file that gets a line for each request: what this program knows of it."""
import http.client
import json
import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

BACKEND = urlsplit(sys.argv[2]) if len(sys.argv) > 2 else None
KEEP = "keep" in sys.argv
CONTEXT = ("traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled")
ground = open(os.environ["GROUND"], "a") if os.environ.get("GROUND") else None
local = threading.local()


def call(path, headers):
    c = getattr(local, "conn", None)
    if c is None:
        c = http.client.HTTPConnection(BACKEND.hostname, BACKEND.port, timeout=60)
    c.request("GET", path, headers=headers)
    r = c.getresponse()
    body = r.read()
    if KEEP:
        local.conn = c
    else:
        c.close()
    return r.status, body


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = "/" not in sys.argv[1]

    def log_message(self, *_):
        pass

    def reply(self, status, body, *headers):
        self.send_response(status)
        for k, v in headers:
            self.send_header(k, v)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    def answer(self, path, query):
        kind, _, rest = path.lstrip("/").partition("/")
        if query.get("sleep"):
            time.sleep(int(query["sleep"][0]) / 1000)
        if kind in ("a", "copy", "sdk"):
            headers = {}
            if kind == "copy":
                headers = {k: self.headers[k] for k in CONTEXT if k in self.headers}
            if kind == "sdk":
                headers = {"traceparent": f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"}
            n = int(query.get("calls", ["1"])[0])
            for i in range(n):
                status, _ = call(f"/b/{rest}" + (f".{i}" if n > 1 else ""), headers)
            return self.reply(status, json.dumps({"pid": os.getpid(), "sent": headers}).encode())
        if kind == "status":
            return self.reply(int(rest), b"SECRETBODY2" if rest == "200" else b"no")
        if kind == "sleep":
            time.sleep(int(rest.split("/")[0]) / 1000)
        if kind == "big":
            return self.reply(200, b"x" * int(rest))
        if kind == "chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for i in range(int(rest)):
                self.wfile.write(b"5\r\nchunk\r\n")
            return self.wfile.write(b"0\r\n\r\n")
        self.reply(200, json.dumps({"pid": os.getpid(), "tid": threading.get_native_id()}).encode(),
                   ("Set-Cookie", "id=SECRETSET"))

    def handle_any(self):
        begin = time.time_ns()
        u = urlsplit(self.path)
        n = int(self.headers.get("Content-Length") or 0)
        got = 0
        while got < n:
            b = self.rfile.read(min(65536, n - got))
            if not b:
                break
            got += len(b)
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                self.rfile.read(size)
                self.rfile.readline()
                if not size:
                    break
        before = time.time_ns()
        self.answer(u.path, parse_qs(u.query))
        if ground:
            ground.write(json.dumps({"path": self.path, "begin": begin, "before": before, "after": time.time_ns(),
                                     "pid": os.getpid(), "tid": threading.get_native_id(),
                                     "peer": self.client_address[1] if isinstance(self.client_address, tuple) else 0}) + "\n")
            ground.flush()

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = do_PROPFIND = handle_any


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def __init__(self, where):
        if "/" in where:
            self.address_family, addr = socket.AF_UNIX, where.replace("@/", "\0/")
        else:
            host, _, port = where.rpartition(":")
            self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            addr = (host, int(port))
        super().__init__(addr, Handler)

    def server_bind(self):
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "web", 0


if __name__ == "__main__":
    Server(sys.argv[1]).serve_forever()
