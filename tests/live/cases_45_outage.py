# SPDX-License-Identifier: Apache-2.0
"""The back end is away: nothing lost, nothing twice, memory flat. OUTAGE_SECONDS=120 is the drill (`make drill`)."""
import base64
import json
import os
import re
import signal
import socket
import time

import backends
import parts
from spandrel import PATIENCE, Tracer, check_identity

SECONDS = int(os.environ.get("OUTAGE_SECONDS", "15"))
RATE = 2000
IDS = re.compile(rb"\x0a\x10.{16}\x12\x08(.{8})", re.S)  # trace id and span id as protobuf has them
IN_FLIGHT = 4 * 512  # requests under way at a time, spans of each


def load(addr, seconds):
    """RATE requests a second over one connection; how many there were."""
    n, begin = 0, time.monotonic()
    with socket.create_connection(addr) as s:
        while (now := time.monotonic() - begin) < seconds:
            for _ in range(int(now * RATE) - n):
                s.sendall("GET /ok?k=v HTTP/1.1\r\nHost: t\r\nX-Request-Id: é\r\n\r\n".encode())
                answer = b""
                while not answer.endswith(b"ok\n"):
                    answer += s.recv(4096)
                n += 1
            time.sleep(0.005)
    return n


class Back:
    """A back end that comes and goes, always at the same address. Keeps every request in one file."""

    def __init__(self):
        self.addr, self.out = ("127.0.0.1", parts.free_port()), parts.path("back.jsonl")
        self.url = f"http://127.0.0.1:{self.addr[1]}"
        self.server, self.read, self.seen = None, 0, []

    def plan(self, *lines):
        with open(self.out + ".plan", "w") as f:
            f.write("\n".join(lines))

    def up(self):
        self.server = parts.python_app("sink.py", self.out, addr=self.addr, name="back")

    def down(self):
        self.server.proc.kill()
        self.server.proc.wait()

    def ids(self):
        """Of the requests that were answered 200, in the order they came."""
        try:
            with open(self.out, "rb") as f:
                f.seek(self.read)
                for line in f:
                    if not line.endswith(b"\n"):
                        break  # being written
                    self.read += len(line)
                    r = json.loads(line)
                    if r["status"] == "200":
                        self.seen += IDS.findall(base64.b64decode(r["body"]))
        except FileNotFoundError:
            pass
        return self.seen

    def wait(self, t, n):
        end, had = time.monotonic() + PATIENCE, -1
        while len(set(self.ids())) < n:
            if len(self.ids()) != had:
                end, had = time.monotonic() + PATIENCE, len(self.ids())
            assert time.monotonic() < end, f"{len(set(self.ids()))} of {n} spans came: {t.err}"
            time.sleep(0.5)


def rss(t):
    return int(re.search(r"VmRSS:\s+(\d+)", parts.read(f"/proc/{t.proc.pid}/status"))[1])


def spool_bytes(d):
    return sum(os.stat(os.path.join(d, f)).st_size for f in os.listdir(d) if f.endswith(".spool"))


def tracer(ng, back, spool, *args, name="t"):
    return Tracer("--otlp-endpoint", back.url, "--spool-dir", spool, "--batch-age", "200ms", *args, select=["--pid", ng.pid],
                  file=False, name=name)


def case_outage_drill():
    """The back end is away under 2,000 requests a second: 0 lost, 0 twice but for what was under way, memory flat."""
    ng, back, spool = parts.nginx(), Back(), parts.path("spool")
    back.up()
    with tracer(ng, back, spool) as t:
        f = parts.Fork(load, ng.addr, SECONDS + 8)
        time.sleep(3)
        back.down()
        time.sleep(min(7, SECONDS / 2))  # the queue is full, the rest goes to disk
        first, most = rss(t), 0
        end = time.monotonic() + SECONDS - min(7, SECONDS / 2)
        while time.monotonic() < end:
            most = max(most, rss(t))
            time.sleep(0.2)
        assert spool_bytes(spool) > 0
        back.up()
        n = f.result()
        back.wait(t, n)
        after = rss(t)
        t.stop()
    ids = back.ids()
    twice = len(ids) - len(set(ids))
    print(f"# {n} requests, {t.counters['spans_spooled']} spans over the disk, {twice} twice, "
          f"{first} KiB at first, {most} at most, {after} after")
    assert n > RATE * SECONDS * 0.8, n
    assert len(set(ids)) == n and twice <= IN_FLIGHT, (len(set(ids)), n, twice)
    assert most - first < 4096 and after - first < 12288, "memory grows"
    c = t.counters
    assert c["spans_exported"] == n and c["spans_spooled"] > 0 and c["spans_in_spool"] == 0 and c.sum("requests_dropped") == 0, c
    assert spool_bytes(spool) == 0
    said = [line for line in t.err.splitlines() if re.match("spandrel:(?! tracing| capabilities)", line)]
    assert len(said) == 2, said


