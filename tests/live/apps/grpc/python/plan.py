# SPDX-License-Identifier: Apache-2.0
"""A line of a plan (../load.proto), and what both Python programs share."""
import os
import sys
import time

import grpc
from google.protobuf import wrappers_pb2

ASK, ANSWER = wrappers_pb2.StringValue, wrappers_pb2.BytesValue
CODES = {c.value[0]: c for c in grpc.StatusCode}
OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20),
           ("grpc.enable_http_proxy", 0), ("grpc.so_reuseport", 0)]
SERVICE = "spandrel.test.Load"


def credentials():
    """(certificate, key) if the environment names them: then TLS is spoken."""
    return [open(os.environ[name], "rb").read() for name in ("TLS_CERT", "TLS_KEY")] if "TLS_CERT" in os.environ else None


def listen(server, address):
    own = credentials()
    if own:
        server.add_secure_port(address, grpc.ssl_server_credentials([(own[1], own[0])]))
    else:
        server.add_insecure_port(address)


def channel_to(api, address):
    """api: grpc or grpc.aio."""
    own = credentials()
    if own:
        return api.secure_channel(address, grpc.ssl_channel_credentials(own[0]), options=OPTIONS)
    return api.insecure_channel(address, options=OPTIONS)


class Plan:
    def __init__(self, line):
        self.line = line.strip()
        w = self.line.split()
        self.id, self.method, self.parent = w[0], w[1], w[8]
        self.code, self.count, pause, self.size = (int(x) for x in w[2:6])
        self.pause, self.deadline, self.cancel = pause / 1000, int(w[6]) / 1000 or None, int(w[7]) / 1000
        self.ask, self.sent, self.received = ASK(value=self.line), 0, 0

    @property
    def metadata(self):
        return (("x-truth-id", self.id),) + ((("traceparent", self.parent),) if self.parent != "-" else ())

    @property
    def upstream(self):
        return self.method in ("Up", "Both")

    @property
    def downstream(self):
        return self.method in ("Down", "Both")

    def answer(self):
        return ANSWER(value=b"a" * self.size)

    def untrue(self, metadata):
        return dict(metadata).get("x-truth-id") != self.id

    def done(self, code, begin):
        sys.stdout.write(f"{self.id} {code.value[0]} {self.sent} {self.received} {begin} {time.time_ns()}\n")
        sys.stdout.flush()


def stub(channel, plan):
    up, down = ("stream" if x else "unary" for x in (plan.upstream, plan.downstream))
    make = getattr(channel, f"{up}_{down}")
    return make(f"/{SERVICE}/{plan.method}", request_serializer=ASK.SerializeToString, response_deserializer=ANSWER.FromString)


def handlers(service):
    """service has a method for each kind of call."""
    kinds = {"Unary": grpc.unary_unary_rpc_method_handler, "Down": grpc.unary_stream_rpc_method_handler,
             "Up": grpc.stream_unary_rpc_method_handler, "Both": grpc.stream_stream_rpc_method_handler}
    return grpc.method_handlers_generic_handler(SERVICE, {
        name: make(getattr(service, name.lower()), request_deserializer=ASK.FromString,
                   response_serializer=ANSWER.SerializeToString) for name, make in kinds.items()})
