#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""demo.py SPANDREL: starts nginx → shop.py → stock.py on free ports of loopback, traces just those, sends a few requests and
shows the traces. None of the programs knows about tracing. Everything lives in a temporary directory and ends with us."""
import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import tree

HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE = 30  # seconds for a program to be ready

REQUESTS = [  # method, target, headers
    ("GET", "/items/tea?token=secret", {}),
    ("POST", "/checkout", {}),
    ("GET", "/items/unicorn", {}),
    ("GET", "/items/cup", {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}),
]


def fail(text):
    raise SystemExit(f"demo: {text}")


def free_ports(n):
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(n)]
        for s in socks:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in socks]


def wait_port(port):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    fail(f"nothing listens on port {port}")


def stop(p, sig=signal.SIGTERM):
    if p.poll() is None:
        p.send_signal(sig)
    try:
        p.wait(20)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()


@contextlib.contextmanager
def services(top, nginx, ports):
    with open(f"{HERE}/nginx.conf", encoding="utf-8") as f:
        conf = f.read()
    for key, text in (("DIR", top), ("NGINX_PORT", ports[0]), ("SHOP_PORT", ports[1])):
        conf = conf.replace(f"@{key}@", str(text))
    with open(f"{top}/nginx.conf", "w", encoding="utf-8") as f:
        f.write(conf)
    py = sys.executable
    p = subprocess.Popen([py, f"{HERE}/supervisor.py", f"{py} {HERE}/stock.py {ports[2]}",
                          f"{py} {HERE}/shop.py {ports[1]} {ports[2]}",
                          f"{nginx} -e {top}/nginx.log -p {top} -c {top}/nginx.conf"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    try:
        if p.stdout.readline() != b"up\n":
            fail("the services did not start")
        for port in ports:
            wait_port(port)
        yield p.pid
    finally:
        p.stdin.close()
        stop(p, 0)


def wait_ready(p, said):
    """Collects the tracer's standard error; returns once it says that it traces."""
    ready = threading.Event()

    def read():
        for raw in p.stderr:
            said.append(raw.decode("utf-8", "replace").rstrip())
            if said[-1].startswith("spandrel: tracing"):
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    ready.wait(PATIENCE)
    return any(line.startswith("spandrel: tracing") for line in said)


@contextlib.contextmanager
def tracer(command, said):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SPANDREL_", "OTEL_"))}
    p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
    try:
        if not wait_ready(p, said):
            fail("the tracer is not ready:\n" + "\n".join(said))
        yield
    finally:
        stop(p)
    if p.returncode:
        fail(f"the tracer ended with status {p.returncode}:\n" + "\n".join(said))


def send(port):
    """One request at a time: while a thread has one request only, what it sends belongs to that request."""
    for method, target, headers in REQUESTS:
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        c.request(method, target, headers=headers)
        r = c.getresponse()
        r.read()
        print(f"  {method} {target} -> {r.status}" + ("   (with a traceparent)" if headers else ""))
        c.close()


def find_nginx():
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    return nginx or fail("nginx is not installed: make deps")


def main():
    binary, nginx = os.path.abspath(sys.argv[1]), find_nginx()
    if os.geteuid():
        os.execvp("sudo", ["sudo", sys.executable, os.path.abspath(__file__), binary])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    top, said = tempfile.mkdtemp(prefix="spandrel-demo."), []
    os.chmod(top, 0o755)  # nginx's worker is another user
    try:
        ports = free_ports(3)
        print(f"nginx (port {ports[0]}) -> shop.py ({ports[1]}) -> stock.py ({ports[2]}), none of them instrumented:")
        with services(top, nginx, ports) as pid, tracer([binary, "--pid", str(pid), "--file", f"{top}/spans.json"], said):
            send(ports[0])
            time.sleep(0.2)  # the last answer's sender may still be in its system call
        found = tree.print_trees(f"{top}/spans.json")
        print("\nThe last column says how the parent was found: by header, thread or connection.")
        if len(found) < len(REQUESTS):
            fail(f"{len(found)} traces of {len(REQUESTS)} requests:\n" + "\n".join(said))
    finally:
        shutil.rmtree(top, ignore_errors=True)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main()