case_outage_drill.limit, case_outage_drill.alone = SECONDS + 150, True


def case_outage_kill():
    """kill -9 in the middle: what was on disk arrives after the restart, once; at most the queue is lost."""
    ng, back, spool, queue = parts.nginx(), Back(), parts.path("spool"), 2000
    with tracer(ng, back, spool, "--queue-size", queue) as t:
        n = load(ng.addr, 4)
        time.sleep(0.5)
        t.proc.send_signal(signal.SIGKILL)
        t.proc.wait()
    assert spool_bytes(spool) > 0
    back.up()
    with tracer(ng, back, spool, name="t2") as t:
        more = load(ng.addr, 1)
        back.wait(t, more)
        time.sleep(0.5)
        t.stop()
    ids = back.ids()
    c = t.counters
    print(f"# {n} requests before, {c['spans_recovered']} of them on disk, {more} after")
    assert len(ids) == len(set(ids)) == c["spans_exported"] == c["spans_recovered"] + more, (len(ids), c)
    assert n - queue <= c["spans_recovered"] < n, c
    assert c["spans_in_spool"] == 0 and spool_bytes(spool) == 0, c


def case_outage_kill_under_way():
    """Killed while it sends from disk: what was acknowledged does not come again, but for the requests under way."""
    ng, back, spool = parts.nginx(), Back(), parts.path("spool")
    with tracer(ng, back, spool) as t:
        n = load(ng.addr, 8)
        t.stop()
    assert t.counters["spans_in_spool"] == n and t.status == 0, t.counters
    back.plan(*["slow 0.2"] * 1000)
    back.up()
    with tracer(ng, back, spool, name="t2") as t:
        back.wait(t, 3000)
        t.proc.send_signal(signal.SIGKILL)
        t.proc.wait()
    time.sleep(0.5)
    with tracer(ng, back, spool, name="t3") as t:
        back.wait(t, n)
        time.sleep(0.5)
        t.stop()
    ids = back.ids()
    twice = len(ids) - len(set(ids))
    print(f"# {n} spans, {t.counters['spans_recovered']} left after the kill, {twice} twice")
    assert len(set(ids)) == n and twice <= IN_FLIGHT, (len(set(ids)), n, twice)
    assert t.counters["spans_recovered"] <= n - 3000 + IN_FLIGHT, t.counters


def case_outage_next_run():
    """What is unsent at the end goes out in the next run, the oldest first; exit 0, and the books balance in both."""
    ng, back, spool = parts.nginx(), Back(), parts.path("spool")
    with tracer(ng, back, spool, "--queue-size", "500", "--batch-size", "50") as t:
        n = load(ng.addr, 2)
        t.stop()
    c = t.counters
    assert c["spans_in_spool"] == n and c["spans_exported"] == 0 == c.sum("requests_dropped"), c
    back.up()
    with tracer(ng, back, spool, name="t2") as t:
        back.wait(t, n)
        t.stop()
    assert t.counters["spans_recovered"] == n == t.counters["spans_exported"], t.counters
    assert len(back.ids()) == n and "spans of an earlier run" in t.err, t.err
    back.down()
    with tracer(ng, back, spool, name="t3") as t:
        load(ng.addr, 1)
        t.stop()
    size = spool_bytes(spool)
    other = Back()
    with tracer(ng, other, spool, name="t4") as t:
        t.stop()
    assert f"{size} bytes for end points that are not configured" in t.err and spool_bytes(spool) == size, t.err


