# SPDX-License-Identifier: Apache-2.0
"""A pod as its kubelet writes it into the API server (kube_kit.py), and its containers' control groups (cgroups.py)."""
import os
import secrets
import time

import cgroups


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Pod:
    """A pod's object. Its containers: {name: image}. `ip=None` and run=False: it has not started."""
    def __init__(self, cluster, namespace, name, node="n1", containers=None, labels=None, annotations=None, owner=None, ip=None,
                 host_network=False, init=None, run=True, runtime="containerd", driver="systemd", version=2, qos="burstable", static=False, create=True):
        self.cluster, self.namespace, self.name, self.node = cluster, namespace, name, node
        self.runtime, self.driver, self.version, self.qos = runtime, driver, version, qos
        self.path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        self.images = containers or {"app": "registry.example.com/shop/app:1.2"}
        self.init_images, self.ephemeral = init or {}, {}
        self.ids, self.former, self.restarts, self.dirs = {}, {}, {}, {}
        annotations = dict(annotations or {})
        self.config_hash = secrets.token_hex(16) if static else None
        if static:  # a mirror pod: the kubelet knows it by the hash of its manifest
            annotations.update({"kubernetes.io/config.hash": self.config_hash, "kubernetes.io/config.mirror": self.config_hash,
                                "kubernetes.io/config.source": "file"})
        meta = {"name": name, "labels": labels or {}, "annotations": annotations}
        if owner:
            meta["ownerReferences"] = [owner]
        spec = {"nodeName": node, "hostNetwork": host_network, "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0,
                "containers": self.spec_of(self.images), "initContainers": self.spec_of(self.init_images)}
        self.wanted, self.ip = {"metadata": meta, "spec": spec}, ip
        if create:
            self.create(run)

    def create(self, run=True):
        """Later than the constructor for a static pod alone: its containers run before the server knows of it."""
        self.cluster.namespace(self.namespace)
        self.json = self.cluster.api("POST", os.path.dirname(self.path), self.wanted)
        if run:
            self.run()

    @staticmethod
    def spec_of(images):
        return [{"name": n, "image": i} for n, i in images.items()]

    @property
    def uid(self):
        return self.json["metadata"]["uid"]

    @property
    def cgroup_uid(self):
        return self.config_hash or self.uid

    def id(self, container="app"):
        """The container's id; the runtime knows it before the API server does."""
        if container not in self.ids:
            self.ids[container], self.restarts[container] = secrets.token_hex(32), 0
        return self.ids[container]

    def cgroup_path(self, container="app"):
        return cgroups.container_path(self.cgroup_uid, self.id(container), self.driver, self.runtime, self.qos)

    def folders(self, container="app"):
        cid = self.id(container)
        if cid not in self.dirs:
            self.dirs[cid] = cgroups.make(self.cgroup_path(container), self.version)
        return self.dirs[cid]

    def inside(self, container="app"):
        """What is started in this block is the container's."""
        return cgroups.inside(self.folders(container))

    def one_status(self, name, image, state=None):
        last = {"terminated": {"exitCode": 1, "containerID": f"{self.runtime}://{self.former[name]}", "startedAt": now(), "finishedAt": now()}} if name in self.former else {}
        return {"lastState": last, "name": name, "image": image, "imageID": f"{image.rpartition(':')[0]}@sha256:{'ab' * 32}", "ready": state is None, "started": state is None,
                "containerID": f"{self.runtime}://{self.id(name)}", "restartCount": self.restarts[name], "state": state or {"running": {"startedAt": now()}}}

    def run(self, phase="Running"):
        """The status that a kubelet writes when the containers run."""
        done = {"terminated": {"exitCode": 0, "startedAt": now(), "finishedAt": now()}}
        status = {"phase": phase, "startTime": self.json.get("status", {}).get("startTime") or now(), "hostIP": "192.0.2.1", "hostIPs": [{"ip": "192.0.2.1"}],
                  "containerStatuses": [self.one_status(n, i, done if phase in ("Succeeded", "Failed") else None) for n, i in self.images.items()],
                  "initContainerStatuses": [self.one_status(n, i, done) for n, i in self.init_images.items()],
                  "ephemeralContainerStatuses": [self.one_status(n, i) for n, i in self.ephemeral.items()]}
        if self.ip:
            ips = [self.ip] if isinstance(self.ip, str) else self.ip
            status.update({"podIP": ips[0], "podIPs": [{"ip": i} for i in ips]})
        self.json = self.cluster.patch(self.path + "/status", {"status": status})
        return self

    def restart(self, container="app"):
        """A container ended and runs again: new id."""
        n = self.restarts[container] + 1
        self.former[container] = self.ids.pop(container)
        self.id(container)
        self.restarts[container] = n
        return self.run()

    def debug(self, name, image):
        """An ephemeral container is added."""
        self.ephemeral[name] = image
        body = {"spec": {"ephemeralContainers": [{"name": n, "image": i, "terminationMessagePolicy": "File"} for n, i in self.ephemeral.items()]}}
        self.cluster.patch(self.path + "/ephemeralcontainers", body)
        return self.run()

    def label(self, **labels):
        self.json = self.cluster.patch(self.path, {"metadata": {"labels": labels}})
        return self

    def annotate(self, annotations):
        self.json = self.cluster.patch(self.path, {"metadata": {"annotations": annotations}})
        return self

    def delete(self):
        self.cluster.api("DELETE", self.path, {"gracePeriodSeconds": 0})
