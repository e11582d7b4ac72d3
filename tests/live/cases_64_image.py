# SPDX-License-Identifier: Apache-2.0
"""The image of deploy/Dockerfile, started by runc as the manifests say, tracing a program in another container of a pod."""
import os
import urllib.request

import containers
import kube_kit
import parts
from cases_65_deploy import as_server_has, daemonset, kustomize
from kube_kit import Cluster, Mount, wait_until
from spandrel import SERVER, Counters, check_identity, check_tree, read_counters, read_spans


def status_of(pid):
    return dict(line.split(":\t", 1) for line in parts.read(f"/proc/{pid}/status").splitlines() if ":\t" in line)


class Agent:
    """The image as the DaemonSet of an overlay starts it; options beside those of its ConfigMap."""

    def __init__(self, cluster, overlay, *options, config=None):
        objects = as_server_has(cluster, kustomize(overlay))
        spec = daemonset(objects)["spec"]["template"]["spec"]
        self.context = spec["containers"][0]["securityContext"]
        self.out = parts.path("out-" + os.path.basename(overlay))
        os.mkdir(self.out)
        os.chmod(self.out, 0o777)
        conf = parts.path("conf-" + os.path.basename(overlay))
        os.mkdir(conf)
        data = next(o["data"] for (kind, _), o in objects.items() if kind == "ConfigMap")["spandrel.conf"]
        self.port = parts.free_port()
        data = data.replace("0.0.0.0:9464", f"127.0.0.1:{self.port}")
        with open(os.path.join(conf, "spandrel.conf"), "w") as f:
            f.write(data if config is None else config)
        paths = {v["name"]: v["hostPath"]["path"] for v in spec["volumes"] if "hostPath" in v}
        host = {m["mountPath"]: (paths[m["name"]], not m.get("readOnly")) for m in spec["containers"][0]["volumeMounts"] if m["name"] in paths}
        # the rights are those of the manifests
        cluster.kubectl("apply", "-f", "-", stdin=kustomize(overlay))
        token = cluster.account_token("spandrel", "spandrel")
        wait_until(lambda: cluster.may(token), "the account's rights")
        mount = Mount(cluster, token, name="account-" + os.path.basename(overlay))
        os.chmod(cluster.dir, 0o755)
        self.container = containers.Container(
            containers.image("spandrel"), [*spec["containers"][0]["args"], "--file", "/out/spans.json", *options], self.context,
            {**mount.env, "SPANDREL_NODE_NAME": "n1"},
            {**host, "/etc/spandrel": (conf, False), "/out": (self.out, True), kube_kit.MOUNT: (mount.dir, False)},
            host_pid=spec["hostPID"], name="agent-" + os.path.basename(overlay))
        wait_until(lambda: "spandrel: tracing" in self.container.log or not self.container.running, "the ready line")
        assert "spandrel: tracing" in self.container.log, self.container.log

    def probe(self, path):
        """What a kubelet's probe is answered."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as r:
                return r.status
        except OSError:
            return None

    @property
    def spans(self):
        try:
            return read_spans(os.path.join(self.out, "spans.json"))
        except (FileNotFoundError, AssertionError, ValueError):
            return read_spans(os.devnull)

    def stop(self):
        self.container.kill("TERM")
        wait_until(lambda: not self.container.running, "the agent's end")
        spans, counters = self.spans, Counters(read_counters(self.container.log))
        check_identity(counters, len(spans))
        check_tree(spans)
        return spans


def program(pod):
    """A program in a container of this pod, in a cgroup as its kubelet names it."""
    port = parts.free_port()
    c = containers.Container(containers.image("program"), [f"127.0.0.1:{port}"], {"seccompProfile": {"type": "RuntimeDefault"}},
                             path=pod.cgroup_path(), id=pod.id(), name="program")
    parts.wait_listening(("127.0.0.1", port))
    return c, f"http://127.0.0.1:{port}"


def trace_from(overlay, check):
    c = Cluster()
    c.node("n1")
    pod = c.pod("shop", "web-7d4b9c8f6d-x2x4z", ip="10.1.0.7", driver="cgroupfs", owner=c.deployment("shop", "web"),
                labels={"app": "web", "pod-template-hash": "7d4b9c8f6d"})
    other = c.pod("kube-system", "dns", ip="10.1.0.8", driver="cgroupfs")
    traced, url = program(pod)
    untraced, untraced_url = program(other)
    assert pod.id() in parts.read(f"/proc/{traced.pid}/cgroup") and "/kubepods/" in parts.read(f"/proc/{traced.pid}/cgroup")
    agent = Agent(c, overlay)
    check(agent, status_of(agent.container.pid))
    for path in ("/healthz", "/readyz"):
        wait_until(lambda: agent.probe(path) == 200, path)
    parts.curl(url + "/one")
    parts.curl(untraced_url + "/two")
    wait_until(lambda: agent.spans.of(SERVER, "/one"), "the span")
    spans = agent.stop()
    assert not spans.of(SERVER, "/two"), spans
    s = spans.one(SERVER, "/one")
    want = {"container.id": pod.id(), "k8s.pod.name": pod.name, "k8s.namespace.name": "shop", "k8s.deployment.name": "web", "k8s.pod.uid": pod.uid,
            "k8s.container.name": "app", "k8s.node.name": "n1", "service.name": "web", "process.executable.name": "python3.11"}
    got = {k: s.res.get(k) for k in want}
    assert {k: v for k, v in got.items() if k != "process.executable.name"} == {k: v for k, v in want.items() if k != "process.executable.name"}, s.res
    assert str(got["process.executable.name"]).startswith("python3"), s.res
    return agent


def mask(*caps):
    bits = {"DAC_READ_SEARCH": 2, "SYS_PTRACE": 19, "SYS_ADMIN": 21, "PERFMON": 38, "BPF": 39, "CHECKPOINT_RESTORE": 40}
    return sum(1 << bits[c] for c in caps)


def case_image_least():
    """As the base says: root with a few capabilities, no new privileges, the default seccomp profile, a read-only root."""
    def check(agent, status):
        added = agent.context["capabilities"]["add"]
        assert status["Uid"].split()[0] == "0" and status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status
        for s in ("CapEff", "CapPrm", "CapBnd"):
            assert not int(status[s], 16) & ~mask(*added), (s, status)
    trace_from("base", check)


def case_image_nonroot():
    """As a user of its own, by the capabilities of the program's file."""
    def check(agent, status):
        assert status["Uid"].split()[0] == "65532" and status["Seccomp"] == "2", status
        assert not int(status["CapEff"], 16) & ~mask(*agent.context["capabilities"]["add"]), status
    trace_from("overlays/nonroot", check)


def case_image_privileged():
    trace_from("overlays/privileged", lambda agent, status: None)