def case_outage_storm():
    """429 and 503, with and without Retry-After, and answers that take their time: each span once."""
    ng, back, spool = parts.nginx(), Back(), parts.path("spool")
    back.plan(*["429", "503 Retry-After: 1", "200", "503", "502", "slow 1", "429 Retry-After: 2", "504"] * 2)
    back.up()
    with tracer(ng, back, spool, "--queue-size", "600", "--batch-size", "300") as t:
        n = load(ng.addr, 6)
        back.wait(t, n)
        time.sleep(1)
        t.stop()
    ids, c = back.ids(), t.counters
    print(f"# {n} requests, {c['batches_retried']} batches again, {c['spans_spooled']} spans over the disk")
    assert len(ids) == len(set(ids)) == n == c["spans_exported"], (n, len(ids), c)
    assert c["batches_retried"] >= 8 and c["spans_spooled"] > 0, c


def case_outage_slow():
    """A back end that takes less than comes: what is behind waits on disk, in order, memory flat, each span once."""
    ng, back, spool = parts.nginx(), Back(), parts.path("spool")
    back.plan(*["slow 0.5"] * 60)  # four at a time: 800 spans a second
    back.up()
    with tracer(ng, back, spool, "--queue-size", "1000", "--batch-size", "100") as t:
        f = parts.Fork(load, ng.addr, 6)
        time.sleep(3)
        first = rss(t)
        assert spool_bytes(spool) > 0
        n = f.result()
        assert rss(t) - first < 4096, (first, rss(t))
        back.wait(t, n)
        time.sleep(1)
        t.stop()
    ids, c = back.ids(), t.counters
    print(f"# {n} requests, {c['spans_spooled']} over the disk")
    assert len(ids) == len(set(ids)) == n == c["spans_exported"] and c["batches_retried"] == 0 == c["spans_in_spool"], (n, len(ids), c)


def case_outage_spool_size():
    """At --spool-size the oldest go and are counted; what came is the newest, without a hole."""
    ng, back, spool = parts.nginx(), Back(), parts.path("spool")
    with tracer(ng, back, spool, "--queue-size", "100", "--spool-size", "1MiB") as t:
        n = load(ng.addr, 4)
        time.sleep(0.5)
        size = spool_bytes(spool)
        back.up()
        t.wait_for(lambda: not spool_bytes(spool), "empty spool")
        time.sleep(0.5)
        t.stop()
    ids, c = back.ids(), t.counters
    print(f"# {n} requests, {n - len(ids)} dropped, {size} bytes")
    assert size <= 1 << 20
    assert len(ids) == len(set(ids)) == c["spans_exported"], c
    assert c['requests_dropped{reason="spool_full"}'] == n - len(ids) > 0 == c["spans_in_spool"], c


