# SPDX-License-Identifier: Apache-2.0
"""What a resource says: names that programs publish and declare; programs that are traced by an SDK of their own."""
import ctypes
import mmap
import os
import struct
import subprocess
import time

import parts
import wire
from backends import GrpcSink
from cases_09_export import Sink, replay
from kube_kit import Cluster
from spandrel import CLIENT, SERVER, Tracer, read_spans

SELF = 'requests_dropped{reason="self_traced"}'


def build(what):
    r = subprocess.run(["nice", os.path.join(parts.APPS, "otel/build"), what], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = r.stderr.decode(errors="replace").strip()
    if r.returncode == 3:
        raise parts.Skip(said.splitlines()[-1])
    assert r.returncode == 0, said[-2000:]
    return r.stdout.decode().strip()


def python_with_sdk():
    return build("python") + "/venv/bin/python"


class App:
    """apps/otel/app.py: /a/X and /plain/X call the back end; it exports when /flush says so."""

    def __init__(self, backend, protocol, endpoint):
        env = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
        self.server = parts.python_app("otel/app.py", backend.url, protocol, endpoint, name="app", python=python_with_sdk(), env=env)
        self.port, self.pid = self.server.port, self.server.pid
        self.addr = ("127.0.0.1", self.port)

    def get(self, path):
        """What it answers, by a connection of its own."""
        with wire.connect(self.addr) as c:
            return c.get(path)[2].decode()


def answer(c):
    while c.message():
        c.send(wire.ok())


def ports(*servers):
    """Selected neither by --pid nor by --exe."""
    return [x for s in servers for x in ("--port", s.port)]


def same_when_replayed(t, rec, *args):
    status, text, err, counters, _ = replay(rec, "again.json", *args)
    assert status == 0, err
    assert text == parts.read(t.file, "rb"), "the same spans, but not the same bytes as live"
    for name in (SELF, "processes_self_traced", "spans_exported", "kube_metadata_missing"):
        assert counters[name] == t.counters[name], (name, counters, t.counters)


def self_traced(protocol, sink):
    back = wire.Raw(answer, forking=True)
    app = App(back, protocol, sink.url)
    rec = parts.path("rec")
    sink_port = sink.addr[1] if protocol == "grpc" else sink.server.port
    with Tracer("--record", rec, select=[*ports(back, app), "--port", sink_port]) as t:
        before = app.get("/a/before").split()
        assert app.get("/flush") == "True"
        t.wait_for(lambda: app.get("/plain/wait") and True, "an answer")
        after = app.get("/a/after").split()
        app.get("/plain/after")
        assert app.get("/flush") == "True"
        t.stop(settle=0.5)
    # whatever came before its first export was known is there twice
    s, b = t.spans.one(SERVER, "/a/before"), t.spans.one(SERVER, "/b/before")
    c = t.spans.one(CLIENT, "/b/before")
    assert s.pid == app.pid and b.parent == c.id and (c.trace, c.parent) == (before[0], before[1]), (before, s, c, b)
    # from then on nothing is said of it, and those around it are linked all the same
    mine = [s for s in t.spans if s.pid == app.pid]
    assert all(s.path in ("/a/before", "/b/before", "/flush") for s in mine), mine
    a, b = t.spans.one(CLIENT, "/a/after"), t.spans.one(SERVER, "/b/after", trace=after[0])
    assert b.parent == after[1] and b.link == "connection" and b.flags & 0x300 == 0x300, (after, b)
    above = t.spans.one(CLIENT, "/plain/after")
    below = [s for s in t.spans.of(SERVER, "/b/after") if s is not b]
    assert len(below) == 1 and below[0].parent == above.id and below[0].trace == above.trace, (below, above)
    assert a.pid == os.getpid() and not t.spans.of(path="/v1/traces") and not t.spans.of(path="/opentelemetry*"), t.spans
    assert t.counters["processes_self_traced"] == 1, t.counters
    # its ends of /plain/wait, /a/after, /plain/after, /flush, and both exports, the sink's end of them
    assert t.counters[SELF] >= 2 + 2 + 2 + 1 + 2, t.counters
    same_when_replayed(t, rec)
    return app, t


def case_resource_self_traced_http():
    """A program with OpenTelemetry's SDK, exporting by OTLP/HTTP: not traced twice; its context links the others."""
    self_traced("http", Sink())


def case_resource_self_traced_grpc():
    """The same by OTLP/gRPC."""
    self_traced("grpc", GrpcSink())


case_resource_self_traced_http.limit = case_resource_self_traced_grpc.limit = 300  # the SDK is installed the first time


def case_resource_self_traced_selected():
    """--pid and --exe say that just this program is wanted, whoever else traces it."""
    sink = Sink()
    back = wire.Raw(answer, forking=True)
    app = App(back, "http", sink.url)
    exe = os.path.realpath(python_with_sdk())
    for n, select in enumerate((["--pid", app.pid], ["--exe", exe, *ports(app, back), "--port", sink.server.port])):
        with Tracer(select=select, name=f"t{n}") as t:
            for k in range(2):
                app.get(f"/a/{k}")
                assert app.get("/flush") == "True"
            t.stop(settle=0.5)
        assert t.counters["processes_self_traced"] == 0 and t.counters[SELF] == 0, t.counters
        for k in range(2):
            assert t.spans.one(SERVER, f"/a/{k}", pid=app.pid) and t.spans.one(CLIENT, f"/b/{k}", pid=app.pid)
        assert len(t.spans.of(CLIENT, "/v1/traces", pid=app.pid)) == 2, t.spans


case_resource_self_traced_selected.alone = True  # every Python here is selected


def case_resource_self_traced_forwarder():
    """Who hands on the traces of others is no program that is traced already: but for those requests all of it stays."""
    sink = Sink()
    ng = parts.nginx(proxy=sink.url)
    worker, = parts.children(ng.pid)
    rec = parts.path("rec")
    with Tracer("--record", rec, select=[*ports(ng), "--port", sink.server.port]) as t:
        for k in range(3):
            with wire.connect(ng.addr) as c:
                c.send(b"POST /v1/traces HTTP/1.1\r\nHost: t\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                assert c.message()
            parts.curl(ng.url + f"/ok?{k}")
        t.stop(settle=0.5)
    assert len(t.spans.of(SERVER, "/ok", pid=worker)) == 3, t.spans
    assert not t.spans.of(path="/v1/traces"), t.spans
    # this case's process sends traces and receives none: so its other request is not seen, curl's are
    assert t.counters["processes_self_traced"] == 1 and t.counters[SELF] == 3 * 4, t.counters
    same_when_replayed(t, rec)


# the process context of an SDK (OTEP 4719)

def varint_field(number, payload):
    assert len(payload) < 128
    return bytes([number << 3 | 2, len(payload)]) + payload


def process_context(**attributes):
    """ProcessContext{resource=1{attributes=1 …}} of texts; a message's fields may come in parts."""
    out = b""
    for k, v in attributes.items():
        key = varint_field(1, k.replace("__", ".").encode())
        out += varint_field(1, varint_field(1, key + varint_field(2, varint_field(1, v.encode()))))
    return out


def publish(payload):
    """In this process, for good: a mapping of memory named OTEL_CTX."""
    fd = os.memfd_create("OTEL_CTX")
    os.ftruncate(fd, 4096)
    m = mmap.mmap(fd, 4096, flags=mmap.MAP_PRIVATE)
    text = ctypes.create_string_buffer(payload, len(payload))
    m[0:32] = struct.pack("<8sIIQQ", b"OTEL_CTX", 2, len(payload), 0, ctypes.addressof(text))
    m[16:24] = struct.pack("<Q", time.monotonic_ns())
    return m, text


def case_resource_process_context():
    """What the SDK publishes in memory beats what the environment and the command line say; a damaged one says nothing."""
    good = process_context(service__name="published", service__instance__id="11-22", shop__region="eu", process__pid="1",
                           telemetry__sdk__name="opentelemetry")
    rec, seen = parts.path("rec"), {}
    listening = {name: wire.listen() for name in ("good", "cut", "none")}
    payloads = {"good": good, "cut": good[:-3] + b"\xff\xff\xff", "none": None}

    def run(name):
        kept = publish(payloads[name]) if payloads[name] is not None else None
        while True:
            s, _ = listening[name].accept()
            answer(wire.Conn(s))
            s.close()
            assert kept is None or kept[0]
    forks = {name: parts.Fork(run, name) for name in listening}
    time.sleep(0.5)
    with Tracer("--record", rec) as t:
        for name, sock in listening.items():
            with wire.connect(sock.getsockname()) as c:
                c.get("/" + name)
        t.stop()
    for name in listening:
        s = t.spans.one(SERVER, "/" + name)
        assert s.pid == forks[name].pid
        seen[name] = s.res
    assert seen["good"]["service.name"] == "published" and seen["good"]["service.instance.id"] == "11-22", seen["good"]
    assert seen["good"]["shop.region"] == "eu" and seen["good"]["telemetry.sdk.name"] == "spandrel"
    assert seen["good"]["process.pid"] == forks["good"].pid
    assert seen["none"]["service.name"] != "published" and "shop.region" not in seen["none"]
    assert seen["cut"]["telemetry.sdk.name"] == "spandrel", seen["cut"]
    same_when_replayed(t, rec)


def case_resource_process_context_of_a_library():
    """The same by a library that tracers in the field publish with; what it says of the host and of itself is known better."""
    addr, rec = ("127.0.0.1", parts.free_port()), parts.path("rec")
    s = parts.Server(parts.start([build("context") + "/context", "%s:%d" % addr], "context"), addr, "context")
    with Tracer("--record", rec) as t:
        with wire.connect(addr) as c:
            assert c.get("/")
        t.stop()
    r = t.spans.one(SERVER, "/").res
    assert (r["service.name"], r["service.instance.id"]) == ("published", "5b0a6c5e-0e0b-4a53-8a39-6d0a3d3f4b11"), r
    assert r["service.version"] == "7.1" and r["host.name"] != "name-of-a-pod" and r["telemetry.sdk.name"] == "spandrel", r
    assert r["process.pid"] == s.pid and "deployment.environment.name" not in r and r["telemetry.sdk.language"] == "rust", r
    same_when_replayed(t, rec)


case_resource_process_context_of_a_library.limit = 900  # it is built the first time


# pods, of a real API server

def serving(pod, container="app", env=None, port=None):
    """A program that was started in the container."""
    with pod.inside(container):
        return parts.threading_server(("127.0.0.1", port or parts.free_port()), name=f"{pod.name}-{container}-{len(pod.former)}",
                                      env={**os.environ, **(env or {})})


def get(server, path):
    with wire.connect(server.addr) as c:
        assert c.get(path)


def with_pods(cluster, servers, *args):
    config = cluster.kubeconfig(token=cluster.agent())
    select = [x for s in servers for x in ("--port", getattr(s, "port", s))]  # not the API server
    return Tracer("--kube", "on", "--kubeconfig", config, "--node-name", "n1", *args, select=select)


def came(t, path, **res):
    """The last server span of this path so far, if its resource says so."""
    lines = parts.read(t.file)
    with open(parts.path("so-far.json"), "w") as f:
        f.write(lines[:lines.rfind("\n") + 1])
    found = read_spans(parts.path("so-far.json")).of(SERVER, path)
    return found and all(found[-1].res.get(k.replace("__", ".")) == v for k, v in res.items())


def case_resource_pod():
    """Everything that a pod says: known before the tracer, learnt in time, learnt late; changed, restarted, deleted."""
    c = Cluster()
    c.node("n1")
    notes = {"resource.opentelemetry.io/shop.region": "eu", "resource.opentelemetry.io/k8s.pod.name": "liar"}
    web = c.pod("shop", "web-7d4b9c8f6d-x2x2v", owner=c.deployment("shop", "web"), ip="10.1.0.5", annotations=notes,
                labels={"pod-template-hash": "7d4b9c8f6d", "team": "blue", "app.kubernetes.io/name": "web-by-label"},
                containers={"app": "registry:5000/shop/web:1.2", "side": "proxy:3"})
    app, side = serving(web), serving(web, "side", {"OTEL_SERVICE_NAME": "by-env", "OTEL_RESOURCE_ATTRIBUTES": "a=$(B),c=d"})
    late = c.pod("shop", "late-0", owner=c.workload("statefulset", "shop", "late"), run=False)
    never = c.pod("shop", "never", run=False)
    node_net = c.pod("shop", "node-net", owner=c.workload("daemonset", "shop", "node-net"), host_network=True, ip="127.0.0.1")
    late_app, never_app, net_app = serving(late), serving(never), serving(node_net)
    host = parts.threading_server(name="host")
    rec = parts.path("rec")
    new_port = parts.free_port()
    with with_pods(c, (app, side, late_app, never_app, net_app, host, new_port), "--cluster-name", "c-1", "--kube-pod-label", "te*", "--record", rec, "--kube-wait", "4s") as t:
        for s, p in ((app, "app"), (side, "side"), (late_app, "late"), (never_app, "never"), (net_app, "net"), (host, "host")):
            get(s, f"/first/{p}")
        t.wait_spans(2)  # those of no container do not wait for anybody
        late.run()
        t.wait_for(lambda: came(t, "/first/late"), "the span that waited")
        t.wait_for(lambda: came(t, "/first/never"), "the span that waited in vain")
        never.run()  # later spans have it
        t.wait_for(lambda: get(never_app, "/later") or came(t, "/later", k8s__pod__name="never"), "the pod that came late")
        web.label(team="red")
        t.wait_for(lambda: get(app, "/changed") or came(t, "/changed", **{"k8s__pod__label__team": "red"}), "the changed label")
        former = web.id("app")
        web.restart("app")
        again = serving(web, port=new_port)
        t.wait_for(lambda: get(again, "/restarted") or came(t, "/restarted", k8s__container__restart_count=1), "the restarted container")
        get(app, "/former")
        web.delete()
        time.sleep(0.5)
        get(again, "/deleted")
        t.stop(settle=0.3)
    first = {p: t.spans.one(SERVER, f"/first/{p}").res for p in ("app", "side", "late", "never", "net", "host")}
    want = {"k8s.cluster.name": "c-1", "k8s.node.name": "n1", "k8s.namespace.name": "shop", "k8s.pod.name": web.name, "k8s.pod.uid": web.uid,
            "k8s.pod.ip": "10.1.0.5", "k8s.container.name": "app", "k8s.container.restart_count": 0, "k8s.deployment.name": "web",
            "k8s.replicaset.name": "web-7d4b9c8f6d", "container.id": former, "container.runtime.name": "containerd",
            "container.image.name": "registry:5000/shop/web", "container.image.tags": ["1.2"], "k8s.pod.label.team": "blue", "shop.region": "eu",
            "service.name": "web", "service.namespace": "shop", "service.version": "1.2", "service.instance.id": f"shop.{web.name}.app",
            "telemetry.sdk.language": "python", "process.pid": app.pid}
    assert {k: first["app"].get(k) for k in want} == want, first["app"]
    assert first["app"]["k8s.pod.start_time"].endswith("Z") and first["app"]["container.image.repo_digests"][0].endswith("ab"), first["app"]
    assert not any(k.startswith("k8s.pod.label.") and k != "k8s.pod.label.team" for k in first["app"]), first["app"]
    assert (first["side"]["service.name"], first["side"]["c"], first["side"]["k8s.container.name"]) == ("by-env", "d", "side"), first["side"]
    assert "a" not in first["side"] and first["side"]["service.instance.id"] == f"shop.{web.name}.side"
    assert (first["late"]["k8s.pod.name"], first["late"]["service.name"], first["late"]["k8s.statefulset.name"]) == ("late-0", "late", "late")
    assert "k8s.pod.name" not in first["never"] and first["never"]["container.id"] == never.id(), first["never"]
    assert (first["net"]["k8s.pod.name"], first["net"]["k8s.daemonset.name"], first["net"]["k8s.pod.ip"]) == ("node-net", "node-net", "127.0.0.1")
    assert "k8s.pod.name" not in first["host"] and "container.id" not in first["host"], first["host"]
    assert t.spans.of(SERVER, "/changed")[-1].res["k8s.pod.label.team"] == "red"
    r = t.spans.of(SERVER, "/restarted")[-1].res
    assert (r["container.id"], r["k8s.container.restart_count"], r["k8s.pod.uid"]) == (web.id("app"), 1, web.uid) and web.id("app") != former, r
    r = t.spans.one(SERVER, "/former").res
    assert (r["container.id"], r["k8s.pod.uid"]) == (former, web.uid), r
    r = t.spans.one(SERVER, "/deleted").res
    assert (r["container.id"], r["k8s.pod.uid"], r["service.name"]) == (web.id("app"), web.uid, "web"), r
    assert t.counters["kube_metadata_missing"] >= 1 and t.counters["kube_waits_cut"] == 0, t.counters
    same_when_replayed(t, rec, "--cluster-name", "c-1")


def case_resource_pod_rules():
    """Sampling rules see the name that the pod gives, also of spans that waited for it: whole traces are decided together."""
    c = Cluster()
    c.node("n1")
    pod = c.pod("shop", "cart-0", owner=c.workload("statefulset", "shop", "cart"), run=False,
                labels={"app.kubernetes.io/instance": "cart-eu", "app.kubernetes.io/version": "7"})
    app, other = serving(pod), parts.threading_server(name="other")
    rec = parts.path("rec")
    with with_pods(c, (app, other), "--kube-app-labels", "--sample-rule", "service=cart-eu", "--sample-rule", "ratio=0", "--record", rec,
                   "--kube-wait", "20s") as t:
        for k in range(3):
            get(app, f"/cart/{k}")
            get(other, f"/other/{k}")
        pod.run()
        t.wait_spans(6)
        t.stop()
    assert not [s for s in t.spans if s.path.startswith("/other")], t.spans
    assert len(t.spans.of(SERVER, "/cart/*")) == 3 and len(t.spans.of(CLIENT, "/cart/*")) == 3, t.spans
    assert all(s.res["service.name"] == "cart-eu" and s.res["service.version"] == "7" for s in t.spans.of(SERVER)), t.spans
    assert t.counters["spans_sampled_out"] == 6 and t.counters["kube_metadata_missing"] == 0, t.counters
    same_when_replayed(t, rec, "--sample-rule", "service=cart-eu", "--sample-rule", "ratio=0")
