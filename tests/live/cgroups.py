# SPDX-License-Identifier: Apache-2.0
"""Control groups named as kubelets and container runtimes name them, and programs placed in them. All of it is removed when
the case ends, what others use is left."""
import contextlib
import os
import time

import parts

ROOT = "/sys/fs/cgroup"
SCOPE = {"containerd": "cri-containerd", "cri-o": "crio", "docker": "docker"}
_made = []


def hierarchies():
    """{name: folder} of what is mounted: "v2", and each of v1 by its controllers or name."""
    out = {}
    for line in parts.read("/proc/self/mounts").splitlines():
        _, where, kind, options, *_ = line.split()
        if kind == "cgroup2":
            out["v2"] = where
        elif kind == "cgroup":
            out[os.path.basename(where)] = where
    return out


def folders(version):
    """Where a container's processes are listed: the v2 hierarchy, or the v1 hierarchies that a kubelet uses; {} if there are none."""
    names = ("v2",) if version == 2 else ("cpu", "cpu,cpuacct", "cpuacct", "pids", "systemd")
    return {h: where for h, where in hierarchies().items() if h in names}


def pod_path(uid, driver="systemd", qos="burstable"):
    """The pod's folder below the hierarchy's root."""
    middle = "" if qos == "guaranteed" else qos
    if driver == "systemd":
        end = f"kubepods{'-' + middle if middle else ''}-pod{uid.replace('-', '_')}.slice"
        return f"/kubepods.slice/kubepods-{middle}.slice/{end}" if middle else f"/kubepods.slice/{end}"
    return f"/kubepods/{middle}/pod{uid}" if middle else f"/kubepods/pod{uid}"


def container_path(uid, cid, driver="systemd", runtime="containerd", qos="burstable", below=""):
    """The shapes that container runtimes give to a container's folder."""
    pod = pod_path(uid, driver, qos)
    if driver == "colons":  # containerd with SystemdCgroup off and a systemd name from the kubelet
        pod = pod_path(uid, "systemd", qos)
        return f"/system.slice/{os.path.basename(pod)}:cri-containerd:{cid}"
    if driver == "kind":
        return f"/docker/{'f0' * 32}/kubelet{pod}/{cid}"
    if driver == "systemd":
        return f"{pod}/{SCOPE[runtime]}-{cid}.scope{below}"
    return f"{pod}/{'crio-' if runtime == 'cri-o' else ''}{cid}{below}"


def make(path, version=2):
    """The folders of a path, in each hierarchy of that version; returns them."""
    if not _made:
        parts.at_end(remove_all)
    out, roots = [], folders(version)
    if not roots:
        raise parts.Skip(f"no control groups of version {version}")
    for root in roots.values():
        folder = root + path
        for _ in range(100):  # another case may be taking the parents away
            with contextlib.suppress(FileNotFoundError):
                os.makedirs(folder, exist_ok=True)
                break
        out.append(folder)
        _made.append((root, folder))
    return out


def own():
    """{hierarchy: this process's folder in it}"""
    mounts, out = hierarchies(), {}
    for line in parts.read("/proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        for name in ["v2"] if not names else [names, names.removeprefix("name=")]:
            if name in mounts:
                out[mounts[name]] = mounts[name] + path
    return out


def enter(folder, pid=0):
    with open(os.path.join(folder, "cgroup.procs"), "w") as f:
        f.write(str(pid))


@contextlib.contextmanager
def inside(dirs):
    """What is started in this block begins its life in these folders."""
    before = own()
    back = [before[root] for root in before if any(d.startswith(root + "/") for d in dirs)]
    try:
        for d in dirs:
            enter(d)
        yield
    finally:
        for d in back:
            enter(d)


def remove(root, folder):
    end = time.monotonic() + 5
    while os.path.isdir(folder):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            break
        except OSError:
            if time.monotonic() > end:  # a process is left in it
                return
            time.sleep(0.02)
    while (folder := os.path.dirname(folder)) != root:
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            continue
        except OSError:
            return  # others use it


def remove_all():
    for root, folder in reversed(_made):
        remove(root, folder)
    _made.clear()
