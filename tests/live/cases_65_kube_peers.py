# SPDX-License-Identifier: Apache-2.0
"""What the other end of a client's connection is called: in a network namespace of its own one server has all the addresses that pods
and services have, as the cluster's network would lead there."""
import functools
import os

import parts
from kube_kit import POD_RULES, Cluster, wait_until
from spandrel import CLIENT, SERVER, Tracer, read_spans, run

RULES = POD_RULES + [{"apiGroups": [""], "resources": ["services"], "verbs": ["get", "list", "watch"]},
                     {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]}]


@functools.cache
def web_port():
    """Of everything that is served here: the case selects by it, whatever the network namespace."""
    return parts.free_port()


class Net:
    """The addresses, and one server behind all of them."""

    def __init__(self, *addresses):
        parts.need("unshare", "nsenter", "ip")
        p = parts.start(["unshare", "--net", "sleep", "600"], "net")
        mine = os.readlink("/proc/self/ns/net")
        wait_until(lambda: p.poll() is not None or os.readlink(f"/proc/{p.pid}/ns/net") != mine, "a network namespace")
        if p.poll() is not None:
            raise parts.Skip("no network namespaces here")
        self.wrap = ["nsenter", "-t", str(p.pid), "-n"]
        parts.tool([*self.wrap, "ip", "link", "set", "lo", "up"])
        for a in addresses:
            parts.tool([*self.wrap, "ip", "addr", "add", a, "dev", "lo", *(["nodad"] if ":" in a else [])])
        self.web = parts.start([*self.wrap, parts.PYTHON, os.path.join(parts.APPS, "web.py"), f":::{web_port()}"], "web")
        self.get("127.0.0.1", "/up", "--retry", "20", "--retry-connrefused", "--retry-delay", "1")

    def rewrite(self, address, to):
        """As the node's proxy does it: packets to the one go to the other."""
        parts.need("nft")
        parts.tool([*self.wrap, "ip", "route", "add", address, "dev", "lo"])
        parts.tool([*self.wrap, "nft", "add table ip nat; add chain ip nat out { type nat hook output priority -100; }; "
                    f"add rule ip nat out ip daddr {address} tcp dport {web_port()} dnat to {to}:{web_port()}"])

    def get(self, host, path, *args):
        host = f"[{host}]" if ":" in host else host
        parts.tool([*self.wrap, "curl", "-sS", "--max-time", "20", *args, f"http://{host}:{web_port()}{path}"])


def service(c, namespace, name, ip, endpoints):
    """A Service, and its EndpointSlice: {address: name of the pod}."""
    c.namespace(namespace)
    c.create(f"/api/v1/namespaces/{namespace}/services", {
        "metadata": {"name": name}, "spec": {"clusterIP": ip, "ports": [{"name": "http", "port": web_port(), "targetPort": web_port()}]}})
    c.create(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices", {
        "metadata": {"name": name + "-x1", "labels": {"kubernetes.io/service-name": name}}, "addressType": "IPv4",
        "ports": [{"name": "http", "port": web_port(), "protocol": "TCP"}],
        "endpoints": [{"addresses": [a], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "namespace": namespace, "name": p}}
                      for a, p in endpoints.items()]})


def peer(span):
    return span["service.peer.name"], span["service.peer.namespace"]


def case_kube_peers():
    """Pods of this node by their workload, a bare one by its own name; services by ClusterIP, pods of other nodes by their service; an
    address of the host's network, loopback, a stranger and an endpoint of two services: nothing. A replay says the same, also of a span
    that waited for its own pod to become known."""
    c = Cluster()
    c.node("n1")
    c.node("n2")
    c.pod("shop", "web-7d4b9c8f6d-abcde", ip=["10.1.0.5", "fd00::5"], owner=c.deployment("shop", "web"),
          labels={"pod-template-hash": "7d4b9c8f6d"})
    c.pod("shop", "bare", ip="10.1.0.6")
    c.pod("kube-system", "proxy", ip="192.0.2.1", host_network=True)
    c.pod("shop", "till-1", node="n2", ip="10.2.0.7")
    service(c, "shop", "till", "10.96.0.50", {"10.2.0.7": "till-1", "10.2.0.8": "till-2"})
    service(c, "bank", "vault", "10.96.0.60", {"10.2.0.9": "vault-1"})
    service(c, "shop", "till-too", "10.96.0.51", {"10.2.0.8": "till-2"})
    caller = c.pod("shop", "caller", run=False)
    net = Net("10.1.0.5", "10.1.0.6", "192.0.2.1", "10.2.0.7", "10.2.0.8", "10.2.0.9", "10.96.0.50", "10.77.0.1", "fd00::5")
    net.rewrite("10.96.0.60", "10.2.0.9")
    want = {"10.1.0.5": ("web", "shop"), "fd00::5": ("web", "shop"), "10.1.0.6": ("bare", "shop"), "192.0.2.1": (None, None),
            "127.0.0.1": (None, None), "10.77.0.1": (None, None), "10.96.0.50": ("till", "shop"), "10.96.0.60": ("vault", "bank"),
            "10.2.0.7": ("till", "shop"), "10.2.0.8": (None, None)}
    rec = parts.path("rec")
    with Tracer("--kubeconfig", c.kubeconfig("agent", c.agent(RULES)), "--node-name", "n1", "--kube-services", "--record", rec,
                "--semconv", "both", "--kube-wait", "1m", "--batch-age", "50ms",
                "--listen", f"127.0.0.1:{(port := parts.free_port())}", select=["--port", web_port()]) as t:
        known(port)
        for i, a in enumerate(want):
            net.get(a, f"/{i}", "-H", "Host: shop.example")
        with caller.inside():
            net.get("10.1.0.6", "/sleep/500")  # it lives long enough to be looked at
        caller.run()
        t.wait_for(lambda: found(t, "/sleep/500"), "the span that waited")
        t.stop()
    for i, (a, name) in enumerate(want.items()):
        s = t.spans.one(CLIENT, f"/{i}")
        assert peer(s) == name and s["peer.service"] == name[0], (a, s.attrs)
        assert s["server.address"] == "shop.example" and s["network.peer.address"] == a, s.attrs
        assert peer(t.spans.one(SERVER, f"/{i}")) == (None, None)
    late = t.spans.one(CLIENT, "/sleep/500")
    assert peer(late) == ("bare", "shop") and late.res["k8s.pod.name"] == "caller", (late.attrs, late.res)
    out = parts.path("replayed.json")
    status, _, err = run("--replay", rec, "--file", out, "--semconv", "both")
    assert status == 0, err
    again = {s.id: s for s in read_spans(out)}
    assert len(again) == len(t.spans) and all((again[s.id].attrs, again[s.id].res) == (s.attrs, s.res) for s in t.spans), again


