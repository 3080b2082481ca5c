"""The Gateway's frames: opcodes, closing codes, and a websocket that sends them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from aiohttp import WSMessage

    from sandbox.model import Json
    from sandbox.sessions import Session

DISPATCH, HEARTBEAT, IDENTIFY, PRESENCE, VOICE_STATE, RESUME, RECONNECT = 0, 1, 2, 3, 4, 6, 7
REQUEST_MEMBERS, INVALID_SESSION, HELLO, HEARTBEAT_ACK = 8, 9, 10, 11


class CloseError(Exception):
    """The connection is to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(slots=True, eq=False)
class Connection:
    """One websocket and its session, if any; `stop` ends it from outside."""

    socket: web.WebSocketResponse
    request: web.Request
    session: Session | None = None
    stop: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def send(self, op: int, data: object = None, *, name: str | None = None, sequence: int | None = None) -> None:
        """Send one frame, or nothing if the bot has disconnected."""
        if not self.socket.closed:
            frame = json.dumps({"op": op, "d": data, "s": sequence, "t": name})
            try:
                await self.socket.send_str(frame)
            except ConnectionError:
                self.stop.cancel()


def decode(message: WSMessage) -> Json:
    """Decode a frame; an invalid one closes the connection."""
    try:
        frame = json.loads(message.data) if message.type is WSMsgType.TEXT else None
    except ValueError:
        frame = None
    if not isinstance(frame, dict):
        raise CloseError(4002, "Error while decoding payload")
    return frame
