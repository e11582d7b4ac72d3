#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The HPACK corpus (stories of header blocks by several encoders) against the decoder.

usage: check.py ARCHIVE DRIVER

Every story is read whole, joined before each of its blocks, and with each of its blocks lost. Read whole, every field must
be exact; otherwise no field may be wrong, and none unknown while the decoder says that its table is exact. Reports the
share of fields known and after how many blocks the table was exact again. Prints TAP; SKIP without the archive.
"""
import collections
import json
import os
import subprocess
import sys
import tarfile

Row = collections.namedtuple("Row", "runs fields known wrong median most never broken")


def as_hex(text):
    return text.encode("latin-1" if all(ord(c) < 256 for c in text) else "utf-8").hex() or "-"


def lines_of(name, story):
    yield f"story {name}"
    for case in sorted(story["cases"], key=lambda c: c["seqno"]):
        if case.get("header_table_size") is not None:
            yield f"limit {case['header_table_size']}"
        yield f"block {case['wire']}"
        for header in case["headers"]:
            for field, value in header.items():
                yield f"field {as_hex(field)} {as_hex(value)}"


def input_of(archive):
    with tarfile.open(archive) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            if member.name.endswith(".json"):
                yield from lines_of(member.name[:-len(".json")], json.load(tar.extractfile(member)))


def rows(archive, driver):
    """By encoder and way."""
    text = "\n".join(input_of(archive)) + "\n"
    out = subprocess.run([driver], input=text, capture_output=True, text=True, check=True).stdout
    found = collections.defaultdict(list)
    for line in out.splitlines():
        name, way, *numbers = line.split()
        found[name.split("/")[0], way].append(Row(*map(int, numbers)))
    return found


def judge(encoder, way, stories):
    total = {f: sum(getattr(s, f) for s in stories) for f in ("runs", "fields", "known", "wrong", "never", "broken")}
    good = total["fields"] > 0 and not total["wrong"] and not total["broken"]
    if way == "whole":
        good = good and total["known"] == total["fields"]
    share = 100 * total["known"] / max(total["fields"], 1)
    medians = sorted(s.median for s in stories if s.median)
    text = f"{encoder}, {way}: {total['runs']} runs, {total['fields']} fields, {share:.2f} % known, {total['wrong']} wrong"
    if way != "whole" and medians:
        text += (f"; exact after {medians[len(medians) // 2]} blocks (median), {max(s.most for s in stories)} at most,"
                 f" {total['runs'] - total['never']} of {total['runs']}")
    return good, text + (f"; {total['broken']} unknown though exact" if total["broken"] else "")


def main():
    archive, driver = sys.argv[1:3]
    if not os.path.exists(archive):
        print(f"ok 1 - HPACK corpus # SKIP no {archive}\n1..1")
        return 0
    failed = 0
    found = rows(archive, driver)
    for i, ((encoder, way), stories) in enumerate(sorted(found.items()), 1):
        good, text = judge(encoder, way, stories)
        failed += not good
        print(f"{'ok' if good else 'not ok'} {i} - {text}")
    print(f"1..{len(found)}")
    return 1 if failed or not found else 0


if __name__ == "__main__":
    sys.exit(main())
