# SPDX-License-Identifier: Apache-2.0
"""HTTP/1 by hand: clients and servers that decide about each write, and say when they made it."""
import os
import socket
import struct
import time

import parts

now = time.time_ns


class Conn:
    """A socket with a reader. marks: (time before, time after) of every send and recv, as the program sees it."""

    def __init__(self, sock):
        self.sock, self.buf = sock, b""
        self.sends, self.recvs = [], []
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(60 * parts.SLOW)

    def send(self, *writes, pause=0.0):
        for i, w in enumerate(writes):
            if i and pause:
                time.sleep(pause)
            t = now()
            self.sock.sendall(w)
            self.sends.append((t, now()))

    def fill(self):
        t = now()
        b = self.sock.recv(65536)
        self.recvs.append((t, now()))
        self.buf += b
        return bool(b)

    def until(self, mark):
        while mark not in self.buf:
            if not self.fill():
                return None
        head, self.buf = self.buf.split(mark, 1)
        return head + mark

    def exactly(self, n):
        while len(self.buf) < n:
            if not self.fill():
                raise EOFError(f"{len(self.buf)} of {n} bytes")
        out, self.buf = self.buf[:n], self.buf[n:]
        return out

    def rest(self):
        while self.fill():
            pass
        out, self.buf = self.buf, b""
        return out

    def chunked(self):
        out = b""
        while True:
            n = int(self.until(b"\r\n").split(b";")[0], 16)
            if not n:
                while self.until(b"\r\n") != b"\r\n":
                    pass
                return out
            out += self.exactly(n)
            assert self.exactly(2) == b"\r\n"

    def message(self, body=True):
        """(first line, headers, body), or None at the end."""
        raw = self.until(b"\r\n\r\n")
        if raw is None:
            return None
        lines = raw.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            k, _, v = line.partition(":")
            headers.setdefault(k.strip().lower(), v.strip())
        data = b""
        if body and "chunked" in headers.get("transfer-encoding", ""):
            data = self.chunked()
        elif body and "content-length" in headers:
            data = self.exactly(int(headers["content-length"]))
        elif body and lines[0].startswith("HTTP/") and lines[0].split()[1] not in ("204", "304") \
                and not lines[0].split()[1].startswith("1"):
            data = self.rest()
        return lines[0], headers, data

    def get(self, path, *headers, method="GET", host="test"):
        self.send("\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode())
        return self.message(body=method != "HEAD")

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def connect(addr):
    s = socket.socket(parts.family(addr))
    s.connect(addr)
    return Conn(s)


def listen(addr=None):
    """A listening socket, made before the server that will use it is forked: its address is known at once."""
    addr = addr or ("127.0.0.1", 0)
    s = socket.socket(parts.family(addr))
    if s.family != socket.AF_UNIX:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(addr)
    s.listen(512)
    return s


def ok(body=b"ok", status="200 OK", *headers):
    return ("\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""])).encode() + body


class Raw:
    """A server process: handler(conn) for each connection, one after the other or a process each (forking)."""

    def __init__(self, handler, addr=None, forking=False, sock=None):
        self.sock = sock or listen(addr)
        self.addr = self.sock.getsockname()
        if isinstance(self.addr, tuple):
            self.addr = self.addr[:2]
            self.port = self.addr[1]
            self.url = f"http://{self.addr[0]}:{self.port}"
        self.fork = parts.Fork(self.loop, handler, forking)
        self.pid = self.fork.pid
        self.sock.close()

    def loop(self, handler, forking):
        import signal
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            s, _ = self.sock.accept()
            if forking and os.fork():
                s.close()
                continue
            try:
                handler(Conn(s))
            except (OSError, EOFError):
                pass
            s.close()
            if forking:
                os._exit(0)

    def stop(self):
        parts.stop(self.fork)
