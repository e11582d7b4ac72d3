# SPDX-License-Identifier: Apache-2.0
"""OTLP/gRPC against servers that behave well or badly: what is sent again, what is not, what is halved, and what a call looks like."""
import json
import os
import signal
import time

import parts
from backends import Collector, GrpcSink, certificates, facts, wait_for
from spandrel import Tracer, run

GRPC = ("--otlp-protocol", "grpc", "--batch-age", "100ms")


def requests(web, n, prefix="/"):
    for i in range(n):
        parts.curl(web.url + f"{prefix}{i}")


def codes(sink):
    return [c["code"] for c in sink.calls]


def case_grpc_call():
    """The call itself: path, deadline, encoding, user agent, metadata; a connection that stays where libcurl can keep one."""
    sink, web = GrpcSink(), parts.threading_server()
    with Tracer("--otlp-endpoint", sink.url + "/v1/traces", *GRPC, "--otlp-header", "x-key=SECRETKEY", "--otlp-timeout", "7s", "--batch-age", "1h",
                "--batch-size", "4") as t:
        requests(web, 6)
        t.stop()
    assert facts(sink.spans) == facts(t.spans) and len(t.spans) == 12
    for c in sink.calls:
        assert c["metadata"]["x-key"] == ["SECRETKEY"] and c["metadata"]["user-agent"][0].startswith("spandrel/"), c["metadata"]
        assert 5 < c["deadline"] <= 7.1, c["deadline"]
    assert len(sink.calls) == 3 and "SECRETKEY" not in t.err


def case_grpc_socket():
    """unix:///path, gRPC and HTTP."""
    sink, web = GrpcSink(socket=True), parts.threading_server()
    with Tracer("--otlp-endpoint", sink.url, *GRPC) as t:
        requests(web, 3)
        t.stop()
    assert facts(sink.spans) == facts(t.spans) and len(t.spans) == 6
    status, out, _ = run("--check", "--otlp-endpoint", sink.url, "--otlp-protocol", "grpc")
    assert f"exporter: {sink.url} answers with gRPC status 0" in out, out


def case_grpc_tls():
    """A private CA and client certificates, by ALPN; another CA, no certificate of one's own: nothing is delivered. --check sees the same."""
    d = certificates()
    sink, web = GrpcSink(tls=d), parts.threading_server()
    tls = ["--otlp-ca", f"{d}/ca.pem", "--otlp-cert", f"{d}/client.pem", "--otlp-key", f"{d}/client.key"]
    with Tracer("--otlp-endpoint", sink.url, *GRPC, *tls) as t:
        requests(web, 6)
        t.stop()
    assert facts(sink.spans) == facts(t.spans) and len(t.spans) == 12
    assert len({c["peer"] for c in sink.calls}) == 1, "one connection"
    assert "answers with gRPC status 0" in run("--check", "--otlp-endpoint", sink.url, "--otlp-protocol", "grpc", *tls)[1]
    calls = len(sink.calls)
    for n, wrong in enumerate((["--otlp-ca", f"{d}/other.pem", *tls[2:]], tls[:2], [])):
        assert "does not answer" in run("--check", "--otlp-endpoint", sink.url, "--otlp-protocol", "grpc", *wrong)[1], wrong
    with Tracer("--otlp-endpoint", sink.url, *GRPC, "--otlp-ca", f"{d}/other.pem", file=False, name="wrong") as t:
        requests(web, 2)
        t.stop(status=None)
    assert len(sink.calls) == calls and t.counters['requests_dropped{reason="export_failed"}'] == 4, t.counters


