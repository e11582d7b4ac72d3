# SPDX-License-Identifier: Apache-2.0
"""Capabilities: what is given up after the start, what is enough, what is lost without, and what --check says of it."""
import os
import re
import signal
import time

import parts
from spandrel import BIN, SERVER, Tracer

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


def case_rights_least():
    """The least set, as a user who is nobody: what root sees, of root's processes and of another user's."""
    root_srv, other = parts.threading_server(name="mine"), start_stranger("other")
    with Tracer("--listen", "127.0.0.1:0", wrap=parts.least_rights()) as t:
        assert os.stat(f"/proc/{t.proc.pid}").st_uid in (parts.NOBODY, 0)
        _, names = given_up(t)
        assert names <= {"CAP_" + c.upper() for c in parts.LEAST}, names
        for srv in (root_srv, other):
            parts.curl(srv.url + "/x")
        t.wait_spans(4)
        t.stop()
    assert {s.res["service.name"] for s in t.spans.of(SERVER)} == {"web", "other"}, t.spans
    assert all(s.res.get("process.executable.path") for s in t.spans) and not t.counters["processes_unreadable"], t.counters


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
        time.sleep(0.3)
        parts.curl(web.url + "/x")
        t.stop()
    assert t.counters["spans_exported"] == 2 and os.path.getsize(path) and not os.path.getsize(path + ".1"), t.counters


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
