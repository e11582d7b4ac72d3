# SPDX-License-Identifier: Apache-2.0
"""An asyncio server by hand (one thread, an event loop). aio.py host:port [backend URL]; /a/X calls backend/b/X."""
import asyncio
import random
import sys
from urllib.parse import urlsplit

BACKEND = urlsplit(sys.argv[2]) if len(sys.argv) > 2 else None
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def call(path):
    r, w = await asyncio.open_connection(BACKEND.hostname, BACKEND.port)
    w.write(f"GET {path} HTTP/1.1\r\nHost: back\r\nConnection: close\r\n\r\n".encode())
    await r.read()
    w.close()


async def serve(r, w):
    try:
        while True:
            head = await r.readuntil(b"\r\n\r\n")
            path = head.split()[1].decode()
            if path.startswith("/a/"):
                await asyncio.sleep(random.random() / 100)
                await call("/b/" + path[3:])
            w.write(ANSWER)
            await w.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        w.close()


async def main():
    host, _, port = sys.argv[1].rpartition(":")
    server = await asyncio.start_server(serve, host, int(port), backlog=256)
    async with server:
        await server.serve_forever()


asyncio.run(main())
