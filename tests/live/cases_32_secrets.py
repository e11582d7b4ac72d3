# SPDX-License-Identifier: Apache-2.0
"""Secrets in every place that a span, a message or a report can take text from: none comes out, by whatever way."""
import os

import parts
import wire
from cases_09_export import Sink
from spandrel import Tracer, run

SECRET = b"hunter2"
S = SECRET.decode()


def answer(c):
    while c.message():
        c.send(wire.ok(b"ok", "200 OK", f"Set-Cookie: sid={S}", f"Location: https://u:{S}@h/cb?code={S}#access_token={S}", "X-Tenant: blue"))


def plant(addr):
    """Requests with the secret where it must not come through, and one header that was asked for in plain."""
    targets = (f"/q?token={S}&{S[:0]}b={S};c={S}", f"http://user:{S}@shop.example/abs?x={S}", f"http://{S}@shop.example/abs",
               f"/path;jsessionid={S}?y={S}", f"//user:{S}@h/x?z={S}", f"/frag#access_token={S}", f"/?{'k' * 300}={S}&{'=' * 3}{S}")
    with wire.connect(addr) as c:
        for t in targets:
            c.get(t, f"Authorization: Bearer {S}", f"Cookie: sid={S}", f"X-Api-Key: {S}", f"Referer: http://a:{S}@h/?q={S}",
                  "X-Auth-Mode: basic", f"Proxy-Authorization: Basic {S}", f"X-Session-Token: {S}")
        c.send(f"POST /opaque HTTP/1.1\r\nHost: t\r\nContent-Length: {len(S)}\r\n\r\n{S}".encode())  # bodies
        c.message()


HEADERS = ("authorization", "cookie", "x-api-key", "referer", "x-auth-mode:plain", "proxy-authorization", "x-session-token", "set-cookie",
           "location", "x-tenant")


def check_files(top):
    """All that the tracer wrote, and all that it said."""
    for folder, _, names in os.walk(top):
        for name in names:
            text = parts.read(os.path.join(folder, name), "rb")
            assert SECRET not in text, (name, text[max(text.find(SECRET) - 200, 0):][:400])


def generations():
    return ("stable", "legacy", "both") if "--semconv" in run("--help")[1] else (None,)


def case_secrets_in_traffic():
    """Console, file, OTLP, Zipkin; every generation of conventions; at every log level."""
    web, sink = wire.Raw(answer, forking=True), Sink()
    capture = [x for h in HEADERS for x in ("--capture-header", h)]
    for semconv in generations():
        with Tracer(*capture, "--console", "--otlp-endpoint", sink.url, "--zipkin-endpoint", sink.url, "--log-level", "debug",
                    "--access-log", parts.path(f"{semconv}.access"),
                    *(["--semconv", semconv] if semconv else []), "--batch-age", "100ms", name=semconv or "t") as t:
            plant(web.addr)
            t.stop()
        assert len(t.spans) == 16 and t.counters["batches_sent"] >= 2, (t.spans, t.counters)
        assert parts.read(parts.path(f"{semconv}.access")).count("\n") >= 8
        check_files(t.dir)
        if semconv == "legacy":
            assert all(s["http.response.header.set_cookie"] == ["REDACTED"] and s["http.response.header.x_tenant"] == ["blue"] for s in t.spans)
            continue
        kept = [s for s in t.spans if s["http.request.header.authorization"]]
        assert len(kept) == 14 and all(s["http.request.header.authorization"] == ["REDACTED"] for s in kept), kept
        assert all(s["http.request.header.x-auth-mode"] == ["basic"] for s in kept), kept
        assert all(s["http.response.header.set-cookie"] == ["REDACTED"] and s["http.response.header.x-tenant"] == ["blue"] for s in t.spans)
    for path in ("/v1/traces", "/api/v2/spans"):
        sent = b"".join(r["raw"] for r in sink.requests if r["path"] == path)
        assert SECRET not in sent and b"REDACTED" in sent and b"basic" in sent and b"blue" in sent, path


def case_secrets_on_disk():
    """What waits in the spool has passed the gate, too."""
    web = wire.Raw(answer, forking=True)
    spool = parts.path("spool")
    os.mkdir(spool)
    with Tracer(*[x for h in HEADERS for x in ("--capture-header", h)], "--otlp-endpoint", f"http://user:{S}@127.0.0.1:{parts.free_port()}",
                "--otlp-header", f"authorization=Bearer {S}", "--spool-dir", spool, "--batch-age", "50ms", file=False, check=False) as t:
        plant(web.addr)
        t.stop(status=None)
    assert t.counters["spans_in_spool"] == 16, t.counters
    assert sum(os.path.getsize(os.path.join(d, n)) for d, _, names in os.walk(spool) for n in names) > 3000
    check_files(t.dir)


def case_secrets_in_options():
    """Passwords in URLs and headers of the exporters' own: not in errors, warnings, --check or the report."""
    web = parts.threading_server()
    sink = Sink(plan=["401", "503", "200"])
    host = sink.url[len("http://"):]
    url = f"http://user:{S}@{host}"
    header = f"authorization=Bearer {S}"
    with Tracer("--otlp-endpoint", url, "--otlp-endpoint", f"http://user:{S}@127.0.0.1:{parts.free_port()}/?key={S}", "--otlp-header", header,
                "--log-level", "debug", "--batch-age", "50ms", file=False) as t:
        for i in range(3):
            parts.curl(web.url + f"/{i}")
        t.stop(settle=1, status=None)  # a single batch may have been the refused one
    assert S not in t.err and S not in t.out and "401" in t.err, t.err
    sent = sink.requests[-1]["headers"]
    assert S in sent["authorization"], "the back end gets it"
    ours = ["--pid", str(os.getpid()), "--duration", "100ms"]
    for args in (["--check", "--otlp-endpoint", url, "--otlp-header", header], ["--check", "--zipkin-endpoint", url],
                 [*ours, "--otlp-endpoint", f"ftp://user:{S}@h"], [*ours, "--otlp-endpoint", f"http://user:{S}@[::1"],
                 [*ours, "--otlp-endpoint", f"http://user:{S}@h:99999999"], [*ours, "--zipkin-endpoint", f"user:{S}@h"],
                 [*ours, "--otlp-endpoint", url, "--otlp-header", S], [*ours, "--otlp-endpoint", url, "--otlp-header", f"={S}"], [*ours, "--otlp-endpoint", url, "--otlp-header", f"a\x01b={S}"],
                 [*ours, "--otlp-header", header, "--otlp-timeout", "x"]):
        status, out, err = run(*args, timeout=60)
        assert S not in out + err, (args, out, err)
        assert status == (0 if args[0] == "--check" else 1 if status == 1 else 2), (args, status, err)
    status, out, err = run("--check", "--otlp-protocol", "grpc", env={"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_HEADERS": f"a=%zz{S},{S}"})
    assert S not in out + err and "OTEL_EXPORTER_OTLP_HEADERS" in err, (out, err)
