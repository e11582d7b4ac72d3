# SPDX-License-Identifier: Apache-2.0
"""An OTLP/HTTP back end. sink.py host:port FILE [certificate key CA]: a JSON line in FILE for each request. Answers 200, or
what the file FILE.plan says: a line `status [header: value]` for each of the next requests, `hang` for no answer,
`slow SECONDS` for 200 after that time."""
import base64
import json
import os
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

where, out = sys.argv[1:3]


def next_answer():
    try:
        with open(out + ".plan") as f:
            lines = f.read().splitlines()
    except OSError:
        return "200"
    if not lines:
        return "200"
    with open(out + ".plan.new", "w") as f:
        f.write("\n".join(lines[1:]))
    os.rename(out + ".plan.new", out + ".plan")
    return lines[0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while True:
                n = int(self.rfile.readline().split(b";")[0], 16)
                body += self.rfile.read(n)
                self.rfile.readline()
                if not n:
                    break
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        status, _, header = next_answer().partition(" ")
        if status == "slow":
            time.sleep(float(header))
            status, header = "200", ""
        with open(out, "a") as f:
            f.write(json.dumps({"path": self.path, "status": status, "time": time.time(),
                                "headers": {k.lower(): v for k, v in self.headers.items()},
                                "body": base64.b64encode(body).decode()}) + "\n")
        if status == "hang":
            time.sleep(3600)
        self.send_response(int(status))
        if header:
            k, _, v = header.partition(": ")
            self.send_header(k, v)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()


class Server(ThreadingHTTPServer):
    daemon_threads = True


host, _, port = where.rpartition(":")
server = Server((host, int(port)), Handler)
if len(sys.argv) > 3:
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(sys.argv[3], sys.argv[4])
    if len(sys.argv) > 5:
        ctx.load_verify_locations(sys.argv[5])
        ctx.verify_mode = ssl.CERT_REQUIRED
    server.socket = ctx.wrap_socket(server.socket, server_side=True)
server.serve_forever()
