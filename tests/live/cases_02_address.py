# SPDX-License-Identifier: Apache-2.0
"""IPv4, IPv6, mapped addresses, UNIX sockets with a path and abstract."""
import socket

import parts
import wire
from spandrel import CLIENT, SERVER, Tracer


def need_ipv6():
    try:
        parts.free_port("::1")
    except OSError as e:
        raise parts.Skip("no IPv6 on this host") from e


def case_address_ipv6():
    need_ipv6()
    web = parts.threading_server(addr=("::1", parts.free_port("::1")))
    with Tracer(select=["--port", web.port]) as t:
        _, info = parts.curl(web.url + "/six")
        t.stop()
    s, c = t.spans.one(SERVER, "/six"), t.spans.one(CLIENT, "/six")
    assert len(t.spans) == 2
    assert (s["network.peer.address"], s["network.peer.port"]) == ("::1", info["lport"]), s.attrs
    assert (c["network.peer.address"], c["network.peer.port"]) == ("::1", web.port), c.attrs
    assert s["client.address"] == "::1" and s["server.address"] == "::1" and s["server.port"] == web.port, s.attrs
    assert c["url.full"] == f"http://[::1]:{web.port}/six" and c["server.address"] == "::1", c.attrs
    assert s.parent == c.id and s.link == "connection"


def case_address_mapped():
    """A dual-stack listener: the server's socket is IPv6, the peer an IPv4 host."""
    need_ipv6()
    web = parts.threading_server(addr=("::", parts.free_port("::")))
    with Tracer(select=["--port", web.port]) as t:
        _, info = parts.curl(f"http://127.0.0.1:{web.port}/mapped")
        t.stop()
    s, c = t.spans.one(SERVER, "/mapped"), t.spans.one(CLIENT, "/mapped")
    assert (s["network.peer.address"], s["network.peer.port"]) == ("127.0.0.1", info["lport"]), s.attrs
    assert s["client.address"] == "127.0.0.1" and c["network.peer.address"] == "127.0.0.1", (s.attrs, c.attrs)
    assert s.parent == c.id and s.link == "connection", s


def unix_case(addr, *curl_args):
    web = parts.threading_server(addr=addr) if not addr.startswith("\0") else None
    if web is None:
        def handler(c):
            while (m := c.message()):
                c.send(wire.ok())
        srv = wire.Raw(handler, addr, forking=True)
    with Tracer() as t:
        for i in range(3):
            parts.curl(f"http://localhost/u/{i}", *curl_args)
        t.stop()
    assert len(t.spans) == 6, t.spans
    for i in range(3):
        s, c = t.spans.one(SERVER, f"/u/{i}"), t.spans.one(CLIENT, f"/u/{i}")
        assert s.parent == c.id and s.link == "connection" and s.trace == c.trace, (s, c)
        assert c["url.full"] == f"http://localhost/u/{i}" and c["server.address"] == "localhost", c.attrs
        assert c["server.port"] == 80 and s["server.address"] == "localhost", (s.attrs, c.attrs)
        assert "network.peer.port" not in c.attrs and "network.peer.port" not in s.attrs, (s.attrs, c.attrs)
        assert s.code == c.code == 200
        yield s, c


def case_address_unix_path():
    sock = parts.path("web.sock")
    for s, c in unix_case(sock, "--unix-socket", sock):
        assert c["network.peer.address"] == sock, c.attrs


def case_address_unix_abstract():
    name = f"spandrel-live-{__import__('os').getpid()}"
    for s, c in unix_case("\0" + name, "--abstract-unix-socket", name):
        assert c["network.peer.address"] in ("@" + name, name), c.attrs


def case_address_unix_port_selects_none():
    """--port never selects a UNIX socket."""
    sock = parts.path("web.sock")
    web = parts.threading_server(addr=sock)
    with Tracer(select=["--pid", web.pid, "--port", "1-65535"]) as t:
        parts.curl("http://localhost/u", "--unix-socket", sock)
        t.stop()
    assert not t.spans and t.counters["requests_seen"] == 0, t.spans


def case_address_socketpair():
    """An unnamed pair has two ends like any other connection."""
    a, b = socket.socketpair()

    def serve():
        c = wire.Conn(b)
        a.close()
        while c.message():
            c.send(wire.ok())
    f = parts.Fork(serve)
    b.close()
    with Tracer() as t:
        c = wire.Conn(a)
        for i in range(3):
            c.get(f"/pair/{i}")
        t.stop()
        c.close()
    f.result()
    # a pair has nobody who connected, and its beginning was not seen: the direction of the request decides
    assert len(t.spans.of(SERVER)) == 3 and len(t.spans.of(CLIENT)) == 3, t.spans
