# SPDX-License-Identifier: Apache-2.0
"""For uvicorn: every path answers with itself."""


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = scope["path"].encode() + b"\n"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
