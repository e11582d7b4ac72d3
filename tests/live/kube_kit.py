# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes API server with etcd on loopback (tests/kube), the objects of a cluster in it, and programs in control groups
named as a kubelet names them. There is no kubelet and no controller: cases write what those would write.

	c = Cluster()                                          # started; c.url, c.ca, c.token (admin)
	c.node("n1"); c.namespace("shop")
	p = c.pod("shop", "web-7d4b9c", node="n1", ip="10.1.0.5", labels={…}, owner=c.replica_set("shop", "web"))
	with p.inside("app"):                                  # by name; as a kubelet would have started it
	    s = parts.threading_server()
	c.agent()                                              # a ServiceAccount that may get, list, watch pods; its token
"""
import base64
import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import time
import uuid

import otlp_sink
import parts
from kube_pod import Pod
from spandrel import PATIENCE

BUILD = os.path.join(os.path.dirname(parts.HERE), "kube", "build.sh")
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
POD_RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
CREATE = {"deployment": "apps/v1", "replicaset": "apps/v1", "statefulset": "apps/v1", "daemonset": "apps/v1",
          "job": "batch/v1", "cronjob": "batch/v1"}


def program(name):
    r = subprocess.run([BUILD, "--path", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if r.returncode:
        raise parts.Skip(f"{name} is not there: `make kube` says why")
    return r.stdout.decode().strip()


def wait_until(fn, what, patience=PATIENCE):
    """Until fn() is true; returns it."""
    end = time.monotonic() + patience
    while not (got := fn()):
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.05)
    return got


class ApiError(Exception):
    def __init__(self, code, headers, body):
        self.code, self.headers, self.body = code, headers, body
        super().__init__(f"{code}: {body[:500]}")


class Cluster:
    def __init__(self, name="kube", watch_cache=True, host="127.0.0.1", flags=()):
        self.dir = parts.path(name)
        os.makedirs(self.dir)
        self.host, self.name, self.flags = host, name, [*flags, f"--watch-cache={'true' if watch_cache else 'false'}"]
        self.apiserver, etcd = program("kube-apiserver"), program("etcd")
        self.certificates()
        self.token = secrets.token_hex(16)
        with open(self.file("tokens.csv"), "w") as f:
            f.write(f'{self.token},admin,admin,system:masters\n')
        self.port, self.etcd_port, peer = parts.free_port(host), parts.free_port(), parts.free_port()
        self.url = f"https://{f'[{host}]' if ':' in host else host}:{self.port}"
        at = f"http://127.0.0.1:{self.etcd_port}"
        parts.start([etcd, "--name", "one", "--data-dir", self.file("etcd"), "--unsafe-no-fsync", "--listen-client-urls", at,
                     "--advertise-client-urls", at, "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--log-level", "warn",
                     "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", f"one=http://127.0.0.1:{peer}"], name + "-etcd")
        parts.wait_listening(("127.0.0.1", self.etcd_port))
        self.start()
        wait_until(lambda: self.exists("/api/v1/namespaces/default"), "the namespace default")

    def file(self, name):
        return os.path.join(self.dir, name)

    def certificates(self):
        parts.need("openssl")
        otlp_sink.make_certificates(self.dir)
        parts.tool(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.file("accounts.key")])
        self.tls, self.ca = self.dir, self.file("ca.pem")

    def new_authority(self):
        """The server is one of another authority from here on; accounts and their tokens stay."""
        self.stop()
        self.tls = self.file("tls-2")
        os.mkdir(self.tls)
        otlp_sink.make_certificates(self.tls)
        self.ca = os.path.join(self.tls, "ca.pem")
        self.start()

    # the server

    def start(self):
        f = self.file
        self.proc = parts.start([
            self.apiserver, f"--etcd-servers=http://127.0.0.1:{self.etcd_port}", f"--bind-address={self.host}", "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}", f"--tls-cert-file={self.tls}/server.pem", f"--tls-private-key-file={self.tls}/server.key",
            f"--client-ca-file={self.ca}", f"--token-auth-file={f('tokens.csv')}", "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={f('accounts.key')}", f"--service-account-signing-key-file={f('accounts.key')}",
            "--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount",
            "--allow-privileged=true", "--endpoint-reconciler-type=none", f"--cert-dir={self.dir}", f"--audit-log-path={f('audit.log')}", f"--audit-policy-file={self.audit()}",
            *self.flags], self.name, env={"GOMEMLIMIT": "400MiB"})
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if self.raw("GET", "/readyz")[1] == b"ok":
                    return
            except (OSError, http.client.HTTPException, ApiError):
                pass
            assert self.proc.poll() is None and time.monotonic() < end, f"the API server: {parts.read(parts.path(self.name + '.log'))[-3000:]}"
            time.sleep(0.1)

    def stop(self):
        """It holds its port for a second after SIGTERM: kill is as clean for whom etcd keeps everything."""
        self.proc.kill()
        self.proc.wait()

    def restart(self):
        self.stop()
        self.start()

    @contextlib.contextmanager
    def hanging(self):
        """Connections are open, nothing is answered."""
        self.proc.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.proc.send_signal(signal.SIGCONT)

    def audit(self):
        """The audit log says who asked for what; only agents are of interest."""
        path = self.file("audit.json")
        rules = [{"level": "None", "users": ["admin"]}, {"level": "None", "userGroups": ["system:masters"]},
                 {"level": "Metadata", "resources": [{"group": ""}, {"group": "discovery.k8s.io"}], "omitStages": ["RequestReceived"]}, {"level": "None"}]
        with open(path, "w") as f:
            json.dump({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}, f)
        return path

    def asked(self, since=0):
        """The agents' requests so far, as the server's audit log has them: [(verb, URI, code)]."""
        lines = [json.loads(x) for x in parts.read(self.file("audit.log")).splitlines(keepends=True) if x.endswith("\n")]
        return [(x["verb"], x["requestURI"], x.get("responseStatus", {}).get("code")) for x in lines
                if x["stage"] != "ResponseComplete" or x["verb"] != "watch"][since:]

    # etcd, behind the server's back

    def etcd(self, path, **body):
        c = http.client.HTTPConnection("127.0.0.1", self.etcd_port, timeout=10)
        with contextlib.closing(c):
            c.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            r = c.getresponse()
            text = r.read()
            assert r.status == 200, (r.status, text)
            return json.loads(text)

    def revision(self):
        return int(self.etcd("/v3/kv/range", key=base64.b64encode(b"x").decode())["header"]["revision"])

    def compact(self):
        """What happened is forgotten: a watch from an older version gets 410."""
        self.etcd("/v3/kv/compaction", revision=str(self.revision()), physical=True)

    def forget(self, pod):
        """A pod's object vanishes without an event, as when the server is away while it is deleted."""
        key = f"/registry/pods/{pod.namespace}/{pod.name}".encode()
        assert self.etcd("/v3/kv/deleterange", key=base64.b64encode(key).decode()).get("deleted") == "1", key

    @contextlib.contextmanager
    def away(self, pod, writes=50):
        """The server is gone for a while. When it is back, this pod's object is not, and what was before is forgotten."""
        self.stop()
        self.forget(pod)
        for i in range(writes):
            self.etcd("/v3/kv/put", key=base64.b64encode(b"/elsewhere").decode(), value=base64.b64encode(str(i).encode()).decode())
        self.compact()
        yield
        self.start()

    # fairness among clients

    def refuse(self, namespace, name, token):
        """Every request of this account is answered with 429: its level has one seat, and another account's request that does not end sits in it."""
        self.account(namespace, "hog", [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}])
        hog = self.account_token(namespace, "hog")
        flow = "/apis/flowcontrol.apiserver.k8s.io/v1/"
        one = {"nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}
        self.create(flow + "prioritylevelconfigurations", {"metadata": {"name": "one"}, "spec": {"type": "Limited", "limited": one}})
        self.create(flow + "flowschemas", {"metadata": {"name": "one"}, "spec": {
            "priorityLevelConfiguration": {"name": "one"}, "matchingPrecedence": 2, "rules": [{
                "subjects": [{"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": n}} for n in (name, "hog")],
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}]}]}})
        self.hogging = []

        def busy():
            if self.code(token) == 429:
                return True
            s = ssl.create_default_context(cafile=self.ca).wrap_socket(socket.create_connection((self.host, self.port)), server_hostname=self.host)
            s.sendall((f"POST /api/v1/namespaces/{namespace}/configmaps HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {hog}\r\n"
                       "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n").encode())
            self.hogging.append(s)
            time.sleep(0.3)
            return False
        wait_until(busy, "429")

    def admit(self, token):
        for s in self.hogging:
            s.close()
        self.api("DELETE", "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/one")
        wait_until(lambda: self.code(token) == 200, "an end of 429")

    def code(self, token):
        try:
            self.raw("GET", "/api/v1/pods?limit=1", token=token)
            return 200
        except ApiError as e:
            return e.code

    # requests

    def raw(self, method, path, body=None, token=None, kind="application/json"):
        c = http.client.HTTPSConnection(self.host, self.port, timeout=PATIENCE, context=ssl.create_default_context(cafile=self.ca))
        with contextlib.closing(c):
            c.request(method, path, body, {"Authorization": "Bearer " + (token or self.token), "Content-Type": kind, "Accept": "application/json"})
            r = c.getresponse()
            text = r.read()
        if r.status >= 400:
            raise ApiError(r.status, r.headers, text)
        return r.headers, text

    def api(self, method, path, body=None, token=None, kind="application/json"):
        return json.loads(self.raw(method, path, None if body is None else json.dumps(body), token, kind)[1])

    def exists(self, path):
        try:
            return self.api("GET", path)
        except ApiError as e:
            if e.code != 404:
                raise
            return None

    def patch(self, path, body):
        return self.api("PATCH", path, body, kind="application/merge-patch+json")

    def create(self, path, obj):
        """The object as the server has it; one that is there already is left as it is."""
        try:
            return self.api("POST", path, obj)
        except ApiError as e:
            if e.code != 409:
                raise
            return self.api("GET", f"{path}/{obj['metadata']['name']}")

    def kubectl(self, *args, stdin=None, ok=True):
        argv = [program("kubectl"), "--kubeconfig", self.kubeconfig("admin", self.token), "--cache-dir", self.file("cache"), *args]
        return parts.tool(argv, stdin=stdin, ok=ok)

    def kubeconfig(self, name="agent", token=None, **user):
        """A kubeconfig's path: with this token, or the given fields of its user."""
        path = self.file(name + ".kubeconfig")
        with open(path, "w") as f:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "here",
                       "clusters": [{"name": "c", "cluster": {"server": self.url, "certificate-authority": self.ca}}],
                       "users": [{"name": "u", "user": {"token": token} if token else user}],
                       "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}]}, f, indent=1)
        os.chmod(path, 0o600)
        return path

    # objects

    def namespace(self, name, **labels):
        return self.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})

    def node(self, name):
        return self.create("/api/v1/nodes", {"metadata": {"name": name}})

    def account(self, namespace, name, rules=None):
        """A ServiceAccount; rules: what it may do in the whole cluster."""
        self.namespace(namespace)
        self.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
        if rules:
            rbac = "/apis/rbac.authorization.k8s.io/v1/"
            self.create(rbac + "clusterroles", {"metadata": {"name": name}, "rules": rules})
            self.create(rbac + "clusterrolebindings", {
                "metadata": {"name": name}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
                "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}]})

    def allow(self, user):
        """A user, as client certificates name them by CN, may do what an agent's account may."""
        self.agent()
        rbac = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
        self.create(rbac, {"metadata": {"name": user}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "spandrel"},
                           "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]})

    def account_token(self, namespace, name, secret=None):
        """A token by TokenRequest; bound to a Secret it ends with it."""
        spec = {"expirationSeconds": 600}
        if secret:
            s = self.create(f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": secret}})
            spec["boundObjectRef"] = {"kind": "Secret", "apiVersion": "v1", "name": secret, "uid": s["metadata"]["uid"]}
        r = self.api("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
                     {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
        return r["status"]["token"]

    def agent(self, rules=None):
        """The token of an account with just the rights that an agent has by default."""
        self.account("spandrel", "spandrel", rules or POD_RULES)
        token = self.account_token("spandrel", "spandrel")
        wait_until(lambda: self.may(token), "the account's rights")
        return token

    def may(self, token):
        return self.code(token) == 200

    def workload(self, kind, namespace, name, owner=None, labels=None):
        """A Deployment, ReplicaSet, …; returns what refers to it as an owner."""
        self.namespace(namespace)
        labels = labels or {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "example.com/app:1"}]}}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        if kind == "statefulset":
            spec["serviceName"] = name
        if kind in ("job", "cronjob"):
            template["spec"]["restartPolicy"] = "Never"
            spec = {"template": template}
        if kind == "cronjob":
            spec = {"schedule": "* * * * *", "jobTemplate": {"spec": spec}}
        meta = {"name": name, "labels": labels, **({"ownerReferences": [owner]} if owner else {})}
        group = CREATE[kind]
        obj = self.create(f"/apis/{group}/namespaces/{namespace}/{kind}s", {"metadata": meta, "spec": spec})
        names = {"replicaset": "ReplicaSet", "statefulset": "StatefulSet", "daemonset": "DaemonSet", "cronjob": "CronJob"}
        return {"apiVersion": group, "kind": names.get(kind, kind.capitalize()), "name": name, "uid": obj["metadata"]["uid"],
                "controller": True, "blockOwnerDeletion": True}

    def deployment(self, namespace, name, hash="7d4b9c8f6d"):  # noqa: A002
        """Of its ReplicaSet, which owns the pods."""
        d = self.workload("deployment", namespace, name)
        return self.workload("replicaset", namespace, f"{name}-{hash}", owner=d, labels={"app": name, "pod-template-hash": hash})

    def pod(self, namespace, name, **kw):
        return Pod(self, namespace, name, **kw)

    def pods(self, namespace, n, node, prefix="p"):
        """Many running pods at once, quickly."""
        self.namespace(namespace)
        made = parts.parallel(lambda part: [self.pod(namespace, f"{prefix}-{i}", node=node, ip=f"10.2.{i // 250}.{i % 250 + 1}") for i in part],
                              [range(k, n, 4) for k in range(4)])
        return [p for some in made for p in some]


class Mount:
    """The folder that a kubelet mounts into pods for their account: files behind a link that is swapped at once."""

    def __init__(self, cluster, token, namespace="spandrel", name="account"):
        self.cluster, self.namespace = cluster, namespace
        self.dir = os.path.join(cluster.dir, name)
        os.mkdir(self.dir)
        self.rotate(token)
        for f in ("token", "ca.crt", "namespace"):
            os.symlink("..data/" + f, os.path.join(self.dir, f))

    def rotate(self, token, ca=None):
        data = os.path.join(self.dir, f"..{uuid.uuid4().hex}")
        os.mkdir(data)
        for name, text in (("token", token), ("ca.crt", parts.read(ca or self.cluster.ca)), ("namespace", self.namespace)):
            with open(os.path.join(data, name), "w") as f:
                f.write(text)
        link = os.path.join(self.dir, "..data")
        os.symlink(os.path.basename(data), link + "_tmp")
        os.replace(link + "_tmp", link)

    @property
    def wrap(self):
        """What stands before a command that shall find this folder where pods have it."""
        parts.need("unshare", "mount")
        command = f'mount -t tmpfs none /run && mkdir -p {MOUNT} && mount --bind {self.dir} {MOUNT} && exec "$@"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", command, "sh"]

    @property
    def env(self):
        """What a kubelet tells its pods by the environment."""
        return {"KUBERNETES_SERVICE_HOST": self.cluster.host, "KUBERNETES_SERVICE_PORT": str(self.cluster.port)}
