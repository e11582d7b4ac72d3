#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the sample conversations of this folder, and one of HTTP/1: make.py. HPACK without Huffman, with the dynamic table (RFC 7541)."""
import os
import struct

STATIC = {(":method", "GET"): 2, (":method", "POST"): 3, (":path", "/"): 4, (":scheme", "http"): 6, (":scheme", "https"): 7,
          (":status", "200"): 8, (":status", "204"): 9, (":status", "404"): 13, (":status", "500"): 14}
NAMES = {":authority": 1, ":method": 2, ":path": 4, ":scheme": 6, ":status": 8, "content-type": 31, "cookie": 32, "host": 38,
         "user-agent": 58, "content-length": 28, "link": 45}
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32


def integer(value, bits, first):
    top = (1 << bits) - 1
    if value < top:
        return bytes([first | value])
    out = bytearray([first | top])
    value -= top
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    out.append(value)
    return bytes(out)


def text(s):
    return integer(len(s), 7, 0) + s.encode()


class Side:
    """One direction: its header table, and what it has said."""

    def __init__(self, sample, mark):
        self.sample, self.mark, self.table = sample, mark, []

    def index(self, key):
        return 62 + self.table.index(key) if key in self.table else None

    def field(self, name, value, never=False, keep=True):
        if (name, value) in STATIC:
            return integer(STATIC[name, value], 7, 0x80)
        at = self.index((name, value))
        if at and not never:
            return integer(at, 7, 0x80)
        bits, first = (4, 0x10) if never else (6, 0x40) if keep else (4, 0)
        out = integer(NAMES[name], bits, first) if name in NAMES else bytes([first]) + text(name)
        if keep and not never:
            self.table.insert(0, (name, value))
        return out + text(value)

    def block(self, fields):
        return b"".join(self.field(*f) for f in fields)

    def say(self, data):
        self.sample.say(self.mark, data)

    def frame(self, kind, flags, stream, payload=b""):
        self.say(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload)

    def headers(self, stream, *fields, end=False, parts=1, pad=0, priority=False, block=None):
        block = self.block(fields) if block is None else block
        cut = [block[i * len(block) // parts:(i + 1) * len(block) // parts] for i in range(parts)]
        flags = (END_STREAM if end else 0) | (END_HEADERS if parts == 1 else 0) | (PADDED if pad else 0)
        first = cut[0]
        if priority:
            flags |= PRIORITY
            first = struct.pack(">IB", 0x80000003, 15) + first
        if pad:
            first = bytes([pad]) + first + bytes(pad)
        self.frame(1, flags, stream, first)
        for i, part in enumerate(cut[1:], 2):
            self.frame(9, END_HEADERS if i == parts else 0, stream, part)

    def data(self, stream, payload, end=False, pad=0):
        if pad:
            payload = bytes([pad]) + payload + bytes(pad)
        self.frame(0, (END_STREAM if end else 0) | (PADDED if pad else 0), stream, payload)

    def settings(self, *pairs):
        self.frame(4, 0, 0, b"".join(struct.pack(">HI", *p) for p in pairs))

    def ack(self):
        self.frame(4, ACK, 0)

    def reset(self, stream, code):
        self.frame(3, 0, stream, struct.pack(">I", code))

    def goaway(self, last, code):
        self.frame(7, 0, 0, struct.pack(">II", last, code) + b"bye")

    def window(self, stream, n):
        self.frame(8, 0, stream, struct.pack(">I", n))

    def ping(self, ack=False):
        self.frame(6, ACK if ack else 0, 0, b"\1\2\3\4\5\6\7\x08")


class Sample:
    def __init__(self, name, comment):
        self.path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".txt")
        self.lines = ["# " + comment]
        self.client, self.server = Side(self, ">"), Side(self, "<")

    def say(self, mark, data):
        escaped = "".join(chr(b) if 32 < b < 127 and b != 92 else f"\\x{b:02x}" for b in data)
        self.lines.append(f"{mark} {escaped}")

    def begin(self):
        self.client.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.client.settings((3, 100), (4, 65535))
        self.server.settings((3, 128), (5, 32768))
        self.client.ack()
        self.server.ack()
        return self.client, self.server

    def write(self):
        with open(self.path, "w", encoding="ascii") as f:
            f.write("\n".join(self.lines) + "\n")


def request(path, method="GET", *more):
    return ((":method", method), (":scheme", "http"), (":path", path), (":authority", "shop.example:8080"), *more)


def grpc(path, *more):
    return request(path, "POST", ("content-type", "application/grpc"), ("te", "trailers"), *more)


def message(n, flag=0):
    return struct.pack(">BI", flag, n) + b"m" * n


def get():
    s = Sample("get", "two requests one after the other: the second is in the header table for the most part")
    c, v = s.begin()
    for stream in (1, 3):
        c.headers(stream, *request("/items?id=7"), ("user-agent", "sample/1"), ("x-request-id", "abc"), end=True)
        v.headers(stream, (":status", "200"), ("content-type", "text/html"))
        v.data(stream, b"hello", end=True)
    s.write()


def mixed():
    s = Sample("mixed", "three streams, their frames mixed, answered in another order; one is reset by the server")
    c, v = s.begin()
    c.headers(1, *request("/a"), end=True)
    c.headers(3, *request("/b", "POST"), priority=True)
    c.headers(5, *request("/c"), end=True)
    c.data(3, b"body one")
    v.headers(5, (":status", "404"))
    v.window(3, 1000)
    v.headers(1, (":status", "200"), parts=2)
    c.data(3, b"body two", end=True, pad=3)
    v.data(5, b"not here", end=True)
    v.data(1, b"part ", pad=4)
    v.ping()
    c.ping(ack=True)
    v.reset(3, 2)
    v.data(1, b"rest", end=True)
    s.write()


def blocks():
    s = Sample("blocks", "blocks in pieces, padded, with priority; 1xx; trailers on both sides; cookie crumbs; a secret")
    c, v = s.begin()
    c.headers(1, *request("/long/" + "x" * 40, "PUT"), ("cookie", "a=1"), ("cookie", "b=2"), ("x-request-id", "hidden", True),
              ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), parts=4, pad=5, priority=True)
    v.headers(1, (":status", "103"), ("link", "</style.css>; rel=preload"))
    v.headers(1, (":status", "100"))
    c.data(1, b"all of it")
    c.headers(1, ("checksum", "77"), end=True)
    v.headers(1, (":status", "200"), pad=7)
    v.data(1, b"")
    v.data(1, b"answer")
    v.headers(1, ("x-correlation-id", "late"), end=True)
    s.write()


