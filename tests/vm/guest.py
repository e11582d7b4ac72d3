# SPDX-License-Identifier: Apache-2.0
"""Boots a kernel in QEMU, without acceleration, on a throw-away overlay of a root file system (the host's, or one unpacked
from packages), runs a command there and gives its output and status."""
import ctypes
import gzip
import lzma
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time

import packages

HERE = os.path.dirname(os.path.abspath(__file__))
NEEDED = ["virtio_pci", "9pnet_virtio", "9p", "overlay"]
WANTED = ["tls", "gcm", "ctr", "ghash_generic"]  # of kTLS; what a kernel lacks is left out
PRCTL = ctypes.CDLL(None).prctl  # looked up here: a child of several threads must not wait for the loader's lock

MACHINES = {
    "amd64": ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max"],
    "arm64": ["qemu-system-aarch64", "-M", "virt", "-accel", "tcg,thread=multi", "-cpu", "max,pauth-impdef=on"],
}
MEMORY = 2560  # MiB
CONSOLES = {"amd64": "ttyS0", "arm64": "ttyAMA0"}


class Archive:
    """A cpio archive in the format `newc`, which the kernel unpacks as its first root."""

    def __init__(self):
        self.data, self.n = bytearray(), 0

    def add(self, name, mode, data=b""):
        self.n += 1
        name = name.encode() + b"\0"
        fields = [self.n, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
        self.data += b"070701" + b"".join(b"%08x" % f for f in fields) + name
        self.pad()
        self.data += data
        self.pad()

    def pad(self):
        self.data += bytes(-len(self.data) % 4)

    def done(self):
        self.add("TRAILER!!!", 0)
        return gzip.compress(bytes(self.data), 1)


def read_module(path):
    with open(path, "rb") as f:
        data = f.read()
    if path.endswith(".xz"):
        return lzma.decompress(data)
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout
    return data


def module_order(kernel, names):
    """Paths of modules, each behind those it depends on; built-in ones are left out."""
    depends, order = {}, []
    with open(os.path.join(kernel.modules, "modules.dep")) as f:
        for line in f:
            path, _, rest = line.partition(":")
            depends[os.path.basename(path).split(".")[0].replace("-", "_")] = (path, rest.split())
    for name in names:
        path, before = depends.get(name, (None, []))
        order += [p for p in [*reversed(before), path] if p and p not in order]
    return order


def initramfs(kernel, busybox, modules):
    a = Archive()
    for d in ("bin", "dev", "lower", "modules", "newroot", "proc", "sys", "upper"):
        a.add(d, stat.S_IFDIR | 0o755)
    with open(busybox, "rb") as f:
        a.add("bin/busybox", stat.S_IFREG | 0o755, f.read())
    with open(os.path.join(HERE, "init"), "rb") as f:
        a.add("init", stat.S_IFREG | 0o755, f.read())
    for i, m in enumerate(module_order(kernel, modules)):
        a.add(f"modules/{i:02}", stat.S_IFREG | 0o644, read_module(os.path.join(kernel.modules, m)))
    return a.done()


def die_with_parent():
    PRCTL(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Result:
    def __init__(self, status, console, seconds):
        self.status, self.console, self.seconds = status, console, seconds


def need(arch="amd64"):
    tool = MACHINES[arch][0]
    if not shutil.which(tool):
        raise packages.Unavailable(f"{tool} is not installed")
    for t in ("depmod", "zstd", "dpkg-deb"):
        if not shutil.which(t):
            raise packages.Unavailable(f"{t} is not installed")


def share(path, tag, readonly):
    return ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none,multidevs=remap"
            + (",readonly=on" if readonly else "")]


def boot(kernel, command, out, root="/", limit=600, append="", modules=()):
    """Runs the shell command `command` in the guest; what it writes to /out is in the directory `out` here. Status: the
    command's, or None when it did not end (no boot, no root, the limit)."""
    status = os.path.join(out, "status")
    with tempfile.TemporaryDirectory(prefix="spandrel-vm.") as d:
        with open(os.path.join(d, "initramfs"), "wb") as f:
            f.write(initramfs(kernel, os.path.join(root, "bin/busybox"), [*NEEDED, *WANTED, *modules]))
        with open(os.path.join(out, "command"), "w") as f:
            f.write(command + "\n")
        line = f"console={CONSOLES[kernel.arch]} quiet panic=-1 mitigations=off random.trust_cpu=on {append}"
        argv = ["nice", "-n", "5", *MACHINES[kernel.arch], "-smp", "2", "-m", str(MEMORY), "-nographic", "-no-reboot", "-nic", "none",
                "-kernel", kernel.image, "-initrd", os.path.join(d, "initramfs"), "-append", line,
                *share(root, "root", True), *share(out, "out", False)]
        start = time.monotonic()
        with open(os.path.join(out, "console"), "wb") as log:
            p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                 preexec_fn=die_with_parent)
            try:
                p.wait(limit)
            except subprocess.TimeoutExpired:
                pass
            finally:
                if p.poll() is None:
                    os.killpg(p.pid, signal.SIGKILL)
                    p.wait()
    with open(os.path.join(out, "console"), errors="replace") as f:
        console = f.read().replace("\r", "")
    try:
        with open(status) as f:
            code = int(f.read())
    except (OSError, ValueError):
        code = None
    return Result(code, console, time.monotonic() - start)