def case_kube_peers_own_name():
    """A process in a pod that says what it is called: its callers call it the same as its own spans do. A replay says it too."""
    c = Cluster()
    c.node("n1")
    pod = c.pod("shop", "api", ip="10.1.0.5")
    net, own, rec = Net("10.1.0.5"), parts.free_port(), parts.path("rec")
    with pod.inside():
        parts.start([*net.wrap, parts.PYTHON, os.path.join(parts.APPS, "web.py"), f":::{own}"], "own", {"OTEL_SERVICE_NAME": "checkout"})
    again = ("--retry", "20", "--retry-connrefused", "--retry-delay", "1")
    parts.tool([*net.wrap, "curl", "-sS", *again, f"http://127.0.0.1:{own}/up"])
    with Tracer("--kubeconfig", c.kubeconfig("agent", c.agent()), "--node-name", "n1", "--record", rec,
                "--listen", f"127.0.0.1:{(port := parts.free_port())}", select=["--port", web_port(), "--port", own]) as t:
        known(port)
        net.get("10.1.0.5", "/other")  # who answers there is in no pod
        parts.tool([*net.wrap, "curl", "-sS", f"http://10.1.0.5:{own}/own"])
        t.stop()
    server = t.spans.one(SERVER, "/own").res
    assert (server["service.name"], server["k8s.pod.name"]) == ("checkout", "api"), server
    assert peer(t.spans.one(CLIENT, "/own")) == ("checkout", server["service.namespace"]) == ("checkout", "shop"), t.spans
    assert peer(t.spans.one(CLIENT, "/other")) == ("api", "shop"), t.spans
    out = parts.path("replayed.json")
    assert run("--replay", rec, "--file", out)[0] == 0
    assert peer(read_spans(out).one(CLIENT, "/own")) == ("checkout", "shop")


def known(port):
    """Until the API server has told of everything."""
    wait_until(lambda: ": known" in parts.tool(["curl", "-sS", f"http://127.0.0.1:{port}/readyz"], ok=False).text, "the pods")


def case_kube_peers_in_time():
    """An address that is another pod's later: each request has the name of its time, or none; a pod's end is its name's end."""
    c = Cluster()
    c.node("n1")
    first = c.pod("shop", "first", ip="10.1.0.5")
    net = Net("10.1.0.5")
    with Tracer("--kubeconfig", c.kubeconfig("agent", c.agent()), "--node-name", "n1", "--batch-age", "50ms",
                "--listen", f"127.0.0.1:{(port := parts.free_port())}", select=["--port", web_port()]) as t:
        known(port)
        net.get("10.1.0.5", "/first")
        first.delete()
        until(t, net, "/none", None)
        c.pod("shop", "second", ip="10.1.0.5")
        until(t, net, "/second", "second")
        t.stop()
    assert peer(t.spans.one(CLIENT, "/first"))[0] == "first"
    names = [peer(s)[0] for s in sorted(t.spans.of(CLIENT), key=lambda s: s.start)]
    assert names == sorted(names, key=["first", None, "second"].index), names


def until(t, net, path, name):
    """Requests until one has this name."""
    n = [0]

    def one():
        n[0] += 1
        net.get("10.1.0.5", f"{path}/{n[0]}")
        t.wait_for(lambda: found(t, f"{path}/{n[0]}"), "a span")
        return peer(found(t, f"{path}/{n[0]}")[0])[0] == name
    t.wait_for(one, f"{name} at {path}")


def found(t, path):
    try:
        return read_spans(t.file).of(CLIENT, path)
    except (OSError, AssertionError, ValueError):  # a line is being written
        return []
