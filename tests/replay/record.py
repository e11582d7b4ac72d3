#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""record.py SPANDREL [chain] [grpc]: records the demo's services under requests of many shapes into chain.rec, and gRPC calls into grpc.rec.
Root, in mount and UTS namespaces of its own (make replay-record), where the host has no name and no users but root: nothing of
it gets recorded."""
import os
import shutil
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [f"{HERE}/../../deploy/demo", f"{HERE}/../live"]

import demo  # noqa: E402
import grpc_kit  # noqa: E402
import parts  # noqa: E402


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


def keep(rec, name):
    with open(rec, "rb") as f, open(f"{HERE}/{name}", "wb") as to:
        to.write(f.read())


def record_chain(binary, top):
    ports, said, rec = demo.free_ports(3), [], f"{top}/chain.rec"
    with demo.services(top, demo.find_nginx(), ports) as pid:
        with demo.tracer([binary, "--pid", str(pid), "--record", rec, "--file", f"{top}/spans.json"], said):
            demo.send(ports[0])
            shapes(ports[0])
    keep(rec, "chain.rec")


def calls():
    """Of every kind and status, short; two are given up. The second lot finds full header tables, several at a time."""
    codes = [grpc_kit.Plan(f"code{c}", "Down" if c % 2 else "Unary", c, 2) for c in range(17)]
    cut = [grpc_kit.Plan("late", deadline=100, pause=1000), grpc_kit.Plan("stop", "Down", count=1000, pause=20, cancel=100)]
    some = grpc_kit.mixed(40, "mixed", parent=0.5)
    for p in some:
        p.size = min(p.size, 300)
    return codes + cut, some


def record_grpc(binary, top):
    """In /opt, where only we see it: the path of a program is recorded."""
    subprocess.run(["mount", "-t", "tmpfs", "none", "/opt"], check=True)
    program, rec, said = "/opt/load", f"{top}/grpc.rec", []
    shutil.copy(grpc_kit.build("go") + "/load", program)
    grpc_kit.argv = lambda _: [program]
    first, then = calls()
    try:
        with demo.tracer([binary, "--exe", program, "--capture-header", "x-truth-id", "--record", rec, "--file", "/dev/null"], said):
            client = grpc_kit.Client("go", grpc_kit.serve("go"), 10)
            client.ask(first)
            client.ask(then)
            client.end()
    finally:
        parts.stop_all()
    keep(rec, "grpc.rec")


def main():
    binary = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="spandrel-record.") as top:
        os.chmod(top, 0o755)
        no_name(f"{top}/proc")
        for record in (record_chain, record_grpc):
            if len(sys.argv) == 2 or record.__name__[7:] in sys.argv[2:]:
                record(binary, top)
        subprocess.run(["umount", "/proc/1"], check=True)


if __name__ == "__main__":
    main()
