# SPDX-License-Identifier: Apache-2.0
"""Rules, outcomes and caps on real programs, and their change while the tracer runs."""
import os
import re
import signal
import socket
import subprocess
import time

import grpc_kit
import parts
import wire
from spandrel import BIN, CLIENT, ERROR, Tracer, read_spans, run


def serve(answer):
    def handler(c):
        while True:
            m = c.message()
            if not m:
                return
            c.send(answer(m[0].split()[1], m[1]))
    return wire.Raw(handler, forking=True)


def chain():
    """front answers 200 whatever back does: /STATUS/N[/MS] reaches back with a call of its own, below /sdk with a context as an
    SDK makes it. Returns front."""
    def far(path, _):
        _, status, *rest = path.split("/")
        if len(rest) > 1:
            time.sleep(int(rest[1]) / 1000)
        return wire.ok(b"", f"{status} Far")
    back = serve(far)

    def near(path, headers):
        with wire.connect(back.addr) as c:
            if path.startswith("/sdk"):
                trace = headers["traceparent"].split("-")[1]
                c.get(path[4:], f"traceparent: 00-{trace}-{os.urandom(8).hex()}-{headers['traceparent'][-2:]}")
            else:
                c.get(path)
        return wire.ok()
    front = serve(near)
    front.back = back
    return front


def paths(t):
    out = {}
    for s in t.spans:
        p = s.path.removeprefix("/sdk")
        out[p] = out.get(p, 0) + 1
    return out


def case_sample_keep_errors():
    """An error far down keeps its whole local trace, with th:0, though its parts end before it or in another process."""
    front = chain()
    with Tracer("--sample-ratio", "0", "--keep-errors") as t:
        with wire.connect(front.addr) as c:
            for i in range(20):
                c.get(f"/{'500' if i % 4 == 0 else '200'}/{i}")
        t.stop()
    assert paths(t) == {f"/500/{i}": 4 for i in range(0, 20, 4)}, t.spans
    assert len({s.trace for s in t.spans}) == 5 and all(s.state == "ot=th:0" for s in t.spans)
    assert sum(s.status == ERROR for s in t.spans) == 10, t.spans
    assert t.counters['spans_kept{by="error"}'] == 20 and t.counters["spans_sampled_out"] == 60, t.counters


def case_sample_keep_errors_below_an_sdk():
    """Spans that only the trace id joins: the one that ends first waits for the root."""
    front = chain()
    with Tracer("--keep-errors", "--sample-ignore-parent", "--sample-ratio", "0") as t:
        for i in range(12):
            with wire.connect(front.addr) as c:
                c.get(f"/sdk/{'503' if i % 3 == 0 else '204'}/{i}", f"traceparent: 00-{os.urandom(16).hex()}-00f067aa0ba902b7-01")
        t.stop()
    assert paths(t) == {f"/503/{i}": 4 for i in range(0, 12, 3)}, t.spans
    assert all(s.state == "ot=th:0" for s in t.spans)


def case_sample_outcome_adds_to_parent():
    """A parent's no is final for what ends well; an error is kept with its local trace."""
    front = chain()
    with Tracer("--keep-errors", "--sample-rule", "route=/204/*,ratio=1", select=["--pid", front.pid, "--pid", front.back.pid]) as t:
        for i in range(10):
            for flag in "00", "01":
                with wire.connect(front.addr) as c:
                    c.get(f"/sdk/{'500' if i % 2 else '204'}/{i}/{flag}", f"traceparent: 00-{os.urandom(16).hex()}-00f067aa0ba902b7-{flag}",
                          "tracestate: ot=th:0" if flag == "01" else "x: y")
        t.stop()
    want = {f"/{'500' if i % 2 else '204'}/{i}/{flag}": 3 for i in range(10) for flag in ("00", "01") if i % 2 or flag == "01"}
    assert paths(t) == want, (paths(t), want)
    for s in t.spans:
        assert ("ot=th:0" in s.state) == ("/500/" in s.path or s.path.startswith("/sdk") and s.server), s.state


