# SPDX-License-Identifier: Apache-2.0
"""The manifests, the chart and the example of a gateway in deploy/, against a real API server and a real Collector."""
import json
import os
import re
import time

import backends
import kube_kit
import parts
from kube_kit import ApiError, Cluster
from spandrel import Tracer, run

DEPLOY = os.path.join(os.path.dirname(os.path.dirname(parts.HERE)), "deploy")
KUSTOMIZE = os.path.join(DEPLOY, "kubernetes")
CHART = os.path.join(DEPLOY, "helm", "spandrel")
ACCOUNT = "system:serviceaccount:spandrel:spandrel"


def overlays():
    return ["base"] + ["overlays/" + o for o in sorted(os.listdir(os.path.join(KUSTOMIZE, "overlays")))]


def kustomize(name):
    return parts.tool([kube_kit.program("kubectl"), "kustomize", os.path.join(KUSTOMIZE, name)]).stdout


def helm(*args):
    return parts.tool([kube_kit.program("helm"), *args]).stdout


def chart(*sets):
    return helm("template", "spandrel", CHART, "--namespace", "spandrel", *[a for s in sets for a in ("--set", s)])


def as_server_has(c, manifest):
    """The objects of a manifest after the server's strict validation and its defaults: {(kind, name): object}."""
    c.namespace("spandrel")
    r = c.kubectl("apply", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-", stdin=manifest)
    warnings = [x for x in r.stderr.decode().splitlines() if "last-applied-configuration" not in x]
    assert not warnings, warnings
    got = json.loads(r.text)
    items = got["items"] if got["kind"] == "List" else [got]
    return {(o["kind"], o["metadata"]["name"]): o for o in items}


def daemonset(objects):
    return next(o for (kind, _), o in objects.items() if kind == "DaemonSet")


def case_deploy_kustomize():
    """Every overlay passes a real server's validation without a warning, and is what an empty cluster accepts."""
    c = Cluster()
    for name in overlays():
        objects = as_server_has(c, kustomize(name))
        assert {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet"} <= {k for k, _ in objects}, (name, list(objects))
        c.kubectl("apply", "-f", "-", stdin=kustomize(name))  # one on top of the other: none is in the other's way
    c.kubectl("delete", "--wait=false", "-f", "-", stdin=kustomize("overlays/gateway"))


def allowed(c, token, method, path, body=None):
    try:
        c.api(method, path, body, token=token)
        return True
    except ApiError as e:
        if e.code == 403:
            return False
        raise


def case_deploy_rights():
    """The account may read pods and nothing else; with the names of services those, too."""
    c = Cluster()
    c.kubectl("apply", "-f", "-", stdin=kustomize("base"))
    token = c.account_token("spandrel", "spandrel")
    kube_kit.wait_until(lambda: c.may(token), "the account's rights")
    review = c.api("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "spandrel"}}, token=token)
    rules = {(v, r) for x in review["status"]["resourceRules"] for v in x["verbs"] for r in x["resources"]}
    own = {x for x in rules if not x[1].startswith("self")}
    assert own == {("get", "pods"), ("list", "pods"), ("watch", "pods")}, rules
    others = ("/api/v1/services", "/api/v1/nodes", "/api/v1/namespaces", "/api/v1/secrets", "/apis/discovery.k8s.io/v1/endpointslices")
    assert not any(allowed(c, token, "GET", p) for p in others)
    c.kubectl("apply", "-f", "-", stdin=kustomize("overlays/services"))
    more = ("/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices")
    kube_kit.wait_until(lambda: all(allowed(c, token, "GET", p) for p in more), "rights to read services")
    assert not any(allowed(c, token, "GET", p) for p in others if p not in more)


def case_deploy_pod_security():
    """The namespace's labels let the agent's pods in; elsewhere, where a level is enforced, they are refused."""
    c = Cluster()
    template = daemonset(as_server_has(c, kustomize("base")))["spec"]["template"]
    pod = {"metadata": {"name": "agent", "labels": template["metadata"]["labels"]}, "spec": template["spec"]}
    c.kubectl("apply", "-f", "-", stdin=kustomize("base"))
    c.api("POST", "/api/v1/namespaces/spandrel/pods?dryRun=All", pod)
    c.namespace("strict", **{"pod-security.kubernetes.io/enforce": "baseline"})
    try:
        c.api("POST", "/api/v1/namespaces/strict/pods?dryRun=All", pod)
    except ApiError as e:
        assert e.code == 403 and b"PodSecurity" in e.body, e
        assert b"hostPID" in e.body or b"host namespaces" in e.body, e
    else:
        raise AssertionError("pod security is not in force here: the test proves nothing")
    # what the Collector and the others need is within the strictest level
    c.namespace("restricted", **{"pod-security.kubernetes.io/enforce": "restricted"})
    seen = 0
    for (kind, name), o in as_server_has(c, kustomize("overlays/gateway")).items():
        if kind in ("Deployment", "StatefulSet"):
            c.api("POST", "/api/v1/namespaces/restricted/pods?dryRun=All", {"metadata": {"name": name}, "spec": o["spec"]["template"]["spec"]})
            seen += 1
    assert seen == 4, seen


def bare(objects):
    """What must be the same in the chart and in the manifests: not who made it, not the hash in a ConfigMap's name."""
    out = {}
    for (kind, name), o in objects.items():
        if kind == "Namespace" or kind == "ConfigMap" and name == "kube-root-ca.crt":
            continue
        name = re.sub(r"-[0-9a-z]{10}$", "", name) if kind == "ConfigMap" else name
        o = json.loads(re.sub(r"(\"name\": \"spandrel)-[0-9a-z]{10}\"", r'\1"', json.dumps(o)))
        for k in ("uid", "creationTimestamp", "resourceVersion", "managedFields", "annotations", "generation"):
            o["metadata"].pop(k, None)
        for k in ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version"):
            o["metadata"].get("labels", {}).pop(k, None)
        o.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations", {}).pop("checksum/config", None)
        o.pop("status", None)
        out[kind, name] = o
    return out


def differences(a, b, path=""):
    if type(a) is not type(b):
        return [f"{path}: {a} / {b}"]
    if isinstance(a, dict):
        return [d for k in sorted({*a, *b}) for d in differences(a.get(k), b.get(k), f"{path}.{k}")]
    if isinstance(a, list) and len(a) == len(b):
        return [d for i, (x, y) in enumerate(zip(a, b)) for d in differences(x, y, f"{path}[{i}]")]
    return [] if a == b else [f"{path}: {a} / {b}"]


def case_deploy_helm():
    """The chart lints, and makes of its values what the manifests and their components say."""
    helm("lint", "--strict", CHART)
    c = Cluster()
    for overlay, values in (("base", ()), ("overlays/services", ["services=true"]), ("overlays/privileged", ["privileged=true"]),
                            ("overlays/nonroot", ["nonroot=true"])):
        a, b = bare(as_server_has(c, chart(*values))), bare(as_server_has(c, kustomize(overlay)))
        assert set(a) == set(b), (overlay, set(a) ^ set(b))
        found = [f"{k}{d}" for k in a for d in differences(a[k], b[k])]
        assert not found, f"{overlay}: " + "\n# ".join(found)
    a = daemonset(as_server_has(c, chart("otlpEndpoint=http://collector.spandrel.svc:4318")))
    b = daemonset(as_server_has(c, kustomize("overlays/collector")))
    assert a["spec"]["template"]["spec"]["containers"][0]["env"] == b["spec"]["template"]["spec"]["containers"][0]["env"]
    every = ["otlpHeadersSecret=s", "priorityClassName=system-node-critical", "extraArgs={--log-level,debug}", "imagePullSecrets[0].name=x",
             "serviceAccount.annotations.a=b", "podLabels.team=x", "extraEnv[0].name=A", "extraEnv[0].value=b", "image.tag=9",
             "extraVolumes[0].name=spool", "extraVolumes[0].hostPath.path=/var/lib/spandrel", "extraVolumeMounts[0].name=spool",
             "extraVolumeMounts[0].mountPath=/spool"]
    spec = daemonset(as_server_has(c, chart(*every)))["spec"]["template"]["spec"]
    assert spec["containers"][0]["image"].endswith(":9") and spec["containers"][0]["args"][-2:] == ["--log-level", "debug"], spec
    moved = daemonset(as_server_has(c, chart("port=9500")))["spec"]["template"]
    assert moved["metadata"]["annotations"]["prometheus.io/port"] == "9500", moved["metadata"]
    assert moved["spec"]["containers"][0]["ports"][0]["containerPort"] == 9500, moved["spec"]
    own = as_server_has(c, chart("serviceAccount.create=false", "serviceAccount.name=mine", "rbac.create=false"))
    assert {k for k, _ in own} == {"ConfigMap", "DaemonSet"} and daemonset(own)["spec"]["template"]["spec"]["serviceAccountName"] == "mine", list(own)


def schemas(c):
    """Files of JSON schema for kubeconform, of what this server says of its objects. Fields that it does not name are errors."""
    d = parts.path("schemas")
    os.makedirs(d, exist_ok=True)
    defs = c.api("GET", "/openapi/v2")["definitions"]
    text = json.dumps(defs).replace("#/definitions/", "_definitions.json#/definitions/")
    defs = json.loads(text)
    for schema in defs.values():
        if "properties" in schema and "additionalProperties" not in schema:
            schema["additionalProperties"] = False
        if schema.get("format") == "int-or-string":
            schema.pop("type")
    with open(os.path.join(d, "_definitions.json"), "w") as f:
        json.dump({"definitions": defs}, f)
    for name, schema in defs.items():
        for gvk in schema.get("x-kubernetes-group-version-kind", []):
            group = gvk["group"].split(".")[0]
            file = "-".join(filter(None, [gvk["kind"].lower(), group, gvk["version"]])) + ".json"
            with open(os.path.join(d, file), "w") as f:
                json.dump({"$ref": "_definitions.json#/definitions/" + name}, f)
    return d


def case_deploy_kubeconform():
    """The manifests by themselves against the server's published schema."""
    c = Cluster()
    where = schemas(c) + "/{{.ResourceKind}}{{.KindSuffix}}.json"
    argv = [kube_kit.program("kubeconform"), "-strict", "-summary", "-output", "json", "-schema-location", where]
    for manifest in [kustomize(o) for o in overlays()] + [chart(), chart("services=true", "privileged=true")]:
        r = json.loads(parts.tool(argv, stdin=manifest, ok=False).text)
        s = r["summary"]
        assert s["valid"] >= 5 and not s["invalid"] and not s["errors"] and not s["skipped"], r
    wrong = kustomize("base").replace(b"hostPID: true", b"hostPid: true")
    assert json.loads(parts.tool(argv, stdin=wrong, ok=False).text)["summary"]["invalid"] == 1


def config_maps(c, overlay):
    return {name.rpartition("-")[0]: o["data"] for (kind, name), o in as_server_has(c, kustomize(overlay)).items() if kind == "ConfigMap"}


def case_deploy_configurations():
    """The Collectors' and Jaeger's own programs take their configurations."""
    c = Cluster()
    texts = {}
    for o in overlays():
        for name, data in config_maps(c, o).items():
            texts.update({(name, k): v for k, v in data.items() if name in ("collector", "jaeger", "gateway", "sampler")})
    for (name, key), text in texts.items():
        path = parts.path(f"{name}-{key}")
        with open(path, "w") as f:
            f.write(text)
        parts.tool([backends.program("jaeger" if name == "jaeger" else "collector"), "validate", "--config", "file:" + path])
    assert len(texts) == 4, texts.keys()


def case_deploy_options():
    """The agent takes the options of its ConfigMap and what components add to its environment."""
    text = json.loads(parts.tool([kube_kit.program("kubectl"), "create", "configmap", "x", "--dry-run=client", "-o", "json",
                                  "--from-file", os.path.join(KUSTOMIZE, "base", "spandrel.conf")]).text)["data"]["spandrel.conf"]
    conf = parts.path("spandrel.conf")
    with open(conf, "w") as f:
        f.write(text)
    env = {"SPANDREL_KUBE_SERVICES": "true", "SPANDREL_NODE_NAME": "n1", "SPANDREL_OTLP_ENDPOINT": "http://127.0.0.1:9", "SPANDREL_OTLP_HEADER": "a=b\nc=d"}
    status, _, err = run("--config", conf, "--check", env=env)
    assert status == 0, err
    status, _, err = run("--config", conf, "--check", env={"SPANDREL_KUBE_SERVICES": "perhaps"})
    assert status == 2, "a wrong value is not noticed: the test proves nothing"


class Network:
    """Network namespaces joined by a bridge, each with an address and with names of the others: pods, as far as programs in them can tell."""

    def __init__(self, names, services):
        parts.need("ip", "nsenter", "unshare")
        self.pids, self.addr = {}, {n: f"10.99.0.{i + 1}" for i, n in enumerate(names)}
        for name in names:
            p = parts.start(["unshare", "--net", "--mount", "--propagation", "private", "sleep", "infinity"], "net-" + name)
            kube_kit.wait_until(lambda: os.readlink(f"/proc/{p.pid}/ns/net") != os.readlink("/proc/self/ns/net"), "a network namespace")
            self.pids[name] = p.pid
        hub = names[0]
        self.run(hub, "ip", "link", "add", "br0", "type", "bridge")
        self.run(hub, "ip", "link", "set", "br0", "up")
        for i, name in enumerate(names):
            self.run(name, "ip", "link", "set", "lo", "up")
            link = "br0"
            if name != hub:
                link = "eth0"
                self.run(hub, "ip", "link", "add", f"port{i}", "type", "veth", "peer", "name", "eth0", "netns", str(self.pids[name]))
                self.run(hub, "ip", "link", "set", f"port{i}", "master", "br0", "up")
            self.run(name, "ip", "addr", "add", self.addr[name] + "/24", "dev", link)
            self.run(name, "ip", "link", "set", link, "up")
        hosts = parts.path("hosts")
        with open(hosts, "w") as f:
            f.write("127.0.0.1 localhost\n" + "".join(f"{self.addr[n]} {s}\n" for s, ns in services.items() for n in ns))
        for name in names:
            self.run(name, "mount", "--bind", hosts, "/etc/hosts")

    def inside(self, name):
        return ["nsenter", f"--net=/proc/{self.pids[name]}/ns/net", f"--mount=/proc/{self.pids[name]}/ns/mnt"]

    def run(self, name, *argv):
        return parts.tool([*self.inside(name), *argv])

    def start(self, name, program, port, *argv):
        p = parts.start([*self.inside(name), program, *argv], name)
        ready = ["sh", "-c", f"ss -Htln 'sport = :{port}' | grep -q ."]
        kube_kit.wait_until(lambda: parts.tool([*self.inside(name), *ready], ok=False).returncode == 0 or p.poll() is not None, f"{name} at {port}")
        assert p.poll() is None, f"{name}: {parts.read(parts.path(name + '.log'))}"


def case_deploy_gateway():
    """The gateway's and the samplers' configurations, unchanged but for the time to wait, with two agents as of two nodes: each trace
    arrives whole or not at all, slow ones always, and both samplers had a part in it."""
    c = Cluster()
    maps = config_maps(c, "overlays/gateway")
    net = Network(["gateway", "sampler-0", "sampler-1", "tempo"],
                  {"sampler.spandrel.svc": ["sampler-0", "sampler-1"], "tempo.spandrel.svc": ["tempo"]})
    for name in ("gateway", "sampler"):
        with open(parts.path(name + ".yaml"), "w") as f:
            f.write(maps[name]["config.yaml"])
    soon, store, out = parts.path("soon.yaml"), parts.path("store.yaml"), parts.path("kept.jsonl")
    with open(soon, "w") as f:
        json.dump({"processors": {"tail_sampling": {"decision_wait": "6s"}}}, f)
    with open(store, "w") as f:
        json.dump({"receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "0.0.0.0:4317"}}}}, "exporters": {"file": {"path": out, "flush_interval": "50ms"}},
                   "service": {"telemetry": {"metrics": {"level": "none"}}, "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}}}}, f)
    collector = backends.program("collector")
    net.start("tempo", collector, 4317, "--config", "file:" + store)
    for name in ("sampler-0", "sampler-1"):
        net.start(name, collector, 4317, "--config", "file:" + parts.path("sampler.yaml"), "--config", "file:" + soon)
    net.start("gateway", collector, 4318, "--config", "file:" + parts.path("gateway.yaml"))
    back = parts.threading_server(name="back")
    front = parts.threading_server(name="front", backend=back.url)
    node = {"wrap": net.inside("gateway")}
    traces = {f"{i + 1:032x}": i % 3 == 0 for i in range(24)}  # every third is slow
    with Tracer("--otlp-endpoint", "http://127.0.0.1:4318", select=["--pid", front.pid], name="one", **node) as one:
        with Tracer("--otlp-endpoint", "http://127.0.0.1:4318", select=["--pid", back.pid], name="two", **node) as two:
            parts.parallel(lambda t: parts.curl(f"{front.url}/copy/{t}{'?sleep=1100' if traces[t] else ''}", "-H", f"traceparent: 00-{t}-{'b' * 16}-01"), traces)
            two.stop()
        one.stop()
    assert len(one.spans) == 2 * len(traces) and len(two.spans) == len(traces), (len(one.spans), len(two.spans))

    def kept():
        found = {}
        for line in parts.read(out).splitlines(keepends=True):
            for s in backends.from_otlp(json.loads(line)) if line.endswith("\n") else []:
                found[s.trace] = found.get(s.trace, 0) + 1
        return found
    slow = {t for t, s in traces.items() if s}
    kube_kit.wait_until(lambda: slow <= set(kept()) and all(n == 3 for n in kept().values()), f"all slow traces, whole: {kept()}")
    time.sleep(2)  # what should not come would come now
    got = kept()
    assert set(got.values()) == {3} and set(got) <= set(traces), got
    assert len(got) < len(traces), "nothing was dropped"
    for name in ("sampler-0", "sampler-1"):
        sizes = re.findall(r"bytes_received:(\d+)", net.run(name, "ss", "-tinH", "state", "established", "sport = :4317").text)
        assert sum(map(int, sizes)) > 1000, f"{name} had no part in it: {sizes}"
