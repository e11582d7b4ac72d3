# SPDX-License-Identifier: Apache-2.0
"""Images built without a daemon (tests/kube/image.sh) and started by runc as a container runtime of Kubernetes starts them."""
import json
import os
import secrets
import subprocess

import cgroups
import parts
from spandrel import PATIENCE

IMAGE = os.path.join(os.path.dirname(parts.HERE), "kube", "image.sh")
SECCOMP = "/usr/share/containers/seccomp.json"
DEFAULT = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"]


def buildah(*args):
    return parts.tool([IMAGE, "buildah", *args]).text.strip()


def image(name):
    """(its root mounted, its configuration); a skip if it is not there."""
    parts.need("runc", "buildah")
    r = subprocess.run([IMAGE, "buildah", "inspect", "--type", "image", "localhost/" + name], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if r.returncode:
        raise parts.Skip(f"no image of {name}: `make image` says why")
    container = buildah("from", "--name", f"{name}-{secrets.token_hex(4)}", "localhost/" + name)
    parts.at_end(lambda: buildah("rm", container))
    return buildah("mount", container), json.loads(r.stdout)["OCIv1"]["config"]


def seccomp(caps):
    """The runtimes' default profile for a container with these capabilities. The file is of a version that knows neither CAP_BPF
    nor CAP_PERFMON; what it lacks is as containerd (1.7) and Docker (23) have it."""
    if not os.path.exists(SECCOMP):
        raise parts.Skip("no default seccomp profile is installed")
    rules = json.loads(parts.read(SECCOMP))["syscalls"]
    rules += [{"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
              {"names": ["perf_event_open"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_PERFMON"]}}]
    allow, conditional = set(), []
    for r in rules:
        want, but = r.get("includes") or {}, r.get("excludes") or {}
        if r["action"] != "SCMP_ACT_ALLOW" or not set(want.get("caps", [])) <= set(caps) or set(but.get("caps", [])) & set(caps):
            continue
        if "arches" in want and not {"amd64", "arm64"} & set(want["arches"]):
            continue
        if r.get("args"):
            conditional.append({"names": r["names"], "action": "SCMP_ACT_ALLOW", "args": r["args"]})
        else:
            allow |= set(r["names"])
    return {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
            "syscalls": [{"names": sorted(allow), "action": "SCMP_ACT_ALLOW"}] + conditional}


class Container:
    """A container of an image, as its pod's security context (a container's part of a manifest) says. `mounts`: {inside: (outside, writable)}."""

    def __init__(self, image, args=(), context=None, env=None, mounts=None, path=None, id=None, host_pid=False, name="container"):  # noqa: A002
        root, config = image
        context = context or {}
        self.id, self.name = id or secrets.token_hex(32), name
        self.bundle = parts.path(f"{name}-{self.id[:12]}")
        os.mkdir(self.bundle)
        parts.tool(["runc", "spec", "--bundle", self.bundle])
        with open(os.path.join(self.bundle, "config.json")) as f:
            spec = json.load(f)
        self.privileges(spec, context, config)
        spec["process"].update({"terminal": False, "args": [*config.get("Entrypoint", []), *map(str, args)], "rlimits": []})
        spec["process"]["env"] = [*config.get("Env", spec["process"]["env"]), *(f"{k}={v}" for k, v in (env or {}).items())]
        spec["root"] = {"path": root, "readonly": context.get("readOnlyRootFilesystem", False)}
        spec.pop("hostname")
        for inside, (outside, writable) in (mounts or {}).items():
            spec["mounts"].append({"destination": inside, "type": "bind", "source": outside,
                                   "options": ["rbind", "rprivate", "rw" if writable else "ro", "nosuid", "nodev"]})
        # the tests' servers are on this machine's loopback
        gone = {"network"} | ({"pid"} if host_pid else set())
        linux = spec["linux"]
        linux["namespaces"] = [n for n in linux["namespaces"] if n["type"] not in gone]
        linux["cgroupsPath"] = path or "/spandrel-tests/" + self.id
        self.path = linux["cgroupsPath"]
        with open(os.path.join(self.bundle, "config.json"), "w") as f:
            json.dump(spec, f)
        self.state = ["runc", "--root", parts.path("runc")]
        self.start()

    @staticmethod
    def privileges(spec, context, config):
        caps = ["CAP_" + c for c in context.get("capabilities", {}).get("add", [])]
        if context.get("capabilities", {}).get("drop") != ["ALL"]:
            caps += ["CAP_" + c for c in DEFAULT]
        if context.get("privileged"):
            own = next(line.split()[1] for line in parts.read("/proc/self/status").splitlines() if line.startswith("CapBnd:"))
            names = parts.tool(["capsh", "--decode=" + own]).text.partition("=")[2].strip().split(",")
            caps = [c.upper() for c in names]
            spec["linux"].update({"maskedPaths": [], "readonlyPaths": []})
            for m in spec["mounts"]:
                m["options"] = ["rw" if o == "ro" else o for o in m.get("options", [])]
        elif context.get("seccompProfile", {}).get("type") == "RuntimeDefault":
            spec["linux"]["seccomp"] = seccomp(caps)
        # a runtime sets no ambient set: a user other than root has what its program's file says
        spec["process"]["capabilities"] = {k: sorted(set(caps)) for k in ("bounding", "effective", "permitted")}
        spec["process"]["noNewPrivileges"] = context.get("allowPrivilegeEscalation") is False
        user = (config.get("User") or "0").split(":") + ["0"]
        spec["process"]["user"] = {"uid": context.get("runAsUser", int(user[0])), "gid": context.get("runAsGroup", int(user[1]))}

    def start(self):
        pid_file = os.path.join(self.bundle, "pid")
        log = parts.path(self.name + ".log")
        with open(log, "ab") as f:
            r = subprocess.run([*self.state, "run", "--detach", "--bundle", self.bundle, "--pid-file", pid_file, self.id],
                               stdin=subprocess.DEVNULL, stdout=f, stderr=f, timeout=PATIENCE)
        parts.at_end(self.remove)
        assert r.returncode == 0, f"runc: {parts.read(log)}"
        self.pid = int(parts.read(pid_file))

    @property
    def log(self):
        return parts.read(parts.path(self.name + ".log"))

    def kill(self, sig):
        parts.tool([*self.state, "kill", self.id, sig])

    @property
    def running(self):
        r = parts.tool([*self.state, "state", self.id], ok=False)
        return r.returncode == 0 and json.loads(r.text)["status"] == "running"

    def remove(self):
        parts.tool([*self.state, "delete", "--force", self.id], ok=False)
        for root in cgroups.hierarchies().values():
            cgroups.remove(root, root + self.path)
