#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""drill.py DRILL SPANDREL [N]: N traces (100,000 unless given) of which everything is known, replayed under sampling options.
What is kept must be exactly what the rules say, worked out here once more from the truth. Prints TAP."""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

FULL = 1 << 56
SERVER, CLIENT = 2, 3
COUNTER = re.compile(r"^([a-z_]+)(\{[^}]*\})? (\d+)$", re.M)


class Trace:
    def __init__(self, line):
        self.id, self.route, status, ms, call, far, again, end = line.split()
        self.status, self.ms, self.call, self.far, self.again, self.end = int(status), int(ms), int(call), int(far), int(again), int(end)
        self.r = int(self.id[-14:], 16)

    def parts(self, agent):
        """What the agent sees, below one incoming request after the other: (kind, route, status, ms)."""
        if agent == "b":
            return [[(SERVER, "far", self.far, 1)]] + ([[(SERVER, "again", self.again, 1)]] if self.again else [])
        return [[(SERVER, self.route, self.status, self.ms), (CLIENT, "inner", self.call, 3)]]


def is_error(kind, status):
    return status >= (500 if kind == SERVER else 400)


def threshold(ratio):
    return FULL - round(ratio * FULL)


def expected(trace, agent, ratio, rules=(), errors=False, slower=None):
    """T with which each part of the trace is kept there, or None. A later part is kept with an earlier one, too."""
    before, out = None, []
    for spans in trace.parts(agent):
        t = threshold(next((share for condition, share in rules if any(condition(*s) for s in spans)), ratio))
        if errors and any(is_error(k, s) for k, _, s, _ in spans) or slower and any(ms > slower for *_, ms in spans):
            t = 0
        elif before is not None:
            t = min(t, before)
        before = t if trace.r >= t else None
        out.append(before)
    return out


class Run:
    """A replay: the spans it kept as {(trace, route): T or None}, and the counters."""

    def __init__(self, binary, top, agent, *options):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("SPANDREL_", "OTEL_"))}
        out = f"{top}/out.json"
        rec = agent if agent.endswith(".rec") else f"{top}/{agent}.rec"
        p = subprocess.run([binary, "--replay", rec, "--file", out, *options], env=env, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300)
        self.err = p.stderr.decode()
        assert p.returncode == 0, self.err
        self.counters = {n + (label or ""): int(v) for n, label, v in COUNTER.findall(self.err)}
        self.kept, self.ends, self.lines = {}, {}, []
        with open(out, "rb") as f:
            self.raw = f.read()
        os.unlink(out)
        for line in self.raw.splitlines():
            for group in json.loads(line)["resourceSpans"]:
                for scope in group["scopeSpans"]:
                    for s in scope["spans"]:
                        self.add(s)
        self.lines.sort()

    def add(self, s):
        url = next((a["value"]["stringValue"] for a in s["attributes"] if a["key"] in ("url.path", "url.full")), "")
        path = re.sub("^[a-z]+://[^/]*", "", url).split("/")
        key = s["traceId"], path[1] if path[1:] else s["name"]
        self.lines.append(json.dumps(s, sort_keys=True))
        th = re.search(r"ot=th:([0-9a-f]+)", s.get("traceState", ""))
        self.kept[key] = int(th[1].ljust(14, "0"), 16) if th else None
        self.ends[key] = int(s["endTimeUnixNano"])

    def count(self, name):
        return sum(v for k, v in self.counters.items() if k.partition("{")[0] == name)


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    def result(self, title, *truths):
        self.n += 1
        wrong = [w for ok, w in truths if not ok]
        self.failed += bool(wrong)
        for w in wrong:
            print(f"# {w}")
        print(f"{'not ok' if wrong else 'ok'} {self.n} - {title}", flush=True)


def identity(run):
    assert len(set(run.lines)) == len(run.lines), "a span twice"
    seen, got = run.count("requests_seen"), run.count("spans_exported") + run.count("spans_sampled_out") + run.count("requests_dropped")
    return (seen == got and run.count("spans_exported") == len(run.lines) == run.count("spans_kept") and not run.count("requests_dropped"),
            f"counters: {run.counters}, {len(run.kept)} spans")


def exactly(run, traces, agent, **how):
    want = {(t.id, route): th for t in traces for th, spans in zip(expected(t, agent, **how), t.parts(agent))
            if th is not None for _, route, *_ in spans}
    wrong = [k for k in want.keys() | run.kept.keys() if want.get(k, -1) != run.kept.get(k, -1)]
    return not wrong and want, f"{len(wrong)} of {len(want)} spans are not as the rules say, {wrong[:3]}"


def binomial(run, traces, agent, what, chosen):
    """Adjusted counts of the server spans of some traces: their sum is the truth within five standard deviations."""
    ids = {(t.id, route) for t in traces if chosen(t) for spans in t.parts(agent) for kind, route, *_ in spans if kind == SERVER}
    weights = [FULL / (FULL - th) for key, th in run.kept.items() if key in ids]
    bound = 5 * sum(w * (w - 1) for w in weights) ** 0.5  # unbiased for the variance
    off = sum(weights) - len(ids)
    return abs(off) <= bound + 1e-6, f"{agent} {what}: {sum(weights):.0f} for {len(ids)}, bound {bound:.0f}"


RULES = [(lambda k, route, s, ms: route == "health", 0), (lambda k, route, s, ms: route == "pay", 0.5),
         (lambda k, route, s, ms: s == 404, 0.25), (lambda k, route, s, ms: s // 100 == 5 and ms >= 1000, 1),
         (lambda k, route, s, ms: route == "again", 0.3)]
OPTIONS = ["--sample-rule", "route=/health/*,ratio=0", "--sample-rule", "route=/pay/*,ratio=0.5", "--sample-rule", "status=404,ratio=0.25",
           "--sample-rule", "status=5xx,min-duration=1s", "--sample-rule", "route=/again*,ratio=0.3"]
KEEP = ["--keep-errors", "--keep-slower-than", "1s"]


def drill(tap, binary, top, traces):
    def run(agent, *options):
        return Run(binary, top, agent, *options)

    a, b = run("a", "--sample-ratio", "0.1"), run("b", "--sample-ratio", "0.1")
    tap.result("a ratio keeps exactly R >= T", exactly(a, traces, "a", ratio=0.1), exactly(b, traces, "b", ratio=0.1), identity(a), identity(b))
    tap.result("two agents with different halves keep the same traces",
               ({t for t, _ in a.kept} == {t for t, _ in b.kept}, "other traces"))

    rules = run("a", "--sample-ratio", "0.1", *OPTIONS)
    tap.result("rules: the first that matches any span of the local trace", exactly(rules, traces, "a", ratio=0.1, rules=RULES), identity(rules))

    how = {"ratio": 0.1, "rules": RULES, "errors": True, "slower": 1000}
    a, b = run("a", "--sample-ratio", "0.1", *OPTIONS, *KEEP), run("b", "--sample-ratio", "0.1", *OPTIONS, *KEEP)
    tap.result("outcomes add, with the rest of the local trace and th:0", exactly(a, traces, "a", **how), exactly(b, traces, "b", **how),
               identity(a), identity(b), (not a.count("traces_decided_early"), "traces were decided early"))
    plain = {t.id for t in traces if expected(t, "a", 0, errors=True, slower=1000) == [None] and t.far < 500 and not t.again
             and t.route not in ("health", "pay") and t.status != 404}
    tap.result("what no outcome added, both agents keep alike",
               ({t for t, _ in a.kept if t in plain} == {t for t, _ in b.kept if t in plain}, "other traces"))
    tap.result("adjusted counts sum to the truth",
               binomial(a, traces, "a", "pay", lambda t: t.route == "pay"), binomial(a, traces, "a", "api", lambda t: t.route == "api"),
               binomial(a, traces, "a", "errors", lambda t: t.status == 500), binomial(a, traces, "a", "404", lambda t: t.status == 404 and t.route != "health"),
               binomial(a, traces, "a", "slow", lambda t: t.ms > 1000), binomial(b, traces, "b", "all", lambda t: True), binomial(b, traces, "b", "twice", lambda t: t.again))
    tap.result("the same replay, the same bytes", (run("a", "--sample-ratio", "0.1", *OPTIONS, *KEEP).raw == a.raw, "two replays differ"))
    held(tap, binary, top)
    capped(tap, run("a", "--sample-rate", "20/s", *KEEP), traces)


def held(tap, binary, top):
    """Recordings of real programs: held for an outcome that never comes, the spans are those of the ratio alone."""
    for rec in sorted(glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../replay/*.rec"))):
        truths = []
        for ratio in "1", "0.5", "0.1":
            plain = Run(binary, top, rec, "--sample-ratio", ratio)
            waits = Run(binary, top, rec, "--sample-ratio", ratio, "--keep-slower-than", "1h")
            truths += [identity(plain), identity(waits), (plain.lines == waits.lines, f"ratio {ratio}: {len(plain.lines)} and {len(waits.lines)} spans"),
                       (not waits.count("traces_decided_early") and not waits.count("spans_late"), f"early or late: {waits.counters}")]
        spans = [json.loads(line) for line in Run(binary, top, rec).lines]
        bad = {s["traceId"] for s in spans if s.get("status", {}).get("code") == 2}
        want = {s["spanId"] for s in spans if s["traceId"] in bad}
        errors = [json.loads(line) for line in Run(binary, top, rec, "--keep-errors", "--sample-ratio", "0", "--sample-ignore-parent").lines]
        truths += [({s["spanId"] for s in errors} == want != set(), f"{len(bad)} traces with errors: other spans are kept"),
                   (all("ot=th:0" in s["traceState"] for s in errors), "th is not 0")]
        tap.result(f"{os.path.basename(rec)}: what waits is what would not have waited", *truths)


def capped(tap, r, traces):
    """--sample-rate caps all but what an outcome keeps."""
    outcome = {t.id for t in traces if expected(t, "a", 0, errors=True, slower=1000) == [0]}
    routes = {t.id: t.route for t in traces}
    want = admitted([t for t in traces if t.id not in outcome], 20)
    rest = sorted(end for (t, route), end in r.ends.items() if route != "inner" and t not in outcome)
    truths = [identity(r), (want == {t for t, _ in r.kept if t not in outcome}, "other traces than a bucket of 20 lets through"),
              (all((t, routes[t]) in r.kept and (t, "inner") in r.kept for t in outcome), "an outcome was not kept"),
              (all(th == (0 if t in outcome else None) for (t, _), th in r.kept.items()), "th where the probability is not known, or none where it is"),
              (r.count("spans_without_probability") == sum(th is None for th in r.kept.values()), "spans_without_probability"),
              (r.count("spans_over_rate") == r.count("spans_sampled_out") > 0, "spans_over_rate")]
    for seconds in (1, 10, 60):
        limit = 20 * (seconds + 1)
        most = max((j - i for i, j in windows(rest, seconds * 10**9)), default=0)
        truths.append((most <= limit, f"{most} local traces in {seconds} s, limit {limit}"))
    tap.result("a cap: exactly as much as it says, and no th", *truths)


def admitted(traces, rate):
    """A bucket of `rate` tokens that fills in one second."""
    tokens, last, out = float(rate), 0, set()
    for t in sorted(traces, key=lambda t: t.end):
        tokens, last = min(rate, tokens + (t.end - last) * rate / 1e9), t.end
        if tokens >= 1 - 1e-6:
            tokens -= 1
            out.add(t.id)
    return out


def windows(times, length):
    i = 0
    for j, t in enumerate(times):
        while t - times[i] >= length:
            i += 1
        yield i, j + 1


def main():
    generator, binary, n = sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "100000"
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="spandrel-drill.") as top:
        subprocess.run([generator, n, top], check=True)
        with open(f"{top}/truth", encoding="ascii") as f:
            traces = [Trace(line) for line in f]
        drill(tap, binary, top, traces)
    print(f"1..{tap.n}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
