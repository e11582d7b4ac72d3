# SPDX-License-Identifier: Apache-2.0
"""Starts the tracer under test, stops it, and reads what it says: spans of --file, counters of its exit report."""
import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from urllib.parse import urlsplit

import parts

BIN = os.environ.get("SPANDREL_BIN", os.path.join(os.path.dirname(__file__), "../../build/spandrel"))
SERVER, CLIENT = 2, 3
UNSET, ERROR = 0, 2
COUNTER = re.compile(r"^([a-z_0-9]+)(\{[^}]*\})? (\d+)$")
PATIENCE = 30 * parts.SLOW  # seconds until something that must come is called missing; never a measure of speed


def value(v):
    """An OTLP/JSON AnyValue as a Python value. Integers must be decimal strings, as the format says."""
    (kind, x), = v.items()
    if kind == "intValue":
        assert isinstance(x, str), f"intValue is not a string: {v}"
        return int(x)
    if kind == "arrayValue":
        return [value(e) for e in x.get("values", [])]
    assert kind in ("stringValue", "boolValue", "doubleValue"), v
    return x


def attributes(pairs):
    out = {}
    for p in pairs or []:
        assert p["key"] not in out, f"attribute twice: {p['key']}"
        out[p["key"]] = value(p["value"])
    return out


class Span:
    def __init__(self, j, resource):
        self.json, self.res = j, resource
        self.trace, self.id, self.parent = j["traceId"], j["spanId"], j.get("parentSpanId", "")
        self.name, self.kind = j["name"], j["kind"]
        self.start, self.end = int(j["startTimeUnixNano"]), int(j["endTimeUnixNano"])
        self.attrs = attributes(j.get("attributes"))
        self.status = j.get("status", {}).get("code", 0)
        self.flags, self.state = j.get("flags", 0), j.get("traceState", "")
        assert re.fullmatch("[0-9a-f]{32}", self.trace) and int(self.trace, 16), j
        assert re.fullmatch("[0-9a-f]{16}", self.id) and int(self.id, 16), j
        assert self.parent == "" or re.fullmatch("[0-9a-f]{16}", self.parent) and int(self.parent, 16), j
        assert self.name and self.start <= self.end, j

    def __getitem__(self, key):
        return self.attrs.get(key)

    @property
    def link(self):
        return self.attrs.get("spandrel.link")

    @property
    def server(self):
        return self.kind == SERVER

    @property
    def path(self):
        return self["url.path"] if self.server else urlsplit(self["url.full"] or "").path

    @property
    def pid(self):
        return self.res.get("process.pid")

    @property
    def code(self):
        return self["http.response.status_code"]

    def __repr__(self):
        side = {SERVER: "server", CLIENT: "client"}.get(self.kind, self.kind)
        return (f"<{side} {self.name} {self.path} {self.code} {self.trace[:6]}/{self.id} <- "
                f"{self.parent or '-'} {self.link or ''} pid {self.pid} {self.res.get('service.name')}"
                f"{' error ' + str(self['error.type']) if self.status == ERROR else ''}>")


class Spans(list):
    def of(self, kind=None, path=None, **more):
        """Spans of a kind whose path is `path` (or begins with it, when it ends in '*')."""
        def fits(s):
            if kind and s.kind != kind:
                return False
            if path is not None and not (s.path or "").startswith(path[:-1]) if path and path.endswith("*") else \
               path is not None and s.path != path:
                return False
            return all(getattr(s, k) == v for k, v in more.items())
        return Spans(s for s in self if fits(s))

    def one(self, kind=None, path=None, **more):
        found = self.of(kind, path, **more)
        assert len(found) == 1, f"expected one span {kind} {path} {more}, found {found}; all: {self}"
        return found[0]

    def by_id(self):
        return {s.id: s for s in self}


def count_spans(path):
    """For files of many spans, where taking each apart would take longer than making it."""
    with open(path, "rb") as f:
        return sum(line.count(b'"spanId":') for line in f)


def read_spans(path, every=1):
    """All spans, or those of every n-th line."""
    out = Spans()
    with open(path, encoding="utf-8") as f:
        for i, line in enumerate(f):
            if i % every:
                continue
            assert line.endswith("\n"), f"unfinished line in {path}: {line[:200]}"
            for rs in json.loads(line)["resourceSpans"]:
                res = attributes(rs.get("resource", {}).get("attributes"))
                for ss in rs["scopeSpans"]:
                    out += [Span(s, res) for s in ss["spans"]]
    return out


def read_counters(text):
    out = {}
    for line in text.splitlines():
        m = COUNTER.match(line)
        if m:
            out[m[1] + (m[2] or "")] = int(m[3])
    return out


class Counters(dict):
    def __missing__(self, key):
        return 0

    def sum(self, name):
        return sum(v for k, v in self.items() if k == name or k.startswith(name + "{"))


