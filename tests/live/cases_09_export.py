# SPDX-License-Identifier: Apache-2.0
"""Where spans go: OTLP/HTTP, the console, a file; sampling; record and replay."""
import base64
import gzip
import json
import os
import random
import struct
import time

import otlp
import parts
import wire
from spandrel import CLIENT, PATIENCE, SERVER, Counters, Span, Spans, Tracer, attributes, check_identity, read_counters, read_spans, run


class Sink:
    def __init__(self, *tls, plan=()):
        self.out = parts.path("sink.jsonl")
        if plan:
            self.plan(*plan)
        self.server = parts.python_app("sink.py", self.out, *tls)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.port}"

    def plan(self, *lines):
        with open(self.out + ".plan", "w") as f:
            f.write("\n".join(lines))

    @property
    def requests(self):
        out = []
        for line in parts.read(self.out).splitlines():
            r = json.loads(line)
            body = base64.b64decode(r["body"])
            r["raw"] = gzip.decompress(body) if r["headers"].get("content-encoding") == "gzip" else body
            out.append(r)
        return out

    @property
    def spans(self):
        """Of the requests that were answered 200."""
        out = Spans()
        for r in self.requests:
            if r["status"] == "200":
                for rs in otlp.decode(r["raw"])["resourceSpans"]:
                    res = attributes(rs["resource"]["attributes"])
                    for ss in rs["scopeSpans"]:
                        assert ss["scope"].get("name"), ss["scope"]
                        out += [Span(s, res) for s in ss["spans"]]
        return out

    def wait(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition(self):
            assert time.monotonic() < end, f"no {what}: {len(self.requests)} requests"
            time.sleep(0.05)


def facts(spans):
    return sorted((s.trace, s.id, s.parent, s.name, s.kind, s.start, s.end, s.status, s.flags, s.state,
                   json.dumps(s.attrs, sort_keys=True), json.dumps(s.res, sort_keys=True)) for s in spans)


def case_export_otlp():
    """What the back end gets is what the file gets, field by field."""
    sink, web = Sink(), parts.threading_server()
    with Tracer("--otlp-endpoint", sink.url, "--otlp-header", "x-key=SECRETKEY", "--batch-age", "200ms") as t:
        for i in range(20):
            parts.curl(web.url + f"/{'status/500' if i == 7 else i}", "-H", "x-request-id: é\"\\\t")
        t.stop()
    assert len(t.spans) == 40
    assert facts(t.spans) == facts(sink.spans)
    for r in sink.requests:
        h = r["headers"]
        assert r["path"] == "/v1/traces" and h["content-type"] == "application/x-protobuf" and h["x-key"] == "SECRETKEY", r
        assert "content-encoding" not in h and h["user-agent"], h
    assert "SECRETKEY" not in t.err
    assert len({r["headers"].get("host") for r in sink.requests}) == 1


def case_export_otlp_gzip_and_batches():
    sink, web = Sink(), parts.threading_server()
    with Tracer("--otlp-endpoint", sink.url + "/v1/traces", "--otlp-compression", "gzip", "--batch-size", "7", "--batch-age", "1h") as t:
        for i in range(10):
            parts.curl(web.url + f"/{i}")
        t.stop()
    assert facts(t.spans) == facts(sink.spans) and len(t.spans) == 20
    sizes = [sum(len(ss["spans"]) for rs in otlp.decode(r["raw"])["resourceSpans"] for ss in rs["scopeSpans"]) for r in sink.requests]
    assert max(sizes) <= 7 and len(sizes) == 3, sizes
    assert all(r["headers"]["content-encoding"] == "gzip" and r["path"] == "/v1/traces" for r in sink.requests)


def case_export_otlp_environment():
    """OTEL_EXPORTER_OTLP_*: the signal's variables win and its URL is used as it is; a flag beats them all."""
    sink, web = Sink(), parts.threading_server()
    for n, (env, args, path) in enumerate((
            ({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url + "/base/"}, [], "/base/v1/traces"),
            ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": sink.url + "/as/is"}, [], "/as/is"),
            ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, ["--otlp-endpoint", sink.url], "/v1/traces"),
            ({"SPANDREL_OTLP_ENDPOINT": sink.url + "/env", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, [], "/env/v1/traces"),
            ({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_EXPORTER_OTLP_HEADERS": "a=b%20c,d=e", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}, [], "/v1/traces"))):
        with Tracer(*args, env=env, name=f"t{n}") as t:
            parts.curl(web.url + f"/{n}")
            t.stop()
        r = sink.requests[-1]
        assert r["path"] == path and len(sink.spans.of(path=f"/{n}")) == 2, (n, r["path"])
    assert r["headers"].get("a") == "b c" and r["headers"].get("d") == "e" and r["headers"].get("content-encoding") == "gzip", r["headers"]


def case_export_otlp_retry():
    """503 and 429 are tried again, 400 is not, Retry-After is honoured; nothing is counted twice."""
    sink = Sink(plan=["503", "429 Retry-After: 2", "200", "400", "200"])
    web = parts.threading_server()
    with Tracer("--otlp-endpoint", sink.url, "--batch-age", "100ms", file=False) as t:
        parts.curl(web.url + "/one")
        sink.wait(lambda s: len(s.requests) >= 3, "third try")
        parts.curl(web.url + "/refused")
        sink.wait(lambda s: len(s.requests) >= 4, "fourth request")
        time.sleep(0.3)
        parts.curl(web.url + "/two")
        t.stop()
    r = sink.requests
    assert [x["status"] for x in r][:4] == ["503", "429", "200", "400"], [x["status"] for x in r]
    assert r[0]["raw"] == r[1]["raw"] == r[2]["raw"], "the same batch again"
    assert r[2]["time"] - r[1]["time"] >= 1.9, "Retry-After"
    assert sorted(s.path for s in sink.spans) == ["/one", "/one", "/two", "/two"], sink.spans
    c = t.counters
    assert c['requests_dropped{reason="export_refused"}'] == 2 and c["spans_exported"] == 4, c
    assert c["batches_retried"] == 2, c


def case_export_otlp_unreachable():
    """No back end: one line, tracing goes on, the queue is bounded, the exit is in time and counted."""
    web = parts.threading_server()
    port = parts.free_port()
    with Tracer("--otlp-endpoint", f"http://127.0.0.1:{port}", "--queue-size", "20", "--batch-size", "10", "--batch-age", "100ms", file=False) as t:
        for i in range(30):
            parts.curl(web.url + f"/{i}")
        t.stop(status=None)
    c = t.counters
    assert c["requests_seen"] == 60 and c["spans_exported"] == 0, c
    assert c['requests_dropped{reason="queue_full"}'] == 40 and c['requests_dropped{reason="export_failed"}'] == 20, c
    said = [line for line in t.err.splitlines() if str(port) in line]
    assert 1 <= len(said) <= 2, t.err


def case_export_otlp_comes_back():
    """The back end starts after the tracer: what was queued arrives."""
    web = parts.threading_server()
    port = parts.free_port()
    with Tracer("--otlp-endpoint", f"http://127.0.0.1:{port}", "--batch-age", "100ms", file=False) as t:
        parts.curl(web.url + "/early")
        time.sleep(0.5)
        out = parts.path("sink.jsonl")
        parts.python_app("sink.py", out, addr=("127.0.0.1", port))
        end = time.monotonic() + PATIENCE
        while not parts.read(out) and time.monotonic() < end:
            time.sleep(0.05)
        t.stop()
    assert t.counters["spans_exported"] == 2 and t.counters["batches_retried"] >= 1, t.counters


def case_export_otlp_hanging():
    """A back end that never answers does not stop the others nor the exit."""
    sink, web = Sink(plan=["hang"] * 20), parts.threading_server()
    with Tracer("--otlp-endpoint", sink.url, "--batch-age", "100ms", "--otlp-timeout", "500ms") as t:
        parts.curl(web.url + "/x")
        t.wait_spans(2)
        sink.wait(lambda s: len(s.requests) >= 2, "second try after the time-out")
        t.stop()
    assert t.counters["spans_exported"] == 2 and len(t.spans) == 2, t.counters


def certificates():
    parts.need("openssl")
    d = parts.workdir()

    def ssl(*args):
        parts.tool(["openssl", *args])
    ssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{d}/ca.key", "-out", f"{d}/ca.pem", "-days", "2", "-subj", "/CN=test ca")
    for who in ("server", "client"):
        ssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{d}/{who}.key", "-out", f"{d}/{who}.csr", "-subj", f"/CN={who}")
        with open(f"{d}/{who}.ext", "w") as f:
            f.write("subjectAltName=IP:127.0.0.1\n")
        ssl("x509", "-req", "-in", f"{d}/{who}.csr", "-CA", f"{d}/ca.pem", "-CAkey", f"{d}/ca.key", "-CAcreateserial",
            "-out", f"{d}/{who}.pem", "-days", "2", "-extfile", f"{d}/{who}.ext")
    return d


def case_export_otlp_tls():
    """A private CA and client certificates; without the CA nothing is delivered."""
    d = certificates()
    web = parts.threading_server()
    sink = Sink(f"{d}/server.pem", f"{d}/server.key", f"{d}/ca.pem")
    with Tracer("--otlp-endpoint", sink.url, "--otlp-ca", f"{d}/ca.pem", "--otlp-cert", f"{d}/client.pem", "--otlp-key", f"{d}/client.key", file=False) as t:
        parts.curl(web.url + "/tls")
        t.stop()
    assert t.counters["spans_exported"] == 2 and len(sink.spans) == 2, t.counters
    with Tracer("--otlp-endpoint", sink.url, file=False, name="t2") as t:
        parts.curl(web.url + "/untrusted")
        t.stop(status=None)
    assert t.counters["spans_exported"] == 0 and len(sink.spans) == 2, t.counters


def case_export_file():
    """Appends, one JSON line a batch; a line has the form of OTLP/JSON; `-` is standard output, without anything else."""
    web = parts.threading_server()
    for n in range(2):
        with Tracer(check=False) as t:
            parts.curl(web.url + f"/{n}")
            t.stop()
    assert sorted(s.path for s in t.spans) == ["/0", "/0", "/1", "/1"], t.spans
    for line in parts.read(t.file).splitlines():
        for rs in json.loads(line)["resourceSpans"]:
            for s in (x for ss in rs["scopeSpans"] for x in ss["spans"]):
                assert isinstance(s["startTimeUnixNano"], str) and isinstance(s["kind"], int), s
    with Tracer("--file", "-", file=False, name="std") as t:
        parts.curl(web.url + "/std")
        t.stop()
    lines = t.out.splitlines()
    assert lines and all("resourceSpans" in json.loads(line) for line in lines), t.out


def case_export_console():
    """The default when nothing else is chosen; a hostile path does not break the line or the terminal."""
    def handler(c):
        while c.message():
            c.send(wire.ok())
    srv = wire.Raw(handler, forking=True)
    with Tracer(file=False) as t:
        with wire.connect(srv.addr) as c:
            c.get("/plain")
            c.send(b"GET /esc\x1b[31m\x07\xff\xc3\xa9\x9b HTTP/1.1\r\nHost: t\r\n\r\n")
            c.message()
        t.stop()
    raw = parts.read(t.out_path, "rb")
    lines = raw.splitlines()
    assert len([x for x in lines if b"/plain" in x]) == 2, raw
    assert b"\x1b[31m" not in raw and b"\x07" not in raw and b"\x9b" not in raw.replace("\u00db".encode(), b""), raw


def case_export_sampling():
    """Kept is exactly R >= T for roots; a parent's flag comes first; th stands in the exported tracestate."""
    web = parts.threading_server()
    rnd = random.Random(11)
    n = 200
    sent = {}
    ratio, threshold = 0.25, (1 << 56) * 3 // 4
    with Tracer("--sample-ratio", ratio, select=["--pid", web.pid]) as t:
        with wire.connect(web.addr) as c:
            for i in range(n):
                # a B3 context without a decision: the trace id is given, the decision is ours
                tr = "%032x" % rnd.getrandbits(128)
                sent[f"/b3/{i}"] = tr
                c.get(f"/b3/{i}", f"b3: {tr}-00f067aa0ba902b7")
            for i in range(20):
                tr = "%032x" % rnd.getrandbits(128)
                c.get(f"/yes/{i}", f"traceparent: 00-{tr}-00f067aa0ba902b7-01")
                c.get(f"/no/{i}", f"traceparent: 00-{tr}-00f067aa0ba902b7-00")
                c.get(f"/th/{i}", f"traceparent: 00-{tr}-00f067aa0ba902b7-03", "tracestate: a=b,ot=th:8;rv:fffffffffffff0")
                c.get(f"/b3no/{i}", f"b3: {tr}-00f067aa0ba902b7-0")
            for i in range(n):
                c.get(f"/root/{i}")
        t.stop()
    kept = {s.path for s in t.spans}
    want = {p for p, tr in sent.items() if int(tr[-14:], 16) >= threshold}
    assert {p for p in kept if p.startswith("/b3/")} == want, "kept set of given trace ids"
    roots = t.spans.of(path="/root/*")
    assert all(int(s.trace[-14:], 16) >= threshold for s in roots) and 20 <= len(roots) <= 90, len(roots)
    for s in roots:
        assert "ot=th:c" in s.state, s.state
        assert s.flags & 1
    assert len(t.spans.of(path="/yes/*")) == 20 and not t.spans.of(path="/no/*") and not t.spans.of(path="/b3no/*")
    th = t.spans.of(path="/th/*")
    assert len(th) == 20 and all("th:8" in s.state and "rv:fffffffffffff0" in s.state and "a=b" in s.state for s in th), th[:1] and th[0].state
    assert t.counters["spans_sampled_out"] == 2 * n + 80 - len(t.spans), t.counters


def case_export_sampling_whole_traces():
    """A chain is kept whole or not at all."""
    back = parts.threading_server(name="back")
    front = parts.threading_server(name="front", backend=back.url)
    with Tracer("--sample-ratio", "0.5") as t:
        for i in range(40):
            parts.curl(front.url + f"/a/{i}")
        t.stop()
    traces = {}
    for s in t.spans:
        traces.setdefault(s.trace, []).append(s)
    assert 0 < len(traces) < 40 and all(len(v) == 4 for v in traces.values()), {k: len(v) for k, v in traces.items()}
    assert len(t.spans) + t.counters["spans_sampled_out"] == 160


def mixed_load():
    back = parts.threading_server(name="back")
    front = parts.threading_server(name="front", backend=back.url)
    ng = parts.nginx(proxy=front.url, files={"page": b"x" * 20000})

    def load():
        for i in range(5):
            parts.curl(ng.url + f"/a/{i}?q=1", "-H", "x-request-id: r")
            parts.curl(ng.url + "/page")
        parts.parallel(lambda k: parts.curl(front.url + f"/a/p{k}"), range(8))
        with wire.connect(ng.addr) as c:
            c.send(b"".join(b"GET /page?%d HTTP/1.1\r\nHost: t\r\n\r\n" % i for i in range(5)))
            for _ in range(5):
                c.message()
            c.send(b"GET /page HTTP/1.1\r\nHost: t")
    return load


def replay(recording, name, *args):
    out = parts.path(name)
    status, _, err = run("--replay", recording, "--file", out, *args)
    return status, parts.read(out, "rb"), err, Counters(read_counters(err)), out


def case_export_replay():
    """Twice the same bytes; the same spans as live; no privileges needed; the recording is 0600."""
    load = mixed_load()
    rec = parts.path("rec")
    with Tracer("--record", rec) as t:
        load()
        t.stop(settle=0.3)
    assert os.stat(rec).st_mode & 0o777 == 0o600, oct(os.stat(rec).st_mode)
    s1, b1, e1, c1, f1 = replay(rec, "r1.json")
    s2, b2, _, _, _ = replay(rec, "r2.json")
    assert s1 == s2 == 0, e1
    assert b1 == b2, "two replays differ"
    spans = read_spans(f1)
    check_identity(c1, len(spans))
    live, again = facts(t.spans), facts(spans)
    assert len(live) == len(again), (len(live), len(again))
    assert live == again, [x for x in zip(live, again) if x[0] != x[1]][:1]
    keys = ("requests_seen", "spans_exported", 'links{by="thread"}', 'links{by="connection"}')
    assert {k: c1[k] for k in keys} == {k: t.counters[k] for k in keys}
    assert b1 == parts.read(t.file, "rb"), "the same spans, but not the same bytes as live"


def case_export_replay_unprivileged():
    parts.need("setpriv")
    load = mixed_load()
    rec = parts.path("rec")
    with Tracer("--record", rec) as t:
        load()
        t.stop()
    d = parts.path("nobody")
    os.mkdir(d)
    os.chmod(parts.workdir(), 0o755)
    os.rename(rec, d + "/rec")
    for p in (d, d + "/rec"):
        os.chown(p, 65534, 65534)
    status, _, err = run("--replay", d + "/rec", "--file", d + "/out.json", wrap=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    assert status == 0 and facts(read_spans(d + "/out.json")) == facts(t.spans), err


def case_export_replay_damaged():
    """Cut or corrupted anywhere: the tail is one line, the rest is used, exit 0; never a crash."""
    load = mixed_load()
    rec = parts.path("rec")
    with Tracer("--record", rec) as t:
        load()
        time.sleep(1.2)
        load()
        t.stop()
    data = parts.read(rec, "rb")
    whole = {x[1] for x in facts(t.spans)}
    rnd = random.Random(3)

    def attempt(name, content):
        with open(parts.path("bad"), "wb") as f:
            f.write(content)
        status, _, err, c, out = replay(parts.path("bad"), name)
        assert status in (0, 1), (name, status, err[-2000:])
        spans = read_spans(out) if os.path.exists(out) else Spans()
        check_identity(c, len(spans))
        said = [line for line in err.splitlines() if line.startswith("spandrel:") and "tracing" not in line]
        return status, spans, said
    status, spans, said = attempt("cut.json", data[:-7])
    assert status == 0 and len(said) == 1, (status, said)
    for k in range(12):
        cut = rnd.randrange(40, len(data))
        status, spans, said = attempt(f"cut{k}.json", data[:cut])
        assert status == 0 and len(said) == 1, (cut, status, said)
        assert {s.path for s in spans} <= {s.path for s in t.spans}
    some = 0
    for k in range(12):
        b = bytearray(data)
        for _ in range(rnd.choice([1, 50])):
            b[rnd.randrange(40, len(b))] = rnd.randrange(256)
        status, spans, said = attempt(f"bad{k}.json", bytes(b))
        assert status == 0 and len(said) <= 1, (status, said)
        some += len(spans)
        assert {s.path for s in spans} <= {s.path for s in t.spans}
    assert some and whole
    for k, b in enumerate((b"", b"SPANDREC", b"not a recording at all, but long enough to have a header" * 10, data[:8] + struct.pack("<I", 99) + data[12:])):
        status, _, err, _, _ = replay_of(b, f"none{k}.json")
        # a header that is cut is a damaged tail; anything else is no recording of ours
        assert status == (0 if k == 1 else 1) and len([x for x in err.splitlines() if x]) == 1, (k, status, err)


def replay_of(content, name):
    with open(parts.path("bad"), "wb") as f:
        f.write(content)
    return replay(parts.path("bad"), name)


def case_export_record_holds_no_more():
    """What was not selected is not in the recording."""
    web, other = parts.threading_server(), parts.threading_server(name="other")
    rec = parts.path("rec")
    with Tracer("--record", rec, select=["--port", web.port]) as t:
        parts.curl(web.url + "/seen")
        parts.curl(other.url + "/OTHERPATH")
        t.stop()
    data = parts.read(rec, "rb")
    assert b"/seen" in data and b"OTHERPATH" not in data


def case_export_several():
    """File, console and OTLP side by side; a failing one does not stop the others."""
    sink, web = Sink(plan=["400"] * 50), parts.threading_server()
    with Tracer("--otlp-endpoint", sink.url, "--console") as t:
        for i in range(5):
            parts.curl(web.url + f"/{i}")
        t.stop()
    assert len(t.spans) == 10 == t.counters["spans_exported"] == len(t.out.splitlines()), t.counters
