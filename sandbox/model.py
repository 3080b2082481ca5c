"""The data of a local Discord: plain records of roles, members, channels and messages."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from sandbox.channel_types import THREADS, ChannelType

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

Json = dict[str, Any]

EPHEMERAL = 1 << 6
LOADING = 1 << 7
BUTTON = 2
BUTTON_LINK = 5
ADMINISTRATOR = 1 << 3


class EventName(enum.StrEnum):
    """The Gateway's events for changes of the state."""

    MESSAGE_CREATE = "MESSAGE_CREATE"
    MESSAGE_UPDATE = "MESSAGE_UPDATE"
    MESSAGE_DELETE = "MESSAGE_DELETE"
    MESSAGE_DELETE_BULK = "MESSAGE_DELETE_BULK"
    CHANNEL_CREATE = "CHANNEL_CREATE"
    CHANNEL_UPDATE = "CHANNEL_UPDATE"
    CHANNEL_DELETE = "CHANNEL_DELETE"
    THREAD_CREATE = "THREAD_CREATE"
    THREAD_UPDATE = "THREAD_UPDATE"
    THREAD_DELETE = "THREAD_DELETE"
    MESSAGE_REACTION_ADD = "MESSAGE_REACTION_ADD"
    MESSAGE_REACTION_REMOVE = "MESSAGE_REACTION_REMOVE"
    GUILD_ROLE_UPDATE = "GUILD_ROLE_UPDATE"
    GUILD_ROLE_DELETE = "GUILD_ROLE_DELETE"
    GUILD_ROLE_CREATE = "GUILD_ROLE_CREATE"
    GUILD_MEMBER_ADD = "GUILD_MEMBER_ADD"
    GUILD_MEMBER_UPDATE = "GUILD_MEMBER_UPDATE"
    GUILD_MEMBER_REMOVE = "GUILD_MEMBER_REMOVE"
    TYPING_START = "TYPING_START"
    PRESENCE_UPDATE = "PRESENCE_UPDATE"
    INTERACTION_CREATE = "INTERACTION_CREATE"


@dataclass(slots=True, kw_only=True)
class Role:
    """A role of the guild; `permissions` is Discord's bit set. A `managed` role belongs to an integration."""

    id: int
    name: str
    position: int
    permissions: int = 0
    color: int = 0
    managed: bool = False


@dataclass(slots=True, kw_only=True)
class Member:
    """A person or a bot; a member who has left remains known, with `in_guild` false.

    `locale` is the language of their client.
    """

    id: int
    name: str
    joined_at: datetime
    bot: bool = False
    role_ids: list[int] = field(default_factory=list)
    in_guild: bool = True
    locale: str = "en-US"


@dataclass(slots=True, kw_only=True)
class Channel:
    """A text channel of the guild, or a conversation of the bot with `recipient_id`."""

    id: int
    name: str
    position: int = 0
    recipient_id: int | None = None
    last_message_id: int | None = None
    kind: int = ChannelType.TEXT
    parent_id: int | None = None
    archived: bool = False
    locked: bool = False
    created_at: datetime | None = None
    overwrites: list[Json] = field(default_factory=list)

    @property
    def is_direct(self) -> bool:
        """Whether this is a DM."""
        return self.recipient_id is not None

    @property
    def is_thread(self) -> bool:
        """Whether this is a thread, or a post of a forum."""
        return self.kind in THREADS


@dataclass(slots=True, kw_only=True)
class Attachment:
    """A file of a message, served at `url`."""

    id: int
    filename: str
    content_type: str
    data: bytes
    url: str
    description: str | None = None


@dataclass(slots=True, kw_only=True, frozen=True)
class Button:
    """A button as a person sees it; a link has no `custom_id`."""

    label: str
    style: int
    custom_id: str | None
    disabled: bool
    url: str | None


@dataclass(slots=True, kw_only=True)
class Invocation:
    """The slash command or click that a message answers."""

    id: int
    kind: int
    name: str | None
    user_id: int
    message_id: int | None = None
    trigger: Invocation | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Message:
    """A message in its present state; `embeds` and `components` have Discord's JSON shapes.

    `ephemeral_to` is the only member who sees it, None for everyone. `pinged` are the notified members, `pinged_roles`
    the notified roles. `settled` is set as soon as the request that wrote it has its response, None for a person's
    message; `settled_at` is the moment, in monotonic seconds.
    """

    id: int
    channel_id: int
    author_id: int
    created_at: datetime
    content: str = ""
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    flags: int = 0
    tts: bool = False
    nonce: str | int | None = None
    edited_at: datetime | None = None
    edit_count: int = 0
    deleted: bool = False
    ephemeral_to: int | None = None
    reactions: dict[str, list[int]] = field(default_factory=dict)
    pinged: list[int] = field(default_factory=list)
    pinged_roles: list[int] = field(default_factory=list)
    pings_everyone: bool = False
    reference_id: int | None = None
    invocation: Invocation | None = None
    settled: anyio.Event | None = None
    settled_at: float = 0.0

    @property
    def ephemeral(self) -> bool:
        """Whether only one member sees it."""
        return self.ephemeral_to is not None

    @property
    def loading(self) -> bool:
        """Whether it stands for a response still to come ("thinking")."""
        return bool(self.flags & LOADING)

    @property
    def embed(self) -> Json:
        """The first embed, or an empty one."""
        return self.embeds[0] if self.embeds else {}

    @property
    def text(self) -> str:
        """All readable text, a line each: content, then each embed's title, description, fields and footer."""
        lines: list[str | None] = [self.content]
        for embed in self.embeds:
            lines += [embed.get("author", {}).get("name"), embed.get("title"), embed.get("description")]
            for each in embed.get("fields", []):
                lines += [each.get("name"), each.get("value")]
            lines.append(embed.get("footer", {}).get("text"))
        return "\n".join(line for line in lines if line)

    @property
    def buttons(self) -> list[Button]:
        """Its buttons, in reading order."""
        return [
            Button(
                label=part.get("label") or (part.get("emoji") or {}).get("name") or "",
                style=part["style"],
                custom_id=part.get("custom_id"),
                disabled=bool(part.get("disabled")),
                url=part.get("url"),
            )
            for part in self.parts()
            if part["type"] == BUTTON
        ]

    def settle(self, now: float) -> None:
        """Record that the writer has the response."""
        self.settled_at = now
        if self.settled is not None:
            self.settled.set()

    def parts(self) -> Iterator[Json]:
        """Its buttons and menus as JSON, without the rows that contain them."""
        for row in self.components:
            yield from row.get("components", [])

    def seen_by(self, member_id: int) -> bool:
        """Whether that member's client shows it."""
        return not self.deleted and self.ephemeral_to in {None, member_id}


@dataclass(slots=True, kw_only=True, frozen=True)
class Change:
    """A change of the state: `subject` is the changed object, in its state afterwards."""

    event: EventName
    subject: Message | Channel | Role | Member
    details: Json | None = None
