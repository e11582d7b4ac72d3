# SPDX-License-Identifier: Apache-2.0
"""Selection by what Kubernetes and container runtimes call things: programs in control groups named as a kubelet names them."""
import contextlib
import itertools
import os
import secrets
import signal
import uuid

import cgroups
import parts
from kube_kit import Cluster
from spandrel import CLIENT, SERVER, Tracer, read_spans, run

SHAPES = ([(2, d, r) for d in ("systemd", "cgroupfs") for r in ("containerd", "cri-o", "docker")]
          + [(2, "colons", "containerd"), (2, "kind", "containerd"), (1, "systemd", "containerd"), (1, "cgroupfs", "cri-o")])


def contained(name, cid, version=2, driver="systemd", runtime="containerd", uid=None, below=""):
    """A server in a container of a pod."""
    path = cgroups.container_path(uid or str(uuid.uuid4()), cid, driver, runtime, below=below)
    with cgroups.inside(cgroups.make(path, version)):
        return parts.threading_server(name=name)


def get(server, path):
    parts.curl(server.url + path)


def paths(t):
    return sorted(s.path for s in t.spans)


def case_kube_select_container_id():
    """--container without Kubernetes: the beginning of the id, for containers that run already and that start later, in the shape of
    each runtime; the neighbours' bytes are not even copied."""
    ids = [secrets.token_hex(32) for _ in SHAPES]
    other = contained("other", secrets.token_hex(32))
    outside = parts.threading_server(name="outside")
    before = [contained(f"b{i}", ids[i], *s) for i, s in enumerate(SHAPES)]
    select = [a for i in ids for a in ("--container", i[:12])]
    with Tracer(select=select) as t:
        after = [contained(f"a{i}", ids[i], *s) for i, s in enumerate(SHAPES)]
        for i, s in enumerate(before):
            get(s, f"/b{i}")
        for i, s in enumerate(after):
            get(s, f"/a{i}")
        t.stop()
    want = sorted(f"/{x}{i}" for i in range(len(SHAPES)) for x in "ab")
    assert paths(t) == want and not t.spans.of(kind=3), (paths(t), want)
    for i, s in enumerate(before):
        span = t.spans.one(SERVER, f"/b{i}")
        assert span.pid == s.pid and span.res["container.id"] == ids[i], span.res
    with Tracer(select=select, name="quiet") as t:
        for s in (other, outside):
            get(s, "/no")
        t.stop()
    assert not t.spans and t.counters.get("connections_seen", 0) == 0, t.counters


def case_kube_select_hidden_hierarchies():
    """The tracer sees no control groups, as in a container that was given none: what starts later is found all the same, by the kernel's
    word, and what runs already through the host's first process where that may be looked at."""
    parts.need("unshare", "umount")
    ids = [secrets.token_hex(32) for _ in range(2)]
    seen = os.path.isdir("/proc/1/root/sys/fs/cgroup")
    early = contained("early", ids[0])
    wrap = ["unshare", "--mount", "--propagation", "private", "sh", "-c", 'umount -R /sys/fs/cgroup && exec "$@"', "sh"]
    with Tracer(select=["--container", ids[0][:12], "--container", ids[1][:12]], wrap=wrap) as t:
        assert seen or "/sys/fs/cgroup" in t.err, t.err
        late = contained("late", ids[1])
        get(early, "/early")
        get(late, "/late")
        t.stop()
    assert paths(t) == (["/early"] if seen else []) + ["/late"], t.spans


def agent(cluster, *more, node="n1"):
    return ["--kubeconfig", cluster.kubeconfig("agent", cluster.agent()), "--node-name", node, "--batch-age", "50ms", *more]


def serve(pod, name, container="app"):
    with pod.inside(container):
        return parts.threading_server(name=name)


def traced(t, path):
    with contextlib.suppress(OSError, AssertionError, ValueError):  # a line is being written
        return bool(read_spans(t.file).of(path=path))
    return False


