# SPDX-License-Identifier: Apache-2.0
"""gRPC of five languages against what each call was asked to be: every span, exactly."""
import itertools
import threading

import grpc_kit as kit
from grpc_kit import CANCELLED, CAPTURE, DEADLINE_EXCEEDED, KINDS, NAMES, OK, UNAVAILABLE, Plan
from spandrel import CLIENT, SERVER, Tracer

CALLS = 60
SHORT = (1, 20, 200)  # what passes before a connection that is older than the tracer has its verdict must fit the first budget


def streams(language, caller=None, counts=(1, 10, 100)):
    """Calls of the four kinds on one connection, 1, 10 and 100 at a time; half of them bring a parent."""
    server, runs = kit.serve(language), []
    with Tracer(*CAPTURE) as t:
        for n in counts:
            plans = kit.mixed(CALLS if n < 100 else 2 * CALLS, f"s{n}", seed=n, pause=3, parent=0.5)
            c = kit.Client(caller or language, server, n)
            c.ask(plans)
            c.end()
            runs.append((plans, c))
        t.stop(settle=0.3)
    kit.clean(t, sum(len(plans) + 1 for plans, _ in runs))
    for plans, c in runs:
        _, servers = kit.judge(t, plans, c.results, c.pid, server)
        ports = {servers[p.id]["network.peer.port"] for p in plans}
        assert len(ports) == 1, f"one connection: {ports}"


def every_code():
    return [Plan(f"code{c}{m}", m, c, 3 if m == "Down" else 1) for c in range(17) for m in ("Unary", "Down")]


def broken():
    """Calls that the client ends: when their time is up, or because it has enough."""
    return [Plan("late-unary", deadline=200, pause=1500),
            Plan("late-down", "Down", count=100000, pause=20, deadline=200),
            Plan("stop-unary", cancel=200, pause=1500),
            Plan("stop-down", "Down", count=100000, pause=20, cancel=200),
            Plan("stop-up", "Up", count=100000, pause=20, cancel=200),
            Plan("stop-both", "Both", count=100000, pause=20, cancel=200)]


def check_broken(plan, result, client, server, language):
    """A client that gives up says only that it does: that its time was up can be told from its grpc-timeout, if it asked in time."""
    may = (CANCELLED,) if plan.cancel else (CANCELLED, DEADLINE_EXCEEDED)
    assert result.code in may, (plan, result.code)
    if language == "rust" and plan.method == "Both":
        may += (UNAVAILABLE,)  # tonic says nothing, and sends on until the connection ends
    if language == "node" and plan.method in ("Up", "Both"):
        may += (OK,)  # Node ends what it sends before it resets: a quick server answers that
    for s in (client, server):
        code = s["rpc.response.status_code"]
        if code is None and UNAVAILABLE in may:
            assert s["error.type"] in ("connection_closed", "connection_reset"), s.attrs
            continue
        assert code in [NAMES[x] for x in may], (plan, s, code)
        kit.check_status(s, code)
        assert result.begin + 190_000_000 <= client.end, (plan, client.end - result.begin)  # a busy program asks late
    if result.code == DEADLINE_EXCEEDED and client.end - client.start >= (plan.deadline - 4) * 1_000_000:
        assert client["rpc.response.status_code"] == "DEADLINE_EXCEEDED", (plan, client)


def ends(language):
    """Each status code with and without messages before it; deadlines; cancellations; a method that is not there."""
    server = kit.serve(language)
    last, whole, cut = Plan("last"), every_code() + [Plan("unknown", "Nothing", kit.UNIMPLEMENTED)], broken()
    with Tracer(*CAPTURE) as t:
        c = kit.Client(language, server, 10)
        c.ask(whole)
        c.ask(cut)
        c.ask([last])  # before the connection ends, its client has said that it gave up
        c.end()
        t.stop(settle=0.3)
    kit.clean(t, 2 + len(whole) + len(cut))
    clients, servers = kit.judge(t, whole + cut, c.results, c.pid, server)
    for p in cut:
        check_broken(p, c.results[p.id], clients[p.id], servers[p.id], language)