def case_sample_slower_than():
    front = chain()
    with Tracer("--sample-ratio", "0", "--keep-slower-than", "300ms") as t:
        with wire.connect(front.addr) as c:
            for i in range(6):
                c.get(f"/200/{i}/{500 if i % 3 == 0 else 0}")
        t.stop()
    assert paths(t) == {"/200/0/500": 4, "/200/3/500": 4}, t.spans
    assert t.counters['spans_kept{by="slow"}'] == 8


def case_sample_rules():
    """The first rule that matches decides: by service, route, method, status, duration; what no rule matches goes by the ratio."""
    shop = parts.threading_server(env={"OTEL_SERVICE_NAME": "shop"}, name="shop")
    cart = parts.threading_server(env={"OTEL_SERVICE_NAME": "cart"}, name="cart")
    rules = ["route=/health*,ratio=0", "service=sho?,method=POST", "status=404", "service=cart,status=5xx,min-duration=300ms"]
    args = [a for r in rules for a in ("--sample-rule", r)]
    with Tracer("--sample-ratio", "0", *args, select=["--pid", shop.pid, "--pid", cart.pid]) as t:
        for s in shop, cart:
            with wire.connect(s.addr) as c:
                for path in "/health/x", "/x", "/status/404", "/status/500", "/status/503?sleep=400", "/health/status":
                    c.get(path)
                c.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
                c.message()
        t.stop()
    got = sorted((s.res["service.name"], s["http.request.method"], s.path) for s in t.spans)
    assert got == [("cart", "GET", "/status/404"), ("cart", "GET", "/status/503"), ("shop", "GET", "/status/404"), ("shop", "POST", "/x")], got
    assert all(s.state == "ot=th:0" for s in t.spans) and t.counters['spans_kept{by="rule"}'] == 4


def case_sample_rate():
    """Never more than the cap, errors on top of it, and no th where the probability is not known."""
    web = parts.threading_server()
    with Tracer("--sample-rate", "50/s", "--keep-errors", select=["--pid", web.pid]) as t:
        begin = time.monotonic()
        n = 0
        with wire.connect(web.addr) as c:
            while time.monotonic() - begin < 3:
                c.get("/status/500" if n % 50 == 0 else f"/n/{n}")
                n += 1
        took = time.monotonic() - begin
        t.stop()
    errors, rest = t.spans.of(path="/status/500"), t.spans.of(path="/n/*")
    assert len(errors) == (n + 49) // 50 and all(s.state == "ot=th:0" for s in errors)
    assert 50 <= len(rest) <= 50 * (took + 1) and not any(s.state for s in rest), (len(rest), took)
    assert t.counters["spans_over_rate"] == t.counters["spans_sampled_out"] == n - len(t.spans)
    assert t.counters["spans_without_probability"] == len(rest)


def spandrel_set(*args, user=None):
    env = {k: v for k, v in os.environ.items() if not k.startswith("SPANDREL_")}
    wrap = ["setpriv", f"--reuid={user}", "--clear-groups"] if user else []
    r = subprocess.run([*wrap, BIN, "set", *map(str, args)], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=30)
    return r.returncode, (r.stdout + r.stderr).decode()


