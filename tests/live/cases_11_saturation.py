# SPDX-License-Identifier: Apache-2.0
"""wrk at saturation: every request accounted for."""
import os
import re

import parts
from spandrel import Tracer

SECONDS = int(os.environ.get("WRK_SECONDS", "10"))


def case_saturation_wrk():
    """spans + requests_dropped = requests in the server's access log whenever records_missed is 0; with default settings
    nothing is dropped and nothing missed."""
    parts.need("wrk")
    ng = parts.nginx(access=parts.nginx_log(parts.path("nginx")), files={"page": b"x" * 1000})
    with Tracer(select=["--pid", ng.pid], every=50) as t:
        r = parts.tool(["wrk", "-t1", "-c32", f"-d{SECONDS}s", ng.url + "/page"], timeout=SECONDS + 60)
        t.stop(settle=0.5)
    parts.stop(ng.proc)
    with open(ng.log, "rb") as f:
        logged = sum(1 for _ in f)
    c = t.counters
    dropped, missed = c.sum("requests_dropped"), c.sum("records_missed")
    print(f"# {re.search(r'Requests/sec:.*', r.text)[0]}; logged {logged}, spans {t.count}, dropped {dropped}, missed {missed}")
    if not missed:
        assert t.count + dropped == logged, (logged, t.count, dict(c))
    assert t.spans and all(s.server and s.code == 200 and s.path == "/page" for s in t.spans)
    assert missed == 0, dict(c)
    # what wrk left open when it stopped was cut off: nginx logs it, and it is a span with an error or a shutdown
    assert dropped == 0, dict(c)


case_saturation_wrk.limit = SECONDS + 180
