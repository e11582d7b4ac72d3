# SPDX-License-Identifier: Apache-2.0
"""Connections and processes that come, change hands and go."""
import array
import os
import signal
import socket
import time

import parts
import wire
from spandrel import CLIENT, ERROR, SERVER, UNSET, Tracer


def answer(c):
    while c.message():
        c.send(wire.ok())


def note(name):
    """Something has happened; others wait for it by waited_for()."""
    with open(parts.path(name), "a") as f:
        f.write("x")


def waited_for(name, n=1):
    end = time.monotonic() + parts.READY
    while len(parts.read(parts.path(name))) < n:
        assert time.monotonic() < end, f"{name}: not {n} times"
        time.sleep(0.01)


def case_life_open_before():
    """Connections that were open before the tracer are traced from then on."""
    srv = wire.Raw(answer, forking=True)
    us = parts.path("u.sock")
    usrv = wire.Raw(answer, us, forking=True)
    with wire.connect(srv.addr) as c, wire.connect(us) as u:
        for x in (c, u):
            x.get("/before")
        with Tracer() as t:
            for i in range(3):
                c.get(f"/tcp/{i}")
                u.get(f"/unix/{i}")
            t.stop()
    for i in range(3):
        for p in (f"/tcp/{i}", f"/unix/{i}"):
            s, k = t.spans.one(SERVER, p), t.spans.one(CLIENT, p)
            # where in a UNIX stream its two ends were joined is not known: no link is better than a guess
            assert s.parent == k.id and s.link == "connection" or "unix" in p and not s.parent and not s.link, (s, k)
    assert len(t.spans) == 12, t.spans
    assert usrv.addr


def case_life_open_inside_message():
    """The tracer comes in the middle of a body: nothing wrong is said of it, and the next request is seen."""
    def handler(c):
        while (m := c.message()):
            if "half" in m[0]:
                c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 50)
                c.until(b"GO\n")
                c.send(b"GET /fake HTTP/1.1\r\nHost: fake.test\r\n\r\n".ljust(50, b"x"))
            else:
                c.send(wire.ok())
    srv = wire.Raw(handler, forking=True)
    with wire.connect(srv.addr) as c:
        c.send(b"GET /half HTTP/1.1\r\nHost: t\r\n\r\n")
        c.until(b"\r\n\r\n")
        c.exactly(50)
        with Tracer() as t:
            c.send(b"GO\n")
            c.exactly(50)
            for i in range(3):
                c.get(f"/after/{i}")
            t.stop()
    assert not t.spans.of(path="/fake"), t.spans
    assert t.spans.of(SERVER, "/after/2") and t.spans.of(CLIENT, "/after/2"), t.spans
    for s in t.spans:
        assert s.code == 200 and s.path.startswith("/after"), s


def case_life_handed_over():
    """A live connection passed with SCM_RIGHTS: each byte belongs to the process that moved it."""
    lsock = wire.listen()
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def first():
        s, _ = lsock.accept()
        c = wire.Conn(s)
        c.message()
        c.send(wire.ok())
        left.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [s.fileno()]))])
        s.close()
        time.sleep(30)

    def second():
        _, anc, _, _ = right.recvmsg(1, socket.CMSG_SPACE(4))
        fd = array.array("i", anc[0][2])[0]
        answer(wire.Conn(socket.socket(fileno=fd)))
    a, b = parts.Fork(first), parts.Fork(second)
    with Tracer() as t:
        with wire.connect(lsock.getsockname()) as c:
            c.get("/one")
            c.get("/two")
            c.get("/three")
        t.stop()
    assert [t.spans.one(SERVER, p).pid for p in ("/one", "/two", "/three")] == [a.pid, b.pid, b.pid], t.spans
    assert len(t.spans) == 6 and all(s.parent and s.link == "connection" for s in t.spans.of(SERVER))


