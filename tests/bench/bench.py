# SPDX-License-Identifier: Apache-2.0
"""What tracing costs. Interleaved rounds, ratios with minimum, median and maximum; a Markdown table at the end.
bench.py [--rounds N] [--seconds S] [throughput] [tls] [replay] [hits] [start]; all when none is named. Never fails on timing."""
import argparse
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../live"))
sys.dont_write_bytecode = True

from capture import capture  # noqa: E402
import hits  # noqa: E402
import http2_bench  # noqa: E402
import parts  # noqa: E402
import wire  # noqa: E402
from spandrel import BIN, Counters, Tracer, read_counters  # noqa: E402

DRILL = os.environ.get("DRILL_BIN", "build/tests/sample/drill")
SINK = os.environ.get("SINK_BIN", "build/bench/sink")


def machine():
    cpu = re.search(r"model name\s*: (.*)", parts.read("/proc/cpuinfo"))
    mem = int(re.search(r"MemTotal:\s+(\d+)", parts.read("/proc/meminfo"))[1]) >> 20
    virtual = "virtual, " if "hypervisor" in parts.read("/proc/cpuinfo") else ""
    return (f"{os.cpu_count()} × {cpu[1] if cpu else platform.machine()} ({virtual}{mem} GiB), "
            f"Linux {platform.release()}, {tool_version(['nginx', '-v'])}, {tool_version(['wrk', '-v'])}")


def tool_version(argv):
    r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    m = re.search(r"(nginx/\S+|wrk \S+)", r.stdout.decode())
    return m[1] if m else argv[0]


def start_sink():
    port = parts.free_port()
    p = parts.start([SINK, port], "sink")
    return parts.Server(p, ("127.0.0.1", port), "sink")


def wrk_counted(url, seconds, conns=32):
    """(requests a second, requests)"""
    r = parts.tool(["wrk", "-t1", f"-c{conns}", f"-d{seconds}s", url], timeout=seconds + 60)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", r.text)[1]), int(re.search(r"(\d+) requests in", r.text)[1])


def wrk(url, seconds, conns=32):
    return wrk_counted(url, seconds, conns)[0]


def resident(pid):
    """(RSS without mappings of BPF maps, those mappings), in bytes."""
    plain = maps = 0
    for line in parts.read(f"/proc/{pid}/smaps").splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            is_map = "bpf-map" in line or "bpf_map" in line
        elif line.startswith("Rss:"):
            n = int(line.split()[1]) * 1024
            plain, maps = plain + (0 if is_map else n), maps + (n if is_map else 0)
    return plain, maps


def kernel_maps(pid):
    """Memory of all maps that a process has open, each once, from the kernel's own account."""
    seen = {}
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        text = parts.read(f"/proc/{pid}/fdinfo/{fd}")
        i, m = re.search(r"^map_id:\s*(\d+)", text, re.M), re.search(r"^memlock:\s*(\d+)", text, re.M)
        if i and m:
            seen[i[1]] = int(m[1])
    return sum(seen.values())


def spread(xs):
    return f"{min(xs):.3f} / {statistics.median(xs):.3f} / {max(xs):.3f}"


def traced(ng, sink, name):
    return Tracer("--otlp-endpoint", sink.url, select=["--pid", ng.pid], file=False, check=False, name=name)


