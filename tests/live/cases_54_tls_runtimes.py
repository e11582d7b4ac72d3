# SPDX-License-Identifier: Apache-2.0
"""TLS of runtimes that bring their own library, by what their programs counted; and of those that cannot be read, which is said."""
import os
import subprocess
import sys

import grpc_kit as kit
import parts
from cases_50_tls import both_sides, certificate, nothing_unread
from cases_52_tls_go import hash_of
from spandrel import Tracer

RUST = os.path.join(parts.APPS, "rusttls")
CACHE = os.path.join(os.environ.get("SPANDREL_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or
                     os.path.expanduser("~/.cache"), "spandrel"), "rusttls")
PATHS = [f"/status/{400 + i}" for i in range(40)]


def unread(t, connections):
    """Connections of which nothing can be told, at both of their ends: counted, and nothing is made up."""
    assert not t.spans and not t.counters["tls_sessions_seen"], (t.spans, dict(t.counters))
    assert t.counters["connections_tls_unreadable"] == 2 * connections == t.counters["connections_seen"], dict(t.counters)
    assert not t.counters.sum("requests_dropped") and not t.counters["requests_seen"], dict(t.counters)


# ---- gRPC: grpc-js on Node's own OpenSSL, grpc-java on the BoringSSL that Netty unpacks; both encipher in memory ----

def grpc(program):
    with kit.secure(*certificate()):
        t = kit.mixed_judged(program)
    nothing_unread(t)
    assert t.counters["tls_sessions_seen"] == 2 and not t.counters["tls_sessions_without_address"], dict(t.counters)


def case_tls_runtimes_grpc_node():
    grpc("node")


def case_tls_runtimes_grpc_java():
    grpc("java")


def case_tls_runtimes_grpc_python():
    """Its BoringSSL is inside a module without symbols."""
    plans = kit.mixed(40, "s", seed=7)
    with kit.secure(*certificate()):
        server = kit.serve("python")
        with Tracer(*kit.CAPTURE) as t:
            kit.call("python", server, 10, plans)
            t.stop(settle=0.3)
    unread(t, 1)
    assert t.counters['tls_unreadable{library="openssl"}'] == 1 and "cygrpc" in t.err, (dict(t.counters), t.err)


# ---- Rust ----

def rust(library):
    """apps/rusttls by that library, made once and kept outside the tree."""
    parts.need("cargo", "cc")
    made = [os.path.join(d, f) for d, _, files in os.walk(RUST) for f in sorted(files)]
    path = os.path.join(CACHE, f"{library}-{hash_of(b''.join(parts.read(f, 'rb') for f in sorted(made))):08x}")
    if not os.path.exists(path):
        target = os.path.join(CACHE, library)
        r = subprocess.run(["nice", "cargo", "build", "--quiet", "--release", "--locked", "--features", library, "--target-dir", target],
                           cwd=RUST, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if r.returncode:
            raise parts.Skip(f"{library} cannot be built: {r.stdout.decode(errors='replace').strip()[-300:]}")
        os.rename(os.path.join(target, "release/rusttls"), path)
    return path


def rust_calls(library, *args):
    """Three clients, one after the other, of a server by the same library: (tracer, paths that were answered as asked)."""
    program, port, asked = rust(library), parts.free_port(), []
    parts.Server(parts.start([program, "serve", port, *certificate()], "serve"), ("127.0.0.1", port), "serve")
    with Tracer(*args) as t:
        for i in range(3):
            paths = PATHS[i::3]
            out = parts.tool([program, "call", port, *paths]).text.split()
            assert out == [w for p in paths for w in (p, p.split("/")[2])], out
            asked += paths
        t.stop(settle=0.3)
    return t, asked


def case_tls_runtimes_rust_native_tls():
    t, paths = rust_calls("native-tls")
    both_sides(t, paths)
    for s in t.spans:
        assert s.path == f"/status/{s.code}" and s["network.peer.port"] and s["server.address"] == "localhost", s.attrs
    nothing_unread(t)
    assert t.counters["tls_sessions_seen"] == 6 and not t.counters["tls_sessions_without_address"], dict(t.counters)


def case_tls_runtimes_rust_rustls():
    t, _ = rust_calls("rustls", "--log-level", "info")
    unread(t, 3)
    assert t.counters['tls_unreadable{library="rustls"}'] == 1, dict(t.counters)


# ---- Java's own ----

def case_tls_runtimes_java_jsse():
    """Enciphered by Java: no library is there to be looked at, the connections tell."""
    parts.need("java", "openssl")
    cert, key = certificate()
    store, port = parts.path("store.p12"), parts.free_port()
    parts.tool(["openssl", "pkcs12", "-export", "-in", cert, "-inkey", key, "-out", store, "-passout", "pass:spandrel"])
    java = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", os.path.join(parts.APPS, "Jsse.java")]
    parts.Server(parts.start([*java, "serve", port, store], "jsse"), ("127.0.0.1", port), "jsse")
    with Tracer() as t:
        out = parts.tool([*java, "call", port, store, *PATHS[:10]], timeout=60).text.split()
        assert out == [w for p in PATHS[:10] for w in (p, p.split("/")[2])], out
        t.stop(settle=0.3)
    unread(t, 1)


def build_all():
    """So that no case has to wait for a compiler."""
    for library in ("native-tls", "rustls"):
        try:
            rust(library)
        except parts.Skip as e:
            print(f"  no program of Rust's TLS: {e}", file=sys.stderr)


if __name__ == "__main__":
    build_all()
