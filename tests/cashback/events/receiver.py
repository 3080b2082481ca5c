"""A program that receives events, on a real socket, and checks their signatures by the vendor's package."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from aiohttp import web
from standardwebhooks import Webhook

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()


@dataclass
class Receiver:
    """What arrived: id, type, data. `answers` are the states that it answers with, 204 when there are no more."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    silent: anyio.Event | None = None

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Check and keep an event."""
        if self.silent is not None:
            await self.silent.wait()
        body = await request.text()
        content = Webhook(SECRET).verify(body, dict(request.headers))
        self.seen.append((request.headers["webhook-id"], content["type"], content["data"]))
        status = self.answers.pop(0) if self.answers else 204
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else {})


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Listen on a free port of this machine."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/events", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}/events"
    try:
        yield receiver
    finally:
        if receiver.silent is not None:
            receiver.silent.set()
        await runner.cleanup()
