# SPDX-License-Identifier: Apache-2.0
"""wrk at saturation: every request accounted for, nothing wrong under loss, no memory that grows."""
import json
import os
import re
import signal
import time

import parts
import wire
from spandrel import CLIENT, SERVER, Tracer

SECONDS = int(os.environ.get("WRK_SECONDS", "10"))

# a path of its own for each status: a span whose two halves come from two requests shows
LUA = """
local codes = {200, 201, 204, 404, 410, 500, 503}
local n = 0
request = function()
	n = n + 1
	return wrk.format("GET", "/s/" .. codes[n % #codes + 1] .. "/" .. n % 97)
end
"""


def log_lines(ng):
    parts.stop(ng.proc)
    with open(ng.log, "rb") as f:
        return sum(1 for _ in f)


def wrk(url, seconds, *args, conns=32):
    r = parts.tool(["wrk", "-t1", f"-c{conns}", f"-d{seconds}s", *args, url], timeout=seconds + 60)
    assert "Socket errors" not in r.text, r.text
    return re.search(r"Requests/sec:\s+(\S+)", r.text)[1]


def case_saturation_wrk():
    """spans + requests_dropped = requests in the server's access log whenever records_missed is 0; with default settings
    nothing is dropped and nothing missed."""
    parts.need("wrk")
    ng = parts.nginx(access=parts.nginx_log(parts.path("nginx")), files={"page": b"x" * 1000})
    with Tracer(select=["--pid", ng.pid], every=50) as t:
        rate = wrk(ng.url + "/page", SECONDS)
        t.stop(settle=0.5)
    logged, c = log_lines(ng), t.counters
    dropped, missed = c.sum("requests_dropped"), c.sum("records_missed")
    print(f"# {rate} requests/s; logged {logged}, spans {t.count}, dropped {dropped}, missed {missed}")
    if not missed:
        assert t.count + dropped == logged, (logged, t.count, dict(c))
    assert t.spans and all(s.server and s.code == 200 and s.path == "/page" for s in t.spans)
    assert missed == 0 and dropped == 0, dict(c)


case_saturation_wrk.limit, case_saturation_wrk.alone = SECONDS + 180, True


def case_saturation_connections():
    """A connection for each request."""
    parts.need("wrk")
    ng = parts.nginx(access=parts.nginx_log(parts.path("nginx")))
    with Tracer(select=["--pid", ng.pid], every=20) as t:
        rate = wrk(ng.url + "/ok", 4, "-H", "Connection: close")
        t.stop(settle=0.5)
    logged, c = log_lines(ng), t.counters
    print(f"# {rate} requests/s; logged {logged}, spans {t.count}, {dict(c)}")
    assert c.sum("records_missed") == 0 and t.count + c.sum("requests_dropped") == logged, (logged, t.count, dict(c))
    assert all(s.code == 200 for s in t.spans)


case_saturation_connections.alone = True


def case_saturation_both_ends():
    """Both ends are traced: as many client spans, and each server span hangs below the client span of its own request."""
    parts.need("wrk")
    ng = parts.nginx(access=parts.nginx_log(parts.path("nginx")), locations=STATUSES)
    with Tracer() as t:
        wrk(ng.url, 2, "-s", lua(), conns=16)
        t.stop(settle=0.5)
    logged, c = log_lines(ng), t.counters
    assert c.sum("records_missed") == 0, c
    servers, clients = t.spans.of(SERVER), t.spans.of(CLIENT)
    ids = {s.id: s for s in clients}
    # wrk closes with a request on each connection still open: those have a client span with an error, or were dropped
    assert logged - 16 <= len(servers) <= logged and len(clients) >= len(servers) - 16, (logged, len(servers), len(clients))
    check_halves(t.spans)
    alone = [s for s in servers if s.parent not in ids]
    assert len(alone) <= 16, (len(alone), alone[:3])
    for s in servers:
        if s.parent in ids:
            p = ids[s.parent]
            assert s.link == "connection" and p.path == s.path and p["network.peer.port"] == ng.port, (s, p)


case_saturation_both_ends.alone = True


STATUSES = "".join(f"location /s/{c}/ {{ return {c}; }}\n" for c in (200, 201, 204, 404, 410, 500, 503))


def lua():
    p = parts.path("statuses.lua")
    with open(p, "w") as f:
        f.write(LUA)
    return p


def check_halves(spans):
    """No span may put one request's path beside another one's answer."""
    wrong = [s for s in spans if s.code is not None and s.path and s.path.startswith("/s/") and s.path.split("/")[2] != str(s.code)]
    assert not wrong, f"{len(wrong)} of {len(spans)}: {wrong[:4]}"


