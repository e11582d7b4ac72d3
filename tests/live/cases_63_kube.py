# SPDX-License-Identifier: Apache-2.0
"""What spans say of pods, against a real API server: whatever becomes of pods, server, tokens and versions, every span has the
right metadata, and the server is asked for next to nothing."""
import itertools
import os
import re
import subprocess
import time
import urllib.request

import cgroups
import parts
from kube_kit import Cluster, Mount, wait_until
from spandrel import SERVER, Tracer, read_spans, run

RUNTIMES = [  # runtime, cgroup driver, quality of service, version of the hierarchy
    ("containerd", "systemd", "burstable", 2), ("containerd", "systemd", "guaranteed", 2), ("cri-o", "systemd", "besteffort", 2),
    ("docker", "systemd", "burstable", 2), ("containerd", "cgroupfs", "burstable", 2), ("cri-o", "cgroupfs", "guaranteed", 2),
    ("containerd", "systemd", "burstable", 1), ("containerd", "cgroupfs", "besteffort", 1), ("docker", "cgroupfs", "guaranteed", 1),
    ("containerd", "colons", "burstable", 1), ("containerd", "kind", "burstable", 2)]


class Agent(Tracer):
    """A tracer that asks this cluster about node n1, by a kubeconfig."""

    def __init__(self, cluster, *args, token=None, auth=None, **kw):
        self.port = parts.free_port()
        auth = auth or ["--kubeconfig", cluster.kubeconfig(token=token or cluster.agent())]
        super().__init__(*auth, "--node-name", "n1", "--listen", f"127.0.0.1:{self.port}", "--log-level", "debug", *args, **kw)

    def metrics(self):
        out = {}
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as r:
            for line in r.read().decode().splitlines():
                m = re.match(r"spandrel_([^ ]+) ([0-9.e+]+)$", line)
                if m:
                    out[m[1].replace("_total", "", 1)] = float(m[2])
        return out

    def sum(self, name):
        return sum(v for k, v in self.metrics().items() if k == name or k.startswith(name + "{"))

    def wait_metric(self, name, least):
        wait_until(lambda: self.sum(name) >= least, f"{name} {least}: {self.err[-1000:]}")


    def so_far(self):
        try:
            return read_spans(self.file)
        except (FileNotFoundError, AssertionError, ValueError):
            return []  # a line is being written

    def stop(self, *args, **kw):
        """Spans that wait for their pod leave at the end as they are: first all are there, by themselves."""
        paths = {p for p, (server, _) in Server.seen.items() if server.agent in (None, self)}
        wait_until(lambda: paths <= {s.path for s in self.so_far() if s.server}, "a span of each request", 100)
        return super().stop(*args, **kw)


class Server:
    """A web server in a container of a pod. Each path is asked for once and names what it was sent to."""
    seen = {}

    def __init__(self, pod, container="app", n=itertools.count()):
        self.pod, self.container, self.key = pod, container, f"{pod.name}.{container}.{next(n)}"
        with pod.inside(container):
            self.server = parts.threading_server(name=self.key)
        self.id, self.count, self.agent = pod.id(container), 0, None

    def ask(self, times=1, known=True):
        """known=False: a span that must go without metadata; None: either."""
        for _ in range(times):
            path = f"/{self.key}/{self.count}"
            self.count += 1
            Server.seen[path] = (self, known)
            with urllib.request.urlopen(self.server.url + path, timeout=20) as r:
                r.read()
        return self

    def stop(self):
        self.server.stop()


def expected(server):
    pod = server.pod
    return {"k8s.namespace.name": pod.namespace, "k8s.pod.name": pod.name, "k8s.pod.uid": pod.uid, "k8s.node.name": pod.node,
            "k8s.container.name": server.container, "container.id": server.id}


def check_all(spans):
    """Each request has its span, and each span what its path says."""
    for path, (server, known) in Server.seen.items():
        s = spans.one(SERVER, path)
        k8s = {k: v for k, v in s.res.items() if k.startswith("k8s.")}
        assert s.res.get("container.id") == server.id, (path, s.res)
        want = expected(server)
        if known is False or known is None and not k8s:
            assert not k8s, f"{path}: of a pod that nobody could know: {s.res}"
        else:
            wrong = {k: (s.res.get(k), v) for k, v in want.items() if s.res.get(k) != v}
            assert not wrong, f"{path}: has, should have: {wrong}"


