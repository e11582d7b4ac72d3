# SPDX-License-Identifier: Apache-2.0
"""What tracing HTTP/2 and gRPC costs: h2load's throughput, gRPC calls with answers of three lengths, a replay of gRPC calls.
Each gives rows of bench.py's table."""
import os
import re
import statistics
import subprocess
import time

import cases_21_h2
import grpc_kit
import parts
from spandrel import BIN, Counters, Tracer, read_counters

SIZES = ((1 << 10, 8000), (64 << 10, 2000), (4 << 20, 60))  # bytes of an answer, calls that take about a second
STREAMS = 10


def spread(xs, form="{:.3f}"):
    return " / ".join(form.format(x) for x in (min(xs), statistics.median(xs), max(xs)))


class Sides:
    """Rounds of one measure without and with a tracer that selects `pid`, in turn; the order within a round alternates."""

    def __init__(self, name, measure, pid, sink, rounds):
        self.ratios, self.plain, self.cpu, self.totals = [], [], [], Counters()
        for i in range(rounds):
            rate = {}
            for traced in ((False, True) if i % 2 == 0 else (True, False)):
                rate[traced] = self.traced(measure, pid, sink, f"{name}{i}") if traced else measure()
            self.plain.append(rate[False])
            self.ratios.append(rate[True] / rate[False])
            print(f"# {name}, round {i + 1}: {rate[False]:.0f} → {rate[True]:.0f} a second, ratio {self.ratios[-1]:.3f}", flush=True)

    def traced(self, measure, pid, sink, name):
        with Tracer("--otlp-endpoint", sink.url, select=["--pid", pid], file=False, check=False, name=name) as t:
            before = parts.cpu_of(t.proc.pid)
            rate = measure()
            time.sleep(0.3)
            used = parts.cpu_of(t.proc.pid) - before
            t.stop()
        assert t.counters["requests_seen"], dict(t.counters)
        self.cpu.append(used / t.counters["requests_seen"] * 1e7)
        for k, v in t.counters.items():
            self.totals[k] = self.totals[k] + v
        return rate

    @property
    def loss(self):
        return (f"{self.totals.sum('requests_dropped')}, {self.totals.sum('records_missed')} of "
                f"{self.totals['requests_seen']:,}")


def throughput(rounds, seconds, sink):
    server = cases_21_h2.nginx_h2(files={"page": b"x" * 1000})

    def h2load():
        r = parts.tool(["h2load", "-D", seconds, "-c", 8, "-m", 10, server.url + "/page"], timeout=seconds + 60)
        return float(re.search(r"([\d.]+) req/s", r.text)[1])
    h2load()
    s = Sides("h2load", h2load, server.pid, sink, rounds)
    parts.stop(server.proc)
    return [("h2load and nginx (HTTP/2, 8 connections of 10 streams), traced : plain (min / median / max)", spread(s.ratios), "≥ 0.93"),
            ("requests per second, plain (median)", f"{statistics.median(s.plain):,.0f}", ""),
            ("requests dropped, records missed", s.loss, "0, 0"),
            ("agent CPU for 10,000 requests, ms (min / median / max)", spread(s.cpu, "{:.0f}"), "")]


def calls(server, size, n, name):
    """Calls a second of one client that keeps ten in flight."""
    c = grpc_kit.Client("go", server, STREAMS)
    plans = [grpc_kit.Plan(f"{name}{i}", size=size) for i in range(n)]
    begin = time.monotonic()
    c.ask(plans)
    took = time.monotonic() - begin
    c.end()
    assert all(r.code == 0 for r in c.results.values())
    return n / took


def sizes(rounds, sink):
    rows, server = [], grpc_kit.serve("go")
    for size, n in SIZES:
        what = f"{size >> 20} MiB" if size >> 20 else f"{size >> 10} KiB"
        s = Sides(f"answers of {what}", lambda: calls(server, size, n, "c"), server.pid, sink, rounds)
        rows += [(f"gRPC calls with answers of {what} (grpc-go), traced : plain (min / median / max)", spread(s.ratios), ""),
                 (f"likewise: agent CPU for 10,000 calls, ms; dropped, missed; bytes passed over", f"{spread(s.cpu, '{:.0f}')}; "
                  f"{s.loss}; {s.totals.sum('bytes_skipped'):,}", "")]
    parts.stop(server.proc)
    return rows


def replay(rounds, n=40000):
    """The server's side of many gRPC calls through all of user space, spans encoded and thrown away."""
    server, rec = grpc_kit.serve("go"), parts.path("grpc.rec")
    with Tracer("--record", rec, select=["--pid", server.pid], file=False, check=False, name="rec") as t:
        calls(server, 100, n, "r")
        t.stop()
    parts.stop(server.proc)
    rates = []
    for _ in range(rounds):
        p = subprocess.Popen([BIN, "--replay", rec, "--file", "/dev/null"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        err = p.stderr.read().decode()
        _, p.returncode, use = os.wait4(p.pid, 0)
        seen = Counters(read_counters(err))["spans_exported"]
        assert seen >= n, err
        rates.append(seen / (use.ru_utime + use.ru_stime))
    size = os.path.getsize(rec) / seen
    os.unlink(rec)
    return [("replay, gRPC calls a second of one core (min / median / max)", spread(rates, "{:,.0f}"), "≥ 300,000"),
            ("recording, bytes a call", f"{size:.0f}", "")]


def rows(rounds, seconds, sink):
    parts.need("h2load", "nginx")
    return throughput(rounds, seconds, sink) + sizes(min(rounds, 3), sink) + replay(rounds)
