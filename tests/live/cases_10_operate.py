# SPDX-License-Identifier: Apache-2.0
"""The command line, signals, privileges, and what is left behind."""
import json
import os
import re
import resource
import signal
import subprocess
import time

import parts
import wire
from spandrel import PATIENCE, SERVER, Tracer, read_counters, run


def one_line(err):
    lines = [x for x in err.splitlines() if x.strip()]
    return len(lines) == 1


def case_operate_help_version():
    status, out, err = run("--help")
    assert status == 0 and not err
    for o in ("--pid", "--exclude-cgroup", "--keep-query", "--request-timeout", "--otlp-endpoint", "--replay", "--max-connections", "--backend"):
        assert o in out, f"{o} is not in --help"
    status, out, err = run("--version")
    assert status == 0 and re.fullmatch(r"spandrel \d+\.\d+\.\d+\S*\n", out) and not err, out


BAD = {
    "--no-such-option": ["--no-such-option"], "--pid": ["--pid", "x"], "--port": ["--port", "70000"], "--port ": ["--port", "9-1"],
    "--sample-ratio": ["--all", "--sample-ratio", "1.5"], "--sample-ratio ": ["--all", "--sample-ratio", "nan"],
    "--request-timeout": ["--all", "--request-timeout", "5x"], "--ring-size": ["--all", "--ring-size", "1KiB"],
    "--log-level": ["--all", "--log-level", "loud"], "--otlp-protocol": ["--all", "--otlp-protocol", "smoke"],
    "--otlp-endpoint": ["--all", "--otlp-endpoint", "ftp://x"], "--backend": ["--all", "--backend", "magic"],
    "--link": ["--all", "--link", "luck"], "--protocols": ["--all", "--protocols", "smtp"], "--resource": ["--all", "--resource", "novalue"],
    "--otlp-header": ["--all", "--otlp-header", "novalue"], "--config": ["--config", "/nonexistent/file"],
    "--cgroup": ["--cgroup", "/nonexistent/cgroup"], "--duration": ["--all", "--duration"], "--batch-size": ["--all", "--batch-size", "0"],
    "--max-connections": ["--all", "--max-connections", "-5"], "--queue-size": ["--all", "--queue-size", "9999999999999999999999"],
    "--capture-header": ["--all", "--capture-header", "bad name"], "--replay": ["--all", "--replay", "/tmp/x", "--record", "/tmp/y"],
}


def case_operate_usage_errors():
    """Exit 2, one line that names the option."""
    wrong = []
    for option, args in BAD.items():
        status, _, err = run(*args, "--duration", "100ms") if "--duration" not in args else run(*args)
        if status != 2 or not one_line(err) or option.strip() not in err:
            wrong.append((args, status, err))
    assert not wrong, "\n# ".join(map(str, wrong))
    status, _, err = run("stray")
    assert status == 2 and one_line(err) and "stray" in err, (status, err)


def case_operate_no_selector():
    status, _, err = run("--console")
    assert status == 2 and all(o in err for o in ("--pid", "--exe", "--comm", "--port", "--cgroup", "--all")) and one_line(err), (status, err)
    status, _, err = run("--exclude-port", "1")  # an exclusion is no selector
    assert status == 2, err


def case_operate_contradictions():
    """Pairs that cannot both be meant."""
    wrong = []
    for args in (["--all", "--port", "80"], ["--replay", "/tmp/x", "--record", "/tmp/y"], ["--all", "--file", "-", "--console"]):
        status, _, err = run(*args, "--duration", "100ms")
        if status != 2 or not one_line(err):
            wrong.append((args, status, err))
    assert not wrong, "\n# ".join(map(str, wrong))


def case_operate_check():
    status, out, err = run("--check")
    assert status == 0 and re.search(r"^way in: \S+$", out, re.M), (status, out, err)
    status, out, _ = run("--check", "--backend", "socktp")
    assert status == 0 and "way in: socktp" in out, out
    sink = parts.threading_server()
    status, out, err = run("--check", "--otlp-endpoint", sink.url)
    assert status == 0 and str(sink.port) in out, out
    status, out, err = run("--check", "--otlp-endpoint", f"http://127.0.0.1:{parts.free_port()}")
    assert status == 0, "an exporter that does not answer is reported, not judged"


