# SPDX-License-Identifier: Apache-2.0
"""A service that OpenTelemetry's SDK traces. app.py HOST:PORT BACKEND-URL http|grpc OTLP-ENDPOINT
/a/X calls backend/b/X inside a span, its context in the headers; /plain/X calls it without. The answer to both is the trace and
span id of the call, or of nothing. /flush exports what was recorded, and says whether that worked."""
import http.client
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

ADDRESS, BACKEND, PROTOCOL, ENDPOINT = sys.argv[1].split(":"), urlsplit(sys.argv[2]), sys.argv[3], sys.argv[4]
if PROTOCOL == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    exporter = OTLPSpanExporter(endpoint=ENDPOINT, insecure=True)
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    exporter = OTLPSpanExporter(endpoint=ENDPOINT + "/v1/traces")
provider = TracerProvider(resource=Resource.create({"service.name": "by-sdk"}))
provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=3600_000))
tracer = provider.get_tracer("app")


def call(path, headers):
    c = http.client.HTTPConnection(BACKEND.hostname, BACKEND.port, timeout=60)
    c.request("GET", path, headers=headers)
    c.getresponse().read()
    c.close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def traced(self, rest):
        above = propagate.extract(dict(self.headers.items()))
        with tracer.start_as_current_span("GET /a", context=above, kind=trace.SpanKind.SERVER):
            with tracer.start_as_current_span("GET /b", kind=trace.SpanKind.CLIENT) as span:
                headers = {}
                propagate.inject(headers)
                call("/b/" + rest, headers)
                c = span.get_span_context()
                return f"{c.trace_id:032x} {c.span_id:016x}"

    def do_GET(self):
        kind, _, rest = self.path.lstrip("/").partition("/")
        if kind == "a":
            body = self.traced(rest)
        elif kind == "plain":
            call("/b/" + rest, {})
            body = "-"
        else:
            body = str(provider.force_flush())
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


ThreadingHTTPServer((ADDRESS[0], int(ADDRESS[1])), Handler).serve_forever()
