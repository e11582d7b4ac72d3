# SPDX-License-Identifier: Apache-2.0
"""Reads ExportTraceServiceRequest in protobuf, from the field numbers of the specification; independent of the encoder."""
import struct


def varint(b, i):
    n = shift = 0
    while True:
        c = b[i]
        n |= (c & 0x7f) << shift
        i, shift = i + 1, shift + 7
        if not c & 0x80:
            return n, i


def fields(b):
    """[(number, wire type, value)], length-delimited values as bytes."""
    i, out = 0, []
    while i < len(b):
        tag, i = varint(b, i)
        num, wt = tag >> 3, tag & 7
        if wt == 0:
            v, i = varint(b, i)
        elif wt == 1:
            v, i = struct.unpack_from("<Q", b, i)[0], i + 8
        elif wt == 2:
            n, i = varint(b, i)
            assert i + n <= len(b), "length beyond the message"
            v, i = b[i:i + n], i + n
        elif wt == 5:
            v, i = struct.unpack_from("<I", b, i)[0], i + 4
        else:
            raise AssertionError(f"wire type {wt}")
        out.append((num, wt, v))
    return out


def signed(n):
    return n - (1 << 64) if n >> 63 else n


def value(b):
    (num, wt, v), = fields(b)
    if num == 1:
        return {"stringValue": v.decode()}
    if num == 2:
        return {"boolValue": bool(v)}
    if num == 3:
        return {"intValue": str(signed(v))}
    if num == 4:
        return {"doubleValue": struct.unpack("<d", struct.pack("<Q", v))[0]}
    assert num == 5 and wt == 2, (num, wt)
    return {"arrayValue": {"values": [value(x) for _, _, x in fields(v)]}}


def attribute(b):
    f = {num: v for num, _, v in fields(b)}
    return {"key": f[1].decode(), "value": value(f[2])}


def span(b):
    j = {"attributes": []}
    for num, wt, v in fields(b):
        if num in (1, 2, 4):
            j[{1: "traceId", 2: "spanId", 4: "parentSpanId"}[num]] = v.hex()
        elif num in (3, 5):
            j[{3: "traceState", 5: "name"}[num]] = v.decode()
        elif num == 6:
            j["kind"] = v
        elif num in (7, 8):
            assert wt == 1, "times are fixed64"
            j[{7: "startTimeUnixNano", 8: "endTimeUnixNano"}[num]] = str(v)
        elif num == 9:
            j["attributes"].append(attribute(v))
        elif num == 15:
            j["status"] = {({2: "message", 3: "code"}[n]): (x.decode() if n == 2 else x) for n, _, x in fields(v)}
        elif num == 16:
            assert wt == 5, "flags are fixed32"
            j["flags"] = v
        else:
            assert num in (10, 12, 14), f"field {num} of Span"
    return j


def request(b):
    """As OTLP/JSON would have it."""
    out = {"resourceSpans": []}
    for num, _, rs in fields(b):
        assert num == 1
        r = {"resource": {"attributes": []}, "scopeSpans": []}
        for n, _, v in fields(rs):
            if n == 1:
                r["resource"]["attributes"] = [attribute(x) for k, _, x in fields(v) if k == 1]
            elif n == 2:
                ss = {"scope": {}, "spans": []}
                for k, _, x in fields(v):
                    if k == 1:
                        ss["scope"] = {({1: "name", 2: "version"}[m]): y.decode() for m, _, y in fields(x)}
                    elif k == 2:
                        ss["spans"].append(span(x))
                r["scopeSpans"].append(ss)
        out["resourceSpans"].append(r)
    return out
