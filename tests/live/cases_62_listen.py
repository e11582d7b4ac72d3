# SPDX-License-Identifier: Apache-2.0
"""--listen: pages, formats, addresses, hostile clients; and that whoever asks the tracer is not traced."""
import contextlib
import json
import os
import re
import signal
import socket
import stat
import time

import openmetrics
import parts
import wire
from cases_06_select import private
from spandrel import PATIENCE, SERVER, Tracer, run

OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
PAGES = ("/", "/healthz", "/readyz", "/metrics")
SEEN = ("connections_seen", "requests_seen", "connections_opaque", "connections_tls_unreadable")


def address(t):
    """Where it listens: port 0 has become one."""
    m = re.search(r"at http://(\[?[0-9a-f.:]+\]?):(\d+)$", t.err, re.M)
    assert m, t.err
    return m[1].strip("[]"), int(m[2])


def listening(*args, at="127.0.0.1:0", **more):
    return Tracer("--listen", at, *args, **more)


def get(addr, path, *headers, method="GET"):
    with wire.connect(addr) as c:
        return c.get(path, *headers, method=method)


def status(answer):
    return int(answer[0].split()[1])


def metrics(addr, open_format=True):
    first, headers, body = get(addr, "/metrics", *([f"Accept: {OPEN}"] if open_format else []))
    assert first == "HTTP/1.1 200 OK" and headers["content-type"] == (OPEN if open_format else TEXT), (first, headers)
    return openmetrics.values(openmetrics.read(body, open_format))


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"no {what} within {PATIENCE} s"
        time.sleep(0.02)


def untraced(t):
    assert not t.spans and not any(t.counters[k] for k in SEEN), (t.spans, t.counters)


def case_listen_pages():
    """Every page by GET and HEAD, what is not there, what is not done; several requests of one connection."""
    with listening() as t:
        addr = address(t)
        for path in PAGES:
            first, headers, body = get(addr, path)
            assert first == "HTTP/1.1 200 OK" and body and int(headers["content-length"]) == len(body), (path, first)
            with wire.connect(addr) as c:
                first, headers, none = c.get(path, "Connection: close", method="HEAD")
                assert first == "HTTP/1.1 200 OK" and int(headers["content-length"]) > 0 and not c.rest(), (path, first)
        assert get(addr, "/healthz")[2] == b"ok\n" and get(addr, "/healthz?why=1")[2] == b"ok\n"
        assert get(addr, "/readyz")[2].startswith(b"ready\n")
        for path in ("/x", "/metrics/", "/healthz/..", "//", "/%00", "/metricsx"):
            assert status(get(addr, path)) == 404, path
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"):
            answer = get(addr, "/metrics", "Content-Length: 0", method=method)
            assert status(answer) == 405 and answer[1]["allow"] == "GET, HEAD", (method, answer)
        with wire.connect(addr) as c:  # kept alive, then pipelined
            for _ in range(5):
                assert c.get("/healthz")[2] == b"ok\n"
            c.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
            for _ in range(100):
                assert c.message()[2] == b"ok\n"
            c.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert c.message()[2] == b"ok\n" and c.message()[2].startswith(b"ready\n")  # a body is passed over
        n = metrics(addr)["listen_requests"]
        t.stop()
    assert n == t.counters["listen_requests"] - 1, (n, t.counters)
    untraced(t)


def case_listen_formats():
    """Text and OpenMetrics by Accept, each by a strict reader, with the same families and numbers."""
    openmetrics.check_reader()
    with listening() as t:
        addr = address(t)
        plain, opened = metrics(addr, False), metrics(addr)
        t.stop()
    odd = {"records", "listen_requests"} | {k for k in plain if k.startswith("process_")}
    assert set(plain) == set(opened) and {k: v for k, v in plain.items() if k not in odd} == {k: v for k, v in opened.items() if k not in odd}
    for name in ("requests_seen", 'requests_dropped{reason="gap"}', "spans_in_spool", "process_resident_memory_bytes", "process_cpu_seconds",
                 "process_open_fds", "process_max_fds", "process_start_time_seconds", "kernel_memory_bytes", "listen_requests"):
        assert name in opened, (name, sorted(opened))
    assert abs(opened["process_start_time_seconds"] - time.time()) < 3600 and 1 << 20 < opened["kernel_memory_bytes"] < 1 << 25
    assert 1 << 20 < opened["process_resident_memory_bytes"] < 1 << 28 and 5 < opened["process_open_fds"] < 200
    assert any(k.startswith('build_info{version="') for k in opened), opened


