#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A root file system for arm64 from Debian's packages, which serves as the cross compiler's sysroot and as the guest's root.
arm64.py root prints where it is."""
import hashlib
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import packages  # noqa: E402

SUITE, ARCH = "bookworm", "arm64"
RUN = ["bash", "coreutils", "busybox-static", "python3-minimal", "libpython3-stdlib", "curl", "openssl", "libc-bin", "nginx-light", "procps"]
BUILD = ["libc6-dev", "libgcc-12-dev", "linux-libc-dev", "libbpf-dev", "libelf-dev", "zlib1g-dev", "libcurl4-openssl-dev",
         "libyajl-dev", "libyaml-dev", "libmicrohttpd-dev", "libcapstone-dev"]
MERGED = ("bin", "sbin", "lib")


def fill(d):
    for name in MERGED:
        os.makedirs(os.path.join(d, "usr", name))
        os.symlink("usr/" + name, os.path.join(d, name))
    suite = packages.Suite(SUITE, ARCH)
    suite.update()
    for deb in suite.closure(RUN + BUILD):
        packages.unpack(deb, d)
    relink(d)
    with open(os.path.join(d, "etc/passwd"), "w") as f:
        f.write("root:x:0:0:root:/root:/bin/bash\n")
    with open(os.path.join(d, "etc/group"), "w") as f:
        f.write("root:x:0:\n")
    with open(os.path.join(d, "etc/hosts"), "w") as f:
        f.write("127.0.0.1 localhost\n::1 localhost\n")


def relink(d):
    """Absolute links would lead out of the directory; what is said by alternatives, nobody has set."""
    for at, _, files in os.walk(d):
        for name in files:
            path = os.path.join(at, name)
            if os.path.islink(path) and os.readlink(path).startswith("/"):
                target = os.readlink(path)
                os.unlink(path)
                os.symlink(os.path.relpath(d + target, at), path)


def root():
    made_of = hashlib.sha256(" ".join(RUN + BUILD).encode()).hexdigest()[:8]
    path = os.path.join(packages.CACHE, "roots", f"{SUITE}-{ARCH}-{made_of}")
    with packages.made_once(path) as d:
        if d:
            fill(d)
    return path


if __name__ == "__main__":
    try:
        print(root())
    except packages.Unavailable as e:
        sys.exit(str(e))