def check_joined(span, plans):
    """A span of a connection that is older than the tracer: what it says is true, whatever it leaves out."""
    ident = kit.truth(span)
    assert ident is None or ident in plans, f"an id that was never sent: {span.attrs}"
    p = plans.get(ident)
    methods = [f"spandrel.test.Load/{m}" for m in ([p.method] if p else KINDS)]
    assert span["rpc.method"] in [None, *methods], (span.attrs, methods)
    assert span["rpc.system.name"] in (None, "grpc"), span.attrs
    assert span["http.request.method"] in (None, "POST") and span["url.path"] in [None, *("/" + m for m in methods)], span.attrs
    assert span["http.response.status_code"] in (None, 200), span.attrs
    if p:
        assert span["rpc.response.status_code"] in (None, NAMES[p.code]), (span.attrs, p)
        for way, n in (("request", p.asks), ("response", p.answers)):
            assert span[kit.MESSAGES.format(way)] in (None, n), (span.attrs, p)
    if span["rpc.method"] is None and span["url.path"] is None:
        assert span["spandrel.truncated"] is True, span.attrs


def joined(language):
    """The connection and its header tables are older than the tracer, and go on after it."""
    server = kit.serve(language)
    c = kit.Client(language, server, 10)
    before = c.ask(kit.mixed(CALLS, "before", seed=7, parent=0.5, sizes=SHORT))
    with Tracer(*CAPTURE) as t:
        during = c.ask(kit.mixed(2 * CALLS, "during", seed=8, pause=1, parent=0.5, sizes=SHORT))
        t.stop(settle=0.3)
    after = c.ask(kit.mixed(CALLS, "after", seed=9, sizes=SHORT))
    c.end()
    assert len(c.results) == 1 + len(before) + len(during) + len(after)
    kit.clean(t, len(during))
    plans = {p.id: p for p in during}
    ids = t.spans.by_id()
    for s in t.spans:
        check_joined(s, plans)
        assert s.pid == (server.pid if s.kind == SERVER else c.pid), s
        if s.kind == SERVER:
            up = ids.get(s.parent)
            assert up and s.link == "connection" and kit.truth(s) in (None, kit.truth(up)), (s, up)
    known = [s for s in t.spans if s["rpc.method"]]
    print(f"# {language}: {len(known)} of {len(t.spans)} spans know their method, "
          f"{len([s for s in t.spans if kit.truth(s)])} their id")


def amid(language):
    """The tracer comes and goes while calls are under way."""
    server = kit.serve(language)
    c, plans, enough = kit.Client(language, server, 10), {}, threading.Event()

    def load():
        for i in itertools.count():
            if enough.is_set():
                return
            some = kit.mixed(20, f"amid{i}", seed=i, pause=2, parent=0.5, sizes=SHORT)
            plans.update({p.id: p for p in some})
            c.ask(some)
    loading = threading.Thread(target=load)
    loading.start()
    for k in range(3):
        with Tracer(*CAPTURE, name=f"t{k}") as t:
            n = len(c.results)
            t.wait_for(lambda: len(c.results) >= n + 100, "calls")
            inside = len(c.results) - n - 20  # of these at most one round began earlier
            t.stop()
        assert t.counters.sum("records_missed") == 0, dict(t.counters)
        for kind in (CLIENT, SERVER):
            assert len(t.spans.of(kind)) >= inside, f"{len(t.spans.of(kind))} spans of {inside} calls: {dict(t.counters)}"
        for s in t.spans:
            check_joined(s, plans)
    enough.set()
    loading.join()
    c.end()


def make_cases():
    """A case for each language and question: run.py finds them by their names here."""
    for language in kit.LANGUAGES:
        for question in (streams, ends, joined, amid):
            def case(language=language, question=question):
                question(language)
            case.__doc__ = question.__doc__
            case.__module__ = __name__
            globals()[f"case_grpc_{language}_{question.__name__}"] = case
    callers = kit.LANGUAGES[1:] + kit.LANGUAGES[:1]
    for language, caller in zip(kit.LANGUAGES, callers):
        def mixed_case(language=language, caller=caller):
            streams(language, caller, (20,))
        mixed_case.__doc__ = "A client of one language, a server of another."
        globals()[f"case_grpc_{caller}_calls_{language}"] = mixed_case


make_cases()
