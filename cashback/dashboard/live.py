"""Live pages by Server-Sent Events: once a second, the parts of a page that changed."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import anyio
from aiohttp import web

from cashback.dashboard.auth import SessionAuth

MAX_STREAMS: Final = 200
BEAT_SECONDS: Final = 1.0
KEEPALIVE_SECONDS: Final = 15.0
SESSION_CHECK_SECONDS: Final = 30.0
"""How often a stream checks that its session is still open."""

Render = Callable[[], Awaitable[Mapping[str, str]]]
"""Return the live parts of a page: HTML by the id of its element."""


class Live:
    """Keeps a bounded number of streams open until the program stops or the browser disconnects."""

    def __init__(self, session_auth: SessionAuth) -> None:
        self._session_auth = session_auth
        self._streams = 0
        self._closing = anyio.Event()

    def close(self) -> None:
        """End all streams, so that a stop does not wait for open pages."""
        self._closing.set()

    async def stream(self, request: web.Request, render: Render) -> web.StreamResponse:
        """Send changes until the browser disconnects, the session ends or the program stops."""
        if self._streams >= MAX_STREAMS or self._closing.is_set():
            raise web.HTTPServiceUnavailable(reason="Too many pages are open")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        self._streams += 1
        try:
            await response.prepare(request)
            await self._send_changes(request, response, render)
        except ConnectionResetError:
            # The browser has disconnected.
            pass
        finally:
            self._streams -= 1
        return response

    async def _send_changes(self, request: web.Request, response: web.StreamResponse, render: Render) -> None:
        shown: dict[str, str] = {}
        sent_at = checked_at = anyio.current_time()
        while not self._closing.is_set() and request.transport is not None and not request.transport.is_closing():
            now = anyio.current_time()
            if now - checked_at >= SESSION_CHECK_SECONDS:
                checked_at = now
                if await self._session_auth.visitor_of(request, now=False) is None:
                    await response.write(b"event: ended\ndata: {}\n\n")
                    return
            parts = await render()
            changed = {name: html for name, html in parts.items() if shown.get(name) != html}
            if changed:
                shown.update(changed)
                await response.write(f"event: parts\ndata: {json.dumps(changed)}\n\n".encode())
            elif now - sent_at >= KEEPALIVE_SECONDS:
                await response.write(b": still here\n\n")
            else:
                now = sent_at
            sent_at = now
            with anyio.move_on_after(BEAT_SECONDS):
                await self._closing.wait()