def case_life_exec_keeps_socket():
    """A process that execs another program and keeps its connection: same pid, the new program's name."""
    lsock = wire.listen()
    node = "import socket, sys\ns = socket.socket(fileno=int(sys.argv[1]))\n" \
           "while True:\n  b = s.recv(65536)\n  if not b: break\n  s.send(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok')\n"
    script = parts.path("second_program.py")
    with open(script, "w") as f:
        f.write(node)

    def first():
        s, _ = lsock.accept()
        c = wire.Conn(s)
        c.message()
        c.send(wire.ok())
        s.settimeout(None)
        time.sleep(0.5)  # what a process was can only be read while it is
        os.set_inheritable(s.fileno(), True)
        os.execv(parts.PYTHON, [parts.PYTHON, script, str(s.fileno())])
    a = parts.Fork(first)
    with Tracer() as t:
        with wire.connect(lsock.getsockname()) as c:
            c.get("/one")
            time.sleep(0.7)
            c.get("/two")
        t.stop()
    one, two = t.spans.one(SERVER, "/one"), t.spans.one(SERVER, "/two")
    assert one.pid == two.pid == a.pid
    assert two.res["service.name"].startswith("second_program") and one.res["service.name"] != two.res["service.name"], (one.res, two.res)


def case_life_killed():
    """The server dies with a request open; the client sees the end."""
    def handler(c):
        c.message()
        note("read")
        time.sleep(60)
    srv = wire.Raw(handler)
    with Tracer() as t:
        with wire.connect(srv.addr) as c:
            c.send(b"GET /killed HTTP/1.1\r\nHost: t\r\n\r\n")
            waited_for("read")
            os.kill(srv.pid, signal.SIGKILL)
            try:
                assert not c.fill()
            except ConnectionResetError:
                pass
            t.wait_spans(1)
            c.close()
        t.wait_spans(2)
        t.stop()
    for kind in (SERVER, CLIENT):
        s = t.spans.one(kind, "/killed")
        assert s.status == ERROR and s["error.type"] and s.code is None, (s, s.attrs)


def case_life_closed_without_answer():
    def handler(c):
        c.message()
    srv = wire.Raw(handler)
    us = wire.Raw(handler, parts.path("u.sock"))
    with Tracer() as t:
        for s in (srv, us):
            with wire.connect(s.addr) as c:
                c.send(b"GET /closed HTTP/1.1\r\nHost: t\r\n\r\n")
                assert not c.fill()
        t.wait_spans(4)
        t.stop()
    assert len(t.spans) == 4, t.spans
    for s in t.spans:
        assert s.status == ERROR and s["error.type"] and s.code is None and not s["error.type"].isdigit(), (s, s.attrs)


