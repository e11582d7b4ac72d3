# SPDX-License-Identifier: Apache-2.0
"""grpcio with asyncio (../load.proto says what it does)."""
import asyncio
import sys
import time

import grpc
import grpc.aio
from plan import CODES, OPTIONS, Plan, channel_to, handlers, listen, stub


class Service:
    async def finish(self, plan, context):
        if plan.untrue(context.invocation_metadata()):
            await context.abort(grpc.StatusCode.DATA_LOSS, "another id")
        if plan.code:
            await context.abort(CODES[plan.code], "as asked")

    async def unary(self, ask, context):
        plan = Plan(ask.value)
        await asyncio.sleep(plan.pause)
        await self.finish(plan, context)
        return plan.answer()

    async def down(self, ask, context):
        plan = Plan(ask.value)
        for _ in range(plan.count):
            await asyncio.sleep(plan.pause)
            yield plan.answer()
        await self.finish(plan, context)

    async def up(self, asks, context):
        plan = None
        async for ask in asks:
            plan = plan or Plan(ask.value)
        await self.finish(plan, context)
        return plan.answer()

    async def both(self, asks, context):
        plan = None
        async for ask in asks:
            plan = plan or Plan(ask.value)
            yield plan.answer()
        await self.finish(plan, context)


async def asks(plan):
    for _ in range(plan.count):
        await asyncio.sleep(plan.pause)
        plan.sent += 1
        yield plan.ask


async def call(channel, plan, slots):
    begin = time.time_ns()
    plan.sent = 0 if plan.upstream else 1
    made = stub(channel, plan)(asks(plan) if plan.upstream else plan.ask, metadata=plan.metadata, timeout=plan.deadline)
    if plan.cancel:
        asyncio.get_running_loop().call_later(plan.cancel, made.cancel)
    try:
        if plan.downstream:
            async for _ in made:
                plan.received += 1
        else:
            await made
            plan.received += 1
        code = await made.code()
    except (grpc.RpcError, asyncio.CancelledError):
        code = await made.code()
    plan.done(code, begin)
    slots.release()


async def serve(port):
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((handlers(Service()),))
    listen(server, f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


async def drive(port, streams):
    slots, calls = asyncio.Semaphore(streams), []
    async with channel_to(grpc.aio, f"127.0.0.1:{port}") as channel:
        while line := await asyncio.to_thread(sys.stdin.readline):
            await slots.acquire()
            calls.append(asyncio.create_task(call(channel, Plan(line), slots)))
        await asyncio.gather(*calls)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[2]) if sys.argv[1] == "serve" else drive(sys.argv[2], int(sys.argv[3])))
