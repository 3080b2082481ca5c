"""Live pages by Server-Sent Events: the parts of a page that changed, as the server renders them, once a second."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import anyio
from aiohttp import web

from cashback.dashboard.auth import SessionAuth

MOST_STREAMS: Final = 200
BEAT_SECONDS: Final = 1.0
STILL_HERE_SECONDS: Final = 15.0
DOOR_SECONDS: Final = 30.0
"""How often a stream asks whether its session is still open."""

Render = Callable[[], Awaitable[Mapping[str, str]]]
"""Renders the live parts of a page: HTML by the id of the element that holds it."""


class Live:
    """Keeps streams open, a bounded number, until the program stops or the browser goes."""

    def __init__(self, doorman: SessionAuth) -> None:
        """Take who knows whether a session is still open."""
        self._doorman = doorman
        self._streams = 0
        self._closing = anyio.Event()

    def close(self) -> None:
        """End all streams: a stop does not wait for whoever looks."""
        self._closing.set()

    async def stream(self, request: web.Request, render: Render) -> web.StreamResponse:
        """Send what changes until the browser goes, the session ends or the program stops."""
        if self._streams >= MOST_STREAMS or self._closing.is_set():
            raise web.HTTPServiceUnavailable(reason="Too many pages are open")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        self._streams += 1
        try:
            await response.prepare(request)
            await self._send_changes(request, response, render)
        except ConnectionResetError:
            # The browser has gone.
            pass
        finally:
            self._streams -= 1
        return response

    async def _send_changes(self, request: web.Request, response: web.StreamResponse, render: Render) -> None:
        shown: dict[str, str] = {}
        said_at = looked_at = anyio.current_time()
        while not self._closing.is_set() and request.transport is not None and not request.transport.is_closing():
            now = anyio.current_time()
            if now - looked_at >= DOOR_SECONDS:
                looked_at = now
                if await self._doorman.visitor_of(request, now=False) is None:
                    await response.write(b"event: ended\ndata: {}\n\n")
                    return
            parts = await render()
            changed = {name: html for name, html in parts.items() if shown.get(name) != html}
            if changed:
                shown.update(changed)
                await response.write(f"event: parts\ndata: {json.dumps(changed)}\n\n".encode())
            elif now - said_at >= STILL_HERE_SECONDS:
                await response.write(b": still here\n\n")
            else:
                now = said_at
            said_at = now
            with anyio.move_on_after(BEAT_SECONDS):
                await self._closing.wait()
