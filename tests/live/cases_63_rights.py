# SPDX-License-Identifier: Apache-2.0
"""Capabilities: what is given up after the start, what is enough, what is lost without, and what --check says of it."""
import os
import re
import signal
import socket

import parts
from spandrel import BIN, CLIENT, SERVER, Tracer

NUMBERS = {"CAP_DAC_OVERRIDE": 1, "CAP_DAC_READ_SEARCH": 2, "CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39,
           "CAP_CHECKPOINT_RESTORE": 40}


def mask(names):
    return sum(1 << NUMBERS[n] for n in names)


def kept(t):
    m = re.findall(r"^spandrel: capabilities kept: (.*)$", t.err, re.M)
    assert len(m) == 1, t.err
    return set() if m[0] == "none" else set(m[0].split(", "))


def status(pid):
    out = dict(line.split(":\t", 1) for line in parts.read(f"/proc/{pid}/status").splitlines() if ":\t" in line)
    return {k: int(out[k], 16) for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")}


def given_up(t):
    """What the line says is what the kernel says."""
    s, names = status(t.proc.pid), kept(t)
    assert s["CapPrm"] == s["CapEff"] == mask(names), (s, names)
    assert not s["CapInh"] and not s["CapAmb"] and s["NoNewPrivs"] == 1, s
    return s, names


def stranger(name="shop", **env):
    """A server of another user, which the tracer's files do not belong to."""
    p = parts.start([*parts.rights(user=parts.NOBODY + -1), parts.PYTHON, os.path.join(parts.APPS, "web.py"), f"127.0.0.1:{env.pop('port')}"],
                    name, {"OTEL_SERVICE_NAME": name, **env})
    return p


def start_stranger(name):
    port = parts.free_port()
    return parts.Server(stranger(name, port=port), ("127.0.0.1", port), name)


def case_rights_given_up():
    """Root gives up all it does not need any more, and goes on: another user's process that starts later, SIGHUP, the file moved away."""
    conf = parts.path("spandrel.conf")
    with open(conf, "w") as f:
        f.write("port 1\n")
    with Tracer("--config", conf, select=[]) as t:
        s, names = given_up(t)
        assert s["CapBnd"] == mask(names), s
        assert {"CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"} <= names and not {"CAP_DAC_OVERRIDE"} & names, names
        srv = start_stranger("later")
        with open(conf, "w") as f:
            f.write(f"port {srv.port}\n")
        os.rename(t.file, t.file + ".old")
        t.proc.send_signal(signal.SIGHUP)
        t.wait_for(lambda: "read again" in t.err, "new configuration")
        parts.curl(srv.url + "/x")
        t.wait_spans(2)
        t.stop()
    span = t.spans.one(SERVER, "/x")
    assert span.res["service.name"] == "later" and "python" in span.res["process.executable.path"], span.res
    assert not os.path.getsize(t.file + ".old")


# a client that is still there when it is looked at
ASK_AND_STAY = "import sys, time, urllib.request\nfor url in sys.argv[1:]: urllib.request.urlopen(url).read()\ntime.sleep(600)"


def case_rights_least():
    """The least set, as a user who is nobody: what root sees, of root's processes and of another user's."""
    root_srv, other = parts.threading_server(name="mine"), start_stranger("other")
    with Tracer("--listen", "127.0.0.1:0", wrap=parts.least_rights()) as t:
        assert os.stat(f"/proc/{t.proc.pid}").st_uid in (parts.NOBODY, 0)
        _, names = given_up(t)
        assert names <= {"CAP_" + c.upper() for c in parts.LEAST}, names
        parts.start([parts.PYTHON, "-c", ASK_AND_STAY, root_srv.url + "/x", other.url + "/x"], "asker", {"OTEL_SERVICE_NAME": "asker"})
        t.wait_spans(4)
        t.stop()
    for kind, names in (SERVER, ["other", "web"]), (CLIENT, ["asker", "asker"]):
        assert sorted(s.res["service.name"] for s in t.spans.of(kind)) == names, t.spans
    assert all(s.res.get("process.executable.path") for s in t.spans), t.spans
    assert not t.counters["processes_unreadable"], t.counters


def case_rights_bpf_and_perfmon():
    """Without the others spans come all the same; what may not be read of other users' processes is left out and counted."""
    other = start_stranger("other")
    os.chown(parts.workdir(), parts.NOBODY, parts.NOBODY)
    with Tracer(wrap=parts.rights("bpf", "perfmon", user=parts.NOBODY)) as t:
        given_up(t)
        parts.curl(other.url + "/x")
        t.wait_spans(2)
        t.stop()
    span = t.spans.one(SERVER, "/x")
    assert span.res["service.name"] == "web", span.res  # by what the kernel told; its environment says another
    assert t.counters["processes_unreadable"] >= 1, t.counters


def case_rights_foreign_files():
    """--file in a directory that root may write to by CAP_DAC_OVERRIDE alone: it is kept, and a file moved away is made anew."""
    d = parts.path("theirs")
    os.mkdir(d)
    os.chown(d, parts.NOBODY, parts.NOBODY)
    os.chmod(d, 0o755)
    web, path = parts.threading_server(), os.path.join(d, "spans.json")
    with Tracer("--file", path, file=False) as t:
        given_up(t)
        assert "CAP_DAC_OVERRIDE" in kept(t), t.err
        os.rename(path, path + ".1")
        t.proc.send_signal(signal.SIGHUP)
        t.wait_for(lambda: "read again" in t.err, "word of SIGHUP")
        parts.curl(web.url + "/x")
        t.stop()
    assert t.counters["spans_exported"] == 2 and os.path.getsize(path) and not os.path.getsize(path + ".1"), t.counters


def case_rights_foreign_sockets():
    """A back end's socket that another user owns is connected to again and again: so long CAP_DAC_OVERRIDE is kept."""
    path = parts.path("sink.sock")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        for option in ("--otlp-endpoint", "--zipkin-endpoint"):
            for owner, wanted in ((0, False), (parts.NOBODY, True)):
                os.chown(path, owner, owner)
                os.chmod(path, 0o600)
                r = parts.tool([BIN, "--check", option, "unix://" + path], ok=False)
                left = re.search(r"^capabilities kept after the start: (.*)$", r.text, re.M)
                assert left and ("CAP_DAC_OVERRIDE" in left[1]) == wanted, (option, owner, r.text)


def check(*caps, user=parts.NOBODY):
    r = parts.tool([*parts.rights(*caps, user=user), BIN, "--check"], ok=False)
    rows = dict(re.findall(r"^capability (CAP_\S+) +(yes|no|MISSING) ", r.text, re.M))
    left = re.search(r"^capabilities kept after the start: (.*)$", r.text, re.M)
    return r.returncode, rows, left and left[1], r


def case_rights_check():
    """--check names what is missing, what for, and what would be kept."""
    code, rows, left, r = check()
    assert code == 1 and rows["CAP_BPF"] == rows["CAP_PERFMON"] == "MISSING" and rows["CAP_SYS_PTRACE"] == "no" and not left, r
    code, rows, left, r = check("bpf")
    assert code == 1 and rows["CAP_BPF"] == "yes" and rows["CAP_PERFMON"] == "MISSING", r
    code, rows, left, r = check("bpf", "perfmon")
    assert code == 0 and rows["CAP_SYS_PTRACE"] == rows["CAP_DAC_READ_SEARCH"] == "no", r
    code, rows, left, r = check(*parts.LEAST)
    assert code == 0 and all(rows["CAP_" + c.upper()] == "yes" for c in parts.LEAST) and "CAP_SYS_PTRACE" in left, r
    assert re.search(r"^capability CAP_SYS_PTRACE +yes +for \w", r.text, re.M), r.text
    works = re.search(r"^probes in files, with these capabilities +(yes|no) +for TLS(.*)$", r.text, re.M)
    assert works and (works[1] == "yes") == (not works[2]), r.text  # where it does not work, it says what would help


# ---- the unit file ----

def unit(key):
    """All values of a key of deploy/spandrel.service, in order."""
    path = os.path.join(parts.HERE, "../../deploy/spandrel.service")
    return re.findall(rf"^{key}=(.*)$", parts.read(path), re.M)


def calls_of(name):
    if not name.startswith("@"):
        return {name}
    out = set()
    for line in parts.tool(["systemd-analyze", "--no-pager", "syscall-filter", name]).text.splitlines()[1:]:
        word = line.split("#")[0].strip()
        out |= calls_of(word) if word and word != name else set()
    return out


def allowed():
    """The system calls that the unit's filter lets through."""
    parts.need("systemd-analyze", "gcc")
    out = calls_of("@default")
    for line in unit("SystemCallFilter"):
        these = set().union(*(calls_of(w) for w in line.lstrip("~").split()))
        out = out - these if line.startswith("~") else out | these
    return sorted(out)


FILTER = r"""
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
static const int allowed[] = {
#include "calls.h"
};
#define N (sizeof(allowed) / sizeof(allowed[0]))
int main(int argc, char **argv)
{
	static struct sock_filter f[2 * N + 2];
	unsigned short n = 0;
	(void)argc;
	f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < N; i++) {
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1);
		f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &(struct sock_fprog){ n, f }))
		return 99;
	execv(argv[1], argv + 1);
	return 98;
}
"""


def as_the_unit():
    """A command prefix: user, capabilities, system calls and a file system that cannot be written to, as the unit file has them."""
    parts.need("unshare", "mount")
    for name, text in (("filter.c", FILTER),
                       ("calls.h", "\n".join(f"#ifdef SYS_{c}\nSYS_{c},\n#endif" for c in allowed() if re.fullmatch(r"\w+", c)))):
        with open(parts.path(name), "w") as f:
            f.write(text)
    parts.tool(["gcc", "-o", parts.path("filter"), parts.path("filter.c")])
    d = parts.workdir()
    os.chown(d, parts.NOBODY, parts.NOBODY)
    mounts = (f"mount --bind {d} {d} && mount -o remount,bind,ro / && mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && "
              "mount -o remount,bind,ro /sys")
    caps = [c.removeprefix("CAP_").lower() for c in unit("AmbientCapabilities")[0].split()]
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{mounts} && exec "$@"', "sh",
            *parts.rights(*caps, user=parts.NOBODY), parts.path("filter")]


