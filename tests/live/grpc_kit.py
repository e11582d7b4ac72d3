# SPDX-License-Identifier: Apache-2.0
"""The programs of apps/grpc: what each call is asked to be (Plan), how it went by its client's own account (Result), and
what its spans must say. A call is met by its id, which travels as the metadata x-truth-id."""
import contextlib
import os
import random
import subprocess

import parts
from spandrel import CLIENT, ERROR, SERVER, UNSET, Tracer

LANGUAGES = ("python", "aio", "go", "java", "node", "rust")
KINDS = ("Unary", "Down", "Up", "Both")
NAMES = ("OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
         "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
         "UNAUTHENTICATED").split()
SERVER_ERRORS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
OK, CANCELLED, DEADLINE_EXCEEDED, UNIMPLEMENTED, UNAVAILABLE = 0, 1, 4, 12, 14
CAPTURE = ("--capture-header", "x-truth-id")
MESSAGES, BYTES = "spandrel.grpc.{}.messages", "spandrel.grpc.{}.bytes"
PASSED_OVER = 2000  # bytes of DATA that are copied in any case
CLOCK = 5_000_000  # ns by which the clocks of a program and of the tracer may differ


def build(language):
    """The directory of a program, made when it is not there yet."""
    r = subprocess.run(["nice", os.path.join(parts.APPS, "grpc/build"), language], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = r.stderr.decode(errors="replace").strip()
    if r.returncode == 3:
        raise parts.Skip(said.splitlines()[-1])
    assert r.returncode == 0, f"{language} cannot be built: {said[-2000:]}"
    return r.stdout.decode().strip()


def argv(language):
    """Of the program in that language, or of a copy of one: then `language` is its path."""
    if "/" in language:
        return [language]
    if language in ("python", "aio"):
        d = build("python")
        return [f"{d}/venv/bin/python", f"{d}/{'load' if language == 'python' else 'aio'}.py"]
    d = build(language)
    return {"go": [f"{d}/load"], "rust": [f"{d}/load"], "node": ["node", f"{d}/load.js"],
            "java": ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{d}/classes:{d}/lib/*", "Load"]}[language]


def serve(language):
    port = parts.free_port()
    name = f"serve-{os.path.basename(language)}"
    return parts.Server(parts.start([*argv(language), "serve", port], name), ("127.0.0.1", port), name)


class Plan:
    """One call (apps/grpc/load.proto says what each word means)."""

    def __init__(self, ident, method="Unary", code=0, count=1, pause=0, size=10, deadline=0, cancel=0, parent="-"):
        self.id, self.method, self.code, self.count, self.pause, self.size = ident, method, code, count, pause, size
        self.deadline, self.cancel, self.parent = deadline, cancel, parent

    def __repr__(self):
        return " ".join(str(x) for x in (self.id, self.method, self.code, self.count, self.pause, self.size, self.deadline,
                                         self.cancel, self.parent))

    @property
    def broken(self):
        """Ended by the client: how far it came is known to it alone."""
        return bool(self.deadline or self.cancel)

    @property
    def asks(self):
        return self.count if self.method in ("Up", "Both") else 1

    @property
    def answers(self):
        if self.method in ("Down", "Both"):
            return self.count
        return 1 if self.method in KINDS and not self.code else 0

    @property
    def length(self):
        """Nanoseconds that the server takes at least; timers of JavaScript may be early by one millisecond. A client's pauses say
        less: what it sends can wait in it and leave all at once."""
        n = {"Unary": 1, "Down": self.count}.get(self.method, 0)
        return max(self.pause - 1, 0) * n * 1_000_000 if not self.broken else 0


class Result:
    def __init__(self, line):
        w = line.split()
        assert len(w) == 6, f"not a result: {line!r}"
        self.id = w[0]
        self.code, self.sent, self.received, self.begin, self.end = (int(x) for x in w[1:])


class Client:
    """A program that calls on one connection, up to `streams` calls at a time. It makes one call before it is asked to."""

    def __init__(self, language, server, streams):
        with open(parts.path(f"call-{os.path.basename(language)}.log"), "ab") as log:
            self.proc = subprocess.Popen([*argv(language), "call", str(server.port), str(streams)], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=log, preexec_fn=parts.die_with_parent,
                                         env={k: v for k, v in os.environ.items() if not k.startswith("OTEL_")})
        parts.remember(self.proc)
        self.pid, self.results = self.proc.pid, {}
        self.ask([Plan(f"first-{self.pid}")])  # what is called before there is a connection waits in the program, and leaves all at once

    def ask(self, plans):
        """Makes these calls and waits for their ends."""
        plans = list(plans)

        def feed():
            self.proc.stdin.write("".join(f"{p}\n" for p in plans).encode())
            self.proc.stdin.flush()

        def drain():
            for _ in plans:
                r = Result(self.proc.stdout.readline().decode())
                assert r.id not in self.results, f"{r.id} ended twice"
                self.results[r.id] = r
        parts.parallel(lambda f: f(), [feed, drain])
        return plans

    def end(self):
        self.proc.stdin.close()
        assert self.proc.wait(parts.READY) == 0, self.proc.returncode


def call(language, server, streams, plans):
    c = Client(language, server, streams)
    c.ask(plans)
    c.end()
    for p in plans:
        r = c.results[p.id]
        if not p.broken:
            assert r.code == (p.code if p.method in KINDS else UNIMPLEMENTED), f"{p}: ended with {r.code}"
    return c.results


SIZES = (1, 20, 200, 5000, 40000)


def mixed(n, prefix, seed=1, pause=0, parent=0.0, sizes=SIZES):
    """n calls of all kinds, with messages of many lengths; a share of them with a parent of their own."""
    rng = random.Random(seed)
    return [Plan(f"{prefix}-{i:04}", KINDS[i % 4], 0 if rng.random() < 0.8 else rng.randrange(1, 17), rng.randrange(1, 6),
                 pause, rng.choice(sizes),
                 parent=f"00-{rng.getrandbits(128):032x}-{rng.getrandbits(64):016x}-01" if rng.random() < parent else "-")
            for i in range(n)]


def truth(span):
    """The id that a span's request carried, or None when it is not known. (Joined late, a call may not be seen to be gRPC's.)"""
    return (span["rpc.request.metadata.x-truth-id"] or span["http.request.header.x-truth-id"] or [None])[0]


def by_id(spans, kind):
    """The spans of a kind by the id of their call; each call has one at most."""
    out = {}
    for s in spans:
        if s.kind == kind and truth(s) is not None:
            assert truth(s) not in out, f"two spans of one call: {s} {out[truth(s)]}"
            out[truth(s)] = s
    return out


def check_status(span, name):
    assert span["rpc.response.status_code"] == name, (span, span["rpc.response.status_code"], name)
    error = name != "OK" if span.kind == CLIENT else name in SERVER_ERRORS
    assert span.status == (ERROR if error else UNSET), (span, span.status)
    assert span["error.type"] == (name if error else None), (span, span["error.type"])


def check_call(span, plan):
    """What does not depend on how the call ended; what is not known must not be there."""
    assert span["rpc.system.name"] == "grpc", span.attrs
    method = f"spandrel.test.Load/{plan.method}"
    if plan.deadline:
        assert plan.deadline - 100 <= span["spandrel.grpc.timeout_ms"] <= plan.deadline + 10, span.attrs
    if plan.method in KINDS and plan.code != UNIMPLEMENTED:
        assert span["rpc.method"] == span.name == method, span.attrs
    else:  # a method that may not exist may go by another name, and its own stands beside it then
        assert method in (span["rpc.method"], span["rpc.method_original"]), span.attrs
    assert not any(k.startswith(("http.request.method", "url.")) for k in span.attrs), span.attrs
    assert span["spandrel.truncated"] is None, span.attrs


def ask_length(plan):
    """Bytes of a StringValue that holds the plan's line."""
    n = len(str(plan))
    return 2 + n + (n > 127)


def answer_length(plan):
    """Bytes of a BytesValue of so many bytes."""
    n = plan.size
    return n + 2 + (n > 127) + (n > 16383)


def check_messages(span, plan):
    for way, n, length in (("request", plan.asks, ask_length(plan)), ("response", plan.answers, answer_length(plan))):
        got = span[MESSAGES.format(way)], span[BYTES.format(way)]
        if got == (None, None) and length > PASSED_OVER:
            continue  # where payload is passed over, what stands in it is not counted, and never guessed
        assert got == (n, n * length), f"{span} {plan}: {got} messages and bytes, {n, n * length} were sent: {span.attrs}"


def check_times(client, server, plan, result):
    end = result.end + CLOCK if not plan.broken else client.end  # who gives up need not wait until the server is told
    assert result.begin - CLOCK <= client.start and client.end <= end, \
        f"{plan}: {client.start} to {client.end} is not within the call, {result.begin} to {result.end}"
    assert client.start <= server.start, (client, server)
    for s in (client, server):
        assert s.end - s.start >= plan.length, f"{plan}: {s} took {s.end - s.start} ns of {plan.length}"


def check_link(client, server, plan):
    assert server.parent == client.id and server.trace == client.trace and server.link == "connection", (plan, client, server)
    if plan.parent == "-":
        assert not client.parent and client.link is None, (plan, client)
    else:
        _, trace, parent, _ = plan.parent.split("-")
        assert (client.trace, client.parent, client.link) == (trace, parent, "header"), (plan, client)


def check_where(client, server, language_pid, server_pid, port):
    assert client.pid == language_pid and server.pid == server_pid, (client, server)
    assert client["network.peer.port"] == port and client["server.port"] == port, client.attrs
    assert client["server.address"] == "127.0.0.1", client.attrs


def judge(t, plans, results, client_pid, server):
    """Everything that is known of calls that were seen from their first byte to their last."""
    clients, servers = by_id(t.spans, CLIENT), by_id(t.spans, SERVER)
    for p in plans:
        c, s, r = clients.get(p.id), servers.get(p.id), results[p.id]
        assert c and s, f"{p}: client's span {c}, server's span {s}"
        for span in (c, s):
            check_call(span, p)
            if not p.broken:
                check_status(span, NAMES[r.code])
            if not p.broken and p.method in KINDS:  # who does not know the method may answer before it is asked in full
                check_messages(span, p)
        check_times(c, s, p, r)
        check_link(c, s, p)
        check_where(c, s, client_pid, server.pid, server.port)
    return clients, servers


LOSSES = ("requests_dropped", "records_missed", "parser_out_of_step", "parser_resynchronised", "sequence_races")


def clean(t, calls):
    """Both spans of each call, none besides, and nothing that was lost on the way. What a server still says of a call that
    its client gave up is an answer to nothing."""
    c = t.counters
    assert len(t.spans) == 2 * calls, f"{len(t.spans)} spans of {calls} calls: {dict(c)}"
    for name in LOSSES:
        assert c.sum(name) == 0, dict(c)
    assert c["requests_seen"] == 2 * calls, dict(c)


# ---- the same over TLS ----

@contextlib.contextmanager
def secure(cert, key):
    """Programs that are started meanwhile speak TLS."""
    os.environ.update(TLS_CERT=cert, TLS_KEY=key)
    try:
        yield
    finally:
        del os.environ["TLS_CERT"], os.environ["TLS_KEY"]


def mixed_judged(program, n=120):
    """A program that calls itself, whose calls are all there, twice, and right; the tracer that saw them."""
    server = serve(program)
    with Tracer(*CAPTURE, name=os.path.basename(program)) as t:
        plans = mixed(n, "s", seed=7, pause=3, parent=0.5)
        c = Client(program, server, 50)
        c.ask(plans)
        c.end()
        t.stop(settle=0.3)
    clean(t, len(plans) + 1)
    judge(t, plans, c.results, c.pid, server)
    return t