def throughput(ng, url, rounds, seconds, what, target):
    """nginx under wrk, with the tracer and without, in turn; the order within a round alternates."""
    sink = start_sink()
    wrk(url, 1)
    ratios, per10k, plain, with_, totals = [], [], [], [], Counters()
    memory = (0, 0, 0)
    for i in range(rounds):
        def off():
            plain.append(wrk(url, seconds))

        def on():
            nonlocal memory
            with traced(ng, sink, f"on{i}") as t:
                c0 = parts.cpu_of(t.proc.pid)
                with_.append(wrk(url, seconds))
                time.sleep(0.3)
                used = parts.cpu_of(t.proc.pid) - c0
                memory = max(memory, (sum(m := (*resident(t.proc.pid)[:1], kernel_maps(t.proc.pid))), *m))
                t.stop()
            per10k.append(used / max(t.counters["requests_seen"], 1) * 10000 * 1000)
            for k, v in t.counters.items():
                totals[k] = totals[k] + v
        for side in ((off, on) if i % 2 == 0 else (on, off)):
            side()
        ratios.append(with_[-1] / plain[-1])
        print(f"# round {i + 1}: {plain[-1]:.0f} → {with_[-1]:.0f} requests/s, ratio {ratios[-1]:.3f}, "
              f"agent {per10k[-1]:.0f} ms CPU for 10,000 requests", flush=True)
    parts.stop(ng.proc)
    parts.stop(sink.proc)
    loss = f"dropped {totals.sum('requests_dropped')}, missed {totals.sum('records_missed')} of {totals['requests_seen']}"
    mib = 1 << 20
    return [(f"{what} throughput, traced : plain (min / median / max)", spread(ratios), target),
            ("requests per second, plain and traced (median)", f"{statistics.median(plain):.0f}, {statistics.median(with_):.0f}", ""),
            ("requests dropped, records missed", loss, "0, 0"),
            ("agent CPU for 10,000 requests, ms (min / median / max)", spread(per10k), ""),
            ("memory after the load, MiB", f"{memory[0] / mib:.1f} ({memory[1] / mib:.1f} process + {memory[2] / mib:.1f} kernel maps)", "≤ 32")]


def plain_http(rounds, seconds):
    ng = parts.nginx(files={"page": b"x" * 1000}, access="off")
    return throughput(ng, ng.url + "/page", rounds, seconds, "nginx", "≥ 0.90")


def https(rounds, seconds):
    """The same through TLS, connections kept. wrk has the library mapped too: its calls pass the probes and are not traced."""
    cert = parts.path("bench.pem")
    parts.tool(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                "/CN=localhost", "-keyout", cert, "-out", cert + ".crt"])
    ng = parts.nginx(files={"page": b"x" * 1000}, access="off", name="nginx-tls", listen=" ssl",
                     server=f"ssl_certificate {cert}.crt; ssl_certificate_key {cert};")
    url = f"https://127.0.0.1:{ng.addr[1]}/page"
    return throughput(ng, url, rounds, seconds, "nginx with TLS:", "≥ 0.85")


