# SPDX-License-Identifier: Apache-2.0
"""Reads an ExportTraceServiceRequest in protobuf and gives it in the shape of OTLP/JSON. Written from trace.proto 1.x alone,
so that it checks the encoders independently. Anything it does not expect is an error.

  otlp.py FILE.pb            prints it as JSON
  otlp.py FILE.pb FILE.json  exit status 0 if both say the same
"""
import json
import struct
import sys


def varint(b, i):
    v = shift = 0
    while True:
        c = b[i]
        i += 1
        v |= (c & 127) << shift
        if c < 128:
            return v & (1 << 64) - 1, i
        shift += 7
        if shift > 63:
            raise ValueError("varint too long")


def fields(b):
    """(number, value) of each field; value: int for varint and fixed, bytes for length-delimited."""
    i = 0
    while i < len(b):
        tag, i = varint(b, i)
        kind = tag & 7
        if kind == 0:
            v, i = varint(b, i)
        elif kind == 1:
            v, i = b[i:i + 8], i + 8
        elif kind == 2:
            n, i = varint(b, i)
            v, i = b[i:i + n], i + n
            if len(v) != n:
                raise ValueError("truncated")
        elif kind == 5:
            v, i = b[i:i + 4], i + 4
        else:
            raise ValueError("wire type %d" % kind)
        if i > len(b):
            raise ValueError("truncated")
        yield tag >> 3, v


def signed(v):
    return v - (1 << 64) if v >> 63 else v


def double(v):
    d = struct.unpack("<d", v)[0]
    if d != d:
        return "NaN"
    return {float("inf"): "Infinity", -float("inf"): "-Infinity"}.get(d, d)


def u64(v):
    return str(struct.unpack("<Q", v)[0])


def text(v):
    return v.decode("utf-8")


def array(b):
    return {"values": [message(VALUE, v) for n, v in fields(b) if n == 1]}


def message(shape, b):
    """shape: {number: (name, reader, repeated)}"""
    out = {name: [] for name, _, repeated in shape.values() if repeated == "always"}
    for n, v in fields(b):
        name, reader, repeated = shape[n]
        if repeated:
            out.setdefault(name, []).append(reader(v))
        elif name in out:
            raise ValueError("%s twice" % name)
        else:
            out[name] = reader(v)
    return out


VALUE = {1: ("stringValue", text, 0), 2: ("boolValue", bool, 0), 3: ("intValue", lambda v: str(signed(v)), 0),
         4: ("doubleValue", double, 0), 5: ("arrayValue", array, 0)}
KEY_VALUE = {1: ("key", text, 0), 2: ("value", lambda b: message(VALUE, b), 0)}
ATTRIBUTES = ("attributes", lambda b: message(KEY_VALUE, b), "always")
RESOURCE = {1: ATTRIBUTES}
SCOPE = {1: ("name", text, 0), 2: ("version", text, 0)}
STATUS = {2: ("message", text, 0), 3: ("code", int, 0)}
SPAN = {1: ("traceId", bytes.hex, 0), 2: ("spanId", bytes.hex, 0), 3: ("traceState", text, 0),
        4: ("parentSpanId", bytes.hex, 0), 5: ("name", text, 0), 6: ("kind", int, 0), 7: ("startTimeUnixNano", u64, 0),
        8: ("endTimeUnixNano", u64, 0), 9: ATTRIBUTES, 10: ("droppedAttributesCount", int, 0),
        15: ("status", lambda b: message(STATUS, b), 0), 16: ("flags", lambda v: struct.unpack("<I", v)[0], 0)}
SCOPE_SPANS = {1: ("scope", lambda b: message(SCOPE, b), 0), 2: ("spans", lambda b: message(SPAN, b), "always"),
               3: ("schemaUrl", text, 0)}
RESOURCE_SPANS = {1: ("resource", lambda b: message(RESOURCE, b), 0),
                  2: ("scopeSpans", lambda b: message(SCOPE_SPANS, b), "always"), 3: ("schemaUrl", text, 0)}
REQUEST = {1: ("resourceSpans", lambda b: message(RESOURCE_SPANS, b), "always")}


def decode(b):
    return message(REQUEST, b)


def count(b):
    """How many spans, without looking inside them."""
    return sum(1 for n, rs in fields(b) if n == 1 for m, ss in fields(rs) if m == 2 for k, _ in fields(ss) if k == 2)


def main():
    got = decode(open(sys.argv[1], "rb").read())
    if len(sys.argv) == 2:
        print(json.dumps(got))
        return 0
    want = json.loads(open(sys.argv[2], "rb").read().decode("utf-8"))
    return 0 if got == want else 1


if __name__ == "__main__":
    sys.exit(main())