def case_grpc_environment():
    """A target without a scheme: INSECURE decides. The signal's own variables win."""
    sink, web = GrpcSink(), parts.threading_server()
    target = "127.0.0.1:%d" % sink.addr[1]
    for n, env in enumerate(({"OTEL_EXPORTER_OTLP_ENDPOINT": target, "OTEL_EXPORTER_OTLP_INSECURE": "true", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                              "OTEL_EXPORTER_OTLP_HEADERS": "a=b%20c"},
                             {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": target, "OTEL_EXPORTER_OTLP_TRACES_INSECURE": "TRUE", "OTEL_EXPORTER_OTLP_INSECURE": "false",
                              "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
                              "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "a=b c", "OTEL_EXPORTER_OTLP_HEADERS": "a=wrong",
                              "OTEL_EXPORTER_OTLP_COMPRESSION": "none", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip"})):
        with Tracer(env=env, name=f"t{n}") as t:
            requests(web, 2)
            t.stop()
        assert facts(s for s in sink.spans if s.trace in {x.trace for x in t.spans}) == facts(t.spans) and len(t.spans) == 4
        assert sink.calls[-1]["metadata"]["a"] == ["b c"], sink.calls[-1]["metadata"]
    with Tracer(env={"OTEL_EXPORTER_OTLP_ENDPOINT": target, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, file=False, name="secure") as t:
        requests(web, 1)
        t.stop(status=None)
    assert t.counters["spans_exported"] == 0, "TLS is the default, and this server speaks none"


def case_grpc_retry():
    """Each code that may be tried again is; no span comes twice; what the server names is waited for."""
    retryable = (1, 4, 10, 11, 14, 15)
    sink, web = GrpcSink(*[str(c) for c in retryable[:3]], "8:retry=2500", "0"), parts.threading_server()
    with Tracer("--otlp-endpoint", sink.url, *GRPC, file=False) as t:
        requests(web, 1)
        sink.wait(5)
        sink.plan(*[str(c) for c in retryable[3:]], "14:retry=1", "0")
        requests(web, 1, "/b")
        sink.wait(10)
        t.stop()
    calls = sink.calls
    assert codes(sink) == [1, 4, 10, 8, 0, 11, 14, 15, 14, 0], codes(sink)
    assert calls[4]["time"] - calls[3]["time"] >= 2.4, "RetryInfo"
    waits = [b["time"] - a["time"] for a, b in zip(calls, calls[1:4])]
    assert all(w >= 0.45 for w in waits), waits
    assert len({s.id for s in sink.spans}) == len(sink.spans) == 4
    assert t.counters["spans_exported"] == 4 and t.counters["batches_retried"] == 8, t.counters


def case_grpc_refused():
    """What may not be tried again is counted; a partial success is no reason to send again."""
    sink, web = GrpcSink("3", "7", "16", "12", "partial=1", "warn"), parts.threading_server()
    with Tracer("--otlp-endpoint", sink.url, *GRPC, file=False) as t:
        for i in range(6):
            requests(web, 1, f"/{i}")
            sink.wait(i + 1)
        t.stop()
    assert codes(sink) == [3, 7, 16, 12, 0, 0], codes(sink)
    assert t.counters['requests_dropped{reason="export_refused"}'] == 9 and t.counters["spans_exported"] == 3, t.counters
    assert t.counters["spans_rejected"] == 1 and t.counters["batches_retried"] == 0, t.counters
    assert "\x1b" not in t.err and "because of" in t.err, t.err


def case_grpc_halved():
    """RESOURCE_EXHAUSTED without RetryInfo: halves, and single spans are dropped."""
    sink, web = GrpcSink(*["over=3"] * 20), parts.threading_server()
    with Tracer("--otlp-endpoint", sink.url, *GRPC, "--batch-size", "10", "--batch-age", "1h") as t:
        requests(web, 5)
        sink.wait(7)
        t.stop()
    assert sorted(c["spans"] for c in sink.calls) == [2, 2, 3, 3, 5, 5, 10], sink.calls
    assert facts(sink.spans) == facts(t.spans) and t.counters["batches_halved"] == 3, t.counters
    sink.plan(*["over=0"] * 20)
    with Tracer("--otlp-endpoint", sink.url, *GRPC, "--batch-size", "4", "--batch-age", "1h", file=False, name="none") as t:
        requests(web, 2)
        sink.wait(7 + 7)
        t.stop(status=None)
    assert t.counters['requests_dropped{reason="export_refused"}'] == 4 and t.counters["batches_halved"] == 3, t.counters


def case_grpc_size_limit():
    """A real server with its own limit of 4 MiB for a message: batches of any size arrive."""
    collector, web = Collector(), parts.threading_server()
    long = "x" * 20000
    with Tracer("--otlp-endpoint", collector.url("grpc"), *GRPC, "--capture-header", "x-long", "--max-attribute-length", "0", "--batch-age", "1h") as t:
        for i in range(5):
            parts.tool(["curl", "-s", "-H", "x-long: " + long, *[web.url + f"/{i}/{k}" for k in range(30)]])
        t.stop()
    assert len(t.spans) == 300 and facts(wait_for(collector.spans, 300, "collector")) == facts(t.spans), t.counters


def case_grpc_hang_and_cut():
    """No answer within the time-out, a connection that is closed in the call: sent again, and the others are not held up."""
    sink, web = GrpcSink("hang", "cut", "0"), parts.threading_server()
    with Tracer("--otlp-endpoint", sink.url, *GRPC, "--otlp-timeout", "500ms") as t:
        requests(web, 2)
        t.wait_spans(4)
        sink.wait(3)
        t.stop()
    assert t.counters["spans_exported"] == 4 and facts(sink.spans) == facts(t.spans), t.counters


def case_grpc_not_grpc():
    """An HTTP/1 server, one that speaks gibberish, an HTTP/2 server that is no gRPC: counted, bounded, over in time."""
    web = parts.threading_server()
    d = parts.path("empty")
    os.mkdir(d)
    port = parts.free_port()
    parts.need("nghttpd")
    parts.start(["nghttpd", "--no-tls", "-d", d, port], "nghttpd")
    parts.wait_listening(("127.0.0.1", port))
    for n, (url, reason) in enumerate(((web.url, "export_failed"), (f"http://127.0.0.1:{port}", "export_refused"))):
        with Tracer("--otlp-endpoint", url, *GRPC, "--exclude-comm", "spandrel", file=False, name=f"t{n}") as t:
            requests(web, 2)
            t.stop(status=None)
        assert t.counters["requests_dropped{reason=\"%s\"}" % reason] == 4 and not t.counters["spans_exported"], (url, t.counters)


def case_grpc_secret_in_an_answer():
    """A server that repeats the metadata in its message: the message is not shown."""
    sink, web = GrpcSink("echo"), parts.threading_server()
    with Tracer("--otlp-endpoint", sink.url, *GRPC, "--otlp-header", "authorization=Bearer SECRETTOKEN", file=False) as t:
        requests(web, 1)
        t.stop(status=None)
    assert codes(sink) == [7] and "gRPC status 7" in t.err and "SECRETTOKEN" not in t.err, t.err


def case_grpc_comes_back():
    """The server stops in the middle and comes back: everything once."""
    sink, web = GrpcSink(), parts.threading_server()
    with Tracer("--otlp-endpoint", sink.url, *GRPC) as t:
        requests(web, 5, "/before")
        sink.wait(1)
        sink.proc.send_signal(signal.SIGSTOP)
        requests(web, 5, "/during")
        time.sleep(0.3)
        sink.proc.send_signal(signal.SIGKILL)
        sink.proc.wait()
        parts.start([sink.proc.args[0], *sink.proc.args[1:]], "again")
        requests(web, 5, "/after")
        parts.wait_listening(sink.addr)
        t.stop(settle=3)
    assert facts(sink.spans) == facts(t.spans) and len(t.spans) == 30, (len(sink.spans), json.dumps(t.counters))