def case_sample_set():
    """`spandrel set`: a rule for a while, taken back by time or by word, over the abstract socket or a path."""
    web = parts.threading_server()
    sock = parts.path("control")
    for where, args in ("pid", []), (sock, ["--control", sock]):
        with Tracer("--sample-ratio", "0", *args, select=["--pid", web.pid], name=f"set-{len(args)}") as t:
            to = ["--pid", t.proc.pid] if where == "pid" else ["--control", sock]
            if where != "pid":
                assert os.stat(sock).st_mode & 0o7777 == 0o600
            c = wire.connect(web.addr)
            c.get("/debug/0")
            time.sleep(0.5)  # what is decided by then is not changed any more
            assert spandrel_set("sample-rule", "route=/debug/*", "for", "2s", *to)[0] == 0
            c.get("/debug/1")
            c.get("/other")
            t.wait_spans(1)
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                time.sleep(0.1)
            c.get("/debug/2")
            time.sleep(0.5)
            assert spandrel_set("sample-rule", "ratio=1", *to)[0] == 0
            c.get("/debug/3")
            t.wait_spans(2)
            assert spandrel_set("sample-rule", "none", *to)[0] == 0
            c.get("/debug/4")
            for bad in ["sample-rule", "colour=red"], ["sample-rule", "ratio=1", "for", "25h"], ["sample-rule", "ratio=1", "for"], \
                    ["sample-rule"], ["sample-ratio", "1"], ["sample-rule", "ratio=1", "until", "3"]:
                status, said = spandrel_set(*bad, *to)
                assert status == 2 and said, (bad, status, said)
            status, said = spandrel_set("sample-rule", "none", "for", "0" * 4000 + "1s", *to)
            assert status == 1 and "too long" in said, (status, said)
            status, said = spandrel_set("sample-rule", "none", *to, user=65534)
            assert status == 1 and re.search("root|Permission", said), (status, said)
            c.close()
            t.stop()
        assert [s.path for s in t.spans] == ["/debug/1", "/debug/3"], t.spans
        assert t.counters['spans_kept{by="temporary_rule"}'] == 2
        assert t.counters['sample_rules{event="set"}'] == t.counters['sample_rules{event="ended"}'] == 2, t.counters
        assert not os.path.exists(sock)
        assert spandrel_set("sample-rule", "none", *to)[0] == 1
    assert t.counters['sample_rules{event="refused"}'] == 0


def case_sample_set_hostile():
    """Anybody can write to the abstract socket: it is refused, counted, and costs nothing."""
    web = parts.threading_server()
    with Tracer("--sample-ratio", "0", select=["--pid", web.pid]) as t:
        name = f"\0spandrel/{t.proc.pid}"
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind("")
        s.connect(name)
        s.settimeout(20)
        for text in b"", b"x" * 2048, b"x" * 10000, b"sample-rule", b"sample-rule\n\n\n\n", b"sample-rule\nratio=1\n", b"sample-rule\nratio=1\n1h\n", \
                b"sample-rule\nservice=\0\n1h", b"sample-rule\n" + b"service=a," * 120 + b"\n1h", bytes(range(256)):
            s.send(text)
            assert s.recv(4096).startswith(b"no "), text
        fds = len(os.listdir(f"/proc/{t.proc.pid}/fd"))
        for _ in range(5):
            socket.send_fds(s, [b"sample-rule\nratio=1\n"], [0, 1, 2])
            assert s.recv(4096).startswith(b"no ")
        assert len(os.listdir(f"/proc/{t.proc.pid}/fd")) == fds
        for _ in range(16):
            s.send(b"sample-rule\nroute=/many\n1h")
            assert s.recv(4096).startswith(b"ok ")
        s.send(b"sample-rule\nroute=/many\n1h")
        assert s.recv(4096) == b"no sample-rule expected at most 16 temporary rules"
        flood = subprocess.Popen(["setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c", f"""
import socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.setblocking(False)
end = time.monotonic() + 2
while time.monotonic() < end:
    try: s.sendto(b'x' * 2000, {name!r})
    except BlockingIOError: pass
"""])
        with wire.connect(web.addr) as c:
            for i in range(50):
                c.get("/many")
        assert flood.wait(30) == 0
        t.stop()
    assert len(t.spans) == 50 and t.counters['sample_rules{event="refused"}'] > 16, t.counters


