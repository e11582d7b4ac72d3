# SPDX-License-Identifier: Apache-2.0
"""Strict readers of OpenMetrics 1.0 and of Prometheus' text format 0.0.4: what breaks a rule is an error, not a guess. Timestamps and
exemplars are left out: the tracer writes none."""
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|NaN|[+-]Inf")
SUFFIXES = {"counter": {"_total", "_created"}, "gauge": {""}, "info": {"_info"}, "stateset": {""}, "unknown": {""}}


class Bad(Exception):
    pass


def need(good, what):
    if not good:
        raise Bad(what)


def unescape(text, quotes):
    out, i = "", 0
    while i < len(text):
        c = text[i]
        if c == "\\":
            nxt = text[i + 1:i + 2]
            need(nxt == "n" or nxt == "\\" or (quotes and nxt == '"'), f"escape in {text!r}")
            out, i = out + {"n": "\n"}.get(nxt, nxt), i + 2
            continue
        need(not (quotes and c == '"'), f"bare quote in {text!r}")
        out, i = out + c, i + 1
    return out


def labels(text):
    """What stands between the braces, and where the brace after it is."""
    out, at = {}, 0
    while not text.startswith("}", at):
        if out:
            need(text.startswith(",", at), f"no comma at {text[at:]!r}")
            at += 1
        m = LABEL.match(text, at)
        need(m and text.startswith('="', m.end()), f"label at {text[at:]!r}")
        end = m.end() + 2
        while text[end:end + 1] not in ('"', ""):
            end += 2 if text[end] == "\\" else 1
        need(text[end:end + 1] == '"', f"open quote in {text!r}")
        need(m[0] not in out, f"label twice: {m[0]}")
        out[m[0]] = unescape(text[m.end() + 2:end], True)
        at = end + 1
    return out, at


def sample(line):
    m = NAME.match(line)
    need(m, f"no name: {line!r}")
    at, found = m.end(), {}
    if line[at:at + 1] == "{":
        found, n = labels(line[at + 1:])
        at += n + 2
    need(line[at:at + 1] == " ", f"no space before the value: {line!r}")
    value = line[at + 1:]
    need(NUMBER.fullmatch(value), f"value {value!r}")
    return m[0], found, float(value)


class Family:
    def __init__(self, name):
        self.name, self.type, self.unit, self.help = name, None, None, None
        self.samples = {}


class Reader:
    def __init__(self, open_format):
        self.open, self.families, self.now = open_format, {}, None

    def enter(self, name):
        if self.now is None or self.now.name != name:
            need(name not in self.families, f"family {name} comes in pieces")
            self.now = self.families[name] = Family(name)
        return self.now

    def about(self, line):
        m = re.fullmatch(r"# (TYPE|UNIT|HELP) (\S+) (.*)", line)
        need(m and NAME.fullmatch(m[2]), f"comment {line!r}")
        need(self.open or m[1] != "UNIT", "the text format has no UNIT")
        f = self.enter(m[2])
        need(not f.samples, f"{m[1]} of {m[2]} after its samples")
        key = m[1].lower()
        need(getattr(f, key) is None, f"{m[1]} of {m[2]} twice")
        setattr(f, key, unescape(m[3], self.open) if key == "help" else m[3])
        if key == "type":
            need(m[3] in (SUFFIXES if self.open else ("counter", "gauge", "untyped")), f"type {m[3]}")
        if key == "unit":
            need(m[2].endswith("_" + m[3]), f"unit {m[3]} is not the end of {m[2]}")

    def family_of(self, name):
        if not self.open:
            return name
        suffixes = SUFFIXES[self.now.type or "unknown"] if self.now else {""}
        for s in suffixes:
            if self.now and name == self.now.name + s:
                return self.now.name
        return name

    def value(self, line):
        name, found, n = sample(line)
        f = self.enter(self.family_of(name))
        kind = f.type or "unknown"
        need(not self.open or name[len(f.name):] in SUFFIXES[kind], f"{name} is no name for a {kind}")
        key = (name, tuple(sorted(found.items())))
        need(key not in f.samples, f"sample twice: {line!r}")
        if kind == "counter":
            need(n >= 0, f"counter {line!r}")
        if kind == "info":
            need(n == 1 and f.unit is None, f"info {line!r}")
        f.samples[key] = n

    def read(self, text):
        need(text.endswith("\n"), "no newline at the end")
        need("\r" not in text, "carriage return")
        lines = text[:-1].split("\n")
        if self.open:
            need(lines[-1] == "# EOF", "no EOF")
            lines.pop()
        for line in lines:
            need(line and line != "# EOF", "empty line, or something behind the end")
            self.about(line) if line.startswith("#") else self.value(line)
        for f in self.families.values():
            need(f.samples and f.type, f"{f.name} has no samples, or no type")
        return self.families


def read(text, open_format):
    """Families by name. Bytes must be UTF-8."""
    return Reader(open_format).read(text.decode("utf-8") if isinstance(text, bytes) else text)


def values(families):
    """{'name{label="value"}': number} as the tracer's last words have them: without prefix and _total."""
    out = {}
    for f in families.values():
        for (name, found), n in f.samples.items():
            plain = name.removeprefix("spandrel_").removesuffix("_total")
            inner = ",".join(f'{k}="{v}"' for k, v in found)
            out[plain + (f"{{{inner}}}" if inner else "")] = n
    return out


GOOD = ['# TYPE a counter\n# HELP a x \\"y\\" \\\\ \\n\na_total 1\n# EOF\n'.replace("\n\n", "\n"),
        '# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds{b="c,}\\"\\\\",d=""} -1.5e3\n# EOF\n',
        '# TYPE a info\na_info{v="1"} 1\n# TYPE b gauge\nb NaN\n# EOF\n']
BAD = ['# TYPE a counter\na_total 1\n', '# TYPE a counter\na 1\n# EOF\n', '# TYPE a counter\na_total -1\n# EOF\n', '# TYPE a gauge\na 1\na 1\n# EOF\n',
       '# TYPE a gauge\na{x="1"} 1\n# TYPE b gauge\nb 1\na{x="2"} 1\n# EOF\n', '# TYPE a gauge\n# TYPE a gauge\na 1\n# EOF\n',
       '# TYPE a gauge\na 1\n# HELP a x\n# EOF\n', '# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n', '# TYPE a gauge\na{b="c} 1\n# EOF\n',
       '# TYPE a gauge\na{b="c",} 1\n# EOF\n', '# TYPE a gauge\na{b="c",b="d"} 1\n# EOF\n', '# TYPE a gauge\na{b="\\t"} 1\n# EOF\n',
       '# TYPE a gauge\na  1\n# EOF\n', '# TYPE a gauge\na 1 \n# EOF\n', '# TYPE a gauge\n\na 1\n# EOF\n', '# TYPE a gauge\na 1\n# EOF\n# EOF\n',
       '# TYPE a gauge\na 1\r\n# EOF\n', '# TYPE a info\na_info 2\n# EOF\n', '# TYPE a nonsense\na 1\n# EOF\n', '# TYPE a gauge\na 0x1\n# EOF\n',
       '# TYPE a gauge\na 1\n# EOF', '# TYPE a gauge\n# HELP a "x"\na 1\n# EOF\n', '# TYPE 1a gauge\n1a 1\n# EOF\n', 'a 1\n# EOF\n']


def check_reader():
    """A judge that lets everything pass judges nothing."""
    for text in GOOD:
        read(text, True)
    for text in BAD:
        try:
            read(text, True)
        except Bad:
            continue
        raise AssertionError(f"taken for good: {text!r}")
