# SPDX-License-Identifier: Apache-2.0
"""What is inside TLS of servers and runtimes as people run them, each against what it was asked."""
import os
import shutil
import time

import parts
from cases_50_tls import both_sides, certificate, nothing_unread, secure, tls_nginx
from spandrel import CLIENT, Spans, Tracer

REQUESTS = """
import requests, sys, urllib3
urllib3.disable_warnings()
s = requests.Session()
s.verify, s.trust_env = False, False
for path in sys.argv[2:]:
    assert s.get(sys.argv[1] + path).status_code == 200
"""


def addresses_known(t):
    """Every session has found its socket, whoever moves its ciphertext."""
    assert not t.counters["tls_sessions_without_address"], dict(t.counters)
    for s in t.spans:
        assert s["url.scheme"] == "https" or s.kind == CLIENT, s.attrs
        assert s["network.peer.port"], s.attrs


def requests_session(url, paths):
    if parts.tool([parts.PYTHON, "-c", "import requests"], ok=False).returncode:
        raise parts.Skip("no requests for Python")
    parts.tool([parts.PYTHON, "-c", REQUESTS, url, *paths])


def node(script, *args, name, env=None):
    parts.need("node")
    port = parts.free_port()
    p = parts.start(["node", os.path.join(parts.APPS, script), port, *args], name, env)
    return parts.Server(p, ("127.0.0.1", port), name)


def case_tls_programs_node_server():
    """Node enciphers in memory, whatever it speaks."""
    web = secure(node("tls.js", "-", *certificate(), name="node-tls"))
    paths = [f"/{i}" for i in range(8)]
    with Tracer() as t:
        for path in paths[:4]:
            parts.curl(web.url + path, "-k", "--http1.1")
        for a, b in (paths[4:6], paths[6:]):
            parts.curl(web.url + a, "-k", "--http2", web.url + b)
        t.wait_spans(2 * len(paths))
        t.stop()
    both_sides(t, paths)
    nothing_unread(t)
    addresses_known(t)


def case_tls_programs_node_client():
    """https, http2 and fetch of one Node, at an nginx and at another Node."""
    for i, web in enumerate((tls_nginx(locations='location / { return 200 "n\\n"; }'), secure(node("tls.js", "-", *certificate(), name="node-tls")))):
        client = node("tls.js", web.url, name=f"node-client{i}", env={"NODE_TLS_REJECT_UNAUTHORIZED": "0"})
        with Tracer("--exclude-port", client.addr[1], name=f"t{i}") as t:
            assert parts.curl(client.url)[0].strip() == "done"
            t.wait_spans(18)
            t.stop()
        both_sides(t, [f"/{how}/{i}" for how in ("https", "http2", "fetch") for i in range(3)])
        nothing_unread(t)
        addresses_known(t)


def case_tls_programs_gunicorn():
    """Workers that were forked before the first handshake; requests keeps its connection."""
    parts.need("gunicorn")
    cert, key = certificate()
    addr = ("127.0.0.1", parts.free_port())
    p = parts.start(["gunicorn", "--chdir", parts.APPS, "-k", "gthread", "--threads", 4, "-w", 2, "-b", f"{addr[0]}:{addr[1]}", "--certfile", cert,
                     "--keyfile", key, "--worker-tmp-dir", parts.workdir(), "--log-level", "warning", "wsgi:app"], "gunicorn",
                    {"BACKEND": ""})
    web = secure(parts.Server(p, addr, "gunicorn"))
    assert parts.wait_children(p.pid, 2)
    paths = [f"/g/{i}" for i in range(10)]
    with Tracer() as t:
        requests_session(web.url, paths)
        t.wait_spans(2 * len(paths))
        t.stop()
    both_sides(t, paths)
    nothing_unread(t)
    addresses_known(t)


