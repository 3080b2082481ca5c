"""Records of people's interactions and the bot's responses, for tests to wait for."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from sandbox import errors

if TYPE_CHECKING:
    from sandbox.model import Json, Message


class InteractionKind(enum.IntEnum):
    """The kind of an interaction."""

    COMMAND = 2
    COMPONENT = 3
    AUTOCOMPLETE = 4
    MODAL = 5


class AnswerKind(enum.IntEnum):
    """The kind of a bot's first response."""

    PONG = 1
    MESSAGE = 4
    DEFERRED_MESSAGE = 5
    DEFERRED_UPDATE = 6
    UPDATE = 7
    CHOICES = 8
    MODAL = 9


WRITES = {AnswerKind.MESSAGE, AnswerKind.DEFERRED_MESSAGE}
ALLOWED = {
    InteractionKind.COMMAND: WRITES | {AnswerKind.MODAL},
    InteractionKind.COMPONENT: WRITES | {AnswerKind.MODAL, AnswerKind.DEFERRED_UPDATE, AnswerKind.UPDATE},
    InteractionKind.MODAL: WRITES | {AnswerKind.DEFERRED_UPDATE, AnswerKind.UPDATE},
    InteractionKind.AUTOCOMPLETE: {AnswerKind.CHOICES},
}


@dataclass(slots=True, kw_only=True, frozen=True)
class Answer:
    """A bot's first response; `message` is the message written or updated, `data` its JSON as sent."""

    kind: AnswerKind
    data: Json
    message: Message | None = None

    @property
    def ephemeral(self) -> bool:
        """Whether only the interacting person sees it."""
        return self.message is not None and self.message.ephemeral


@dataclass(slots=True, kw_only=True, eq=False)
class Interaction:
    """An interaction and its outcome. `refused` counts responses that came late or a second time."""

    id: int
    token: str
    kind: InteractionKind
    member_id: int
    channel_id: int
    data: Json
    created_at: float
    message: Message | None = None
    source: Interaction | None = None
    answer: Answer | None = None
    original: Message | None = None
    followups: list[Message] = field(default_factory=list)
    refused: int = 0
    _answered: anyio.Event = field(default_factory=anyio.Event)
    _completed: anyio.Event = field(default_factory=anyio.Event)

    async def answered(self, timeout_seconds: float = 20.0) -> Answer:
        """Wait for the first response, which may be a deferral; TimeoutError if none comes within real seconds."""
        with anyio.fail_after(timeout_seconds):
            await self._answered.wait()
        if self.answer is None:  # pragma: no cover — the event is set with the answer
            raise errors.SandboxError
        return self.answer

    async def replied(self, timeout_seconds: float = 20.0) -> Message | None:
        """Wait for a response other than a deferral; return the message written or updated, the original first."""
        with anyio.fail_after(timeout_seconds):
            await self._completed.wait()
        return self.original or next(iter(self.followups), None)

    def settle(self, answer: Answer) -> None:
        """Store the first response."""
        self.answer = answer
        self.original = answer.message
        self._answered.set()
        if answer.kind not in {AnswerKind.DEFERRED_MESSAGE, AnswerKind.DEFERRED_UPDATE}:
            self.complete()

    def complete(self) -> None:
        """Record that the bot has done more than defer."""
        self._completed.set()
