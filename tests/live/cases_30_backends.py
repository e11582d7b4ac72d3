# SPDX-License-Identifier: Apache-2.0
"""Span for span: what real back ends hold is what was exported, over gRPC and HTTP, TLS and not."""
import json

import backends
import parts
from backends import Collector, Jaeger, Zipkin, certificates, facts, ids, wait_for
from spandrel import CLIENT, ERROR, SERVER, Tracer

N = 12


def load(web, n=N):
    for i in range(n):
        parts.curl(web.url + f"/{'status/500' if i == 7 else i}?k=SECRETQUERY", "-H", "x-request-id: é\"\\\t", "-H",
                   f"traceparent: 00-{i + 1:032x}-00f067aa0ba902b7-01", "-H", "tracestate: a=b")


def shop():
    back = parts.threading_server(name="back")
    return parts.threading_server(name="front", backend=back.url)


def tls_options(d):
    return ["--otlp-ca", f"{d}/ca.pem", "--otlp-cert", f"{d}/client.pem", "--otlp-key", f"{d}/client.key"] if d else []


def same(held, sent):
    for got, want in zip(facts(held), facts(sent)):
        assert got == want, f"held: {got}\nsent: {want}"
    assert len(held) == len(sent)


def through(make, read, tls, protocols=backends.PROTOCOLS):
    """For each protocol, with and without gzip: what the file exporter wrote is what the back end holds."""
    d = certificates() if tls else None
    end = make(d)
    web = shop()
    seen = 0
    for n, protocol in enumerate(protocols):
        with Tracer("--otlp-endpoint", end.url(protocol), "--otlp-protocol", protocol, "--batch-size", "7", "--batch-age", "100ms",
                    "--otlp-compression", "gzip" if n % 2 else "none", *tls_options(d), name=f"t{n}") as t:
            for i in range(N):
                parts.curl(web.url + f"/a/{n}/{'status/500' if i == 7 else i}?k=SECRETQUERY", "-H", "x-request-id: é\"\\\t",
                           "-H", "tracestate: a=b", *(["-H", f"traceparent: 00-{n:016x}{i + 1:016x}-00f067aa0ba902b7-01"] if i % 2 else []))
            t.stop()
        assert len(t.spans) == 4 * N and t.counters["spans_exported"] == 4 * N, (protocol, len(t.spans), t.counters)
        assert t.counters["batches_sent"] >= 4 * N // 7 and not t.counters.sum("spans_undelivered"), (protocol, t.counters)
        held = wait_for(lambda: read(end, ids(t.spans)), 4 * N, protocol)
        same(held, t.spans)
        seen += len(held)
    return end, seen


def of_traces(collector, traces):
    s = collector.spans()
    return type(s)(x for x in s if x.trace in traces)


def case_backend_collector():
    end, seen = through(Collector, of_traces, False)
    assert len(end.spans()) == seen, "nothing else is in its file"
    assert "SECRETQUERY" not in parts.read(end.out)


def case_backend_collector_tls():
    through(Collector, of_traces, True)


def case_backend_jaeger():
    through(Jaeger, Jaeger.spans_of, False)


def case_backend_jaeger_tls():
    through(Jaeger, Jaeger.spans_of, True)


def tag(v):
    if isinstance(v, bool):
        return str(v).lower()
    return json.dumps(v, ensure_ascii=False, separators=(",", ":")) if isinstance(v, list) else str(v)


def as_zipkin(s):
    """What the specification makes of an OTLP span, from the span alone."""
    z = {"traceId": s.trace, "id": s.id, "name": s.name.lower(), "timestamp": s.start // 1000, "duration": max((s.end - s.start) // 1000, 1),
         "kind": {SERVER: "SERVER", CLIENT: "CLIENT"}[s.kind], "localEndpoint": {"serviceName": s.res["service.name"].lower()},
         "tags": {k: tag(v) for k, v in {**s.res, **s.attrs}.items()}}
    z["tags"].update({"otel.scope.name": "spandrel", "otel.scope.version": s.res["telemetry.sdk.version"]})
    if s.parent:
        z["parentId"] = s.parent
    if s.status == ERROR:
        z["tags"].update({"otel.status_code": "ERROR", "error": ""})
    z["remoteEndpoint"] = {"ipv4": s["network.peer.address"], "port": s["network.peer.port"]}
    if s.kind == CLIENT:
        z["remoteEndpoint"]["serviceName"] = s["server.address"]
    return z


def through_zipkin(tls):
    d = certificates() if tls else None
    end = Zipkin(d)
    web = shop()
    for gzip in ("none", "gzip"):
        with Tracer("--zipkin-endpoint", end.url, "--otlp-compression", gzip, "--otlp-header", "x-key=NOTFORZIPKIN", "--batch-age", "100ms",
                    *tls_options(d), name=gzip) as t:
            for i in range(N):
                parts.curl(web.url + f"/a/{'status/500' if i == 7 else i}?k=SECRETQUERY", "-H", "x-request-id: é\"\\\t")
            t.stop()
        assert t.counters["spans_exported"] == 4 * N == len(t.spans), t.counters
        held = wait_for(lambda: end.spans_of(ids(t.spans)), 4 * N, gzip)
        want = {s.id: as_zipkin(s) for s in t.spans}
        for z in held:
            assert z == want[z["id"]], (z, want[z["id"]])
    return end


def case_backend_zipkin():
    end = through_zipkin(False)
    assert sorted(end.get("/api/v2/services")) == ["curl", "web"], end.get("/api/v2/services")


def case_backend_zipkin_tls():
    through_zipkin(True)


def case_backend_several():
    """Each end point gets every span, of each protocol; one that is not there takes nothing from the others."""
    collector, jaeger = Collector(), Jaeger()
    web = shop()
    nobody = f"http://127.0.0.1:{parts.free_port()}"
    with Tracer("--otlp-endpoint", collector.url("grpc"), "--otlp-endpoint", nobody, "--otlp-endpoint", jaeger.url("grpc"),
                "--otlp-protocol", "grpc", "--batch-age", "100ms") as t:
        load(web)
        wait_for(collector.spans, 2 * N, "collector")
        t.stop(status=None)
    same(collector.spans(), t.spans)
    same(wait_for(lambda: jaeger.spans_of(ids(t.spans)), len(t.spans), "jaeger"), t.spans)
    assert t.counters["spans_exported"] == len(t.spans) == t.counters['spans_undelivered{exporter="otlp"}'], t.counters
