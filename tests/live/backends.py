# SPDX-License-Identifier: Apache-2.0
"""Real back ends (tests/backends), each with a private configuration and free ports, and how spans are read back from them."""
import json
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import otlp_sink
import parts
from spandrel import PATIENCE, Span, Spans, attributes

BUILD = os.path.join(os.path.dirname(parts.HERE), "backends", "build.sh")
PROTOCOLS = ("grpc", "http/protobuf", "http/json")


def program(name):
    r = subprocess.run([BUILD, "--path", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if r.returncode:
        raise parts.Skip(f"{name} is not there: `make backends` says why")
    return r.stdout.decode().strip()


def certificates():
    """A folder with ca.pem, server.pem/.key and client.pem/.key for 127.0.0.1 and localhost, and other.pem, which signed nothing."""
    parts.need("openssl")
    d = parts.path("tls")
    if not os.path.isdir(d):
        os.mkdir(d)
        otlp_sink.make_certificates(d)
    return d


def ids(path):
    return sorted({s.trace for s in path})


def from_otlp(request):
    out = Spans()
    for rs in request.get("resourceSpans", []):
        res = attributes(rs.get("resource", {}).get("attributes"))
        for ss in rs["scopeSpans"]:
            assert ss["scope"]["name"] == "spandrel", ss["scope"]
            out += [Span(s, res) for s in ss["spans"]]
    return out


def wait_for(get, n, what):
    """get() until it has n spans; more are an error, too."""
    end = time.monotonic() + PATIENCE
    while True:
        spans = get()
        if len(spans) >= n:
            time.sleep(0.2)
            spans = get()
            assert len(spans) == n, f"{what}: {len(spans)} spans, not {n}"
            return spans
        assert time.monotonic() < end, f"{what}: {len(spans)} spans, not {n}"
        time.sleep(0.1)


def facts(spans):
    return sorted((s.trace, s.id, s.parent, s.name, s.kind, s.start, s.end, s.status, s.flags, s.state,
                   json.dumps(s.attrs, sort_keys=True), json.dumps(s.res, sort_keys=True)) for s in spans)


class Otlp:
    """Two ports for OTLP, TLS with client certificates or not."""

    def __init__(self, name, tls):
        self.name, self.tls = name, tls
        self.ports = {p: parts.free_port() for p in ("grpc", "http")}
        self.log = name + ".log"

    def receivers(self):
        def one(port):
            c = {"endpoint": f"127.0.0.1:{port}"}
            if self.tls:
                c["tls"] = {"cert_file": f"{self.tls}/server.pem", "key_file": f"{self.tls}/server.key", "client_ca_file": f"{self.tls}/ca.pem"}
            return c
        return {"otlp": {"protocols": {p: one(port) for p, port in self.ports.items()}}}

    def start(self, binary, config):
        path = parts.path(self.name + ".yaml")
        with open(path, "w") as f:
            json.dump(config, f)  # JSON is YAML
        self.proc = parts.start([program(binary), "--config", "file:" + path], self.name, env={"GOMEMLIMIT": "300MiB"})
        for port in self.ports.values():
            parts.wait_listening(("127.0.0.1", port), self.proc, parts.path(self.log))

    def url(self, protocol):
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.ports['grpc' if protocol == 'grpc' else 'http']}"


class Collector(Otlp):
    def __init__(self, tls=None, name="collector"):
        super().__init__(name, tls)
        self.out = parts.path(name + ".jsonl")
        self.start("collector", {
            "receivers": self.receivers(), "exporters": {"file": {"path": self.out, "flush_interval": "50ms"}},
            "service": {"telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
                        "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}}}})

    def spans(self):
        out = Spans()
        for line in parts.read(self.out).splitlines(keepends=True):
            if line.endswith("\n"):
                out += from_otlp(json.loads(line))
        return out


class Jaeger(Otlp):
    def __init__(self, tls=None, name="jaeger"):
        super().__init__(name, tls)
        query = {p: parts.free_port() for p in ("http", "grpc")}
        self.start("jaeger", {
            "receivers": self.receivers(), "exporters": {"jaeger_storage_exporter": {"trace_storage": "mem"}},
            "extensions": {"jaeger_storage": {"backends": {"mem": {"memory": {"max_traces": 10000}}}},
                           "jaeger_query": {"storage": {"traces": "mem"}, **{p: {"endpoint": f"127.0.0.1:{query[p]}"} for p in query}}},
            "service": {"extensions": ["jaeger_storage", "jaeger_query"],
                        "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
                        "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}}}})
        self.query = f"http://127.0.0.1:{query['http']}"
        parts.wait_listening(("127.0.0.1", query["http"]), self.proc, parts.path(self.log))

    def spans_of(self, traces):
        out = Spans()
        for trace in traces:
            try:
                with urllib.request.urlopen(f"{self.query}/api/v3/traces/{trace}", timeout=10) as r:
                    out += from_otlp(json.load(r)["result"])
            except urllib.error.HTTPError as e:
                assert e.code == 404, e
        for s in out:  # said of a span whose parent was never sent
            s.attrs.pop("@jaeger@warnings", None)
        return out


class Zipkin:
    def __init__(self, tls=None):
        parts.need("java")
        self.port = parts.free_port()
        env = {"QUERY_PORT": str(self.port), "STORAGE_TYPE": "mem", "SELF_TRACING_ENABLED": "false", "JAVA_TOOL_OPTIONS": "-Xmx256m -XX:+UseSerialGC"}
        if tls:  # the server's own settings for its HTTP library
            store = parts.path("server.p12")
            parts.tool(["openssl", "pkcs12", "-export", "-in", f"{tls}/server.pem", "-inkey", f"{tls}/server.key", "-out", store, "-passout", "pass:secret"])
            env.update({"ARMERIA_SSL_ENABLED": "true", "ARMERIA_SSL_KEY_STORE": store, "ARMERIA_SSL_KEY_STORE_PASSWORD": "secret",
                        "ARMERIA_SSL_KEY_STORE_TYPE": "PKCS12", "ARMERIA_PORTS_0_PORT": str(self.port), "ARMERIA_PORTS_0_PROTOCOLS_0": "https"})
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.context = ssl.create_default_context(cafile=f"{tls}/ca.pem") if tls else None
        self.proc = parts.start(["java", "-jar", program("zipkin")], "zipkin", env=env)
        end = time.monotonic() + 80
        while True:
            try:
                self.get("/health")
                return
            except OSError as e:
                assert self.proc.poll() is None and time.monotonic() < end, f"Zipkin: {e}: {parts.read(parts.path('zipkin.log'))[-2000:]}"
                time.sleep(0.3)

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10, context=self.context) as r:
            return json.load(r)

    def spans_of(self, traces):
        out = []
        for trace in traces:
            try:
                out += self.get("/api/v2/trace/" + trace)
            except urllib.error.HTTPError as e:
                assert e.code == 404, e
        return out


class GrpcSink:
    """tests/backends/collector/grpc_sink: a gRPC server that answers as planned."""

    def __init__(self, *plan, tls=None, name="grpc", socket=False):
        self.out = parts.path(name + ".jsonl")
        self.plan(*plan)
        self.addr = parts.path(name + ".sock") if socket else ("127.0.0.1", parts.free_port())
        self.url = "unix://" + self.addr if socket else f"http{'s' if tls else ''}://127.0.0.1:{self.addr[1]}"
        where = "unix:" + self.addr if socket else "127.0.0.1:%d" % self.addr[1]
        files = [f"{tls}/server.pem", f"{tls}/server.key", f"{tls}/ca.pem"] if tls else []
        self.proc = parts.start([program("grpc_sink"), where, self.out, *files], name)
        parts.wait_listening(self.addr, self.proc, parts.path(name + ".log"))

    def plan(self, *lines):
        with open(self.out + ".plan", "w") as f:
            f.write("\n".join(lines))

    @property
    def calls(self):
        return [json.loads(line) for line in parts.read(self.out).splitlines(keepends=True) if line.endswith("\n")]

    @property
    def spans(self):
        """Of the calls that were answered OK."""
        out = Spans()
        for c in self.calls:
            if c["code"] == 0:
                out += from_otlp(c["request"])
        return out

    def wait(self, n):
        end = time.monotonic() + PATIENCE
        while len(self.calls) < n:
            assert time.monotonic() < end, f"{len(self.calls)} calls, not {n}"
            time.sleep(0.05)
