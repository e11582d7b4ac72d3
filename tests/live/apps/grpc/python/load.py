# SPDX-License-Identifier: Apache-2.0
"""grpcio with threads (../load.proto says what it does)."""
import sys
import threading
import time
from concurrent import futures

import grpc
from plan import CODES, OPTIONS, Plan, channel_to, handlers, listen, stub


class Service:
    def finish(self, plan, context):
        if plan.untrue(context.invocation_metadata()):
            context.abort(grpc.StatusCode.DATA_LOSS, "another id")
        if plan.code:
            context.abort(CODES[plan.code], "as asked")

    def unary(self, ask, context):
        plan = Plan(ask.value)
        time.sleep(plan.pause)
        self.finish(plan, context)
        return plan.answer()

    def down(self, ask, context):
        plan = Plan(ask.value)
        for _ in range(plan.count):
            time.sleep(plan.pause)
            if not context.is_active():
                return
            yield plan.answer()
        self.finish(plan, context)

    def up(self, asks, context):
        plan = None
        for ask in asks:
            plan = plan or Plan(ask.value)
        self.finish(plan, context)
        return plan.answer()

    def both(self, asks, context):
        plan = None
        for ask in asks:
            plan = plan or Plan(ask.value)
            yield plan.answer()
        self.finish(plan, context)


def asks(plan):
    for _ in range(plan.count):
        time.sleep(plan.pause)
        plan.sent += 1
        yield plan.ask


def call(channel, plan):
    begin = time.time_ns()
    method = stub(channel, plan)
    how = {"metadata": plan.metadata, "timeout": plan.deadline}
    argument = asks(plan) if plan.upstream else plan.ask
    plan.sent = 0 if plan.upstream else 1
    made = method(argument, **how) if plan.downstream else method.future(argument, **how)
    timer = threading.Timer(plan.cancel, made.cancel)
    if plan.cancel:
        timer.start()
    try:
        for _ in made if plan.downstream else [made.result()]:
            plan.received += 1
        code = grpc.StatusCode.OK
    except (grpc.RpcError, grpc.FutureCancelledError):
        code = made.code()
    timer.cancel()
    plan.done(code, begin)


def main():
    what, port = sys.argv[1], sys.argv[2]
    if what == "serve":
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=128), options=OPTIONS)
        server.add_generic_rpc_handlers((handlers(Service()),))
        listen(server, f"127.0.0.1:{port}")
        server.start()
        server.wait_for_termination()
    with channel_to(grpc, f"127.0.0.1:{port}") as channel:
        with futures.ThreadPoolExecutor(max_workers=int(sys.argv[3])) as pool:
            for line in iter(sys.stdin.readline, ""):
                pool.submit(call, channel, Plan(line))


if __name__ == "__main__":
    main()
