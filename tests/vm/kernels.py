# SPDX-License-Identifier: Apache-2.0
"""Stock kernels of Debian: the image, and of the modules those that a guest needs to mount its root."""
import glob
import os
import shutil
import subprocess

import packages

# name: suite, architecture, flavour of the image's name
KERNELS = {"5.10": ("bullseye", "amd64", ""), "6.1": ("bookworm", "amd64", ""), "6.12": ("trixie", "amd64", ""),
           "newest": ("sid", "amd64", ""), "rt": ("trixie", "amd64", "rt-"), "arm64": ("trixie", "arm64", "")}
MODULES = ["fs/9p", "fs/overlayfs", "fs/netfs", "fs/fscache", "net/9p", "net/tls", "drivers/virtio"]


class Kernel:
    def __init__(self, name, path):
        self.name, self.path, self.arch = name, path, KERNELS[name][1]
        self.version = os.path.basename(glob.glob(path + "/lib/modules/*")[0])
        self.image = os.path.join(path, "vmlinuz")
        self.modules = os.path.join(path, "lib/modules", self.version)


def fill(suite, flavour, d):
    """The image package of a suite, whatever its name is today, and the packages that newer suites split it into."""
    suite.update()
    for p in suite.depends(f"linux-image-{flavour}{suite.arch}", r"linux-(image|binary|modules)-"):
        suite.fetch(p, d)
    members = ["*/vmlinuz*"] + [f"*/kernel/{m}/*" for m in MODULES] + ["*/modules.builtin*", "*/modules.order"]
    for deb in glob.glob(d + "/*.deb"):
        packages.unpack(deb, d, members)
        os.unlink(deb)
    if os.path.isdir(d + "/usr/lib/modules"):
        os.makedirs(d + "/lib", exist_ok=True)
        shutil.move(d + "/usr/lib/modules", d + "/lib/modules")
    image, = glob.glob(d + "/boot/vmlinuz-*") or glob.glob(d + "/lib/modules/*/vmlinuz")
    shutil.move(image, d + "/vmlinuz")
    version, = os.listdir(d + "/lib/modules")
    subprocess.run(["depmod", "-b", d, version], check=True, stderr=subprocess.DEVNULL)


def get(name):
    suite, arch, flavour = KERNELS[name]
    path = os.path.join(packages.CACHE, "kernels", f"{suite}-{flavour}{arch}")
    if os.environ.get("VM_REFRESH"):
        shutil.rmtree(path, ignore_errors=True)
    with packages.made_once(path) as d:
        if d:
            fill(packages.Suite(suite, arch), flavour, d)
    return Kernel(name, path)