def unary():
    s = Sample("grpc_unary", "gRPC: a call, a Trailers-Only error, and one that the server refuses by GOAWAY")
    c, v = s.begin()
    c.headers(1, *grpc("/shop.Cart/Add"), ("grpc-timeout", "1S"))
    c.data(1, message(10), end=True)
    v.headers(1, (":status", "200"), ("content-type", "application/grpc"))
    v.data(1, message(20))
    v.headers(1, ("grpc-status", "0"), ("grpc-message", ""), end=True)
    c.headers(3, *grpc("/shop.Cart/Add"))
    c.data(3, message(3), end=True)
    v.headers(3, (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "5"),
              ("grpc-message", "no%20such%20item"), end=True)
    c.headers(5, *grpc("/shop.Cart/Pay"))
    c.data(5, message(1), end=True)
    v.goaway(3, 0)
    s.write()


def streaming():
    s = Sample("grpc_streaming", "gRPC: messages across DATA frames, several in one, compressed, of no length; two calls mixed")
    c, v = s.begin()
    c.headers(1, *grpc("/chat.Chat/Talk"))
    c.headers(3, *grpc("/chat.Chat/Listen"))
    whole = message(12) + message(0) + message(5, 1)
    c.data(1, whole[:3])
    c.data(3, message(4), end=True)
    v.headers(1, (":status", "200"), ("content-type", "application/grpc+proto"))
    c.data(1, whole[3:20])
    v.data(1, message(7) + message(8), pad=2)
    v.headers(3, (":status", "200"), ("content-type", "application/grpc"))
    c.data(1, whole[20:])
    v.data(3, message(9))
    c.data(1, b"", end=True)
    v.headers(1, ("grpc-status", "0"), end=True)
    v.headers(3, ("grpc-status", "13"), end=True)
    s.write()


def cancel():
    s = Sample("cancel", "the client cancels, before and after it has sent all; rapid resets")
    c, v = s.begin()
    c.headers(1, *grpc("/slow.Slow/Wait"))
    c.reset(1, 8)
    for stream in (3, 5, 7):
        c.headers(stream, *request("/r"), end=True)
        c.reset(stream, 8)
    c.headers(9, *request("/last"), end=True)
    v.headers(9, (":status", "204"), end=True)
    s.write()


def push():
    s = Sample("push", "the server promises a stream, and answers both")
    c, v = s.begin()
    c.headers(1, *request("/index.html"), end=True)
    v.frame(5, END_HEADERS, 1, struct.pack(">I", 2) + v.block(request("/style.css")))
    v.headers(1, (":status", "200"))
    v.headers(2, (":status", "200"))
    v.data(1, b"page", end=True)
    v.data(2, b"style", end=True)
    s.write()


def tables():
    s = Sample("tables", "header tables of another size: announced, acknowledged, changed by the encoder; unknown frames")
    c, v = s.begin()
    v.settings((1, 8192))
    c.ack()
    c.headers(1, block=b"\x3f\xe1\x3f" + c.block(request("/one")), end=True)
    v.frame(0xbe, 0x55, 0, b"what is this")
    v.headers(1, (":status", "200"), ("content-type", "text/plain"), end=True)
    c.table.clear()
    c.headers(3, block=b"\x20\x3f\xe1\x1f" + c.block(request("/two")), end=True)
    c.frame(2, 0, 3, struct.pack(">IB", 0, 1))
    v.headers(3, (":status", "200"), ("content-type", "text/plain"), end=True)
    s.write()


def connect():
    s = Sample("connect", "CONNECT, and extended CONNECT (RFC 8441): tunnels until END_STREAM")
    c, v = s.begin()
    c.headers(1, (":method", "CONNECT"), (":authority", "db.example:5432"))
    v.headers(1, (":status", "200"))
    c.data(1, b"anything")
    v.data(1, b"at all")
    c.headers(3, (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/chat"),
              (":authority", "ws.example"))
    v.headers(3, (":status", "200"))
    c.data(1, b"", end=True)
    v.data(1, b"", end=True)
    v.data(3, b"\x81\x02hi")
    c.data(3, b"\x88\x80", end=True)
    v.data(3, b"\x88\x00", end=True)
    s.write()


def upgrade():
    s = Sample("upgrade", "HTTP/1.1 upgraded (RFC 7540 3.2): stream 1 is the request, which has ended")
    s.client.say(b"GET /first HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                 b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
    s.server.say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    c, v = s.begin()
    v.headers(1, (":status", "200"), ("content-type", "text/html"))
    v.data(1, b"first", end=True)
    c.headers(3, *request("/second"), end=True)
    v.headers(3, (":status", "500"), end=True)
    s.path = os.path.join(os.path.dirname(os.path.dirname(s.path)), "http1", "upgrade_h2c.txt")
    s.write()


for sample in (get, mixed, blocks, unary, streaming, cancel, push, tables, connect, upgrade):
    sample()