def until_traced(t, server, path):
    """Requests until one is traced: what has happened to its pod takes effect without a word to us."""
    n = itertools.count()

    def one():
        get(server, f"{path}/{next(n)}")
        return traced(t, path + "/*")
    t.wait_for(one, f"a span of {path}")


def until_not(t, server, path, marker):
    """Requests until one is not traced, though one of another server after it is."""
    n = itertools.count()

    def one():
        i = next(n)
        get(server, f"{path}/{i}")
        get(marker, f"{path}-marker/{i}")
        t.wait_for(lambda: traced(t, f"{path}-marker/{i}"), "the marker")
        return not traced(t, f"{path}/{i}")
    t.wait_for(one, f"no span of {path}")


def firsts(t):
    """The first component of each span's path."""
    return {s.path.split("/")[1] for s in t.spans}


def nothing_else_copied(t, late=0):
    """Each request has a connection of its own, of which the server alone is selected. A server that is selected before it listens
    is asked whether it does by a connection without a request."""
    assert not t.spans.of(CLIENT) and len(t.spans) <= t.counters["connections_seen"] <= len(t.spans) + late, (len(t.spans), t.counters)


def case_kube_select_namespace():
    """Pods of a namespace: those that run, those whose object comes first, those that run before their object is there. Nothing of
    the neighbours is copied."""
    c = Cluster()
    c.node("n1")
    early, other = c.pod("shop", "early", ip="10.1.0.1"), c.pod("bank", "other", ip="10.1.0.2")
    early, other = serve(early, "early"), serve(other, "other")
    cid, config = secrets.token_hex(32), secrets.token_hex(16)
    stray = contained("stray", cid, uid=config, runtime="cri-o")
    with Tracer(*agent(c), select=["--kube-namespace", "sh*"]) as t:
        assert "kube-namespace=sh*" in t.err, t.err
        get(early, "/early")
        get(other, "/no")
        late = c.pod("shop", "late", ip="10.1.0.3", run=False, driver="cgroupfs")
        first = c.pod("shop", "first", ip="10.1.0.4")
        until_traced(t, serve(first, "first"), "/first")  # the watch has told of both by now
        late = serve(late, "late")
        get(late, "/late")
        get(stray, "/no")
        c.pod("shop", "stray", ip="10.1.0.5", annotations={"kubernetes.io/config." + k: config for k in ("hash", "mirror")})  # a static pod
        until_traced(t, stray, "/stray")
        get(other, "/no")
        t.stop()
    assert firsts(t) == {"early", "first", "late", "stray"}, t.spans
    nothing_else_copied(t, late=2)
    assert t.spans.one(SERVER, "/late").pid == late.pid


def case_kube_select_container_name():
    """By the container's name: known once the status has the id, for main, init and ephemeral ones; a restart gives a new id."""
    c = Cluster()
    c.node("n1")
    pod = c.pod("shop", "web", ip="10.1.0.1", containers={"app": "img:1", "sidecar": "img:2"}, run=False)
    app, side = serve(pod, "app"), serve(pod, "side", "sidecar")
    with Tracer(*agent(c), select=["--container", "app", "--container", "debug*", "--kube-pod", "we?"]) as t:
        get(app, "/no")
        pod.run()
        until_traced(t, app, "/app")
        get(side, "/no")
        pod.restart("app")
        again = serve(pod, "again")
        until_traced(t, again, "/again")
        pod.debug("debugger", "img:3")
        until_traced(t, serve(pod, "debugger", "debugger"), "/debugger")
        get(side, "/no")
        t.stop()
    assert firsts(t) == {"app", "again", "debugger"}, t.spans
    nothing_else_copied(t, late=2)


