# SPDX-License-Identifier: Apache-2.0
"""Many programs at once on few processors, each operation of many small elements: where the kernel's programs can be preempted
(way in fentry, a kernel with preempt=full) one must not take another's bytes for its own."""

import parts
import wire
from spandrel import CLIENT, SERVER, Tracer

PROGRAMS, REQUESTS = 6, 150


def pieces(data, n):
    return [data[i:i + n] for i in range(0, len(data), n)]


def answer(c):
    while (m := c.message()):
        name = m[0].split()[1].encode()
        body = name * 40
        c.sock.sendmsg(pieces(wire.ok(body, "200 OK", "X-Filler: " + "f" * 600), 23))


def ask(addr, who):
    with wire.connect(addr) as c:
        for i in range(REQUESTS):
            path = f"/{who}/{i}"
            head = f"GET {path} HTTP/1.1\r\nHost: {who}.test\r\nX-Request-Id: {who}-{i}\r\nX-Filler: {'q' * 700}\r\n\r\n"
            c.sock.sendmsg(pieces(head.encode(), 17))
            _, _, body = c.message()
            assert body == path.encode() * 40
    return True


def case_preempt_vectors():
    tcp = wire.Raw(answer, forking=True)
    unix = wire.Raw(answer, parts.path("u.sock"), forking=True)
    with Tracer() as t:
        forks = [parts.Fork(ask, (tcp, unix)[i % 2].addr, f"p{i}") for i in range(PROGRAMS)]
        assert all(f.result() for f in forks)
        t.stop()
    missed = t.counters.sum("records_missed")
    for side in (SERVER, CLIENT):
        got = [(s.path, s["http.request.header.x-request-id"], s.code) for s in t.spans.of(side)]
        want = {(f"/p{p}/{i}", (f"p{p}-{i}",), 200) for p in range(PROGRAMS) for i in range(REQUESTS)}
        wrong = [g for g in got if (g[0], tuple(g[1] or ()), g[2] or missed and 200) not in want]
        assert not wrong, f"{len(wrong)} wrong spans of {len(got)}: {wrong[:3]}"
        assert missed or len(got) == len(want), f"{len(got)} of {len(want)} spans: {dict(t.counters)}"
        assert len(got) == len({g[0] for g in got}), "a request has two spans"
    assert t.counters["requests_dropped{reason=\"out_of_step\"}"] == 0 or missed, dict(t.counters)
