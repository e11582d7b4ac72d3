# SPDX-License-Identifier: Apache-2.0
"""Who caused what, with the truth in the paths: /a/X of a server always calls /b/X of the next."""
import json

import parts
import wire
from spandrel import CLIENT, SERVER, Tracer


def judge(spans, front_pid, back_pid=None):
    """(right, wrong, orphan) of the front's calls: the parent of a client span to /b/X must be the server span of /a/X."""
    ids = spans.by_id()
    right, wrong, orphan = 0, [], 0
    for c in spans.of(CLIENT, "/b/*"):
        if c.pid != front_pid and c.pid not in parts.children(front_pid):
            continue
        p = ids.get(c.parent)
        if not c.parent:
            orphan += 1
        elif p is not None and p.server and p.path[3:] == c.path[3:].split(".")[0] and p.path.startswith(("/a/", "/copy/")):
            right += 1
        else:
            wrong.append((c, p))
    for s in spans.of(SERVER, "/b/*"):
        p = ids.get(s.parent)
        if p is not None and p.path != s.path:
            wrong.append((s, p))
    return right, wrong, orphan


def chain(spans, *path):
    """Asserts that spans [(kind, path, link), …] are a line of parents and one trace; gives them back."""
    up, out = None, []
    for kind, p, link in path:
        s = spans.one(kind, p) if not isinstance(p, tuple) else spans.one(kind, p[0], pid=p[1])
        if up is not None:
            assert s.parent == up.id and s.trace == up.trace, f"{s} is not below {up}"
        assert s.link == link, f"{s}: link {s.link}, not {link}"
        up = s
        out.append(s)
    return out


def case_link_chain():
    """curl → nginx → gunicorn (sync) → http.server, one after the other: one trace each, six spans, every link said."""
    back = parts.threading_server(name="back")
    g = parts.gunicorn(backend=back.url, workers=1)
    ng = parts.nginx(proxy=g.url)
    worker, = parts.children(g.pid)
    nginx_worker, = parts.children(ng.pid)
    n = 10
    with Tracer() as t:
        for i in range(n):
            parts.curl(ng.url + f"/a/{i}")
        t.stop()
    assert len(t.spans) == 6 * n, (len(t.spans), t.spans[:8])
    traces = set()
    for i in range(n):
        mine = type(t.spans)(s for s in t.spans if s.path in (f"/a/{i}", f"/b/{i}"))
        assert len(mine) == 6 and len({s.trace for s in mine}) == 1, mine
        ids = mine.by_id()
        s = mine.one(SERVER, f"/b/{i}")
        want = [(SERVER, back.pid, "connection"), (CLIENT, worker, "thread"), (SERVER, worker, "connection"),
                (CLIENT, nginx_worker, "thread"), (SERVER, nginx_worker, "connection"), (CLIENT, None, None)]
        for k, (kind, pid, link) in enumerate(want):
            assert s.kind == kind and s.link == link and (pid is None or s.pid == pid), (k, s, want[k])
            if k < 5:
                up = ids[s.parent]
                if kind == CLIENT:
                    assert up.start <= s.start and s.end <= up.end, f"a call lies within what made it: {s} {up}"
                s = up
        assert not s.parent and s.res["service.name"] == "curl", s
        traces.add(s.trace)
    assert len(traces) == n


def case_link_chain_unix():
    """nginx to gunicorn over a UNIX socket, kept alive in front."""
    back = parts.threading_server(name="back")
    g = parts.gunicorn(backend=back.url, addr=parts.path("g.sock"))
    ng = parts.nginx(proxy=f"http://unix:{g.addr}")
    with Tracer() as t:
        with wire.connect(ng.addr) as c:
            for i in range(5):
                assert "200" in c.get(f"/a/{i}")[0]
        t.stop()
    assert len(t.spans) == 30, t.spans
    for i in range(5):
        mine = type(t.spans)(s for s in t.spans if s.path in (f"/a/{i}", f"/b/{i}"))
        assert len(mine) == 6 and len({s.trace for s in mine}) == 1, mine
        assert sorted(s.link or "" for s in mine) == ["", "connection", "connection", "connection", "thread", "thread"], mine


