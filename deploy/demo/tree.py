#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tree.py FILE: shows the traces in a file of OTLP/JSON lines (spandrel --file) as trees with timings."""
import json
import sys

KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
BAR = 28


def value(v):
    return next(iter(v.values()), None) if v else None


def attributes(owner):
    return {a["key"]: value(a.get("value")) for a in owner.get("attributes", [])}


def spans(path):
    with open(path, encoding="utf-8") as f:
        for line in f:
            for group in json.loads(line).get("resourceSpans", []):
                service = attributes(group.get("resource", {})).get("service.name", "?")
                for scope in group.get("scopeSpans", []):
                    for s in scope["spans"]:
                        yield {
                            "trace": s["traceId"], "id": s["spanId"], "parent": s.get("parentSpanId", ""),
                            "service": service, "name": s["name"], "kind": KINDS.get(s.get("kind"), "?"),
                            "start": int(s["startTimeUnixNano"]), "end": int(s["endTimeUnixNano"]), "a": attributes(s),
                        }


def title(s):
    a = s["a"]
    path = a.get("url.path") or "/" + a.get("url.full", "").split("://", 1)[-1].partition("/")[2]
    return f"{a.get('http.request.method', s['name'])} {path} {a.get('http.response.status_code', a.get('error.type', ''))}"


def bar(s, first, last):
    total = max(last - first, 1)
    a = min((s["start"] - first) * BAR // total, BAR - 1)
    b = max((s["end"] - first) * BAR // total, a + 1)
    return " " * a + "█" * (b - a) + " " * (BAR - b)


def show(s, children, indent, tail, first, last, out):
    left = f"{indent}{s['service']}  {s['kind']}  {title(s)}"
    how = s["a"].get("spandrel.link", "")
    out.append((left, f"{(s['end'] - s['start']) / 1e6:8.2f} ms", f"|{bar(s, first, last)}|", how))
    below = children.get(s["id"], [])
    for i, c in enumerate(below):
        final = i == len(below) - 1
        show(c, children, tail + ("└─ " if final else "├─ "), tail + ("   " if final else "│  "), first, last, out)


def trees(all_spans):
    """[(trace id, spans of it, roots, children by parent)], in the order of their beginning."""
    by_trace = {}
    for s in all_spans:
        by_trace.setdefault(s["trace"], []).append(s)
    out = []
    for trace, group in by_trace.items():
        group.sort(key=lambda s: (s["start"], -s["end"]))
        known, children = {s["id"] for s in group}, {}
        for s in group:
            children.setdefault(s["parent"] if s["parent"] in known else "", []).append(s)
        out.append((trace, group, children.pop("", []), children))
    return sorted(out, key=lambda t: t[1][0]["start"])


def print_trees(path, out=sys.stdout):
    found = trees(spans(path))
    for trace, group, roots, children in found:
        first, last = min(s["start"] for s in group), max(s["end"] for s in group)
        rows = []
        for r in roots:
            show(r, children, "", "", first, last, rows)
        width = max(len(r[0]) for r in rows)
        services = len({s["service"] for s in group})
        above = ", parent outside" if any(r["parent"] for r in roots) else ""
        print(f"\ntrace {trace}  {len(group)} spans, {services} services, {(last - first) / 1e6:.2f} ms{above}", file=out)
        for left, time, line, how in rows:
            print(f"  {left:<{width}} {time}  {line}  {how}", file=out)
    return found


if __name__ == "__main__":
    print_trees(sys.argv[1])
