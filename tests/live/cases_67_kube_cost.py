# SPDX-License-Identifier: Apache-2.0
"""What following a node's pods costs: the API server in a quiet time, the agent with many pods."""
import os
import re
import time

import parts
from cases_63_kube import Agent, Server, check_only, settle
from kube_kit import Cluster


def received(pid):
    """Bytes that came over the TCP connections of a process so far: {its own address: bytes}."""
    parts.need("ss")
    out = {}
    lines = parts.tool(["ss", "-tinHO", "state", "established"]).text
    with_pid = parts.tool(["ss", "-tnpHO", "state", "established"]).text
    mine = {line.split()[2] for line in with_pid.splitlines() if f"pid={pid}," in line}
    for line in lines.splitlines():
        local = line.split()[2]
        m = re.search(r"bytes_received:(\d+)", line)
        if local in mine:
            out[local] = int(m[1]) if m else 0
    return out


def quiet(seconds):
    """Bytes and requests of that long a time in which nothing happens to the pods of this node, though much to others."""
    c = Cluster()
    c.node("n1")
    c.node("n2")
    pods = c.pods("shop", 30, "n1")
    del pods
    with Agent(c) as t:
        settle(t, 30)
        time.sleep(2)  # what the server has to say of the beginning
        before, requests, marks = received(t.proc.pid), len(c.asked()), t.sum("kube_events{type=\"bookmark\"}")
        counted = t.sum("kube_bytes")
        end = time.monotonic() + seconds
        other = c.pod("shop", "busy", node="n2")
        while time.monotonic() < end:
            other.label(now=str(time.monotonic_ns()))
            time.sleep(1)
        after, asked = received(t.proc.pid), c.asked()[requests:]
        marks, counted = t.sum("kube_events{type=\"bookmark\"}") - marks, t.sum("kube_bytes") - counted
        got = sum(n - before.get(a, 0) for a, n in after.items())
        print(f"# {seconds} s of quiet: {got} bytes on the wire, {counted:.0f} of answers, {marks:.0f} bookmarks, {len(asked)} requests")
        t.stop()
    watches = 1 + seconds // 300  # each is asked for with a time of 300 to 600 s
    assert len(asked) <= watches - (seconds < 300), asked
    assert got <= 600 * (marks + 1) + 8192 * len(asked), (got, marks)
    assert marks >= seconds // 90, f"no bookmarks: {marks}"
    assert t.counters.sum("kube_events") - t.counters['kube_events{type="bookmark"}'] <= 2, t.counters


def case_kube_quiet():
    """Nothing but bookmarks, however much other nodes' pods change."""
    quiet(int(os.environ.get("QUIET_SECONDS", "120")))


case_kube_quiet.seconds = int(os.environ.get("QUIET_SECONDS", "120"))
case_kube_quiet.limit = 60 + case_kube_quiet.seconds


def rss(pid):
    return int(re.search(r"^VmRSS:\s+(\d+)", parts.read(f"/proc/{pid}/status"), re.M)[1])


def case_kube_crowd():
    """250 and 500 pods on the node, some of them large: memory and processor time of the agent."""
    c = Cluster()
    c.node("n1")
    with Agent(c, name="alone") as t:
        t.wait_metric("kube_requests", 2)
        alone = rss(t.proc.pid)
        t.stop()
    large = {"labels": {f"label-{i}": "x" * 60 for i in range(200)}, "annotations": {"note": "y" * 200000}}
    pods = c.pods("crowd", 249, "n1") + [c.pod("crowd", "large", **large)]
    for n in (250, 500):
        if n > len(pods):
            pods += c.pods("more", n - len(pods), "n1")
        with Agent(c, name=f"crowd-{n}") as t:
            settle(t, n)
            begun, seen = parts.cpu_of(t.proc.pid), t.sum("kube_events{type=\"modified\"}")
            for p in pods[:n:10]:
                p.label(changed=str(n))
            t.wait_metric("kube_events{type=\"modified\"}", seen + n // 10)
            changes, size = parts.cpu_of(t.proc.pid) - begun, rss(t.proc.pid)
            s = Server(pods[n // 2]).ask()
            t.stop()
        check_only(t.spans, s)
        print(f"# {n} pods: {size} KiB, {size - alone} more than with none; {begun:.2f} s of CPU until all were known, {changes:.2f} s for {n // 10} changes")
        assert size - alone < 16 * 1024, (size, alone)


case_kube_crowd.limit = 200
