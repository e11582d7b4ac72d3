#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The llhttp corpus (Markdown blocks with the events llhttp gives for them) against the http1 parser.

usage: check.py ARCHIVE DRIVER DIFFERENCES

Every block is compared: where each message begins and ends, its method and target or status, its headers, and whether
the input is an error. A block may differ only if DIFFERENCES lists it with a reason; a line there that fits no
difference is an error too. Prints TAP; SKIP without the archive.
"""
import collections
import fnmatch
import json
import os
import re
import subprocess
import sys
import tarfile

Block = collections.namedtuple("Block", "id type meta data log")


def unescape(text):
    """What llhttp's own test runner does to a block's text."""
    text = re.sub(r"\n\Z", "", text)
    text = re.sub(r"\\(\r\n|\r|\n)", "", text)
    text = re.sub(r"\r\n|\r|\n", "\r\n", text)
    for name, char in (("r", "\r"), ("n", "\n"), ("t", "\t"), ("f", "\f")):
        text = text.replace("\\" + name, char)
    return re.sub(r"\\x([0-9a-fA-F]+)", lambda m: chr(int(m.group(1), 16)), text).encode("utf-8")


def blocks_of(name, text):
    title, meta, data = "", None, None
    seen = collections.Counter()
    pattern = r"^(#+ [^\n]*)$|<!-- meta=(\{.*?\}) ?-->|^```(http|log)\n(.*?)^```$"
    for m in re.finditer(pattern, text, re.M | re.S):
        if m.group(1):
            title = m.group(1).lstrip("# ").strip()
        elif m.group(2):
            meta = json.loads(m.group(2))
        elif m.group(3) == "http":
            data = unescape(m.group(4))
        elif data is not None:
            seen[title] += 1
            number = " #%d" % seen[title] if seen[title] > 1 else ""
            yield Block("%s: %s%s" % (name, title, number), meta["type"], meta, data, m.group(4))
            data = None


def squeeze(value):
    return re.sub(rb"[ \t\r\n]", b"", value)


class Expected:
    """Reads llhttp's events into the driver's lines."""

    def __init__(self, block):
        self.block, self.lines, self.names = block, [], []
        self.start()
        for line in block.log.splitlines():
            m = re.match(r'off=(\d+) len=(\d+) span\[(\w+)\]=', line)
            if m:
                off = int(m.group(1))
                self.span(m.group(3), block.data[off:off + int(m.group(2))])
                continue
            m = re.match(r"off=(\d+) (.*)", line)
            if m:
                self.event(int(m.group(1)), m.group(2))

    def start(self, off=0):
        self.off, self.parts, self.headers, self.status, self.whole = off, collections.Counter(), [], None, False
        self.text = collections.defaultdict(bytes)

    def span(self, kind, value):
        if self.whole and kind in ("header_field", "header_value"):
            return  # trailers
        self.text[kind] += value

    def event(self, off, what):
        if what == "message begin":
            self.start(off)
        elif what == "header_value complete" and not self.whole:
            self.headers.append((self.text.pop("header_field", b""), self.text.pop("header_value", b"")))
        elif what.startswith("headers complete"):
            self.whole = True
            m = re.search(r"status=(\d+)", what)
            first, second = (m.group(1).encode(), b"") if m else (self.text["method"], self.text["url"])
            self.lines.append(b"%dmessage\t%s\t%s" % (self.off, first, squeeze(second)))
            for name, value in self.headers:
                self.names.append(name.lower())
                self.lines.append(b"header\t%s\t%s" % (name.lower(), squeeze(value)))
        elif what == "message complete":
            self.lines.append(b"%dcomplete\t\t" % off)
        elif what.startswith("error") and "code=22" not in what:  # 22: pause, so that the user can leave HTTP
            self.lines.append(b"error\t\t")


def understood(driver, block, names):
    kind = block.type.split("-")[0]
    if kind == "response" and block.meta.get("skipBody"):
        kind = "response-head"
    unique = list(dict.fromkeys(names))
    done = subprocess.run([driver, kind, b",".join(unique)], input=block.data, stdout=subprocess.PIPE, timeout=60)
    if done.returncode:
        return None, done.stdout
    return done.stdout.splitlines(), b""


class Differences:
    """Lines `PATTERN | REASON`; a pattern is matched against "TYPE FILE: TITLE"."""

    def __init__(self, path):
        self.rows, self.used = [], set()
        with open(path, encoding="utf-8") as f:
            for line in f:
                pattern, bar, reason = line.strip().partition(" | ")
                if line.strip() and not line.startswith("#"):
                    if not bar or not reason:
                        sys.exit("%s: no reason: %s" % (path, line))
                    self.rows.append(pattern)

    def allow(self, block):
        name = "%s %s" % (block.type, block.id)
        hits = [p for p in self.rows if fnmatch.fnmatchcase(name, re.sub(r"\[", "[[]", p))]
        self.used.update(hits)
        return bool(hits)


def show(lines):
    return "".join("#   %s\n" % line.decode("utf-8", "replace") for line in lines)


def main():
    archive, driver, table = sys.argv[1:]
    if not os.path.exists(archive):
        print("ok 1 - llhttp corpus # SKIP no %s\n1..1" % archive)
        return 0
    differences = Differences(table)
    n = bad = differ = 0
    with tarfile.open(archive) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            m = re.search(r"(?:^|\/)test/((?:request|response)/[\w-]+\.md)$", member.name)
            if not m or not member.isfile():
                continue
            for block in blocks_of(m.group(1), tar.extractfile(member).read().decode("utf-8")):
                n += 1
                want = Expected(block)
                got, trouble = understood(driver, block, want.names)
                if got is None:
                    bad += 1
                    print("not ok %d - %s\n%s" % (n, block.id, show(trouble.splitlines())), end="")
                elif got == want.lines:
                    print("ok %d - %s" % (n, block.id))
                elif differences.allow(block):
                    differ += 1
                    print("ok %d - %s (difference listed)" % (n, block.id))
                else:
                    bad += 1
                    print("not ok %d - %s %s\n# want\n%s# got\n%s" % (n, block.type, block.id, show(want.lines), show(got)), end="")
    for pattern in sorted(set(differences.rows) - differences.used):
        n, bad = n + 1, bad + 1
        print("not ok %d - no block differs as listed: %s" % (n, pattern))
    if not n:
        n, bad = 1, 1
        print("not ok 1 - no blocks in %s" % archive)
    print("# %d blocks, %d as llhttp, %d listed differences\n1..%d" % (n, n - bad - differ, differ, n))
    return 1 if bad else 0


sys.exit(main())
