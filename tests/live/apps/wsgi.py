# SPDX-License-Identifier: Apache-2.0
"""The gunicorn application: /a/X calls $BACKEND/b/X, anything else says who answered."""
import http.client
import json
import os
import threading
from urllib.parse import urlsplit

BACKEND = urlsplit(os.environ["BACKEND"]) if os.environ.get("BACKEND") else None


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/a/"):
        c = http.client.HTTPConnection(BACKEND.hostname, BACKEND.port, timeout=60)
        c.request("GET", "/b/" + path[3:])
        c.getresponse().read()
        c.close()
    n = len(environ["wsgi.input"].read())
    if path.startswith("/stream"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (b"piece" for _ in range(5))  # no length: chunked
    body = json.dumps({"pid": os.getpid(), "tid": threading.get_native_id(), "got": n}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