def case_operate_environment():
    """Every option has a variable; lists are separated by newlines; a flag replaces the whole list."""
    a, b = parts.threading_server(name="a"), parts.threading_server(name="b")
    env = {"SPANDREL_PORT": f"{a.port}\n{b.port}", "SPANDREL_KEEP_QUERY": "k"}
    with Tracer(select=[], env=env) as t:
        parts.curl(a.url + "/pa?k=v")
        parts.curl(b.url + "/pb?k=v")
        t.stop()
    assert len(t.spans) == 4 and t.spans.one(SERVER, "/pa")["url.query"] == "k=v", t.spans
    with Tracer(select=["--port", b.port], env=env, name="t2") as t:
        parts.curl(a.url + "/pa")
        parts.curl(b.url + "/pb")
        t.stop()
    assert {s.path for s in t.spans} == {"/pb"}, t.spans
    status, _, err = run(env={"SPANDREL_PORT": "x"})
    assert status == 2 and one_line(err), err


def case_operate_config_and_sighup():
    """The file is weaker than environment and flag; SIGHUP reads selectors and sampling again; a bad file changes nothing."""
    a, b = parts.threading_server(name="a"), parts.threading_server(name="b")
    conf = parts.path("spandrel.conf")

    def write(*lines):
        with open(conf, "w") as f:
            f.write("\n".join(lines) + "\n")

    def hup(t, what):
        n = len(t.err.splitlines())
        t.proc.send_signal(signal.SIGHUP)
        t.wait_for(lambda: len(t.err.splitlines()) > n, what)
        time.sleep(0.2)
    write("# a comment", "", f"port {a.port}", "keep-query k")
    with Tracer("--config", conf, select=[]) as t:
        keep = wire.connect(b.addr)
        keep.get("/kept/0")
        parts.curl(a.url + "/pa?k=v")
        parts.curl(b.url + "/no")
        write(f"port {b.port}", "keep-query k")
        hup(t, "word of the new configuration")
        parts.curl(a.url + "/no")
        parts.curl(b.url + "/pb?k=v")
        keep.get("/kept/1")
        write("port x")
        hup(t, "word of the bad configuration")
        parts.curl(b.url + "/still")
        write(f"port {b.port}", "sample-ratio 0")
        hup(t, "word of the third configuration")
        parts.curl(b.url + "/sampled")
        t.stop()
        keep.close()
    got = {}
    for s in t.spans:
        got[s.path] = got.get(s.path, 0) + 1
    assert got.pop("/kept/1", 2) == 2, "a connection that was open before it was selected"
    assert got == {"/pa": 2, "/pb": 2, "/still": 2}, got
    assert t.counters["spans_sampled_out"] == 2
    write("port 1", "no-such 1")
    status, _, err = run("--config", conf)
    assert status == 2 and one_line(err) and "no-such" in err, err


def case_operate_hup_whole():
    """A configuration that fails when most of it was done already leaves the old one in force, the selectors and the sampling."""
    a, b = parts.threading_server(name="a"), parts.threading_server(name="b")
    conf = parts.path("spandrel.conf")

    def hup(t, *lines):
        with open(conf, "w") as f:
            f.write("\n".join(lines) + "\n")
        n = len(t.err.splitlines())
        t.proc.send_signal(signal.SIGHUP)
        t.wait_for(lambda: len(t.err.splitlines()) > n, "word of the configuration")
        return t.err.splitlines()[n:]

    def ask(n):
        parts.curl(a.url + f"/first{n}")
        parts.curl(b.url + f"/other{n}")

    def descriptors(pid):
        """So few that the file can be read but the processes that run cannot be looked at, which takes two."""
        used = {int(n) for n in os.listdir(f"/proc/{pid}/fd")}
        second = [n for n in range(len(used) + 2) if n not in used][1]
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        return resource.prlimit(pid, resource.RLIMIT_NOFILE, (second, before[1]))
    with open(conf, "w") as f:
        f.write(f"port {a.port}\n")
    with Tracer("--config", conf, select=[]) as t:
        ask(1)
        said = hup(t, f"port {b.port}", "kube-namespace shop", "sample-ratio 0")
        assert len(said) == 1 and "--kube-namespace" in said[0] and "nothing was changed" in said[0], said
        ask(2)
        before = descriptors(t.proc.pid)
        said = hup(t, f"port {b.port}", "sample-ratio 0")
        assert len(said) == 1 and "processes that run" in said[0] and "nothing was changed" in said[0], said
        ask(3)
        resource.prlimit(t.proc.pid, resource.RLIMIT_NOFILE, before)
        said = hup(t, f"port {b.port}")
        assert len(said) == 1 and "in force" in said[0], said
        ask(4)
        t.stop()
    got = {s.path for s in t.spans}
    assert got == {"/first1", "/first2", "/first3", "/other4"}, t.spans


