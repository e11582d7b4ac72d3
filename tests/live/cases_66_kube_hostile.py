# SPDX-License-Identifier: Apache-2.0
"""An API server that hangs, lies or never ends (tests/tools/kube_fake.py): bounded memory, and spans go on."""
import json
import os
import re
import signal
import subprocess
import sys

import parts
from kube_kit import wait_until
from spandrel import Tracer, run

FAKE = os.path.join(os.path.dirname(parts.HERE), "tools", "kube_fake.py")
MIB = 1024  # kB
HANG = {"hang": True}
BIG = "0123456789abcdef" * 64


def fake(*steps, args=()):
    """Its address; what it was asked goes to a file."""
    out = open(parts.path("fake.out"), "wb")
    p = subprocess.Popen([sys.executable, FAKE, *args, "--do", json.dumps(steps)], stdin=subprocess.PIPE, stdout=out, preexec_fn=parts.die_with_parent)
    parts.remember(p)
    return "http://127.0.0.1:%s" % wait_until(lambda: re.match(r"port (\d+)\n", parts.read(parts.path("fake.out"))), "the server")[1]


def asked():
    return [json.loads(x) for x in parts.read(parts.path("fake.out")).splitlines(keepends=True)[1:] if x.endswith("\n")]


def pod(uid, **more):
    return {"metadata": {"name": "p-" + uid, "namespace": "shop", "uid": uid, **more}}


def pods(*items, times=(), version="10", **step):
    """A list of pods; times: (how many, the text of one)."""
    body = ['{"metadata":{"resourceVersion":"%s"},"items":[' % version]
    if times:
        body.append({"times": times[0], "of": times[1] + ","})
    return {"body": body + [",".join(json.dumps(p) for p in items), "]}"], **step}


def watch(*events, end="open"):
    return {"body": "".join(json.dumps({"type": t, "object": o}) + "\n" for t, o in events), "end": end}


def begin_peak(t):
    """Forgets the peak so far, that of the start; memory now."""
    with open(f"/proc/{t.proc.pid}/clear_refs", "w") as f:
        f.write("5")
    return peak(t)


def peak(t):
    return int(re.search(r"VmHWM:\s+(\d+) kB", parts.read(f"/proc/{t.proc.pid}/status"))[1])


def asking(url, *args):
    return Tracer("--kube-api", url, "--node-name", "n1", *args)


def spans_go_on(t, srv, n=10):
    """As many spans as requests, both ends of each, while the API server does what it does."""
    t.made = getattr(t, "made", 0) + 2 * n
    for i in range(n):
        parts.curl(f"{srv.url}/{i}")
    t.wait_spans(t.made)


def complete(t):
    t.stop()
    assert len(t.spans) == t.made, (len(t.spans), t.made)


def case_kube_hostile_hangs():
    srv = parts.threading_server()
    with asking(fake()) as t:
        wait_until(asked, "a request")
        spans_go_on(t, srv)
        complete(t)
    assert t.counters["kube_requests"] == 1 and not t.counters["kube_listed"], t.counters


def case_kube_hostile_is_not_there():
    srv = parts.threading_server()
    with asking(f"http://127.0.0.1:{parts.free_port()}") as t:
        t.wait_for(lambda: "pods" in t.err, "the complaint")
        spans_go_on(t, srv)
        complete(t)
    assert t.counters['kube_errors{reason="connect"}'] >= 1
    assert t.err.count("asked again") == 1, t.err


def large(times, **step):
    one = json.dumps(pod("u-%d", labels={"x": BIG[:500]}, annotations={"y": BIG[:500]}))
    srv = parts.threading_server()
    with asking(fake(pods(pod("last"), times=(times, one), **step), HANG)) as t:
        before = begin_peak(t)
        while len(asked()) < 2:  # the list has been taken when the watch is asked for
            spans_go_on(t, srv, 2)
        grown = peak(t) - before
        spans_go_on(t, srv)
        complete(t)
    assert t.counters["kube_listed"] == times + 1 and t.counters["kube_pods_refused"] == times + 1 - 1024, t.counters
    assert grown < 8 * MIB, f"{grown} kB more for a list of {times} pods"


def case_kube_hostile_list_of_100_mb():
    large(90000)


def case_kube_hostile_list_of_100_mb_in_gzip():
    large(90000, gzip=True)


def case_kube_hostile_500_pods():
    container = {"name": "app", "image": "registry.example.com/shop/app:1.2", "containerID": "containerd://" + "%d".rjust(30, "a") + "b" * 40}
    one = json.dumps({**pod("u-%d", labels={"app": "x"}, annotations={"y": BIG}), "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "app:1"}] * 3},
                      "status": {"phase": "Running", "containerStatuses": [container]}})
    srv = parts.threading_server()
    url = fake(pods(pod("last"), times=(499, one)), pods(pod("last"), times=(499, one)), watch())
    status, out, _ = run("--check", "--kube-api", url, "--node-name", "n1")
    assert status in (0, 1) and f"kubernetes: {url}, node n1: 500 pods\n" in out, out
    with asking(url) as t:
        before = begin_peak(t)
        wait_until(lambda: len(asked()) >= 3, "the watch")
        grown = peak(t) - before
        spans_go_on(t, srv)
        complete(t)
    assert t.counters['pods_known{node="n1"}'] == 500 and grown < 4 * MIB, (grown, t.counters)