def case_sample_hup():
    """SIGHUP takes rules, outcomes and caps; a temporary rule outlives it; rules that are wrong change nothing."""
    web = parts.threading_server()
    conf = parts.path("conf")

    def write(*lines):
        with open(conf, "w") as f:
            f.write("\n".join([f"pid {web.pid}", *lines]) + "\n")

    def hup(t):
        n = len(t.err.splitlines())
        t.proc.send_signal(signal.SIGHUP)
        t.wait_for(lambda: len(t.err.splitlines()) > n, "word of the configuration")
    write("sample-rule route=/x,ratio=0")
    with Tracer("--config", conf, select=[]) as t:
        c = wire.connect(web.addr)

        def ask(n):
            time.sleep(0.5)
            for p in "/x", "/y", "/status/500":
                c.get(f"{p}?n={n}")
        ask(1)
        time.sleep(0.5)
        write("sample-ratio 0", "keep-errors true")
        hup(t)
        ask(2)
        write("sample-rule route=/x,ratio=0", "sample-rule route=/x,ratio=1")
        hup(t)
        assert "contradicts" in t.err and "nothing was changed" in t.err, t.err
        ask(3)
        assert spandrel_set("sample-rule", "route=/y", "--pid", t.proc.pid)[0] == 0
        time.sleep(0.5)
        write("sample-rule method=GET,ratio=0", "sample-rate 5/s")
        hup(t)
        ask(4)
        c.close()
        t.stop()
    got = [s.path for s in t.spans]
    assert got == ["/y", "/status/500", "/status/500", "/status/500", "/y"], got


def case_sample_usage():
    """Rules that do not parse or contradict each other are named: one line, exit 2."""
    for args, said in ((["--sample-rule", "ratio=2"], "ratio=2"), (["--sample-rule", "what"], "KEY=VALUE"), (["--sample-rule", "status=600"], "status"),
                       (["--sample-rule", "service=a,ratio=1", "--sample-rule", "ratio=0.5,service=a"], "contradicts"),
                       (["--sample-rate", "x"], "--sample-rate"), (["--keep-slower-than", "fast"], "--keep-slower-than"),
                       (["--control", "/" + "x" * 120], "--control"), (["--keep-errors=maybe"], "--keep-errors")):
        status, _, err = run("--all", *args, "--duration", "100ms")
        assert status == 2 and len(err.splitlines()) == 1 and said in err, (args, status, err)


def case_sample_rules_grpc():
    """Rules by RPC method and status, several streams on one connection; requests the rules leave out are counted."""
    server = grpc_kit.serve("python")
    plans = [grpc_kit.Plan(f"r-{i:03}", grpc_kit.KINDS[i % 4], (0, 5, 14, 8)[i // 4 % 4]) for i in range(64)]
    rules = ["route=/*/Down,ratio=0", "status=NOT_FOUND", "status=14,route=*/Unary", "status=8,ratio=0"]
    with Tracer("--sample-ratio", "0", "--keep-slower-than", "1h", *[a for r in rules for a in ("--sample-rule", r)],
                *grpc_kit.CAPTURE, select=["--pid", server.pid]) as t:
        grpc_kit.call("python", server, 8, plans)
        t.stop()
    want = {p.id for p in plans if p.method != "Down" and (p.code == 5 or p.code == 14 and p.method == "Unary")}
    got = {s["rpc.request.metadata.x-truth-id"][0] for s in t.spans}
    assert got == want and len(t.spans) == len(want), (got ^ want, t.spans[:3])
    seen = len(plans) + 1  # and the call by which grpc_kit makes the connection
    assert t.counters["requests_seen"] == seen and t.counters["spans_sampled_out"] == seen - len(want), t.counters
    assert all(s.state == "ot=th:0" for s in t.spans)


def case_sample_held_for_a_bounded_time():
    """A root that does not end: what is below it is decided at --link-timeout; what comes later follows, an error still adds."""
    front = chain()
    with Tracer("--keep-errors", "--sample-ignore-parent", "--sample-ratio", "0", "--link-timeout", "500ms",
                select=["--pid", front.pid, "--pid", front.back.pid]) as t:
        hold = wire.connect(front.addr)
        trace = os.urandom(16).hex()
        head = f"traceparent: 00-{trace}-00f067aa0ba902b7-01"
        hold.send(f"GET /sdk/200/1/4000 HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n".encode())  # open for four seconds
        with wire.connect(front.back.addr) as c:
            c.get("/200/early", head)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            time.sleep(0.1)
        with wire.connect(front.back.addr) as c:
            c.get("/500/late", head)
        hold.message()
        hold.close()
        t.stop()
    assert t.counters['traces_decided_early{reason="timeout"}'] >= 1, t.counters
    kept = paths(t)
    assert "/200/early" not in kept and kept.get("/500/late") == 1, kept
