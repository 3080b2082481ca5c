"""Gateway sessions: each bot's numbered events, kept so that a RESUME can replay missed ones."""

from __future__ import annotations

import enum
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from sandbox import message_payloads, payloads
from sandbox.model import Channel, EventName, Member, Message, Role

if TYPE_CHECKING:
    from sandbox.faults import Faults
    from sandbox.model import Change, Json
    from sandbox.state import State

KEPT_EVENTS = 10_000
GUILD_ID_SHIFT = 22
CHANNEL_EVENTS = {
    EventName.CHANNEL_CREATE,
    EventName.CHANNEL_UPDATE,
    EventName.CHANNEL_DELETE,
    EventName.THREAD_CREATE,
    EventName.THREAD_UPDATE,
    EventName.THREAD_DELETE,
}
REACTION_EVENTS = {EventName.MESSAGE_REACTION_ADD, EventName.MESSAGE_REACTION_REMOVE}
SETUP_EVENTS = {"READY", "RESUMED", "GUILD_CREATE"}


class Intents(enum.IntFlag):
    """The intents that decide which events a session receives; an event without one goes to all."""

    NONE = 0
    GUILDS = 1 << 0
    GUILD_MEMBERS = 1 << 1
    GUILD_PRESENCES = 1 << 8
    GUILD_MESSAGES = 1 << 9
    GUILD_MESSAGE_REACTIONS = 1 << 10
    GUILD_MESSAGE_TYPING = 1 << 11
    DIRECT_MESSAGES = 1 << 12
    DIRECT_MESSAGE_REACTIONS = 1 << 13
    MESSAGE_CONTENT = 1 << 15


@dataclass(slots=True, eq=False)
class Session:
    """One bot's stream of events; it outlives its connections. `events` holds (sequence, name, payload).

    `shard` is the shard's number and how many there are.
    """

    intents: Intents
    shard: tuple[int, int] = (0, 1)
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    sequence: int = 0
    delivered: int = 0
    rewind: int = 0
    events: deque[tuple[int, str, Json]] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    wake: anyio.Event = field(default_factory=anyio.Event)

    def hears_of(self, guild_id: int | None) -> bool:
        """Whether a server's events go to this shard; those without a server go to the first."""
        number, count = self.shard
        return number == ((guild_id or 0) >> GUILD_ID_SHIFT) % count

    def append(self, name: str, payload: Json) -> None:
        """Queue one event for the present connection, or for the next."""
        self.sequence += 1
        self.events.append((self.sequence, name, payload))
        self.rouse()

    def rouse(self) -> None:
        """Let the connection check for new events."""
        self.wake.set()
        self.wake = anyio.Event()

    def can_replay_from(self, sequence: int) -> bool:
        """Whether everything after that event is still kept."""
        oldest = self.events[0][0] if self.events else self.sequence + 1
        return oldest - 1 <= sequence <= self.sequence

    def pending(self) -> list[tuple[int, str, Json]]:
        """Return the events that the connection has not been sent yet."""
        missing = self.sequence - self.delivered
        return list(self.events)[-missing:] if missing > 0 else []

    def start_replay(self, sequence: int) -> list[tuple[int, str, Json]]:
        """Continue after that event; return the events to send a second time, if a fault asked for that."""
        self.delivered = sequence
        again = [each for each in self.events if each[0] <= sequence and each[1] not in SETUP_EVENTS]
        twice, self.rewind = again[len(again) - min(self.rewind, len(again)) :], 0
        return twice