def case_life_reset():
    """SO_LINGER 0: a reset before the answer, and one inside it."""
    def handler(c):
        m = c.message()
        if "inside" in m[0]:
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            waited_for("half")  # a reset throws away what has not been read
        c.reset()
    srv = wire.Raw(handler)
    with Tracer() as t:
        for p in ("/before", "/inside"):
            with wire.connect(srv.addr) as c:
                try:
                    c.send(f"GET {p} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
                    if c.until(b"half"):
                        note("half")
                    c.rest()
                except ConnectionResetError:
                    pass
        t.wait_spans(4)
        t.stop()
    for p, code in (("/before", None), ("/inside", 200)):
        for kind in (SERVER, CLIENT):
            s = t.spans.one(kind, p)
            assert s.status == ERROR and s.code == code and s["error.type"] == "connection_reset", (s, s.attrs)


def case_life_client_gives_up():
    """The client closes while the server works: the server's late answer does not make it a success for the client."""
    def handler(c):
        c.message()
        time.sleep(0.3)
        try:
            c.send(wire.ok(), wire.ok(), pause=0.05)
        except OSError:
            pass
    srv = wire.Raw(handler)
    with Tracer() as t:
        with wire.connect(srv.addr) as c:
            c.send(b"GET /gone HTTP/1.1\r\nHost: t\r\n\r\n")
            time.sleep(0.1)
        t.wait_spans(2)
        t.stop()
    c = t.spans.one(CLIENT, "/gone")
    assert c.code is None and c.status == ERROR, (c, c.attrs)


def case_life_request_timeout():
    """No answer within --request-timeout: no error, truncated; a connection that moves is not idle."""
    def handler(c):
        m = c.message()
        if "slow" in m[0]:
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
            for _ in range(12):
                time.sleep(0.3)
                c.send(b"x")
        time.sleep(30)
    srv = wire.Raw(handler, forking=True)
    with Tracer("--request-timeout", "2s") as t:
        with wire.connect(srv.addr) as a, wire.connect(srv.addr) as b:
            a.send(b"GET /never HTTP/1.1\r\nHost: t\r\n\r\n")
            b.get("/slow")
            t.wait_spans(4)
            t.stop()
    for kind in (SERVER, CLIENT):
        s = t.spans.one(kind, "/never")
        assert s.status == UNSET and s["spandrel.truncated"] is True and s.code is None and s["error.type"] is None, (s, s.attrs)
        s = t.spans.one(kind, "/slow")
        assert s.code == 200 and s["spandrel.truncated"] is None and s.end - s.start > 3_000_000_000, (s, s.attrs)
    assert t.counters["requests_timed_out"] == 2, t.counters


def case_life_shutdown():
    """Requests that are open when the tracer stops are dropped under their own name."""
    def handler(c):
        c.message()
        note("read")
        time.sleep(60)
    srv = wire.Raw(handler, forking=True)
    with Tracer() as t:
        conns = [wire.connect(srv.addr) for _ in range(5)]
        for c in conns:
            c.send(b"GET /open HTTP/1.1\r\nHost: t\r\n\r\n")
        waited_for("read", 5)
        t.stop()
    assert not t.spans and t.counters['requests_dropped{reason="shutdown"}'] == 10 == t.counters["requests_seen"], t.counters


def case_life_half_close():
    """The client shuts its side down after the request; the answer is still its answer."""
    def handler(c):
        c.rest()
        c.send(wire.ok())
    srv = wire.Raw(handler)
    with Tracer() as t:
        with wire.connect(srv.addr) as c:
            c.send(b"GET /half HTTP/1.1\r\nHost: t\r\n\r\n")
            c.sock.shutdown(socket.SHUT_WR)
            time.sleep(0.1)
            assert c.message()
        t.stop()
    for kind in (SERVER, CLIENT):
        s = t.spans.one(kind, "/half")
        assert s.code == 200 and s.status == UNSET, (s, s.attrs)


def case_life_fork_churn():
    """A process for each connection, 200 of them: every request once, with the child's pid."""
    srv = wire.Raw(answer, forking=True)
    with Tracer() as t:
        for i in range(200):
            with wire.connect(srv.addr) as c:
                c.get(f"/churn/{i}")
        t.stop()
    assert len(t.spans) == 400, len(t.spans)
    assert len({s.pid for s in t.spans.of(SERVER)}) == 200
    for s in t.spans.of(SERVER):
        assert s.link == "connection" and s.code == 200, s


def case_life_threads_share_connection():
    """One thread reads, another writes on the same connection."""
    import queue
    import threading

    def handler(c):
        q = queue.Queue()

        def writer():
            while q.get():
                c.send(wire.ok())
        w = threading.Thread(target=writer)
        w.start()
        while c.message():
            q.put(1)
        q.put(0)
        w.join()
    srv = wire.Raw(handler)
    with Tracer() as t:
        with wire.connect(srv.addr) as c:
            for i in range(100):
                c.get(f"/t/{i}")
        t.stop()
    assert len(t.spans) == 200 and all(s.code == 200 for s in t.spans), len(t.spans)


def case_life_unix_closed_during_sweep():
    """A UNIX socket closes without a word; the list of those that still exist must not come ahead of what it said before."""
    def slow(c):
        if c.message():
            time.sleep(0.003)
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    idle = [socket.socketpair() for _ in range(1000)]  # they make the list take its time
    path, rounds = parts.path("sweep.sock"), 0
    sock = wire.listen(path)
    srv = parts.Fork(serve_threads, sock, slow, 16)
    sock.close()
    with Tracer(select=["--pid", srv.pid]) as t:
        end = time.monotonic() + 5
        while time.monotonic() < end:
            clients = [wire.connect(path) for _ in range(16)]
            for c in clients:
                c.send(b"GET /s HTTP/1.1\r\nHost: t\r\n\r\n")
            for c in clients:
                c.until(b"ok")
                c.close()
            rounds += 1
        t.stop()
    wrong = [s for s in t.spans if s.code != 200]
    print(f"# {16 * rounds} requests, {len(t.spans)} spans, {len(wrong)} wrong; {len(idle)} idle pairs")
    assert not wrong and len(t.spans) == 16 * rounds, wrong[:3]
    parts.stop(srv)


def serve_threads(sock, handler, n):
    import threading

    def loop():
        while True:
            s, _ = sock.accept()
            handler(wire.Conn(s))
            s.close()
    for _ in range(n - 1):
        threading.Thread(target=loop).start()
    loop()