def case_operate_duration_and_signals():
    web = parts.threading_server()
    with Tracer("--duration", "2s") as t:
        parts.curl(web.url + "/d")
        t.wait()
    assert t.status == 0 and t.counters["spans_exported"] == 2, (t.status, t.counters)
    for sig in (signal.SIGINT, signal.SIGTERM):
        with Tracer(name=f"s{sig}") as t:
            parts.curl(web.url + "/s")
            t.stop(sig)
        assert len(t.spans) == 2
        # counters come last, after everything else, and none is zero
        lines = t.err.splitlines()
        first = min(i for i, line in enumerate(lines) if read_counters(line))
        assert all(read_counters(line) for line in lines[first:]), t.err
        assert all(v for v in t.counters.values()), t.counters


def case_operate_quick_stop():
    """A request just before the signal is not lost."""
    web = parts.threading_server()
    for n in range(3):
        with Tracer(select=["--port", web.port], name=f"t{n}") as t:
            for i in range(50):
                parts.curl(web.url + f"/{i}") if i % 10 == 0 else None
            t.stop(settle=0.02)
        assert len(t.spans) == 10, t.spans


def bpf_objects():
    out = {}
    for kind in ("prog", "link", "map"):
        r = subprocess.run(["bpftool", "-j", kind, "list"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if r.returncode:
            raise parts.Skip("bpftool does not list BPF objects here")
        out[kind] = {(o["id"], o.get("name", o.get("type"))): o for o in json.loads(r.stdout or "[]")}
    return out


def held_by(pid):
    """Ids of programs, links and maps that a process has open."""
    ids = {"prog": set(), "link": set(), "map": set()}
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        for line in parts.read(f"/proc/{pid}/fdinfo/{fd}").splitlines():
            m = re.match(r"(prog|link|map)_id:\s*(\d+)", line)
            if m:
                ids[m[1]].add(int(m[2]))
    return ids


def case_operate_kill_leaves_nothing():
    web = parts.threading_server()
    with Tracer(check=False) as t:
        parts.curl(web.url + "/x")
        mine = held_by(t.proc.pid)
        assert mine["prog"] and mine["map"], mine
        there = bpf_objects()
        for kind in mine:
            assert mine[kind] <= {i for i, _ in there[kind]}, (kind, mine)
        t.proc.kill()
        t.proc.wait()
    end = time.monotonic() + PATIENCE
    while True:
        there = bpf_objects()
        left = {k: sorted(mine[k] & {i for i, _ in there[k]}) for k in mine}
        if not any(left.values()):
            break
        assert time.monotonic() < end, f"still there: {left}"
        time.sleep(0.1)
    pinned = subprocess.run(["find", "/sys/fs/bpf", "-name", "*spandrel*"], stdout=subprocess.PIPE).stdout
    assert not pinned, pinned
    parts.curl(web.url + "/goes-on")


def case_operate_two_tracers():
    """Side by side, each sees all, neither sees the other."""
    web = parts.threading_server()
    sink = parts.python_app("sink.py", parts.path("sink.jsonl"))
    with Tracer("--otlp-endpoint", sink.url, "--batch-age", "50ms", name="one") as a, Tracer(name="two") as b:
        for i in range(10):
            parts.curl(web.url + f"/{i}")
        time.sleep(0.5)
        b.stop()
        for i in range(10, 15):
            parts.curl(web.url + f"/{i}")
        a.stop()
    assert len(a.spans) == 30 and not a.spans.of(path="/v1/traces"), [s for s in a.spans if "v1" in s.path]
    # the other tracer is an ordinary process to this one when it is selected; its back end's side is as well
    assert len([s for s in b.spans if "/v1/" not in s.path]) == 20, b.spans


def case_operate_own_traffic():
    """Connections whose other end is the tracer are not traced, even when the back end is selected."""
    web = parts.threading_server()
    sink = parts.python_app("sink.py", parts.path("sink.jsonl"))
    with Tracer("--otlp-endpoint", sink.url, "--batch-age", "50ms") as t:
        for i in range(5):
            parts.curl(web.url + f"/{i}")
            time.sleep(0.1)
        t.stop()
    assert len(t.spans) == 10, t.spans


def case_operate_not_root():
    parts.need("setpriv")
    # the binary may lie below a directory that nobody can enter
    import shutil
    import spandrel
    copy = parts.path("spandrel")
    shutil.copy(spandrel.BIN, copy)
    os.chmod(copy, 0o755)
    os.chmod(parts.workdir(), 0o755)
    wrap = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    r = subprocess.run([*wrap, copy, "--port", "80", "--duration", "1s"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
    err = r.stderr.decode()
    assert r.returncode == 1 and one_line(err), (r.returncode, err)
    assert re.search("root|CAP_|privilege|permission", err, re.I), err
    assert subprocess.run([*wrap, copy, "--help"], stdout=subprocess.PIPE).returncode == 0
    r = subprocess.run([*wrap, copy, "--check"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
    assert r.returncode == 1, (r.returncode, r.stdout)


def case_operate_full_disk():
    """--file on a full file system: one line, the rest goes on, the losses are counted."""
    web = parts.threading_server()
    d = parts.path("tiny")
    os.mkdir(d)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", d], stderr=subprocess.DEVNULL).returncode:
        raise parts.Skip("cannot mount a tmpfs")
    try:
        with Tracer("--file", d + "/out.json", "--console", "--batch-age", "50ms", file=False) as t:
            for i in range(60):
                parts.curl(web.url + f"/{i}")
            t.stop()
        with open(d + "/out.json", "rb") as f:
            lines = f.read().splitlines(keepends=True)
    finally:
        subprocess.run(["umount", d])
    said = [x for x in t.err.splitlines() if "space" in x.lower() or "out.json" in x and "tracing" not in x]
    # a smaller batch may fit again; never a line for each batch
    assert 1 <= len(said) <= 5, t.err
    assert len(t.out.splitlines()) == 120 == t.counters["spans_exported"], t.counters
    for line in lines:
        json.loads(line)  # whole lines only


def case_operate_bad_file():
    status, _, err = run("--all", "--file", "/nonexistent/dir/x", "--duration", "1s")
    assert status == 1 and one_line(err) and "/nonexistent/dir/x" in err, (status, err)
    status, _, err = run("--all", "--record", "/nonexistent/dir/x", "--duration", "1s")
    assert status == 1 and one_line(err), (status, err)
    status, _, err = run("--replay", "/nonexistent/x")
    assert status == 1 and one_line(err), (status, err)


def case_operate_json_log():
    """The ready line and the counters are verbatim whatever the log's form; the rest is JSON."""
    web = parts.threading_server()
    with Tracer("--log-format", "json", "--log-level", "debug") as t:
        parts.curl(web.url + "/j")
        t.stop()
    for line in t.err.splitlines():
        if not line.startswith("spandrel: tracing") and not read_counters(line):
            json.loads(line)
    with Tracer("--log-level", "error", name="quiet") as t:
        t.stop()
    assert [x for x in t.err.splitlines() if not read_counters(x)][0].startswith("spandrel: tracing")
