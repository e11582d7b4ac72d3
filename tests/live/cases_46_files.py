# SPDX-License-Identifier: Apache-2.0
"""Files that spans go to: the access log, rotation, reopening."""
import glob
import json
import os
import re
import signal
import time

import parts
from spandrel import Tracer, count_spans, read_spans, run


def lines(path):
    return [json.loads(line) for line in parts.read(path).splitlines()]


def case_files_access_log():
    """A line a request, joined with the spans by their ids; no query value, no user info, no more headers than allowed."""
    back = parts.threading_server(name="back")
    front = parts.threading_server(name="front", backend=back.url)
    log = parts.path("access.log")
    with Tracer("--access-log", log) as t:
        parts.curl(front.url + "/a/1?token=SECRETVALUE&b=2", "-H", "x-request-id: r-1", "-H", "Authorization: Bearer SECRETVALUE",
                   "-H", "Cookie: s=SECRETVALUE")
        parts.curl(front.url.replace("http://", "http://user:SECRETVALUE@") + "/status/500")
        parts.curl(front.url + "/none", "-H", "User-Agent: a\"b\\\t")
        t.stop()
    got, spans = lines(log), {s.id: s for s in t.spans}
    assert len(got) == len(spans) == 8, got
    assert "SECRETVALUE" not in parts.read(log), parts.read(log)
    for x in got:
        s = spans.pop(x["span_id"])
        assert x["trace_id"] == s.trace and x.get("parent_id", "") == s.parent and x["status"] == s.code, (x, s)
        assert x["service"] == s.res["service.name"] and x["pid"] == s.pid and x["kind"] == ("server" if s.server else "client"), (x, s)
        assert x.get("path" if s.server else "url") == s["url.path" if s.server else "url.full"], (x, s)
        assert x["method"] == "GET" and x["peer"] == "127.0.0.1" and isinstance(x["peer_port"], int), x
        assert abs(x["duration_ms"] - (s.end - s.start) / 1e6) < 0.002 and re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{6}Z", x["time"]), x
    assert [x["request_id"] for x in got if "request_id" in x and x["path" if x["kind"] == "server" else "url"].endswith("/a/1")], got
    assert any(x.get("error") == "500" for x in got) and any(x.get("query") == "token=REDACTED&b=REDACTED" for x in got), got


def case_files_access_log_of_all():
    """What sampling does not keep has its line; the counters say what was exported and what was not."""
    ng, log = parts.nginx(), parts.path("access.log")
    with Tracer("--access-log", log, "--sample-rule", "route=/keep,ratio=1", "--sample-ratio", "0", select=["--pid", ng.pid]) as t:
        for i in range(12):
            parts.curl(ng.url + ("/keep" if i % 4 == 0 else "/ok"))
        t.stop()
    got = lines(log)
    assert len(got) == 12 and len({x["span_id"] for x in got}) == 12, got
    assert [x["path"] for x in got if x.get("sampled", True)] == ["/keep"] * 3 == [s["url.path"] for s in t.spans], got
    assert t.counters["spans_exported"] == 3 and t.counters["spans_sampled_out"] == 9, t.err


def case_files_access_log_stdout():
    web = parts.threading_server()
    with Tracer("--access-log", "-", file=False) as t:
        parts.curl(web.url + "/x")
        t.stop()
    assert len([json.loads(line) for line in t.out.splitlines()]) == 2, t.out


def case_files_sighup_reopens():
    """What logrotate does: move, SIGHUP; each request is in one of the two, none in both."""
    ng, log = parts.nginx(), parts.path("access.log")
    with Tracer("--access-log", log, select=["--pid", ng.pid]) as t:
        for i in range(20):
            parts.curl(ng.url + "/ok")
            if i == 9:
                t.wait_for(lambda: len(parts.read(log).splitlines()) == 10, "ten lines")
                os.rename(log, log + ".moved")
                t.proc.send_signal(signal.SIGHUP)
                t.wait_for(lambda: os.path.exists(log), "a new file")
        t.stop()
    assert len(lines(log)) == 10 == len(lines(log + ".moved")), parts.read(log)


def case_files_rotate():
    """Bounded in size and number; every line whole; the newest spans are in PATH."""
    ng = parts.nginx()
    with Tracer("--file-size", "200KiB", select=["--pid", ng.pid], check=False) as t:
        parts.need("wrk")
        parts.tool(["wrk", "-t1", "-c4", "-d2s", ng.url + "/ok"])
        time.sleep(0.5)
        parts.curl(ng.url + "/last")
        t.stop(settle=0.5)
    files = sorted(glob.glob(t.file + "*"))
    assert [os.path.basename(f) for f in files] == ["t.json"] + [f"t.json.{i}" for i in range(1, 6)], files
    assert all(0 < os.path.getsize(f) <= 1 << 20 for f in files)
    n = sum(count_spans(f) for f in files)
    assert 0 < n < t.counters["spans_exported"] == t.counters["requests_seen"], (n, t.counters)
    assert read_spans(t.file)[-1].path == "/last"


def case_files_contradictions():
    """Two exporters cannot share standard output or a file: one line, exit 2."""
    for args, words in ((["--console", "--access-log", "-"], ("--console", "--access-log -")),
                        (["--file", "-", "--access-log", "-"], ("--access-log -", "--file -")),
                        (["--console", "--file", "-"], ("--console", "--file -")),
                        (["--file", "/tmp/x", "--access-log", "/tmp/x"], ("--access-log", "--file"))):
        status, out, err = run("--pid", os.getpid(), *args)
        assert status == 2 and not out and len(err.splitlines()) == 1 and all(w in err for w in words), (args, status, err)
    status, _, err = run("--pid", os.getpid(), "--spool-dir", "/dev/null", "--otlp-endpoint", "http://127.0.0.1:1")
    assert status == 1 and "--spool-dir: cannot use /dev/null" in err, (status, err)
    status, _, err = run("--pid", os.getpid(), "--spool-dir", parts.path("s"), "--console", "--duration", "100ms")
    assert status == 0 and "--spool-dir: not used" in err and not os.path.exists(parts.path("s")), (status, err)
