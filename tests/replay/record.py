#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""record.py SPANDREL: records the demo's services under requests of many shapes into chain.rec. Root, in mount and UTS
namespaces of its own (make replay-record), where the host has no name and no users but root: nothing of it gets recorded."""
import os
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, f"{HERE}/../../deploy/demo")

import demo  # noqa: E402


def no_name(top):
    socket.sethostname("replay.example")
    os.makedirs(f"{top}/1/root/etc")
    with open(f"{top}/1/root/etc/machine-id", "w", encoding="utf-8") as f:
        f.write("00000000000000000000000000000001\n")
    with open(f"{top}/1/root/etc/passwd", "w", encoding="utf-8") as f:
        f.write("root:x:0:0::/:/bin/sh\n")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "--bind", f"{top}/1", "/proc/1"], check=True)


def raw(port, pieces):
    """Sends bytes as they are, one piece a call, and reads to the end."""
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for p in pieces:
            s.sendall(p)
        while s.recv(65536):
            pass


def shapes(port):
    close = b"Connection: close\r\n"
    raw(port, [b"GET /items/tea HTTP/1.1\r\nHost: a\r\n\r\n" * 3 + b"GET /items/cup HTTP/1.1\r\nHost: a\r\n" + close + b"\r\n"])
    raw(port, [b"POST /items/tea HTTP/1.1\r\nHost: a\r\n" + close + b"Transfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n"])
    raw(port, [b"POST /items/tea HTTP/1.1\r\nHost: a\r\n" + close + b"Content-Length: 40000\r\n\r\n" + b"x" * 40000])
    raw(port, [b"HEAD /items/tea HTTP/1.1\r\nHost: a\r\n" + close + b"\r\n"])
    raw(port, [b"GET /items/tea?a=1&b=2 HT", b"TP/1.1\r\nHost: a\r\nb3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1\r\n", close, b"\r\n"])
    raw(port, [b"nonsense\r\n\r\n"])


def main():
    binary = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="spandrel-record.") as top:
        os.chmod(top, 0o755)
        no_name(f"{top}/proc")
        ports, said, rec = demo.free_ports(3), [], f"{top}/chain.rec"
        with demo.services(top, demo.find_nginx(), ports) as pid:
            with demo.tracer([binary, "--pid", str(pid), "--record", rec, "--file", f"{top}/spans.json"], said):
                demo.send(ports[0])
                shapes(ports[0])
        subprocess.run(["umount", "/proc/1"], check=True)
        with open(rec, "rb") as f, open(f"{HERE}/chain.rec", "wb") as to:
            to.write(f.read())


if __name__ == "__main__":
    main()
