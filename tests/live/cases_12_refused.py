# SPDX-License-Identifier: Apache-2.0
"""What a machine may refuse: one line says which, what is lost, what to do; what is not needed is not asked for."""
import os
import re
import subprocess

import parts
import spandrel
import wire
from spandrel import CLIENT, PATIENCE, SERVER, Tracer

CAPS = {"bpf": "CAP_BPF", "perfmon": "CAP_PERFMON", "sys_admin": "CAP_SYS_ADMIN"}


only = parts.rights


def with_mount(command):
    """A command prefix: a mount namespace in which `command` (of a shell) hides something first."""
    parts.need("unshare", "mount")
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{command} && exec "$@"', "sh"]


def refused(wrap, pattern):
    """Run and --check end with status 1; the run with one line that says what and names a remedy."""
    for args in (["--port", "80", "--duration", "1s"], ["--check"]):
        r = subprocess.run([*wrap, spandrel.BIN, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                           timeout=PATIENCE)
        err = r.stderr.decode()
        assert r.returncode == 1, (args, r.returncode, err)
        said = [line for line in err.splitlines() if "error:" in line]
        assert len(said) == 1 and re.search(pattern, said[0]), (args, err)


def answer(c):
    while c.message():
        c.send(wire.ok())


def traces(wrap):
    """The tracer does its work under these conditions."""
    srv = wire.Raw(answer, forking=True)
    with Tracer(wrap=wrap) as t:
        with wire.connect(srv.addr) as c:
            for i in range(5):
                c.get(f"/x/{i}")
        t.stop()
    assert len(t.spans.of(SERVER)) == len(t.spans.of(CLIENT)) == 5, t.spans
    return t


def case_refused_capabilities():
    refused(only(), r"lacks CAP_BPF and CAP_PERFMON.*root")
    refused(only("net_admin", "sys_ptrace"), r"lacks CAP_BPF and CAP_PERFMON.*root")
    refused(only("bpf"), r"lacks CAP_PERFMON.*root")
    refused(only("perfmon"), r"lacks CAP_BPF[; ].*root")


def case_refused_user_namespace():
    parts.need("unshare")
    wrap = ["unshare", "--user", "--map-root-user"]
    if subprocess.run([*wrap, "true"], stderr=subprocess.DEVNULL).returncode:
        raise parts.Skip("no user namespaces here")
    refused(wrap, r"user namespace")


def case_refused_no_btf():
    wrap = with_mount("mount -t tmpfs none /sys/kernel/btf")
    if os.path.exists(f"/boot/vmlinux-{os.uname().release}"):
        raise parts.Skip("this kernel's BTF can be read from /boot too")
    r = subprocess.run([*wrap, spandrel.BIN, "--port", "80", "--duration", "1s"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=PATIENCE)
    said = [line for line in r.stderr.decode().splitlines() if "error:" in line]
    assert r.returncode == 1 and len(said) == 1 and re.search(r"no BTF.*CONFIG_DEBUG_INFO_BTF", said[0]), (r.returncode, r.stderr)
    r = subprocess.run([*wrap, spandrel.BIN, "--check"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
    assert r.returncode == 1 and re.search(r"BTF.*MISSING.*everything", r.stdout.decode()), (r.returncode, r.stdout)


def case_refused_few_capabilities():
    """CAP_BPF and CAP_PERFMON are enough to trace processes of the same user."""
    traces(only("bpf", "perfmon"))


def case_refused_tracefs():
    """Neither an absent nor a read-only tracefs is missed."""
    if not os.path.isdir("/sys/kernel/tracing"):
        raise parts.Skip("no /sys/kernel/tracing")
    traces(with_mount("mount -t tmpfs -o ro none /sys/kernel/tracing; mount -t tmpfs -o ro none /sys/kernel/debug; true"))


def case_refused_locked_memory():
    """RLIMIT_MEMLOCK that cannot be raised: maps are accounted elsewhere since 5.11."""
    parts.need("prlimit")
    traces(["prlimit", "--memlock=65536:65536", *only("bpf", "perfmon", "sys_ptrace", "dac_read_search")])


def case_refused_seccomp():
    """A filter forbids bpf(): the capabilities are there, and that is said."""
    parts.need("gcc")
    src, exe = parts.path("deny.c"), parts.path("deny")
    with open(src, "w") as f:
        f.write(DENY)
    parts.tool(["gcc", "-o", exe, src])
    refused([exe], r"seccomp")


DENY = r"""
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { 4, f };
	(void)argc;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p))
		return 99;
	execv(argv[1], argv + 1);
	return 98;
}
"""