def case_listen_agrees():
    """What /metrics said last is what the last words say; the exit report has what is not zero, /metrics all."""
    web = parts.threading_server()
    with listening() as t:
        addr = address(t)
        for i in range(20):
            parts.curl(f"{web.url}/n/{i}")
        t.wait_spans(40)
        until(lambda: metrics(addr)["spans_exported"] == 40, "spans exported")
        said = metrics(addr)
        t.stop()
    assert len(t.spans) == 40 and said["requests_seen"] == 40, said
    moving = {"records", "listen_requests"}
    for name, n in t.counters.items():
        assert name in said and (name in moving or said[name] == n), (name, n, said.get(name))
    for name, n in said.items():
        assert not n or name in t.counters or name.startswith(("process_", "exporter_", "build_", "kernel_")), name


def case_listen_gauges():
    """requests_open is fresh: it shows a request that is under way, and not one that has ended."""
    web = parts.threading_server(name="shop")
    key = 'requests_open{service="web"}'
    with listening() as t:
        addr = address(t)
        with wire.connect(web.addr) as c:
            c.send(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
            until(lambda: metrics(addr).get(key) == 1, "request in " + key)
            c.send(b"llo")
            c.message()
        until(lambda: key not in metrics(addr), "end of it")
        t.stop()
    assert len(t.spans.of(SERVER)) == 1


def case_listen_dashboards():
    """What the dashboard and the alerts ask for is there, labels included."""
    top = os.path.join(parts.HERE, "../../deploy")
    board, alerts = parts.read(os.path.join(top, "grafana/spandrel.json")), parts.read(os.path.join(top, "prometheus/alerts.yaml"))
    asked = [t["expr"] for p in json.loads(board)["panels"] for t in p["targets"]] + re.findall(r"^ +expr: (.*)$", alerts, re.M)
    gone = f"http://127.0.0.1:{parts.free_port()}"
    web = parts.threading_server()
    with listening("--otlp-endpoint", gone, "--kube", "on", "--kube-api", gone, "--node-name", "n", check=False) as t:
        with wire.connect(web.addr) as c:
            c.send(b"GET /open HTTP/1.1\r\n")  # so that requests_open has a row
            c.send(b"Host: x\r\nContent-Length: 5\r\n\r\n")
            until(lambda: any(k.startswith("requests_open") for k in metrics(address(t))), "open request")
            families = openmetrics.read(get(address(t), "/metrics", f"Accept: {OPEN}")[2], True)
        t.stop(status=None)
    labels = {}
    for f in families.values():
        for name, found in f.samples:
            labels.setdefault(name, set()).update(k for k, _ in found)
    assert len(asked) > 15, asked
    for expr in asked:
        names = re.findall(r"\b(?:spandrel|process)_[a-z_]+", expr.replace('".*spandrel.*"', ""))
        assert names and all(n in labels for n in names), (expr, [n for n in names if n not in labels])
        for word in re.findall(r"by \(([^)]*)\)", expr):
            assert set(word.replace(" ", "").split(",")) <= {"instance"}.union(*(labels[n] for n in names)), expr


def case_listen_not_traced():
    """curl is traced, but not where it asks the tracer."""
    web, curl = parts.threading_server(), private("curl")
    with listening(select=["--exe", curl]) as t:
        host, port = address(t)
        for path in PAGES:
            assert parts.curl(f"http://{host}:{port}{path}", binary=curl)[1]["code"] == 200
            assert parts.curl(f"http://localhost:{port}{path}", "-4", binary=curl)[1]["code"] == 200
        parts.curl(web.url + "/yes", binary=curl)
        t.stop()
    assert [s.path for s in t.spans] == ["/yes"] and t.counters["connections_seen"] == 1, (t.spans, t.counters)


def case_listen_addresses():
    """IPv6, a UNIX socket of mode 0600 that is gone at the end, and loopback where no host is named."""
    if os.path.exists("/proc/net/if_inet6") and "00000000000000000000000000000001" in parts.read("/proc/net/if_inet6"):
        with listening(at="[::1]:0", name="v6") as t:
            assert metrics(address(t))["listen_requests"] >= 0
            t.stop()
        untraced(t)
    path = parts.path("l.sock")
    for _ in range(2):  # the second one finds what the first has left
        with listening(at="unix:" + path, name="unix") as t:
            until(lambda: os.path.exists(path), "socket")
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
            assert metrics(path)["listen_requests"] >= 0
            assert parts.tool(["curl", "-sS", "--unix-socket", path, "http://x/healthz"]).text == "ok\n"
            t.stop()
            assert not os.path.exists(path)
        untraced(t)
        s = socket.socket(socket.AF_UNIX)
        s.bind(path)
        s.close()
    os.unlink(path)
    port = parts.free_port()
    with listening(at=f":{port}", name="loopback") as t:
        assert address(t) == ("127.0.0.1", port)
        t.stop()


def namespace(name):
    """A network namespace of our own: the command prefix that runs something in it."""
    parts.need("unshare", "nsenter", "ip")
    p = parts.start(["unshare", "--net", "sleep", "600"], name)
    mine = os.readlink("/proc/self/ns/net")
    until(lambda: p.poll() is not None or os.readlink(f"/proc/{p.pid}/ns/net") != mine, "network namespace")
    if p.poll() is not None:
        raise parts.Skip("no network namespaces here")
    wrap = ["nsenter", "-t", str(p.pid), "-n"]
    parts.tool([*wrap, "ip", "link", "set", "lo", "up"])
    return p, wrap


def two_namespaces():
    """Command prefixes of two network namespaces with a wire between them: 10.77.0.1 and 10.77.0.2."""
    (_, in_a), (b, in_b) = namespace("a"), namespace("b")
    if parts.tool([*in_a, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", b.pid], ok=False).returncode:
        raise parts.Skip("no veth here")
    for wrap, dev, ip in ((in_a, "v0", "10.77.0.1/24"), (in_b, "v1", "10.77.0.2/24")):
        parts.tool([*wrap, "ip", "addr", "add", ip, "dev", dev])
        parts.tool([*wrap, "ip", "link", "set", dev, "up"])
    return in_a, in_b


def web_in(wrap, host, name):
    port = parts.free_port()
    parts.start([*wrap, parts.PYTHON, os.path.join(parts.APPS, "web.py"), f"{host}:{port}"], name)
    curl_in(wrap, f"http://{host}:{port}/before")  # serves
    return port


def curl_in(wrap, url, binary="curl"):
    return parts.tool([*wrap, binary, "-sS", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", url]).text


def case_listen_every_address():
    """0.0.0.0: asked by whichever address of the host, from here or from another network namespace, nothing is traced; but what
    another program serves on the same port of another namespace's loopback is."""
    in_a, in_b = two_namespaces()
    port, curl = web_in(in_b, "127.0.0.1", "web"), private("curl")
    with listening(at=f"0.0.0.0:{port}", select=["--exe", curl], wrap=in_a) as t:
        for host in ("127.0.0.1", "10.77.0.1"):
            assert curl_in(in_a, f"http://{host}:{port}/healthz", curl) == "ok\n"
        assert curl_in(in_b, f"http://10.77.0.1:{port}/healthz", curl) == "ok\n"
        curl_in(in_b, f"http://127.0.0.1:{port}/yes", curl)
        t.stop()
    assert [s.path for s in t.spans] == ["/yes"] and t.counters["connections_seen"] == 1, (t.spans, t.counters)


def case_listen_back_end_in_a_pod():
    """A back end in another network namespace of this host, itself traced, is not traced for what the tracer sends to it."""
    in_a, in_b = two_namespaces()
    port = web_in(in_b, "10.77.0.2", "back")
    with Tracer("--otlp-endpoint", f"http://10.77.0.2:{port}", "--batch-age", "100ms", select=["--port", port], wrap=in_a) as t:
        curl_in(in_a, f"http://10.77.0.2:{port}/yes")
        t.wait_spans(2)
        time.sleep(1)  # what would be traced wrongly would be sent again, and again
        t.stop()
    assert {s.path for s in t.spans} == {"/yes"} and t.counters["batches_sent"] >= 1, (t.spans, t.counters)
    assert t.counters["connections_seen"] == 2, t.counters


def case_listen_refused():
    """An address that is taken: one line, exit status 1. One that is none: exit status 2."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        code, _, err = run("--all", "--listen", f"127.0.0.1:{s.getsockname()[1]}", "--duration", "1s")
        assert code == 1 and len(err.splitlines()) == 1 and "Address already in use" in err and "--listen" in err, (code, err)
    path = parts.path("taken.sock")
    with wire.listen(path):
        code, _, err = run("--all", "--listen", "unix:" + path, "--duration", "1s")
        assert code == 1 and len(err.splitlines()) == 1 and "in use" in err, (code, err)
    for bad in ("9464", "127.0.0.1", "127.0.0.1:", ":x", ":70000", "::1:80", "[::1", "[::1]", "unix:", "unix:" + "x" * 200, "", ":-1", "a b:80 "):
        code, _, err = run("--all", f"--listen={bad}", "--duration", "1s")
        assert code == 2 and len(err.splitlines()) == 1 and "--listen" in err, (bad, code, err)
    code, _, err = run("--all", "--listen", "203.0.113.7:80", "--duration", "1s")
    assert code == 1 and len(err.splitlines()) == 1, (code, err)


def case_listen_back_end_away():
    """A back end that is away is shown, but no reason to call the tracer unready."""
    port = parts.free_port()
    web = parts.threading_server()
    with listening("--otlp-endpoint", f"http://127.0.0.1:{port}", "--batch-age", "100ms", check=False) as t:
        addr = address(t)
        up = f'exporter_up{{exporter="otlp",index="1",target="http://127.0.0.1:{port}/v1/traces"}}'
        queue = up.replace("_up", "_queue_spans")
        assert metrics(addr)[up] == 1 and metrics(addr)[queue] == 0
        parts.curl(web.url + "/x")
        until(lambda: metrics(addr)[up] == 0, "word that it is down")
        assert metrics(addr)[queue] == 2
        first, _, body = get(addr, "/readyz")
        assert first == "HTTP/1.1 200 OK" and b"down, 2 spans not delivered" in body, body

        t.proc.send_signal(signal.SIGTERM)  # it tries to deliver for a while
        until(lambda: status(get(addr, "/readyz")) == 503, "word that it ends")
        assert status(get(addr, "/healthz")) == 200 and metrics(addr)[queue] == 2
        t.proc.send_signal(signal.SIGTERM)
        t.wait()
    assert t.counters["spans_exported"] == 2


def case_listen_awaits_pods():
    """Not ready while the first list of pods is awaited, but no longer than --kube-wait; alive all the time, and it says why."""
    gone = f"http://127.0.0.1:{parts.free_port()}"
    with listening("--kube", "on", "--kube-api", gone, "--node-name", "n", "--kube-wait", "1h", name="waits") as t:
        first, _, body = get(address(t), "/readyz")
        assert first.split()[1] == "503" and b"not known yet" in body and gone.encode() in body, (first, body)
        assert status(get(address(t), "/healthz")) == 200 and metrics(address(t))["kubernetes_synced"] == 0
        t.stop()
    with listening("--kube", "on", "--kube-api", gone, "--node-name", "n", "--kube-wait", "500ms", name="waited") as t:
        until(lambda: status(get(address(t), "/readyz")) == 200, "end of the wait")
        t.stop()


# ---- hostile clients ----

def sockets(t):
    """Open sockets of the tracer."""
    n = 0
    for fd in os.listdir(f"/proc/{t.proc.pid}/fd"):
        with contextlib.suppress(OSError):
            n += os.readlink(f"/proc/{t.proc.pid}/fd/{fd}").startswith("socket:")
    return n


def flood(addr, n):
    out = []
    for _ in range(n):
        s = socket.socket()
        s.settimeout(5)
        with contextlib.suppress(OSError):
            s.connect(addr)
            out.append(s)
    return out


def case_listen_thousand_connections():
    """1,000 connections are held, silent or in the middle of a head: who comes is served, at once and every time."""
    web = parts.threading_server()
    with listening() as t:
        addr = address(t)
        idle = sockets(t)
        held = flood(addr, 500)
        for s in held[::2]:
            with contextlib.suppress(OSError):
                s.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert status(get(addr, "/healthz")) == 200
        for _ in range(50):
            held += flood(addr, 10)
            assert status(get(addr, "/healthz")) == 200
        open_now = sockets(t)
        m = metrics(addr)
        parts.curl(web.url + "/still")
        t.wait_spans(2)
        for s in held:
            s.close()
        t.stop()
    assert len(held) == 1000 and m['listen_connections_closed{reason="limit"}'] >= 900, m
    assert open_now <= idle + 32, (idle, open_now)
    assert {s.path for s in t.spans} == {"/still"} and t.counters["connections_seen"] == 2, t.spans


def case_listen_slow():
    """A head that comes a byte at a time, an answer that is never read, a body without end, silence: each is closed in time."""
    with listening() as t:
        addr = address(t)
        idle = sockets(t)
        drip, silent, body, deaf = (socket.create_connection(addr) for _ in range(4))
        body.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(1)
        with contextlib.suppress(OSError):
            for _ in range(2000):
                deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        drip.send(b"GET /healthz HTTP/1.1\r\n")
        gone, end = set(), time.monotonic() + 2 * PATIENCE
        for s in (drip, silent, body):
            s.settimeout(0.2)
        while len(gone) < 3 and time.monotonic() < end:
            for s in {drip, silent, body} - gone:
                try:
                    if s is not silent:
                        s.send(b"x")
                    if not s.recv(4096):
                        gone.add(s)
                except TimeoutError:
                    pass
                except OSError:
                    gone.add(s)
            assert status(get(addr, "/healthz")) == 200
        assert len(gone) == 3, "a slow client is held for ever"
        until(lambda: metrics(addr)['listen_connections_closed{reason="time"}'] >= 3, "count of them")
        until(lambda: sockets(t) <= idle + 1, "end of all connections")
        t.stop()
    untraced(t)


GARBAGE = [b"\r\n" * 5000, b"\0" * 5000, b"GET", b"GET  HTTP/1.1\r\n\r\n", b"GET /healthz HTTP/9.9\r\n\r\n", b"GET /healthz\r\n\r\n",
           b"GET /healthz HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"GET /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
           b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
           b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /" + b"%" * 3000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"A" * 100000]


def case_listen_garbage():
    """Heads beyond 16 KiB and what is no HTTP: an error or the end of the connection, and the next one is served."""
    with listening() as t:
        addr = address(t)
        before = metrics(addr)["process_resident_memory_bytes"]
        for head in (b"X-Long: " + b"a" * 100000, b"\r\n".join(b"X-%d: y" % i for i in range(20000)), b"Cookie: " + b"c" * 20000):
            with wire.connect(addr) as c:
                answer = b""
                with contextlib.suppress(OSError):
                    c.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
                with contextlib.suppress(OSError):
                    answer = c.rest()
                assert not answer or answer.split()[1] in (b"431", b"413", b"400"), answer[:100]
        with wire.connect(addr) as c:
            with contextlib.suppress(OSError):
                c.send(b"GET /" + b"x" * 50000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = c.rest()
                assert not answer or answer.split()[1] in (b"414", b"431", b"400"), answer[:100]
        for junk in GARBAGE * 20:
            with wire.connect(addr) as c:
                c.sock.settimeout(0.05)  # some of it may be the beginning of a request
                with contextlib.suppress(OSError):
                    c.send(junk)
                    answer = c.rest()
                    assert not answer or answer.split()[1] >= b"400", (junk, answer[:100])
        assert status(get(addr, "/healthz")) == 200
        for _ in range(300):  # resets in the middle
            c = wire.connect(addr)
            c.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            c.reset()
        after = metrics(addr)["process_resident_memory_bytes"]
        t.stop()
    assert after < before + (8 << 20), (before, after)
    untraced(t)


def case_listen_scraped_under_load():
    """Scrapes as fast as they go, while requests are traced: nothing is lost, and nothing grows."""
    parts.need("wrk")
    web = parts.nginx()
    with listening("--exclude-exe", "wrk", every=1000) as t:
        addr = address(t)
        sizes = []
        scrape = parts.start(["wrk", "-t1", "-c8", "-d4s", f"http://{addr[0]}:{addr[1]}/metrics"], "scrape")
        load = parts.start(["wrk", "-t1", "-c8", "-d3s", web.url + "/ok"], "load")
        while scrape.poll() is None:
            sizes.append(metrics(addr)["process_resident_memory_bytes"])
            time.sleep(0.2)
        load.wait()
        n = metrics(addr)["listen_requests"]
        t.stop()
    assert n > 100 and t.counters["requests_seen"] > 1000, (n, t.counters)
    assert t.counters.sum("requests_dropped") == t.counters['requests_dropped{reason="shutdown"}'], t.counters
    assert not t.counters['records_missed{kind="data"}'], t.counters
    print(f"# {n:.0f} scrapes beside {t.counters['requests_seen']} requests; memory {min(sizes) / 2**20:.1f} to {max(sizes) / 2**20:.1f} MiB")


case_listen_scraped_under_load.alone = True