def case_kube_select_label_moves():
    """A label that changes changes the selection, both ways; an exclusion wins; a pod that is deleted and made anew is found again."""
    c = Cluster()
    c.node("n1")
    fixed = c.pod("shop", "fixed", ip="10.1.0.1", labels={"tier": "web"})
    moving = c.pod("shop", "moving", ip="10.1.0.2", labels={"tier": "db"}, version=1)
    secret = c.pod("vault", "secret", ip="10.1.0.3", labels={"tier": "web"})
    a, b, x = serve(fixed, "fixed"), serve(moving, "moving"), serve(secret, "secret")
    with Tracer(*agent(c), select=["--kube-label", "tier=web", "--exclude-kube-namespace", "va*"]) as t:
        get(b, "/no")
        get(x, "/no")
        until_traced(t, a, "/fixed")
        moving.label(tier="web")
        until_traced(t, b, "/moved")
        moving.label(tier="db")
        until_not(t, b, "/moved-back", a)
        get(b, "/no")
        fixed.delete()
        again = c.pod("shop", "fixed", ip="10.1.0.1", labels={"tier": "web"})
        until_traced(t, serve(again, "again"), "/again")
        get(x, "/no")
        t.stop()
    assert "no" not in firsts(t) and {"fixed", "moved", "again"} <= firsts(t), t.spans
    nothing_else_copied(t, late=1)


def case_kube_select_exclusions():
    """With exclusions alone what is in no pod is traced, and of a pod nothing until it is known that it is not ruled out."""
    c = Cluster()
    c.node("n1")
    web, system = c.pod("shop", "web", ip="10.1.0.1"), c.pod("kube-system", "proxy", ip="10.1.0.2")
    plain, web, system = parts.threading_server(name="plain"), serve(web, "webpod"), serve(system, "system")
    unknown = contained("unknown", secrets.token_hex(32))
    ports = [a for s in (plain, web, system, unknown) for a in ("--port", s.port)]
    with Tracer(*agent(c, "--exclude-kube-namespace", "kube-*"), select=ports) as t:
        for s in (plain, web, system, unknown):
            get(s, "/" + s.name)
        t.stop()
    assert sorted(s.path for s in t.spans.of(SERVER)) == ["/plain", "/webpod"], t.spans


def case_kube_select_reload():
    """SIGHUP: other namespaces from then on; then a label, whose key nobody has asked for before."""
    c = Cluster()
    c.node("n1")
    shop, bank, vault = (serve(c.pod(n, "web", ip=f"10.1.0.{i}", labels={"tier": n}), n) for i, n in enumerate(("shop", "bank", "vault"), 1))
    conf = parts.path("conf")

    def select(*lines):
        with open(conf, "w") as f:
            f.write("\n".join(lines) + "\n")
    select("kube-namespace shop")
    with Tracer(*agent(c, "--config", conf), select=[]) as t:
        get(shop, "/before")
        get(bank, "/no")
        select("kube-namespace bank", "exclude-kube-pod x*")
        t.proc.send_signal(signal.SIGHUP)
        until_traced(t, bank, "/after")
        get(shop, "/no")
        select("kube-label tier=vault")
        t.proc.send_signal(signal.SIGHUP)
        until_traced(t, vault, "/label")
        get(shop, "/no")
        t.stop()
    assert firsts(t) == {"before", "after", "label"}, t.spans
    nothing_else_copied(t)


def case_kube_select_server_later():
    """The API server is away when the tracer starts: that is no reason to wait for ever, nor to select anything; and when it is back what
    it says counts."""
    c = Cluster()
    c.node("n1")
    web = serve(c.pod("shop", "web", ip="10.1.0.1"), "webpod")
    args = agent(c)
    c.stop()
    with Tracer(*args, select=["--kube-namespace", "shop"]) as t:
        get(web, "/no")
        c.start()
        until_traced(t, web, "/yes")
        t.stop()
    assert firsts(t) == {"yes"}, t.spans
    nothing_else_copied(t)


def case_kube_select_needs_kubernetes():
    """Names that nobody can tell are an error, not a selection of nothing."""
    status, _, err = run("--kube-namespace", "shop", "--kube", "off")
    assert status == 2 and "--kube-namespace" in err and len(err.splitlines()) == 1, (status, err)
    status, _, err = run("--kube-namespace", "shop")  # nor is there an API server here
    assert status == 1 and "--kube-namespace" in err, (status, err)