def case_outage_full_disk():
    """A disk that is full: one line, the queue in memory goes on, the rest is counted; later it is used again."""
    ng, back, spool = parts.nginx(), Back(), parts.path("spool")
    os.mkdir(spool)
    if parts.tool(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", spool], ok=False).returncode:
        raise parts.Skip("cannot mount a tmpfs")
    try:
        with tracer(ng, back, spool, "--queue-size", "1000", "--batch-size", "100") as t:
            n = load(ng.addr, 4)
            time.sleep(0.5)
            parts.tool(["mount", "-o", "remount,size=64m", spool])
            n += load(ng.addr, 1)
            time.sleep(0.5)
            back.up()
            t.wait_for(lambda: not spool_bytes(spool), "empty spool")
            t.stop()
    finally:
        parts.tool(["umount", "-l", spool])
    ids, c = back.ids(), t.counters
    assert len(ids) == len(set(ids)) == c["spans_exported"], c
    assert c['requests_dropped{reason="queue_full"}'] == n - len(ids) > 0 and c["spool_writes_failed"] > 0, c
    assert len([x for x in t.err.splitlines() if "spool cannot be written" in x]) == 1, t.err
    assert "spool is written again" in t.err


def case_outage_two_agents():
    """One directory, two tracers: one line that says so, exit 1; the first goes on."""
    ng, back, spool = parts.nginx(), Back(), parts.path("spool")
    with tracer(ng, back, spool) as t:
        second = tracer(ng, back, spool, name="second").start(ready=False)
        assert second.wait() == 1
        assert [x for x in second.err.splitlines() if x] == [
            f"spandrel: error: --spool-dir: {spool} is in use by another spandrel, process {t.proc.pid}"], second.err
        back.up()
        n = load(ng.addr, 1)
        back.wait(t, n)
        t.stop()
    assert t.counters["spans_exported"] == n


def case_outage_several():
    """The same spans to two end points of which one is away, and to a file: exported once, and each gets all."""
    ng, a, b, spool = parts.nginx(), Back(), None, parts.path("spool")
    a.up()
    b = Back()
    b.out = parts.path("b.jsonl")
    with Tracer("--otlp-endpoint", a.url, "--otlp-endpoint", b.url, "--spool-dir", spool, "--queue-size", "500", "--batch-size", "100",
                "--batch-age", "200ms", select=["--pid", ng.pid]) as t:
        n = load(ng.addr, 2)
        time.sleep(0.5)
        b.up()
        b.wait(t, n)
        a.wait(t, n)
        t.stop()
    assert t.count == n == len(a.ids()) == len(set(b.ids())), (t.count, n, len(a.ids()), len(b.ids()))
    assert t.counters["spans_exported"] == n and t.counters.sum("requests_dropped") == 0, t.counters
    check_identity(t.counters)


def case_outage_spool_damaged():
    """Cut and flipped between two runs: the rest arrives, the loss is counted, no crash."""
    ng, back, spool = parts.nginx(), Back(), parts.path("spool")
    with tracer(ng, back, spool, "--queue-size", "100", "--batch-size", "50") as t:
        n = load(ng.addr, 2)
        t.stop()
    files = [os.path.join(spool, f) for f in os.listdir(spool) if f.endswith(".spool")]
    largest = max(files, key=os.path.getsize)
    size = os.path.getsize(largest)
    with open(largest, "r+b") as f:
        for at in size // 3, size // 2:
            f.seek(at)
            byte = f.read(1)
            f.seek(at)
            f.write(bytes([byte[0] ^ 0x10]))
        f.truncate(size - 100)
    with open(os.path.join(spool, "nonsense"), "wb") as f:
        f.write(os.urandom(10000))
    back.up()
    with tracer(ng, back, spool, name="t2") as t:
        t.wait_for(lambda: not spool_bytes(spool), "empty spool")
        time.sleep(0.5)
        t.stop()
    ids, c = back.ids(), t.counters
    assert n - 150 <= len(ids) == len(set(ids)) == c["spans_exported"] < n, (n, len(ids), c)
    assert c["spool_places_damaged"] >= 2 and os.path.exists(os.path.join(spool, "nonsense")), c


class LateCollector(backends.Collector):
    """One that was started and stopped to know its ports; start_again() is when the back end comes."""

    def start(self, binary, config):
        self.saved = binary, config
        super().start(binary, config)

    def stop(self):
        parts.stop(self.proc)

    def start_again(self):
        super().start(*self.saved)


def case_outage_collector():
    """What was on disk arrives at a real Collector span for span, over each protocol; whatever the protocol was meanwhile."""
    ng = parts.nginx()
    for n, (before, after) in enumerate((("grpc", "grpc"), ("http/protobuf", "http/protobuf"), ("http/json", "http/json"),
                                         ("http/json", "http/protobuf"))):
        end, spool = LateCollector(name=f"collector{n}"), parts.path(f"spool{n}")
        end.stop()
        with Tracer("--otlp-endpoint", end.url(before), "--otlp-protocol", before, "--spool-dir", spool, "--queue-size", "100",
                    "--batch-size", "40", "--batch-age", "100ms", select=["--pid", ng.pid], name=f"t{n}") as t:
            count = load(ng.addr, 0.2)
            time.sleep(0.3)
            if before == after:
                end.start_again()
                backends.wait_for(end.spans, count, before)
            t.stop()
        sent = t.spans
        if before != after:
            end.start_again()
            with Tracer("--otlp-endpoint", end.url(after), "--otlp-protocol", after, "--spool-dir", spool, select=["--pid", ng.pid], file=False,
                        name=f"u{n}") as t:
                backends.wait_for(end.spans, count, after)
                t.stop()
            # the file has them: their fate was decided
            assert t.counters["batches_sent"] >= count // 40 and not t.counters["spans_recovered"], t.counters
        assert backends.facts(end.spans()) == backends.facts(sent) and len(sent) == count, (before, after)
        end.stop()