def case_link_nginx_upstream_keepalive():
    back = parts.threading_server(name="back")
    ng = parts.nginx(proxy=back.url, keepalive=True)
    with Tracer() as t:
        for i in range(10):
            parts.curl(ng.url + f"/k/{i}")
        t.stop()
    assert len(t.spans) == 40, t.spans
    for i in range(10):
        mine = type(t.spans)(s for s in t.spans if s.path == f"/k/{i}")
        assert len({s.trace for s in mine}) == 1 and len([s for s in mine if not s.parent]) == 1, mine


def case_link_given_context():
    """A context made by the client's SDK: the client span hangs below it, the rest below that; nginx copies the header."""
    back = parts.threading_server(name="back")
    ng = parts.nginx(proxy=back.url)
    tr, sp = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    forms = {"w3c": ["-H", f"traceparent: 00-{tr}-{sp}-01", "-H", "tracestate: x=y"], "b3": ["-H", f"b3: {tr}-{sp}-1"],
             "multi": ["-H", f"X-B3-TraceId: {tr}", "-H", f"X-B3-SpanId: {sp}", "-H", "X-B3-Sampled: 1"]}
    with Tracer() as t:
        for f, args in forms.items():
            parts.curl(ng.url + "/" + f, *args)
        t.stop()
    assert len(t.spans) == 12, t.spans
    for f in forms:
        mine = type(t.spans)(s for s in t.spans if s.path == "/" + f)
        assert {s.trace for s in mine} == {tr}, mine
        first = [s for s in mine if s.parent == sp]
        assert len(first) == 1 and first[0].kind == CLIENT and first[0].link == "header", mine
        assert first[0].res["service.name"] == "curl", first
        s = first[0]
        for k in range(3):
            s, = [x for x in mine if x.parent == s.id]
            assert s.kind == (SERVER, CLIENT, SERVER)[k], mine
            assert f != "w3c" or s.state == "x=y", s.json


def case_link_copied_context():
    """A program that hands the context on as it came: its call is below its own server span, not beside it."""
    back = parts.threading_server(name="back")
    front = parts.threading_server(name="front", backend=back.url)
    tr, sp = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    with Tracer(select=["--pid", front.pid, "--pid", back.pid]) as t:
        for i in range(3):
            parts.curl(front.url + f"/copy/{i}", "-H", f"traceparent: 00-{tr}-{sp[:-1]}{i}-01")
        t.stop()
    assert len(t.spans) == 9, t.spans
    for i in range(3):
        s = t.spans.one(SERVER, f"/copy/{i}")
        assert (s.trace, s.parent, s.link) == (tr, f"{sp[:-1]}{i}", "header"), s
        c = t.spans.one(CLIENT, f"/b/{i}")
        assert (c.trace, c.parent) == (tr, s.id) and c.link in ("header", "thread"), (c, s)
        b = t.spans.one(SERVER, f"/b/{i}")
        assert (b.trace, b.parent, b.link) == (tr, c.id, "connection"), (b, c)


def case_link_sdk_context():
    """A program with an SDK that makes a context of its own: it wins over the thread."""
    back = parts.threading_server(name="back")
    front = parts.threading_server(name="front", backend=back.url)
    with Tracer(select=["--pid", front.pid, "--pid", back.pid]) as t:
        sent = {}
        for i in range(3):
            body, _ = parts.curl(front.url + f"/sdk/{i}")
            sent[i] = json.loads(body)["sent"]["traceparent"].split("-")
        t.stop()
    assert len(t.spans) == 9, t.spans
    for i in range(3):
        c, b = t.spans.one(CLIENT, f"/b/{i}"), t.spans.one(SERVER, f"/b/{i}")
        assert (c.trace, c.parent, c.link) == (sent[i][1], sent[i][2], "header"), (c, sent[i])
        assert (b.trace, b.parent) == (c.trace, c.id), (b, c)


def several(front, n=20, rounds=5, keep=True, path="/a/%s"):
    """n clients at once, `rounds` requests each."""
    def one(k):
        c = None
        for r in range(rounds):
            c = c or wire.connect(front.addr)
            line, _, _ = c.get(path % f"{k}-{r}?sleep={(k * 7 + r * 3) % 11}")
            assert " 200" in line, line
            if not keep:
                c.close()
                c = None
    parts.parallel(one, range(n))
    return n * rounds