def case_rights_unit_file():
    """What the unit file leaves is enough: spans, a spool, files moved away, pages, another user's process that starts later."""
    assert unit("AmbientCapabilities") == unit("CapabilityBoundingSet") == [" ".join("CAP_" + c.upper() for c in parts.LEAST)]
    spool, log = parts.path("spool"), parts.path("access.log")
    with Tracer("--listen", ":0", "--access-log", log, "--spool-dir", spool, "--otlp-endpoint", "http://127.0.0.1:1", "--batch-age", "100ms",
                wrap=as_the_unit(), check=False) as t:
        assert re.search(r"^Seccomp:\t2$", parts.read(f"/proc/{t.proc.pid}/status"), re.M), "no filter"
        given_up(t)
        port = re.search(r"at http://127.0.0.1:(\d+)$", t.err, re.M)[1]
        other = start_stranger("other")
        parts.curl(other.url + "/x")
        t.wait_spans(2)
        for f in (t.file, log):
            os.rename(f, f + ".1")
        t.proc.send_signal(signal.SIGHUP)
        t.wait_for(lambda: "read again" in t.err, "word of SIGHUP")
        parts.curl(other.url + "/y")
        t.wait_spans(2)
        page = parts.tool(["curl", "-sS", f"http://127.0.0.1:{port}/metrics"]).text
        assert "spandrel_requests_seen_total 4" in page and "process_open_fds" in page, page
        t.stop()
    assert t.spans.one(SERVER, "/y").res["service.name"] == "other" and t.counters["requests_seen"] == 4, t.spans
    assert any(os.path.getsize(os.path.join(spool, f)) > 500 for f in os.listdir(spool)) and len(parts.read(log).splitlines()) == 2, t.counters