def check_only(spans, server):
    """As check_all, of one server whose requests nobody else shall look for."""
    mine = {p: x for p, x in Server.seen.items() if x[0] is server}
    everything, Server.seen = Server.seen, mine
    check_all(spans)
    Server.seen = {p: x for p, x in everything.items() if p not in mine}


def settle(agent, pods):
    """Until the tracer has heard of so many pods."""
    wait_until(lambda: agent.sum("pods_known") >= pods, f"{pods} pods known")


def case_kube_containers():
    """Each runtime's and driver's names of control groups; init, ephemeral, static and host-network pods; owners."""
    c = Cluster()
    c.node("n1")
    servers = []
    there = [r for r in RUNTIMES if cgroups.folders(r[-1])]
    print(f"# {len(there)} of {len(RUNTIMES)} kinds of control groups are here")
    for i, (runtime, driver, qos, version) in enumerate(there):
        pod = c.pod("shapes", f"p{i}", runtime=runtime, driver=driver, qos=qos, version=version, ip=f"10.1.1.{i + 1}")
        servers.append(Server(pod))
    static = c.pod("kube-system", "static-n1", static=True, host_network=True, ip="192.0.2.1")
    servers.append(Server(static))
    init = c.pod("shop", "with-init", init={"setup": "example.com/init:1"}, ip="10.1.2.1", run=False)
    servers.append(Server(init, "setup"))
    init.run()
    debug = c.pod("shop", "debugged", ip="10.1.2.2")
    host = c.pod("shop", "on-host", host_network=True, ip="192.0.2.1")
    two = c.pod("shop", "two", containers={"app": "example.com/a:1", "proxy": "example.com/proxy:2"}, ip=["10.1.2.3", "fd00::3"])
    servers += [Server(host), Server(two), Server(two, "proxy")]
    with Agent(c) as t:
        debug.debug("look", "example.com/debug:1")
        servers.append(Server(debug, "look"))
        for s in servers:
            s.ask()
        t.stop()
    check_all(t.spans)
    proxy = t.spans.one(SERVER, "/" + servers[-2].key + "/0").res
    assert proxy["container.image.name"] == "example.com/proxy" and proxy["container.image.tags"] == ["2"], proxy
    assert proxy["container.runtime.name"] == "containerd", proxy