class Hub:
    """All sessions, and the translation of a change of the state into each session's events."""

    def __init__(self, state: State, faults: Faults) -> None:
        self._state = state
        self._faults = faults
        self.sessions: dict[str, Session] = {}
        state.listeners.append(self._on_change)

    def dispatch(self, name: str, payload: Json, intent: Intents = Intents.NONE) -> None:
        """Send an event to every session with its intent and shard."""
        copies = 2 if self._faults.take_duplicate(name) else 1
        for session in self._hearers(payload, intent):
            for _ in range(copies):
                session.append(name, payload)

    def _hearers(self, payload: Json, intent: Intents) -> list[Session]:
        guild_id = self._state.guild_id if "guild_id" in payload else None
        return [each for each in self.sessions.values() if intent in each.intents and each.hears_of(guild_id)]

    def _on_change(self, change: Change) -> None:
        if change.event is EventName.PRESENCE_UPDATE:
            # Only the chat page gets it: no bot asks for presences here.
            return
        if isinstance(change.subject, Message):
            self._on_message(change, change.subject)
        else:
            self._on_guild(change)

    def _on_message(self, change: Change, message: Message) -> None:
        details = change.details or {}
        if change.event in REACTION_EVENTS:
            self._reaction(change.event, message, details)
        elif not details.get("in_bulk"):
            # Of messages that are deleted together bots hear in one event.
            self._message(change.event, message)

    def _on_guild(self, change: Change) -> None:
        subject, guild_id = change.subject, str(self._state.guild_id)
        shape: Json
        if isinstance(subject, Member):
            shape = payloads.member(subject)
            if change.event is EventName.GUILD_MEMBER_REMOVE:
                shape = {"user": payloads.user(subject)}
            self.dispatch(change.event, {**shape, "guild_id": guild_id}, Intents.GUILD_MEMBERS)
        elif isinstance(subject, Role):
            shape = {"guild_id": guild_id, "role": payloads.role(subject)}
            if change.event is EventName.GUILD_ROLE_DELETE:
                shape = {"guild_id": guild_id, "role_id": str(subject.id)}
            self.dispatch(change.event, shape, Intents.GUILDS)
        elif change.event is EventName.MESSAGE_DELETE_BULK:
            ids = [str(each) for each in (change.details or {})["ids"]]
            shape = {"ids": ids, "channel_id": str(subject.id), "guild_id": guild_id}
            self.dispatch(change.event, shape, Intents.GUILD_MESSAGES)
        elif change.event in CHANNEL_EVENTS and isinstance(subject, Channel) and not subject.is_direct:
            self.dispatch(change.event, payloads.channel(self._state, subject), Intents.GUILDS)

    def _reaction(self, event: EventName, message: Message, details: Json) -> None:
        direct = self._state.channel(message.channel_id).is_direct
        user_id = int(details["user_id"])
        shape: Json = {
            "user_id": str(user_id),
            "channel_id": str(message.channel_id),
            "message_id": str(message.id),
            "emoji": message_payloads.partial_emoji(str(details["emoji"])),
            "burst": False,
            "type": 0,
        }
        if event is EventName.MESSAGE_REACTION_ADD:
            shape["message_author_id"] = str(message.author_id)
        if not direct:
            shape["guild_id"] = str(self._state.guild_id)
            if event is EventName.MESSAGE_REACTION_ADD:
                shape["member"] = payloads.member(self._state.user(user_id))
        self.dispatch(event, shape, Intents.DIRECT_MESSAGE_REACTIONS if direct else Intents.GUILD_MESSAGE_REACTIONS)

    def _message(self, event: EventName, message: Message) -> None:
        if message.ephemeral:
            return
        direct = self._state.channel(message.channel_id).is_direct
        intent = Intents.DIRECT_MESSAGES if direct else Intents.GUILD_MESSAGES
        if event is EventName.MESSAGE_DELETE:
            shape: Json = {"id": str(message.id), "channel_id": str(message.channel_id)}
            self.dispatch(event, shape if direct else {**shape, "guild_id": str(self._state.guild_id)}, intent)
            return
        full = message_payloads.gateway_message(self._state, message)
        readable = direct or message.author_id == self._state.bot.id or self._state.bot.id in message.pinged
        if readable:
            self.dispatch(event, full, intent)
            return
        # Without the privileged intent a bot learns of the message, but not its content.
        blank = {**full, "content": "", "embeds": [], "attachments": [], "components": []}
        copies = 2 if self._faults.take_duplicate(event) else 1
        for session in self._hearers(full, intent):
            for _ in range(copies):
                session.append(event, full if Intents.MESSAGE_CONTENT in session.intents else blank)
