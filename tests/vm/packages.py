# SPDX-License-Identifier: Apache-2.0
"""Debian packages of any suite and architecture, without touching the system's package lists: a private apt directory, and a
cache outside the tree ($SPANDREL_CACHE, else ~/.cache/spandrel). VM_REFRESH=1 looks for newer packages."""
import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import tempfile

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
CACHE = os.path.join(os.environ.get("SPANDREL_CACHE") or os.path.expanduser("~/.cache/spandrel"), "vm")
LIMIT = 900  # seconds for one call of apt-get


class Unavailable(Exception):
    """Packages cannot be had on this machine: the reason."""


CONF = """Dir::State "{d}/state";
Dir::State::status "{d}/state/status";
Dir::Cache "{d}/cache";
Dir::Etc::sourcelist "{d}/sources.list";
Dir::Etc::sourceparts "-";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
Binary::apt::APT::Keep-Downloaded-Packages "true";
"""


def mirror():
    """$DEBIAN_MIRROR, else the one that this machine's own packages come from."""
    if os.environ.get("DEBIAN_MIRROR"):
        return os.environ["DEBIAN_MIRROR"]
    r = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for uri in r.stdout.decode(errors="replace").split():
        if uri.rstrip("/").endswith("/debian"):
            return uri
    raise Unavailable("no mirror of Debian among this machine's package sources: DEBIAN_MIRROR=URL names one")


class Suite:
    def __init__(self, name, arch):
        self.name, self.arch = name, arch
        self.dir = os.path.join(CACHE, "apt", f"{name}-{arch}")
        self.fresh = False

    def apt(self, *args, cwd=None):
        env = dict(os.environ, APT_CONFIG=os.path.join(self.dir, "apt.conf"), DEBIAN_FRONTEND="noninteractive", LC_ALL="C")
        try:
            r = subprocess.run(args, env=env, cwd=cwd or self.dir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, timeout=LIMIT)
        except FileNotFoundError as e:
            raise Unavailable(f"{args[0]} is not installed") from e
        except subprocess.TimeoutExpired as e:
            raise Unavailable(f"{args[0]} did not end in {LIMIT} s") from e
        if r.returncode:
            lines = r.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise Unavailable(f"{' '.join(args[:2])} of Debian {self.name}: {lines[0]}")
        return r.stdout.decode(errors="replace")

    def update(self):
        """Package lists as of now; once for each run."""
        if self.fresh:
            return
        if not os.path.exists(KEYS):
            raise Unavailable("debian-archive-keyring is not installed")
        for d in ("state/lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(self.dir, d), exist_ok=True)
        for name, text in (("state/status", ""), ("apt.conf", CONF.format(d=self.dir, arch=self.arch)),
                           ("sources.list", f"deb [arch={self.arch} signed-by={KEYS}] {mirror()} {self.name} main\n")):
            with open(os.path.join(self.dir, name), "w") as f:
                f.write(text)
        self.apt("apt-get", "-qq", "update")
        self.fresh = True

    def depends(self, package, wanted):
        """Names of packages that `package` depends on, itself and through others, of which `wanted` is a pattern."""
        out, rest = [], [package]
        while rest:
            p = rest.pop()
            if p in out:
                continue
            out.append(p)
            text = self.apt("apt-cache", "depends", p)
            rest += [d for d in re.findall(r"^\s*Depends: (\S+)$", text, re.M) if re.match(wanted, d)]
        return out[1:]

    def closure(self, packages):
        """Fetches packages and all they depend on; paths of the archives."""
        self.apt("apt-get", "-qq", "-y", "--download-only", "install", *packages)
        d = os.path.join(self.dir, "cache/archives")
        return sorted(os.path.join(d, f) for f in os.listdir(d) if f.endswith(".deb"))

    def fetch(self, package, into):
        self.apt("apt-get", "-qq", "download", package, cwd=into)


def unpack(deb, into, members=()):
    """All of an archive, or what these tar patterns name (none of them need be there)."""
    if not members:
        subprocess.run(["dpkg-deb", "-x", deb, into], check=True)
        return
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as p:
        subprocess.run(["tar", "-x", "-C", into, "--wildcards", *members], stdin=p.stdout, stderr=subprocess.DEVNULL)
        p.stdout.read()


@contextlib.contextmanager
def made_once(path):
    """Yields None if `path` is there, else a directory to fill, which becomes `path`. One process at a time."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(path):
            yield None
            return
        work = tempfile.mkdtemp(prefix=os.path.basename(path) + ".", dir=os.path.dirname(path))
        try:
            yield work
            os.chmod(work, 0o755)
            os.rename(work, path)
        finally:
            shutil.rmtree(work, ignore_errors=True)