def concurrent(front, back, complete, **kw):
    with Tracer(select=["--pid", front.pid, "--pid", back.pid]) as t:
        n = several(front, **kw)
        t.stop(settle=0.3)
    right, wrong, orphan = judge(t.spans, front.pid)
    print(f"# right {right}, wrong {len(wrong)}, orphan {orphan} of {n}; {({k: v for k, v in t.counters.items() if k.startswith('links')})}")
    assert not wrong, wrong[:4]
    assert len(t.spans) == 3 * n, (len(t.spans), n)
    assert right + orphan == n
    if complete:
        assert right == n, f"{orphan} orphans"
    for s in t.spans.of(SERVER, "/b/*"):
        assert s.link == "connection", s
    return t


def case_link_threads():
    back = parts.threading_server(name="back")
    concurrent(parts.threading_server(name="front", backend=back.url), back, True)


def case_link_threads_without_keepalive():
    back = parts.threading_server(name="back")
    concurrent(parts.threading_server(name="front", backend=back.url), back, True, keep=False, rounds=3)


def case_link_threads_many_calls():
    """Three calls one after the other in each request."""
    back = parts.threading_server(name="back")
    front = parts.threading_server(name="front", backend=back.url)
    with Tracer(select=["--pid", front.pid, "--pid", back.pid]) as t:
        parts.parallel(lambda k: parts.curl(front.url + f"/a/{k}?calls=3"), range(10))
        t.stop()
    right, wrong, orphan = judge(t.spans, front.pid)
    assert (right, wrong, orphan) == (30, [], 0), (right, wrong, orphan)


def case_link_gthread():
    back = parts.threading_server(name="back")
    concurrent(parts.gunicorn(worker="gthread", threads=20, backend=back.url), back, True, rounds=3)


def case_link_gunicorn_processes():
    back = parts.threading_server(name="back")
    concurrent(parts.gunicorn(workers=4, backend=back.url), back, True, keep=False, rounds=2)


def case_link_node():
    back = parts.threading_server(name="back")
    concurrent(parts.node(backend=back.url), back, False)


def case_link_asyncio():
    back = parts.threading_server(name="back")
    concurrent(parts.python_app("aio.py", back.url), back, False)


def case_link_nginx_concurrent():
    """One nginx worker with 20 connections at once is an event loop for the thread rule."""
    back = parts.threading_server(name="back")
    ng = parts.nginx(proxy=back.url)
    with Tracer(select=["--pid", ng.pid, "--pid", back.pid]) as t:
        n = several(ng, path="/sleep/5/%s")
        t.stop(settle=0.3)
    ids = t.spans.by_id()
    wrong = [(s, ids[s.parent]) for s in t.spans if s.parent in ids and ids[s.parent].path != s.path]
    assert not wrong, wrong[:4]
    assert len(t.spans) == 3 * n, (len(t.spans), n)


def case_link_off():
    """--link header: nothing is inferred."""
    back = parts.threading_server(name="back")
    front = parts.threading_server(name="front", backend=back.url)
    with Tracer("--link", "header") as t:
        parts.curl(front.url + "/a/1")
        t.stop()
    assert len(t.spans) == 4 and not any(s.parent or s.link for s in t.spans), t.spans
    assert len({s.trace for s in t.spans}) == 4


def background(front, back):
    """One request at a time, so the loop never shows itself by two open requests: its timer's calls belong to nobody."""
    with Tracer(select=["--pid", front.pid, "--pid", back.pid]) as t:
        with wire.connect(front.addr) as c:
            for i in range(20):
                c.get(f"/r/{i}")
        t.stop()
    calls = t.spans.of(CLIENT, "/timer/*")
    ids = t.spans.by_id()
    wrong = [(s, ids.get(s.parent)) for s in calls if s.parent]
    assert len(calls) > 20 and len(t.spans.of(SERVER, "/r/*")) == 20, len(calls)
    assert not wrong, f"{len(wrong)} of {len(calls)} calls of the timer: {wrong[:3]}"


def case_link_background_node():
    back = parts.threading_server(name="back")
    background(parts.node("background.js", backend=back.url), back)


def case_link_background_asyncio():
    back = parts.threading_server(name="back")
    background(parts.python_app("background.py", back.url), back)