def check_tree(spans):
    """What holds for any set of spans: ids unique, parents of ours in the same trace, no child before its parent."""
    twice = [i for i, n in Counter(s.id for s in spans).items() if n > 1]
    assert not twice, f"span ids used twice: {twice}"
    ids = spans.by_id()
    for s in spans:
        p = ids.get(s.parent)
        if p is None:
            continue
        assert p.trace == s.trace, f"parent in another trace: {s} {p}"
        assert p.start <= s.start, f"child begins {p.start - s.start} ns before its parent: {s} {p}"
        assert p is not s, f"own parent: {s}"
        seen = {s.id}
        while p is not None:
            assert p.id not in seen, f"circle of parents: {s}"
            seen.add(p.id)
            p = ids.get(p.parent)


def check_identity(counters, n=None):
    c = counters
    got = c["spans_exported"] + c["spans_sampled_out"] + c["spans_in_spool"] + c.sum("requests_dropped")
    assert c["requests_seen"] + c["spans_recovered"] == got, f"requests_seen is not the sum of what became of them ({got}): {dict(c)}"
    assert n is None or n == c["spans_exported"], f"{n} spans in the file, spans_exported {c['spans_exported']}"


class Tracer:
    """`with Tracer('--port', '80') as t: …`; after t.stop(): t.spans, t.counters, t.err (text), t.status.
    Without a selector it traces the calling case and everything that the case starts."""

    def __init__(self, *args, select=None, file=True, env=None, name="t", wrap=(), check=True, every=1):
        args = [str(a) for a in args]
        if select is None:
            select = ["--pid", str(os.getpid())]
        self.dir, self.name, self.check = parts.workdir(), name, check
        self.every = every  # of how many lines of the file one is taken apart
        self.file = os.path.join(self.dir, name + ".json") if file else None
        self.err_path = os.path.join(self.dir, name + ".err")
        self.out_path = os.path.join(self.dir, name + ".out")
        if os.environ.get("BACKEND") and "--backend" not in args:
            args += ["--backend", os.environ["BACKEND"]]  # every case on one way in
        if not wrap and os.environ.get("RIGHTS") == "least":
            wrap = parts.least_rights()
        self.argv = [*wrap, BIN, *[str(a) for a in select], *args] + (["--file", self.file] if file else [])
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("SPANDREL_", "OTEL_"))}
        self.env.update(env or {})
        self.spans, self.counters, self.status = Spans(), Counters(), None
        self.proc = None

    def start(self, ready=True):
        with open(self.err_path, "wb") as err, open(self.out_path, "wb") as out:
            self.proc = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=self.env,
                                         start_new_session=True, preexec_fn=parts.die_with_parent)
        parts.remember(self.proc)
        if ready:
            self.wait_for(lambda: any(l.startswith("spandrel: tracing") for l in self.err.splitlines()), "ready line")
        return self

    __enter__ = start

    def __exit__(self, *exc):
        if self.proc and self.proc.returncode is None:
            if exc[0]:
                self.proc.kill()
                self.proc.wait()
            else:
                self.stop()
        if exc[0]:
            print("# tracer:", " ".join(self.argv))
            print("\n".join("# | " + line for line in self.err.splitlines()[-40:]))

    @property
    def err(self):
        with open(self.err_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    @property
    def out(self):
        with open(self.out_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait_for(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            assert self.proc.poll() is None, f"tracer ended ({self.proc.returncode}) before {what}: {self.err}"
            assert time.monotonic() < end, f"no {what} within {PATIENCE} s: {self.err}"
            time.sleep(0.01)

    def wait_spans(self, n):
        def enough():
            try:
                return len(read_spans(self.file)) >= n
            except (FileNotFoundError, AssertionError, ValueError):
                return False  # a line is being written
        self.wait_for(enough, f"{n} spans")

    def wait(self):
        self.status = self.proc.wait(PATIENCE)
        self.counters = Counters(read_counters(self.err))
        return self.status

    def stop(self, sig=signal.SIGTERM, status=0, settle=0.1):
        """settle: a send is seen when it returns, which may be after its receiver has gone on."""
        time.sleep(settle)
        self.proc.send_signal(sig)
        self.wait()
        assert status is None and self.status in (0, 1) or self.status == status, f"exit status {self.status}: {self.err}"
        if self.file:
            self.spans, self.count = read_spans(self.file, self.every), count_spans(self.file)
        if self.check:
            check_identity(self.counters, self.count if self.file else None)
            check_tree(self.spans)
        return self.spans


def run(*args, env=None, wrap=(), timeout=PATIENCE, stdin=None):
    """Runs the tracer to its end: (status, stdout, stderr)."""
    e = {k: v for k, v in os.environ.items() if not k.startswith(("SPANDREL_", "OTEL_"))}
    e.update(env or {})
    r = subprocess.run([*wrap, BIN, *[str(a) for a in args]], env=e, timeout=timeout, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=parts.die_with_parent)
    return r.returncode, r.stdout.decode(errors="replace"), r.stderr.decode(errors="replace")
