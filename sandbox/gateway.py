"""The Gateway: the websocket that sends events to a bot."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
from aiohttp import web

from sandbox import payloads
from sandbox.frames import (
    DISPATCH,
    HEARTBEAT,
    HEARTBEAT_ACK,
    HELLO,
    IDENTIFY,
    INVALID_SESSION,
    PRESENCE,
    RECONNECT,
    REQUEST_MEMBERS,
    RESUME,
    VOICE_STATE,
    CloseError,
    Connection,
    decode,
)
from sandbox.model import EventName
from sandbox.session_starts import SessionStarts
from sandbox.sessions import Intents, Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.model import Json, Member
    from sandbox.sessions import Hub
    from sandbox.state import State

HEARTBEAT_MS = 41_250
CHUNK_MEMBERS = 1000
LARGE_THRESHOLD = 50
ALL_INTENTS = (1 << 26) - 1
# A bot that closes with one of these does not resume its session.
ENDS_SESSION = {1000, 1001}


class Gateway:
    """Serves the websocket, and breaks it on demand."""

    def __init__(
        self, state: State, hub: Hub, *, token: str, privileged: Intents, shards: int, starts: SessionStarts
    ) -> None:
        """`privileged` are the privileged intents granted to the bot in the portal.

        `shards` is the minimum number of connections that a bot may divide its servers among. `starts` counts the
        IDENTIFYs.
        """
        self.starts = starts
        self._state = state
        self._hub = hub
        self._token = token
        self.shards = shards
        self._refused = (Intents.MESSAGE_CONTENT | Intents.GUILD_MEMBERS | Intents.GUILD_PRESENCES) & ~privileged
        self._connections: set[Connection] = set()
        self._changed = anyio.Event()
        self._held_back = False
        self._is_closed = False
        self.url = ""

    @property
    def connected(self) -> int:
        """The number of connections with an identified session."""
        return sum(connection.session is not None for connection in self._connections)

    async def wait_connected(self, count: int = 1) -> None:
        """Wait until that many bots are connected and identified."""
        while self.connected < count:
            await self._changed.wait()

    async def disconnect(self, *, resumable: bool = True, replay: int = 0, how: str = "close") -> None:
        """Break every connection: `how` is close (code 4000), reconnect (opcode 7) or drop (no closing frame).

        A session that is not `resumable` is forgotten. `replay` is how many delivered events are sent again with the
        RESUME.
        """
        for connection in tuple(self._connections):
            session = connection.session
            if session is not None:
                session.rewind = replay
                if not resumable:
                    self._hub.sessions.pop(session.id, None)
            connection.session = None
            if how == "reconnect":
                await connection.send(RECONNECT)
            elif how == "drop" and connection.request.transport is not None:
                connection.request.transport.close()
            else:
                await connection.socket.close(code=4000, message=b"Unknown error")
        self._notify()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Hold events back inside the block; then all arrive in one piece, before a bot has reacted to the first."""
        self._held_back = True
        try:
            yield
        finally:
            self._held_back = False
            for session in self._hub.sessions.values():
                session.rouse()

    async def close(self) -> None:
        """End all connections permanently; accept no more."""
        self._is_closed = True
        for connection in tuple(self._connections):
            connection.stop.cancel()
            await connection.socket.close(code=1001, message=b"Going away")

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection until either side ends it."""
        if self._is_closed:
            raise web.HTTPServiceUnavailable
        if request.query.get("encoding", "json") != "json":
            # Discord closes with 4002 at the first frame; a client that only speaks ETF must hear of it at once.
            raise web.HTTPBadRequest(text="This server speaks JSON only: connect with encoding=json.")
        if request.query.get("compress", "") not in {"", "zlib-stream"}:
            raise web.HTTPBadRequest(text="This server compresses with zlib-stream only.")
        socket = web.WebSocketResponse(compress=False, timeout=1.0)
        await socket.prepare(request)
        connection = Connection(socket=socket, request=request)
        self._connections.add(connection)
        try:
            with connection.stop:
                await connection.send(HELLO, {"heartbeat_interval": HEARTBEAT_MS, "_trace": ["sandbox"]})
                async with anyio.create_task_group() as tasks:
                    await self._read(connection, tasks)
                    tasks.cancel_scope.cancel()
        finally:
            self._connections.discard(connection)
            if connection.session is not None and socket.close_code in ENDS_SESSION:
                self._hub.sessions.pop(connection.session.id, None)
            self._notify()
        return socket

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
        self._state.publish(EventName.PRESENCE_UPDATE, self._state.bot)

    async def _read(self, connection: Connection, tasks: anyio.abc.TaskGroup) -> None:
        async for frame in connection.socket:
            try:
                await self._handle(connection, decode(frame), tasks)
            except CloseError as close:
                await connection.socket.close(code=close.code, message=close.reason.encode())
                return

    async def _handle(self, connection: Connection, frame: Json, tasks: anyio.abc.TaskGroup) -> None:
        op, data = frame.get("op"), frame.get("d")
        if op == HEARTBEAT:
            await connection.send(HEARTBEAT_ACK)
        elif op == IDENTIFY and isinstance(data, dict):
            self._identify(connection, data)
            tasks.start_soon(self._write, connection, name="gateway writer")
        elif op == RESUME and isinstance(data, dict):
            if await self._resume(connection, data):
                tasks.start_soon(self._write, connection, name="gateway writer")
        elif op == REQUEST_MEMBERS and isinstance(data, dict):
            self._request_members(_identified(connection), data)
        elif op in {PRESENCE, VOICE_STATE}:
            _identified(connection)
        else:
            raise CloseError(4001, "Unknown opcode")

    async def _write(self, connection: Connection) -> None:
        session = connection.session
        while session is not None and connection.session is session:
            wake = session.wake
            for sequence, name, payload in [] if self._held_back else session.pending():
                if connection.session is not session:
                    return
                session.delivered = sequence
                await connection.send(DISPATCH, payload, name=name, sequence=sequence)
            await wake.wait()

    def _identify(self, connection: Connection, data: Json) -> None:
        if connection.session is not None:
            raise CloseError(4005, "Already authenticated.")
        self._check_token(data)
        if not self.starts.spend():
            # As Discord does: the token is reset, and its owner gets a mail.
            self._token = ""
            raise CloseError(4004, "Authentication failed.")
        asked = data.get("intents")
        if not isinstance(asked, int) or not 0 <= asked <= ALL_INTENTS:
            raise CloseError(4013, "Invalid intent(s).")
        if asked & self._refused:
            raise CloseError(4014, "Disallowed intent(s).")
        intents = Intents(asked)
        session = Session(intents=intents, shard=self._shard(data.get("shard", [0, 1])))
        self._hub.sessions[session.id] = session
        session.append("READY", self._ready(session))
        if Intents.GUILDS in intents and session.hears_of(self._state.guild_id):
            threshold = int(data.get("large_threshold") or LARGE_THRESHOLD)
            with_members = Intents.GUILD_MEMBERS | Intents.GUILD_PRESENCES in intents
            guild = payloads.guild_create(self._state, large_threshold=threshold, with_members=with_members)
            session.append("GUILD_CREATE", guild)
        connection.session = session
        self._notify()

    def _shard(self, asked: object) -> tuple[int, int]:
        match asked:
            case [int(number), int(count)] if 0 <= number < count:
                if count < self.shards:
                    raise CloseError(4011, "Sharding required.")
                return number, count
            case _:
                raise CloseError(4010, "Invalid shard.")

    def _ready(self, session: Session) -> Json:
        bot_id, guild_id = str(self._state.bot.id), self._state.guild_id
        return {
            "v": 10,
            "user": payloads.current_user(self._state.bot),
            "guilds": [{"id": str(guild_id), "unavailable": True}] if session.hears_of(guild_id) else [],
            "private_channels": [],
            "session_id": session.id,
            "resume_gateway_url": self.url,
            "shard": list(session.shard),
            "application": {"id": bot_id, "flags": payloads.application(self._state)["flags"]},
        }

    async def _resume(self, connection: Connection, data: Json) -> bool:
        """Resume a session, or require the bot to identify again."""
        self._check_token(data)
        session = self._hub.sessions.get(str(data.get("session_id")))
        sequence = data.get("seq")
        if session is None or not isinstance(sequence, int) or not session.can_replay_from(sequence):
            await connection.send(INVALID_SESSION, data=False)
            return False
        for number, name, payload in session.start_replay(sequence):
            await connection.send(DISPATCH, payload, name=name, sequence=number)
        session.append("RESUMED", {"_trace": ["sandbox"]})
        connection.session = session
        self._notify()
        return True

    def _check_token(self, data: Json) -> None:
        if str(data.get("token", "")).removeprefix("Bot ") != self._token:
            raise CloseError(4004, "Authentication failed.")

    def _request_members(self, session: Session, data: Json) -> None:
        """Answer opcode 8: members by id, or by the start of their name, in chunks."""
        asked_ids = data.get("user_ids")
        missing: list[str] = []
        people: list[Member]
        if asked_ids is not None:
            asked = [int(each) for each in (asked_ids if isinstance(asked_ids, list) else [asked_ids])]
            known = [self._state.members.get(each) for each in asked]
            people = [each for each in known if each is not None and each.in_guild]
            present = {each.id for each in people}
            missing = [str(each) for each in asked if each not in present]
        else:
            prefix = str(data.get("query", "")).casefold()
            people = [each for each in self._state.guild_members() if each.name.casefold().startswith(prefix)]
            limit = int(data.get("limit") or 0)
            people = people[:limit] if limit else people
        chunks = [people[start : start + CHUNK_MEMBERS] for start in range(0, len(people), CHUNK_MEMBERS)] or [[]]
        for index, chunk in enumerate(chunks):
            answer: Json = {
                "guild_id": str(self._state.guild_id),
                "members": [payloads.member(each) for each in chunk],
                "chunk_index": index,
                "chunk_count": len(chunks),
                "not_found": missing if index == 0 else [],
            }
            if data.get("nonce") is not None:
                answer["nonce"] = data["nonce"]
            session.append("GUILD_MEMBERS_CHUNK", answer)


def _identified(connection: Connection) -> Session:
    if connection.session is None:
        raise CloseError(4003, "Not authenticated.")
    return connection.session
