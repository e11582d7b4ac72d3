# SPDX-License-Identifier: Apache-2.0
"""--otlp-balance trace-id: whole traces to one end point each, by the ring, without talking; sockets."""
import random
import zlib

import parts
from backends import GrpcSink, facts
from cases_09_export import Sink
from spandrel import Spans, Tracer


def ring(names):
    """The owner of a trace id, from the ring's definition."""
    points = {}
    for name in sorted(names):
        for i in range(100):
            points.setdefault(zlib.crc32(name.encode() + bytes([i])) % 36000, name)

    def owner(trace):
        key = zlib.crc32(bytes.fromhex(trace)) % 36000
        return points[min((p for p in points if p >= key), default=min(points))]
    return owner


def load(web, n, seed, prefix="/"):
    rnd = random.Random(seed)
    for i in range(n):
        trace = "%032x" % rnd.getrandbits(128)
        parts.curl(web.url + f"{prefix}{i}", *(["-H", f"traceparent: 00-{trace}-00f067aa0ba902b7-01"] if i % 2 else []))


def case_balance_by_trace():
    """Two agents, each with its own order of the end points, agree with each other and with the definition."""
    back = parts.threading_server(name="back")
    front = parts.threading_server(name="front", backend=back.url)
    sinks = [GrpcSink(name=f"s{i}") for i in range(3)]
    options = ("--otlp-protocol", "grpc", "--otlp-balance", "trace-id", "--batch-age", "100ms")
    urls = [x for s in sinks for x in ("--otlp-endpoint", s.url)]
    turned = [x for s in sinks[1:] + sinks[:1] for x in ("--otlp-endpoint", s.url + "/")]
    with Tracer(*urls, *options, select=["--port", front.port], name="a") as a, Tracer(*turned, *options, select=["--port", back.port], name="b") as b:
        load(front, 40, 3, "/a/")
        a.stop()
        b.stop()
    sent = Spans(a.spans + b.spans)
    assert facts([x for s in sinks for x in s.spans]) == facts(sent) and len(a.spans) >= 80 and len(b.spans) >= 80, (len(a.spans), len(b.spans))
    owner = ring(["127.0.0.1:%d" % s.addr[1] for s in sinks])
    for s in sinks:
        held = s.spans
        assert held and all(owner(x.trace) == "127.0.0.1:%d" % s.addr[1] for x in held), s.url
    for t in (a, b):
        assert t.counters["spans_exported"] == len(t.spans) and not t.counters.sum("spans_undelivered"), t.counters


def case_balance_one_is_down():
    """What the absent one owns waits for it and is counted as its loss; the others' traces arrive."""
    web = parts.threading_server()
    sink, port = GrpcSink(), parts.free_port()
    with Tracer("--otlp-endpoint", sink.url, "--otlp-endpoint", f"http://127.0.0.1:{port}", "--otlp-protocol", "grpc", "--otlp-balance", "trace-id",
                "--batch-age", "100ms", file=False) as t:
        load(web, 40, 5)
        t.stop(status=None)
    got, lost = len(sink.spans), t.counters['requests_dropped{reason="export_failed"}']
    assert got + lost == 80 and got == t.counters["spans_exported"] and got > 10 < lost, t.counters


def case_balance_copy_is_the_default():
    web = parts.threading_server()
    sinks = [GrpcSink(name=f"s{i}") for i in range(2)]
    with Tracer(*[x for s in sinks for x in ("--otlp-endpoint", s.url)], "--otlp-protocol", "grpc", "--batch-age", "100ms") as t:
        load(web, 10, 7)
        t.stop()
    for s in sinks:
        assert facts(s.spans) == facts(t.spans) and len(t.spans) == 20, s.url
    assert t.counters["spans_exported"] == 20, "a span is exported once, however many took it"


def case_balance_http_socket():
    """OTLP/HTTP through a UNIX socket, beside TCP."""
    web = parts.threading_server()
    sink, path = Sink(), parts.path("otlp.sock")
    parts.start(["socat", f"UNIX-LISTEN:{path},fork,reuseaddr", f"TCP:127.0.0.1:{sink.server.port}"], "socat")
    parts.wait_listening(path)
    with Tracer("--otlp-endpoint", "unix://" + path, "--exclude-port", sink.server.port, "--batch-age", "100ms") as t:
        load(web, 5, 9)
        t.stop()
    assert facts(sink.spans) == facts(t.spans) and len(t.spans) == 10, t.counters
    assert all(r["path"] == "/v1/traces" and r["headers"]["host"] == "localhost" for r in sink.requests)
