# SPDX-License-Identifier: Apache-2.0
"""As background.js, with asyncio: background.py host:port backend."""
import asyncio
import sys
from urllib.parse import urlsplit

BACKEND = urlsplit(sys.argv[2])


async def timer():
    n = 0
    while True:
        await asyncio.sleep(0.007)
        r, w = await asyncio.open_connection(BACKEND.hostname, BACKEND.port)
        w.write(f"GET /timer/{n} HTTP/1.1\r\nHost: back\r\nConnection: close\r\n\r\n".encode())
        await r.read()
        w.close()
        n += 1


async def serve(r, w):
    try:
        while True:
            await r.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.03)
            w.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await w.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        w.close()


async def main():
    host, _, port = sys.argv[1].rpartition(":")
    server = await asyncio.start_server(serve, host, int(port))
    t = asyncio.create_task(timer())
    async with server:
        await server.serve_forever()
    await t


asyncio.run(main())
