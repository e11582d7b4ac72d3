# SPDX-License-Identifier: Apache-2.0
"""HTTP over TLS in the ways that programs use a TLS library. tls.py host:port CERT KEY how
how: thread (handshake and requests in the thread of the connection), fork (handshake before the fork, requests behind it), asyncio
(the library enciphers into memory), starttls (as PostgreSQL: 8 bytes, an S, then TLS), close (HTTP/1.0: the end of the connection
ends the body). /bytes/N answers N bytes, /status/N answers N. GROUND names a file that gets a line for each request. RTT: seconds
that the network would take before the handshake."""
import asyncio
import http.server
import os
import socketserver
import ssl
import sys
import time

HOST, PORT = sys.argv[1].rsplit(":", 1)
HOW = sys.argv[4]
ground = open(os.environ["GROUND"], "a", buffering=1) if os.environ.get("GROUND") else None


def context():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(sys.argv[2], sys.argv[3])
    return c


def answer(method, path):
    kind, _, n = path.lstrip("/").partition("/")
    status = int(n) if kind == "status" else 200
    if ground:
        ground.write(f"{method} {path} {status}\n")
    return status, b"x" * int(n) if kind == "bytes" else b"ok\n"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0" if HOW == "close" else "HTTP/1.1"

    def log_message(self, *_):
        pass

    def setup(self):
        if HOW == "starttls":
            asked = b""
            while len(asked) < 8:
                asked += self.request.recv(8 - len(asked))
            self.request.sendall(b"S")
        if HOW != "fork":
            time.sleep(float(os.environ.get("RTT", "0")))
            self.request = context().wrap_socket(self.request, server_side=True)
        super().setup()

    def do_GET(self):
        left = int(self.headers.get("Content-Length", 0))
        while left:
            left -= len(self.rfile.read(min(left, 65536)))
        status, body = answer(self.command, self.path)
        self.send_response(status)
        if HOW != "close":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


class Threads(http.server.ThreadingHTTPServer):
    request_queue_size = 256


class Forks(socketserver.ForkingMixIn, http.server.HTTPServer):
    def get_request(self):
        s, addr = super().get_request()
        return context().wrap_socket(s, server_side=True), addr


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split(" ", 2)
            for line in head.split("\r\n"):
                if line.lower().startswith("content-length:"):
                    await reader.readexactly(int(line.split(":")[1]))
            status, body = answer(method, path)
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()


async def loop():
    server = await asyncio.start_server(serve, HOST, int(PORT), ssl=context(), backlog=256)
    await server.serve_forever()


if HOW == "asyncio":
    asyncio.run(loop())
else:
    (Forks if HOW == "fork" else Threads)((HOST, int(PORT)), Handler).serve_forever()