def case_kube_hostile_watch_without_end():
    srv = parts.threading_server()
    line = {"body": ['{"type":"ADDED","object":{"metadata":{"name":"', {"times": 9 << 20, "of": "x"}], "end": "open"}
    with asking(fake(pods(pod("a")), line, pods(pod("b"), version="20"), watch(("ADDED", pod("c"))))) as t:
        before = begin_peak(t)
        wait_until(lambda: len(asked()) >= 4, "the watch after the list after the watch")
        spans_go_on(t, srv)
        grown = peak(t) - before
        complete(t)
    assert t.counters['kube_errors{reason="too_long"}'] == 1 and t.counters["kube_relists"] == 1, t.counters
    assert t.counters['pods_known{node="n1"}'] == 2 and grown < 8 * MIB, (grown, t.counters)


def case_kube_hostile_lies():
    srv = parts.threading_server()
    lies = [{"body": "no JSON"}, {"status": 500, "body": "\x1b[2J"}, {"body": {"times": 300000, "of": "["}}, {"body": "{}", "fields": {"Content-Encoding": "gzip"}},
            {"status": 401, "body": "Unauthorized"}, {"status": 302, "fields": {"Location": "http://127.0.0.1:1/"}}]
    with asking(fake(*lies)) as t:
        wait_until(lambda: len(asked()) >= 3, "the third request")  # the pauses grow
        spans_go_on(t, srv)
        complete(t)
    assert t.counters['kube_errors{reason="syntax"}'] >= 1 and t.counters['kube_errors{reason="status"}'] == 1, t.counters
    assert "\x1b" not in t.err


def case_kube_hostile_labels_by_sighup():
    """Labels are kept only where somebody asks; a selector that comes later has the pods listed again."""
    conf = parts.path("conf")
    with open(conf, "w") as f:
        f.write("exclude-kube-label team=red\n")
    same = pod("a", resourceVersion="5", labels={"team": "blue", "zone": "x"})
    with asking(fake(pods(same), watch(), pods(same), watch()), "--config", conf) as t:
        wait_until(lambda: len(asked()) == 2, "the watch")
        t.proc.send_signal(signal.SIGHUP)
        t.wait_for(lambda: "configuration read again" in t.err, "the first SIGHUP")
        with open(conf, "w") as f:
            f.write("exclude-kube-label zone=y\n")
        t.proc.send_signal(signal.SIGHUP)
        wait_until(lambda: len(asked()) == 4, "the list and the watch after it")
        t.stop()
    assert ["watch=1" in a["path"] for a in asked()] == [False, True, False, True], asked()


def case_kube_hostile_authority_of_the_host():
    """A server that an authority vouches for which this host trusts, but not the cluster's, is not the API server."""
    parts.need("openssl", "unshare")
    d = parts.path("tls")
    os.makedirs(d)
    url = fake(pods(pod("a")), pods(pod("a")), args=["--tls", d]).replace("http:", "https:")
    trust = 'mount -t tmpfs none /etc/ssl/certs && cp "$0/ca.pem" /etc/ssl/certs/ && cp "$0/other.pem" /etc/ssl/certs/ca-certificates.crt && openssl rehash /etc/ssl/certs && exec "$@"'
    for authority, answers in (("", True), ("certificate-authority: tls/other.pem", False), ("certificate-authority: tls/ca.pem", True)):
        with open(parts.path("kubeconfig"), "w") as f:
            f.write("current-context: h\ncontexts: [{name: h, context: {cluster: c}}]\n"
                    f"clusters:\n- name: c\n  cluster:\n    server: {url}\n    {authority}\n")
        _, out, err = run("--check", "--kubeconfig", parts.path("kubeconfig"), "--node-name", "n1", wrap=("unshare", "-m", "sh", "-c", trust, d))
        assert (": 1 pods\n" in out) == answers, (authority, out, err)


def case_kube_hostile_configuration():
    config = parts.path("kubeconfig")
    with open(config, "w") as f:
        f.write("current-context: h\ncontexts: [{name: h, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
                "users: [{name: u, user: {exec: {command: /bin/touch, args: [%s]}}}]\n" % parts.path("touched"))
    select = ["--pid", str(os.getpid())]
    status, _, err = run(*select, "--kubeconfig", config)
    assert status == 1 and "exec is not supported" in err and not os.path.exists(parts.path("touched")), (status, err)
    status, _, err = run(*select, "--kubeconfig", "/nonexistent/config")
    assert status == 1 and "cannot read /nonexistent/config" in err, (status, err)
    status, _, err = run(*select, "--kube-api", "unix:///x")
    assert status == 2 and "--kube-api: expected an http:// or https:// URL" in err, (status, err)
    status, _, err = run(*select, "--kube", "perhaps")
    assert status == 2 and "--kube: expected auto|on|off" in err, (status, err)