def case_tls_programs_uvicorn():
    cert, key = certificate()
    if parts.tool([parts.PYTHON, "-c", "import uvicorn"], ok=False).returncode:
        raise parts.Skip("no uvicorn for Python")
    addr = ("127.0.0.1", parts.free_port())
    p = parts.start([parts.PYTHON, "-m", "uvicorn", "--app-dir", parts.APPS, "--host", addr[0], "--port", addr[1], "--ssl-certfile", cert, "--ssl-keyfile",
                     key, "--log-level", "warning", "asgi:app"], "uvicorn")
    web = secure(parts.Server(p, addr, "uvicorn"))
    paths = [f"/u/{i}" for i in range(10)]
    with Tracer() as t:
        parts.curl(web.url + "/first", "-k")  # shows that uvicorn enciphers in memory: the probes for its sockets come then, or later
        t.wait_spans(2)
        requests_session(web.url, paths)
        t.wait_spans(2 + 2 * len(paths))
        t.stop()
    first = [s for s in t.spans if s.path == "/first"]
    assert len(first) == 2 and all(not s.parent or s.link == "connection" for s in first), first
    t.spans = Spans([s for s in t.spans if s.path != "/first"])
    both_sides(t, paths)
    assert not t.counters.sum("requests_dropped"), dict(t.counters)
    for s in t.spans:
        assert s["network.peer.port"], s.attrs


# ---- PostgreSQL: TLS begins in the middle of its connection, in a process that was forked for it ----

def postgres_bin():
    for top in sorted(os.listdir("/usr/lib/postgresql"), reverse=True) if os.path.isdir("/usr/lib/postgresql") else []:
        if os.path.exists(f"/usr/lib/postgresql/{top}/bin/initdb"):
            return f"/usr/lib/postgresql/{top}/bin"
    raise parts.Skip("no PostgreSQL server")


def postgres(cert, key):
    there = postgres_bin()
    data = parts.path("pg")
    as_user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.geteuid() == 0 else []
    os.chmod(parts.workdir(), 0o755)
    os.mkdir(data, 0o700)
    for f, name in ((cert, "server.crt"), (key, "server.key")):
        shutil.copy(f, parts.path(name))
        os.chmod(parts.path(name), 0o600)
    if as_user:
        for f in (data, parts.path("server.crt"), parts.path("server.key")):
            shutil.chown(f, "postgres", "postgres")
    parts.tool([*as_user, f"{there}/initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync"], timeout=90)
    addr = ("127.0.0.1", parts.free_port())
    p = parts.start([*as_user, f"{there}/postgres", "-D", data, "-p", addr[1], "-c", f"listen_addresses={addr[0]}", "-k", data, "-c", "ssl=on", "-c", "fsync=off",
                     "-c", f"ssl_cert_file={parts.path('server.crt')}", "-c", f"ssl_key_file={parts.path('server.key')}"], "postgres")
    parts.wait_listening(addr, p)
    end = time.monotonic() + parts.READY
    while parts.tool([f"{there}/pg_isready", "-q", "-h", addr[0], "-p", addr[1]], ok=False).returncode and time.monotonic() < end:
        time.sleep(0.1)
    return p, addr


def case_tls_programs_postgresql():
    """What is said there is no protocol of ours yet: its sessions are read, and claim their connections at both ends."""
    parts.need("psql", "setpriv")
    _, addr = postgres(*certificate())
    with Tracer() as t:
        for _ in range(3):
            r = parts.tool(["psql", f"host={addr[0]} port={addr[1]} user=postgres dbname=postgres sslmode=require", "-Atc",
                            "select ssl from pg_stat_ssl where pid = pg_backend_pid()"])
            assert r.text.strip() == "t", r.text
        t.stop()
    assert t.counters["tls_sessions_seen"] == 6, dict(t.counters)
    assert not t.counters["tls_sessions_without_address"], dict(t.counters)
    assert not t.counters["connections_tls_unreadable"] and not len(t.spans), dict(t.counters)