def case_kube_owners():
    """The workload that a pod belongs to, as its owners say."""
    c = Cluster()
    c.node("n1")
    minutes = int(time.time() // 60)
    job = c.workload("job", "shop", f"nightly-{minutes}", owner=c.workload("cronjob", "shop", "nightly"))
    rows = [
        ("web-7d4b9c8f6d-abcde", c.deployment("shop", "web"), {"pod-template-hash": "7d4b9c8f6d"}, {"k8s.deployment.name": "web", "k8s.replicaset.name": "web-7d4b9c8f6d"}),
        ("lone-5f4c8-abcde", c.workload("replicaset", "shop", "lone-5f4c8"), {}, {"k8s.replicaset.name": "lone-5f4c8", "k8s.deployment.name": None}),
        ("db-0", c.workload("statefulset", "shop", "db"), {}, {"k8s.statefulset.name": "db"}),
        ("log-x1", c.workload("daemonset", "shop", "log"), {}, {"k8s.daemonset.name": "log"}),
        (f"nightly-{minutes}-q", job, {}, {"k8s.cronjob.name": "nightly", "k8s.job.name": f"nightly-{minutes}"}),
        ("once-q", c.workload("job", "shop", "once"), {}, {"k8s.job.name": "once", "k8s.cronjob.name": None}),
        ("bare", None, {}, {"k8s.deployment.name": None, "k8s.replicaset.name": None})]
    servers = [(Server(c.pod("shop", name, owner=owner, labels=labels)), want) for name, owner, labels, want in rows]
    with Agent(c) as t:
        for s, _ in servers:
            s.ask()
        t.stop()
    check_all(t.spans)
    for s, want in servers:
        res = t.spans.one(SERVER, f"/{s.key}/0").res
        assert {k: res.get(k) for k in want} == want, (s.key, res)
        assert res["service.name"] == next((v for v in want.values() if v), s.pod.name), (s.key, res["service.name"])
        assert res["service.namespace"] == "shop", res


def case_kube_pods_come_and_go():
    """Pods appear before, with and after their programs; labels change; containers restart; pods vanish while programs end."""
    c = Cluster()
    c.node("n1")
    c.node("n2")
    old = Server(c.pod("shop", "old", labels={"tier": "one"}, ip="10.1.0.1"))
    with Agent(c, "--kube-pod-label", "tier", "--kube-wait", "20s") as t:
        old.ask()
        # the container runs, is asked, and only then does the kubelet say so
        pod = c.pod("shop", "late", run=False)
        late = Server(pod).ask(2)
        pod.ip = "10.1.0.2"
        pod.run()
        late.ask(2)
        # a new pod, all told, then its program
        for i in range(5):
            Server(c.pod("shop", f"new-{i}", ip=f"10.1.0.{10 + i}")).ask(2)
        settle(t, 7)
        old.pod.label(tier="two")
        wait_until(lambda: (old.ask() and any(s.res.get("k8s.pod.label.tier") == "two" for s in t.so_far())), "the new label")
        # a container ends and runs again
        former = Server(c.pod("shop", "again", ip="10.1.0.20")).ask()
        former.pod.restart()
        former.ask()  # the old container's program serves to its end
        Server(former.pod).ask(2)
        # a pod is deleted, its program still answers: its name stays with it
        before = t.sum("kube_events{type=\"deleted\"}")
        old.pod.delete()
        t.wait_metric("kube_events{type=\"deleted\"}", before + 1)
        old.ask(3)
        # the same name, another pod
        Server(c.pod("shop", "old", ip="10.1.0.1")).ask(2)
        settle(t, 8)
        t.stop()
    check_all(t.spans)
    first = t.spans.one(SERVER, f"/{old.key}/0").res
    assert first.get("k8s.pod.label.tier") == "one", first
    counts = [t.spans.one(SERVER, f"/again.app.{former.key.rsplit('.')[-1]}/0").res.get("k8s.container.restart_count")]
    assert counts == [0], counts


def case_kube_unknown():
    """A container that no pod of this node names: its spans wait a moment, then go without, and a counter says so."""
    c = Cluster()
    c.node("n1")
    c.node("n2")
    known = Server(c.pod("shop", "here"))
    elsewhere = Server(c.pod("shop", "elsewhere", node="n2"))
    with Agent(c, "--kube-wait", "300ms") as t:
        known.ask(2)
        elsewhere.ask(3, known=False)
        t.stop()
    check_all(t.spans)
    assert t.counters.sum("kube_metadata_missing") >= 1, t.counters


def case_kube_server_restarts():
    """The server goes away and comes back, again and again; pods change the while and in between; spans never miss a thing."""
    c = Cluster()
    c.node("n1")
    fleet = [Server(c.pod("shop", f"p{i}", ip=f"10.1.0.{i + 1}")) for i in range(4)]
    with Agent(c, "--kube-wait", "90s") as t:
        for s in fleet:
            s.ask()
        settle(t, 4)
        for turn in range(3):
            c.stop()
            for s in fleet:
                s.ask(2)
            c.start()
            fleet.append(Server(c.pod("shop", f"new-{turn}", ip=f"10.1.1.{turn + 1}")).ask(2))
            fleet[turn].pod.delete()
            for s in fleet:
                s.ask(2)
        settle(t, 4)
        t.stop()
    check_all(t.spans)
    assert t.counters.sum("kube_errors") >= 1, t.counters


case_kube_server_restarts.limit, case_kube_server_restarts.seconds = 200, 95


def gone(watch_cache):
    """While the agent is cut off, its version ends, a pod vanishes without an event, others come."""
    c = Cluster(watch_cache=watch_cache)
    c.node("n1")
    fleet = [Server(c.pod("shop", f"p{i}", ip=f"10.1.0.{i + 1}")) for i in range(3)]
    with Agent(c, "--kube-wait", "30s") as t:
        for s in fleet:
            s.ask()
        settle(t, 3)
        with c.away(fleet[0].pod, writes=50):
            for s in fleet:
                s.ask()
        t.wait_metric("kube_relists", 1)
        fleet.append(Server(c.pod("shop", "after", ip="10.1.0.9")))
        for s in fleet:
            s.ask(2)
        settle(t, 3)
        assert t.sum("kube_errors{reason=\"expired\"}") >= 1, t.metrics()
        t.stop()
    check_all(t.spans)


def case_kube_node_name():
    """In a container with a host name of its own the node's cannot be known: an error, and no pods of a node that there is not."""
    parts.need("unshare", "hostname")
    alone = ["unshare", "--uts", "sh", "-c", 'hostname spandrel-x7k2p && exec "$@"', "sh"]
    if subprocess.run([*alone, "true"], stderr=subprocess.DEVNULL).returncode:
        raise parts.Skip("no namespaces of host names here")
    args = ["--kube", "on", "--kube-api", "http://127.0.0.1:1", "--port", "1", "--file", "/dev/null", "--duration", "100ms"]
    status, _, err = run(*args, wrap=alone)
    assert status == 1 and "--node-name: expected" in err and "spandrel-x7k2p" not in err, (status, err)
    for env in {"NODE_NAME": "n1"}, {"SPANDREL_NODE_NAME": "n1"}:
        status, _, err = run(*args, wrap=alone, env=env)
        assert status == 0 and "--node-name" not in err, (status, err)


def case_kube_gone():
    """410 by etcd: the server watches it directly, and it was compacted."""
    gone(watch_cache=False)


def case_kube_gone_cache():
    """410 by the watch cache: after a restart it holds nothing from before."""
    gone(watch_cache=True)


def case_kube_token_rotates():
    """In a pod: tokens by TokenRequest in a folder as the kubelet keeps it, swapped; the old one ends."""
    c = Cluster()
    c.node("n1")
    c.agent()
    mount = Mount(c, c.account_token("spandrel", "spandrel", secret="first"))
    fleet = [Server(c.pod("shop", "one", ip="10.1.0.1"))]
    with Agent(c, "--kube-wait", "30s", auth=["--kube", "auto"], env=mount.env, wrap=mount.wrap) as t:
        fleet[0].ask(2)
        settle(t, 1)
        for turn in ("second", "third"):
            mount.rotate(c.account_token("spandrel", "spandrel", secret=turn))
            c.api("DELETE", f"/api/v1/namespaces/spandrel/secrets/{'first' if turn == 'second' else 'second'}")
            c.restart()  # connections end: the next request needs the new token
            fleet.append(Server(c.pod("shop", turn, ip="10.1.0.2")))
            for s in fleet:
                s.ask(2)
        settle(t, 3)
        t.stop()
    check_all(t.spans)


case_kube_token_rotates.seconds = 75


def case_kube_token_ends():
    """The token ends before the kubelet has swapped it: 401, then the new one is found."""
    c = Cluster()
    c.node("n1")
    c.agent()
    old = c.account_token("spandrel", "spandrel", secret="first")
    mount = Mount(c, old)
    one = Server(c.pod("shop", "one", ip="10.1.0.1"))
    with Agent(c, "--kube-wait", "30s", auth=["--kube", "auto"], env=mount.env, wrap=mount.wrap) as t:
        settle(t, 1)
        c.api("DELETE", "/api/v1/namespaces/spandrel/secrets/first")
        wait_until(lambda: not c.may(old), "the end of the token")
        c.restart()
        t.wait_metric("kube_errors{reason=\"unauthorized\"}", 1)
        one.ask(2)
        mount.rotate(c.account_token("spandrel", "spandrel", secret="second"))
        two = Server(c.pod("shop", "two", ip="10.1.0.2")).ask(2)
        settle(t, 2)
        two.ask()
        t.stop()
    check_all(t.spans)


case_kube_token_ends.seconds = 60


def case_kube_ipv6():
    """The server has an IPv6 address: in a pod's environment without brackets; by client certificate instead of a token."""
    if not os.path.exists("/proc/net/if_inet6") or "00000000000000000000000000000001" not in parts.read("/proc/net/if_inet6"):
        raise parts.Skip("no IPv6 here")
    c = Cluster(host="::1")
    c.node("n1")
    mount = Mount(c, c.agent())
    c.allow("client")
    cert = {"client-certificate": c.file("client.pem"), "client-key": c.file("client.key")}
    one = Server(c.pod("shop", "one", ip="fd00::1"))
    ways = {"pod": {"auth": ["--kube", "auto"], "env": mount.env, "wrap": mount.wrap},
            "certificate": {"auth": ["--kubeconfig", c.kubeconfig("certificate", **cert)]}}
    for name, way in ways.items():
        with Agent(c, "--kube-wait", "30s", name=name, **way) as t:
            one.ask(2)
            t.stop()
        check_only(t.spans, one)
        one = Server(one.pod)


def case_kube_authority_changes():
    """The server's certificate is one of a new authority: nobody is trusted until the kubelet has swapped ca.crt."""
    c = Cluster()
    c.node("n1")
    token = c.agent()
    mount = Mount(c, token)
    one = Server(c.pod("shop", "one", ip="10.1.0.1"))
    with Agent(c, "--kube-wait", "60s", auth=["--kube", "auto"], env=mount.env, wrap=mount.wrap) as t:
        settle(t, 1)
        c.new_authority()
        t.wait_metric("kube_errors{reason=\"tls\"}", 1)
        one.ask(2)
        two = Server(c.pod("shop", "two", ip="10.1.0.2")).ask(2)
        mount.rotate(token)
        settle(t, 2)
        two.ask()
        t.stop()
    check_all(t.spans)


def case_kube_too_many():
    """The server puts the agent off with 429 (priority and fairness), then lets it in."""
    c = Cluster()
    c.node("n1")
    token = c.agent()
    one = Server(c.pod("shop", "one", ip="10.1.0.1"))
    c.refuse("spandrel", "spandrel", token)
    with Agent(c, "--kube-wait", "60s", token=token) as t:
        t.wait_metric("kube_errors{reason=\"busy\"}", 2)
        one.ask(2)
        c.admit(token)
        settle(t, 1)
        one.ask()
        t.stop()
    check_all(t.spans)


def case_kube_hangs():
    """The server answers nothing any more: spans go on, with what is known."""
    c = Cluster()
    c.node("n1")
    one = Server(c.pod("shop", "one", ip="10.1.0.1"))
    pod = c.pod("shop", "two", run=False)
    with Agent(c, "--kube-wait", "1s") as t:
        settle(t, 1)
        with c.hanging():
            two = Server(pod)
            one.ask(5)
            two.ask(3, known=False)
            t.wait_spans(2 * 8 - 3)  # those of the unknown container need not wait for the server
            t.wait_spans(2 * 8)
        pod.run()
        t.wait_metric("kube_events{type=\"modified\"}", 1)
        two.ask(2)
        t.stop()
    check_all(t.spans)


def order(c, token, sequence):
    """Server (S), pod (P), program (G) and agent (A) come in this order. The pod is static: its program needs nobody."""
    if sequence[0] != "S":
        c.stop()
    pod = c.pod("kube-system", "pod-" + sequence.lower(), static=True, create=False)
    agent, server = Agent(c, "--kube-wait", "60s", token=token, name=sequence), None
    for step in sequence:
        if step == "S" and sequence[0] != "S":
            c.start()
        elif step == "P":
            pod.create()
        elif step == "G":
            server = Server(pod)
        elif step == "A":
            agent.start()
        if server and agent.proc:
            server.ask()
    server.ask()
    agent.stop()
    check_only(agent.spans, server)


def case_kube_order():
    """Server, pod, program and agent start in every order that is possible: no span is without its pod."""
    c = Cluster()
    c.node("n1")
    token = c.agent()
    for sequence in map("".join, itertools.permutations("SPGA")):
        if sequence.index("S") < sequence.index("P"):
            order(c, token, sequence)


case_kube_order.limit, case_kube_order.seconds = 300, 110