def case_saturation_lossy():
    """The reader is stopped again and again while the ring is small: what is missed is counted, nothing that is said is
    wrong, and it goes on afterwards."""
    parts.need("wrk")
    ng = parts.nginx(locations=STATUSES)
    with Tracer("--ring-size", "256KiB", select=["--pid", ng.pid], every=3) as t:
        load = parts.start(["wrk", "-t1", "-c16", "-d5s", "-s", lua(), ng.url], "wrk")
        for _ in range(8):
            time.sleep(0.3)
            t.proc.send_signal(signal.SIGSTOP)
            time.sleep(0.2)
            t.proc.send_signal(signal.SIGCONT)
        load.wait(60)
        for i in range(10):
            parts.curl(ng.url + f"/s/410/{i}-after")
        t.stop(settle=0.5)
    c = t.counters
    print(f"# spans {t.count}, {dict(c)}")
    assert c.sum("records_missed") > 0, "the case makes no loss"
    check_halves(t.spans)
    after = sum(parts.read(t.file).count(f'"/s/410/{i}-after"') for i in range(10))
    assert after == 10, after


def case_saturation_lossy_pipelined():
    """The same with several requests in flight on each connection."""
    parts.need("h2load")
    ng = parts.nginx(locations=STATUSES)
    uris = parts.path("uris")
    with open(uris, "w") as f:
        f.write("".join(f"{ng.url}/s/{c}/{i}\n" for i in range(20) for c in (200, 201, 404, 410)))
    with Tracer("--ring-size", "256KiB", select=["--pid", ng.pid], every=3) as t:
        load = parts.start(["h2load", "--h1", "-t1", "-c8", "-m8", "-n", "150000", "-i", uris], "h2load")
        while load.poll() is None:
            time.sleep(0.3)
            t.proc.send_signal(signal.SIGSTOP)
            time.sleep(0.2)
            t.proc.send_signal(signal.SIGCONT)
        t.stop(settle=0.5)
    assert t.counters.sum("records_missed") > 0 and t.spans, t.counters
    check_halves(t.spans)


def case_saturation_joined():
    """The tracer comes and goes in the middle of a load, five times; what it says of the pieces is right, and nobody
    notices."""
    parts.need("wrk")
    ng = parts.nginx(locations=STATUSES)
    load = parts.start(["wrk", "-t1", "-c16", "-d8s", "-s", lua(), ng.url], "wrk")
    n = 0
    for k in range(5):
        with Tracer(select=["--pid", ng.pid], every=5, name=f"t{k}") as t:
            time.sleep(0.4)
            if k == 3:
                t.proc.kill()
                t.proc.wait()
                continue
            t.stop(settle=0)
        check_halves(t.spans)
        n += t.count
    assert n
    load.wait(60)
    said = parts.read(parts.path("wrk.log"))
    assert "Socket errors" not in said and "requests in" in said, said


def case_saturation_memory():
    """Process and connection churn: the second half of it does not need more memory than the first."""
    def answer(c):
        c.message()
        c.send(wire.ok())
    srv = wire.Raw(answer, forking=True)

    def rss(t):
        return int(re.search(r"VmRSS:\s+(\d+)", parts.read(f"/proc/{t.proc.pid}/status"))[1]) * 1024

    def churn():
        for _ in range(600):
            with wire.connect(srv.addr) as c:
                c.get("/" + "x" * 500)
    with Tracer("--file", "/dev/null", file=False) as t:
        churn()
        first = rss(t)
        churn()
        churn()
        second = rss(t)
        t.stop()
    assert t.counters["spans_exported"] == 3600, t.counters
    print(f"# {first >> 10} KiB, then {second >> 10} KiB")
    assert second - first < 4 << 20, (first, second)


def case_saturation_memory_limit():
    """Half a head of 60 KB on each of 200 connections: more than --memory-limit allows is dropped by name, not kept."""
    def answer(c):
        while c.message():
            c.send(wire.ok())
    srv = wire.Raw(answer, forking=True)
    with Tracer("--memory-limit", "1MiB") as t:
        conns = [wire.connect(srv.addr) for _ in range(200)]
        for c in conns:
            c.send(b"GET /big HTTP/1.1\r\nHost: t\r\nX: " + b"y" * 60000)
        time.sleep(0.3)
        for c in conns:
            c.send(b"\r\n\r\n")
        for c in conns:
            c.message()
            c.close()
        for i in range(5):
            parts.curl(srv.url + f"/after/{i}")
        t.stop()
    assert len(t.spans.of(path="/after/*")) == 10, t.spans
    assert t.counters.sum("requests_dropped") > 0, t.counters
    assert all(s.code == 200 for s in t.spans if s["spandrel.truncated"] is None), [s for s in t.spans if s.code != 200][:3]


def case_saturation_otlp():
    """A slow back end beside a file: the file has everything, the queue stays within its limit, all is accounted for."""
    parts.need("wrk")
    ng = parts.nginx(access=parts.nginx_log(parts.path("nginx")))
    out = parts.path("sink.jsonl")
    sink = parts.python_app("sink.py", out)
    with Tracer("--otlp-endpoint", sink.url, "--queue-size", "2048", select=["--pid", ng.pid], every=20) as t:
        wrk(ng.url + "/ok", 2, conns=8)
        t.stop(settle=0.5)
    logged = log_lines(ng)
    assert t.count + t.counters.sum("requests_dropped") == logged, (t.count, logged, t.counters)
    assert t.count == t.counters["spans_exported"]
    assert all(json.loads(line)["status"] == "200" for line in parts.read(out).splitlines())