def replay_rates(rec, rounds, what, *options):
    """Requests a second of one thread's user and system time, spans thrown away; None if it failed. And how many requests."""
    rates, n = [], 0
    for _ in range(rounds):
        t0 = time.monotonic()
        p = subprocess.Popen([BIN, "--replay", rec, "--file", "/dev/null", *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        err = p.stderr.read().decode()
        _, status, use = os.wait4(p.pid, 0)
        p.returncode = status
        n = Counters(read_counters(err))["requests_seen"]
        if not n:
            print(f"# {what} failed: {err[:200]}")
            return None, 0
        rates.append(n / (use.ru_utime + use.ru_stime))
        print(f"# {what} of {n} requests: {rates[-1]:.0f} a second of CPU, {n / (time.monotonic() - t0):.0f} a second", flush=True)
    return rates, n


def thousands(xs):
    return " / ".join(f"{x:,.0f}" for x in (min(xs), statistics.median(xs), max(xs))) if xs else "failed"


def replay(rounds, seconds):
    """A recording of a wrk run through all of user space."""
    ng = parts.nginx(files={"page": b"x" * 1000}, access="off", name="nginx-rec")
    rec = parts.path("bench.rec")
    with Tracer("--record", rec, select=["--pid", ng.pid], file=False, check=False, name="rec") as t:
        wrk(ng.url + "/page", min(seconds, 5))
        t.stop()
    parts.stop(ng.proc)
    rates, n = replay_rates(rec, rounds, "replay")
    size = os.path.getsize(rec)
    os.unlink(rec)
    return [("replay, requests a second of one core (min / median / max)", thousands(rates), "≥ 500,000"),
            ("recording, bytes a request", f"{size / max(n, 1):.0f}", "")]


TAIL = ["--sample-ratio", "0.1", "--keep-errors", "--keep-slower-than", "1s", "--sample-rule", "route=/health/*,ratio=0",
        "--sample-rule", "route=/pay/*,ratio=0.5", "--sample-rule", "status=404,ratio=0.25", "--sample-rule", "service=checkout"]


def tail(rounds):
    """Made-up traces of two spans whose root ends last: every span is described, held and judged by four rules."""
    top = parts.path("tail")
    os.mkdir(top)
    subprocess.run([DRILL, "100000", top], check=True)
    rates, _ = replay_rates(f"{top}/a.rec", rounds, "replay with tail sampling", *TAIL)
    shutil.rmtree(top)
    return [("replay with tail sampling and four rules, spans a second of one core (min / median / max)", thousands(rates), "≥ 400,000")]


def first_span(rounds):
    """From exec to the first span in --file, while requests come one after the other."""
    def answer(c):
        while c.message():
            c.send(wire.ok())
    srv = wire.Raw(answer, forking=True)

    def ask():
        with wire.connect(srv.addr) as c:
            while True:
                c.get("/x")
                time.sleep(0.001)
    parts.Fork(ask)
    times, ready = [], []
    for i in range(max(rounds, 5)):
        t = Tracer(select=["--pid", srv.pid], check=False, name=f"first{i}")
        t0 = time.monotonic()
        t.start(ready=False)
        while not (os.path.exists(t.file) and os.path.getsize(t.file)):
            if "spandrel: tracing" in t.err and len(ready) <= i:
                ready.append((time.monotonic() - t0) * 1000)
            if time.monotonic() - t0 > 30:
                return [("start to first span", "none in 30 s", "≤ 500 ms")]
            time.sleep(0.001)
        times.append((time.monotonic() - t0) * 1000)
        t.stop()
        os.unlink(t.file)
    return [("start to first span, ms (min / median / max)", " / ".join(f"{x:.0f}" for x in (min(times), statistics.median(times), max(times))), "≤ 500")]


def run_times(seconds):
    ng = parts.nginx(files={"page": b"x" * 1000}, access="off", name="nginx-hits")
    rows = hits.hits(ng, lambda: wrk(ng.url + "/page", seconds))
    parts.stop(ng.proc)
    return rows


def against_others(rounds, seconds):
    ng = parts.nginx(files={"page": b"x" * 1000}, access="off", name="nginx-capture")
    wrk(ng.url + "/page", 1)
    rows = capture(ng, lambda: wrk_counted(ng.url + "/page", seconds), rounds)
    parts.stop(ng.proc)
    return rows


def tls_probe(rounds):
    """What a probe costs a call of a TLS library, by where it stands."""
    if platform.machine() != "x86_64":
        return []
    out = subprocess.run([os.environ["TLS_PROBE_BIN"], str(rounds), "200"], stdout=subprocess.PIPE, check=True).stdout.decode()
    ns = dict(line.rsplit(": ", 1) for line in out.splitlines())
    rows = [("SSL_write and SSL_read of 1,000 bytes over memory, ns", ns.pop("none"), "")]
    return rows + [(f"longer with probes: {name}, ns", n, "") for name, n in ns.items()]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--seconds", type=int, default=4)
    a.add_argument("what", nargs="*")
    a = a.parse_args()
    if os.geteuid():
        print("# SKIP needs root")
        return
    rows = []
    try:
        parts.need("nginx", "wrk")
        if not a.what or "throughput" in a.what:
            rows += plain_http(a.rounds, a.seconds)
        if not a.what or "tls" in a.what:
            rows += https(a.rounds, a.seconds)
        if not a.what or "capture" in a.what:
            rows += against_others(a.rounds, a.seconds)
        if not a.what or "replay" in a.what:
            rows += replay(a.rounds, a.seconds)
        if not a.what or "tail" in a.what:
            rows += tail(a.rounds)
        if not a.what or "hits" in a.what:
            rows += run_times(a.seconds)
        if not a.what or "http2" in a.what:
            rows += http2_bench.rows(a.rounds, a.seconds, start_sink())
        if not a.what or "tls_probe" in a.what:
            rows += tls_probe(a.rounds)
        if not a.what or "start" in a.what:
            rows += first_span(a.rounds)
    except parts.Skip as e:
        print(f"# SKIP {e}")
    finally:
        parts.stop_all()
    print(f"\n{machine()}; {a.rounds} interleaved rounds of {a.seconds} s a side.\n")
    print("| what | measured | target |\n|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
