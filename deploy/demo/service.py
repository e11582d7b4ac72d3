# SPDX-License-Identifier: Apache-2.0
"""What the demo's two services share: an HTTP/1.1 server on loopback. No tracing anywhere."""
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def serve(route):
    """Runs for ever on the port given as the first argument. route(path) → (status, value to send as JSON)."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536  # head and body in one write: two would wait for each other's acknowledgement

        def answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            status, value = route(self.path)
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer

        def log_message(self, *args):
            pass

    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
