#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An API server that misbehaves as it is told: --do is a JSON list with one step for each request, in order; what comes
after them is never answered. A step:

  {"status": 200, "fields": {NAME: VALUE}, "body": PART, "gzip": true, "end": "whole" | "cut" | "open"}   or   {"hang": true}

PART is text, a list of parts, or {"times": N, "of": PART} with %d in its texts counted up from 0. "cut": the connection ends before
the body does; "open": it stays open with nothing more to come. Prints "port N", then for each request a line of JSON. Ends
when standard input does."""
import argparse
import gzip
import json
import os
import socket
import ssl
import sys
import threading

import otlp_sink

PIECE = 65536


def parts(part, i=0):
    if isinstance(part, str):
        yield part.replace("%d", str(i))
    elif isinstance(part, list):
        for p in part:
            yield from parts(p, i)
    elif isinstance(part["of"], str) and "%d" not in part["of"]:
        yield part["of"] * part["times"]
    else:
        for k in range(part["times"]):
            yield from parts(part["of"], k)


def pieces(part):
    """As bytes of a useful size, made as they are sent."""
    have, size = [], 0
    for p in parts(part):
        have.append(p.encode("utf-8", "surrogateescape"))
        size += len(have[-1])
        if size >= PIECE:
            yield b"".join(have)
            have, size = [], 0
    yield b"".join(have)


class Fake:
    def __init__(self, args):
        self.steps = json.loads(args.do)
        self.lock = threading.Lock()
        self.context = None
        if args.tls:
            if not os.path.exists(os.path.join(args.tls, "client.pem")):
                otlp_sink.make_certificates(args.tls)
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(os.path.join(args.tls, "server.pem"), os.path.join(args.tls, "server.key"))
            self.context.verify_mode = ssl.CERT_OPTIONAL
            self.context.load_verify_locations(os.path.join(args.tls, "ca.pem"))
        self.socket = socket.create_server((args.host, 0), family=socket.AF_INET6 if ":" in args.host else socket.AF_INET)

    def run(self):
        while True:
            s, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        try:
            if self.context:
                s = self.context.wrap_socket(s, server_side=True)
            f = s.makefile("rb")
            while self.one(s, f):
                pass
        except (OSError, ValueError):
            pass
        s.close()

    def step(self, line, fields, cert):
        seen = {"path": line.split()[1], "agent": fields.get("user-agent"), "auth": fields.get("authorization", ""),
                "gzip": "gzip" in fields.get("accept-encoding", ""), "host": fields.get("host"), "cert": cert}
        with self.lock:
            print(json.dumps(seen), flush=True)
            return self.steps.pop(0) if self.steps else {"hang": True}

    def one(self, s, f):
        line = f.readline().decode()
        fields = {}
        while (h := f.readline().decode().strip()):
            name, _, value = h.partition(":")
            fields[name.lower()] = value.strip()
        if not line:
            return False
        step = self.step(line, fields, bool(self.context and s.getpeercert()))
        if step.get("hang"):
            f.read(1)  # until the other end goes
            return False
        return self.answer(s, f, step)

    @staticmethod
    def answer(s, f, step):
        head = [f"HTTP/1.1 {step.get('status', 200)} X", "Content-Type: application/json", "Transfer-Encoding: chunked"]
        head += [f"{n}: {v}" for n, v in step.get("fields", {}).items()] + (["Content-Encoding: gzip"] if step.get("gzip") else [])
        s.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        body = pieces(step.get("body", ""))
        if step.get("gzip"):
            body = [gzip.compress(b"".join(body))]
        for piece in body:
            if piece:
                s.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
        end = step.get("end", "whole")
        if end == "whole":
            s.sendall(b"0\r\n\r\n")
            return True
        if end == "open":
            f.read(1)
        return False


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--do", default="[]", metavar="JSON")
    p.add_argument("--tls", metavar="DIR", help="serve TLS with the certificates in DIR, made there if need be; one of a client is asked for")
    p.add_argument("--host", default="127.0.0.1")
    fake = Fake(p.parse_args())
    print("port", fake.socket.getsockname()[1], flush=True)
    threading.Thread(target=fake.run, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
