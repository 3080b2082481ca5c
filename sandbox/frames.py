"""The Gateway's frames: opcodes, closing codes, and a websocket that sends them."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import anyio
from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from aiohttp import WSMessage

    from sandbox.model import Json
    from sandbox.sessions import Session

DISPATCH, HEARTBEAT, IDENTIFY, PRESENCE, VOICE_STATE, RESUME, RECONNECT = 0, 1, 2, 3, 4, 6, 7
REQUEST_MEMBERS, INVALID_SESSION, HELLO, HEARTBEAT_ACK = 8, 9, 10, 11


class _Deflater(Protocol):
    """A stream that compresses; zlib does not export the type of its own."""

    def compress(self, data: bytes, /) -> bytes:
        """Compress some bytes."""
        ...

    def flush(self, mode: int, /) -> bytes:
        """Return what is buffered."""
        ...


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
    deflater: _Deflater | None = None

    def __post_init__(self) -> None:
        """Compress what is sent if the address asks for it."""
        if self.request.query.get("compress") == "zlib-stream":
            self.deflater = zlib.compressobj()

    async def send(self, op: int, data: object = None, *, name: str | None = None, sequence: int | None = None) -> None:
        """Send one frame, or nothing if the bot has disconnected."""
        if not self.socket.closed:
            frame = json.dumps({"op": op, "d": data, "s": sequence, "t": name})
            try:
                if self.deflater is None:
                    await self.socket.send_str(frame)
                else:
                    # One stream for the whole connection, each frame flushed: zlib-stream.
                    packed = self.deflater.compress(frame.encode()) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
                    await self.socket.send_bytes(packed)
            except ConnectionError:
                self.stop.cancel()


def decode(message: WSMessage) -> Json:
    """Decode a frame; an invalid one closes the connection."""
    try:
        is_data = message.type in {WSMsgType.TEXT, WSMsgType.BINARY}
        frame = json.loads(message.data) if is_data else None
    except ValueError:
        frame = None
    if not isinstance(frame, dict):
        raise CloseError(4002, "Error while decoding payload")
    return frame
