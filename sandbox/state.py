"""The state of the local Discord and its changes: one guild, its people, channels and all messages.

Every change is passed to the listeners at once and in order: the Gateway, the chat page, and tests that wait for a
message.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sandbox import errors
from sandbox.channel_types import ChannelType
from sandbox.clock import real_time
from sandbox.model import ADMINISTRATOR, Change, Channel, EventName, Member, Message, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.model import Attachment, Invocation, Json

DISCORD_EPOCH_MS = 1_420_070_400_000
# A clock that starts at zero would give ids with too few digits for mentions.
EARLIEST_MS = 1_577_836_800_000
NONCE_SECONDS = 300
EVERYONE_PERMISSIONS = 1_071_698_660_929
USER_MENTION = re.compile(r"<@!?(\d{15,20})>")
ROLE_MENTION = re.compile(r"<@&(\d{15,20})>")


@dataclass(slots=True, kw_only=True)
class Draft:
    """The content of a new message or an edit; None leaves a field unchanged."""

    content: str | None = None
    embeds: list[Json] | None = None
    components: list[Json] | None = None
    attachments: list[Attachment] | None = None
    allowed_mentions: Json | None = None
    flags: int = 0
    tts: bool = False
    nonce: str | int | None = None
    enforce_nonce: bool = False
    reference_id: int | None = None


GATEWAY_MESSAGE_CONTENT = 1 << 18
GATEWAY_GUILD_MEMBERS = 1 << 14


class State:
    """All data of the local Discord. Its methods refuse unknown ids with Discord's own errors."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = real_time,
        guild_id: int | None = None,
        guild_name: str = "Sandbox",
        bot_name: str = "sandbox-bot",
        invited: bool = True,
    ) -> None:
        """Create the guild with one role for everyone and one bot, which is a member if it was invited."""
        self.clock = clock
        # The privileged intents that are switched on in the portal.
        self.application_flags = GATEWAY_MESSAGE_CONTENT | GATEWAY_GUILD_MEMBERS
        self.listeners: list[Callable[[Change], None]] = []
        self.roles: dict[int, Role] = {}
        self.members: dict[int, Member] = {}
        self.channels: dict[int, Channel] = {}
        self.messages: dict[int, Message] = {}
        self._by_channel: defaultdict[int, dict[int, Message]] = defaultdict(dict)
        self._direct: dict[int, Channel] = {}
        self._nonces: dict[tuple[int, str], tuple[float, Message]] = {}
        self._last_id = 0
        self.guild_id = guild_id or self.new_id()
        self.guild_name = guild_name
        self.roles[self.guild_id] = Role(
            id=self.guild_id, name="@everyone", position=0, permissions=EVERYONE_PERMISSIONS
        )
        self.bot = Member(id=self.new_id(), name=bot_name, bot=True, joined_at=self.now(), in_guild=invited)
        self.members[self.bot.id] = self.bot

    def now(self) -> datetime:
        """Return the present moment, in UTC."""
        return datetime.fromtimestamp(self.clock(), tz=UTC)

    def new_id(self) -> int:
        """Make a snowflake: later than every one before it, with the clock's time in it."""
        moment_ms = max(int(self.clock() * 1000), EARLIEST_MS)
        self._last_id = max(self._last_id + 1, (moment_ms - DISCORD_EPOCH_MS) << 22)
        return self._last_id

    def publish(self, event: EventName, subject: Message | Channel | Role | Member, **details: object) -> None:
        """Notify every listener."""
        change = Change(event=event, subject=subject, details=details)
        for listener in tuple(self.listeners):
            listener(change)

    def guild_channels(self) -> list[Channel]:
        """Return the guild's channels, in order."""
        return [channel for channel in self.channels.values() if not (channel.is_direct or channel.is_thread)]

    def threads(self) -> list[Channel]:
        """Return the guild's threads, archived ones too."""
        return [channel for channel in self.channels.values() if channel.is_thread]

    def guild_members(self) -> list[Member]:
        """Return the members in the guild now, including the bot."""
        return [member for member in self.members.values() if member.in_guild]

    def channel(self, channel_id: int) -> Channel:
        """Find the channel or DM with this id."""
        if channel_id not in self.channels:
            raise errors.unknown_channel()
        return self.channels[channel_id]

    def member(self, member_id: int) -> Member:
        """Find the member of the guild with this id."""
        member = self.members.get(member_id)
        if member is None or not member.in_guild:
            raise errors.unknown_member()
        return member

    def user(self, user_id: int) -> Member:
        """Find the user with this id, in the guild or not."""
        if user_id not in self.members:
            raise errors.unknown_user()
        return self.members[user_id]

    def message(self, channel_id: int, message_id: int) -> Message:
        """Find the message, unless it was deleted."""
        message = self._by_channel[self.channel(channel_id).id].get(message_id)
        if message is None or message.deleted:
            raise errors.unknown_message()
        return message

    def history(self, channel_id: int) -> list[Message]:
        """Return a channel's messages, oldest first, without deleted ones."""
        return [message for message in self._by_channel[channel_id].values() if not message.deleted]

    def permissions_of(self, member: Member) -> int:
        """Combine the permission bits of a member's roles."""
        bits = self.roles[self.guild_id].permissions
        for role_id in member.role_ids:
            bits |= self.roles[role_id].permissions
        return bits

    def add_role(
        self,
        name: str,
        *,
        permissions: int = 0,
        color: int = 0,
        role_id: int | None = None,
        managed: bool = False,
    ) -> Role:
        """Add a role above the others."""
        role = Role(
            id=role_id or self.new_id(),
            name=name,
            position=len(self.roles),
            permissions=permissions,
            color=color,
            managed=managed,
        )
        self.roles[role.id] = role
        self.publish(EventName.GUILD_ROLE_CREATE, role)
        return role

    def invite_bot(self, permissions: int) -> None:
        """Let the bot join with a role of its own that has these permissions."""
        role = self.add_role(self.bot.name, permissions=permissions)
        role.managed = True
        self.bot.role_ids.append(role.id)
        self.bot.in_guild = True
        self.publish(EventName.GUILD_MEMBER_ADD, self.bot)

    def require_of_bot(self, permission: int) -> None:
        """Refuse what the bot was not invited for; a bot that has no role of its own may do everything."""
        has_role = any(self.roles[role_id].managed for role_id in self.bot.role_ids)
        if has_role and not self.permissions_of(self.bot) & (permission | ADMINISTRATOR):
            raise errors.refusal(50013)

    def remove_role(self, role_id: int) -> None:
        """Delete a role, and take it from its members."""
        role = self.roles.pop(role_id)
        for member in self.guild_members():
            if role_id in member.role_ids:
                self.set_roles(member.id, [each for each in member.role_ids if each != role_id])
        self.publish(EventName.GUILD_ROLE_DELETE, role)

    def add_channel(
        self,
        name: str,
        *,
        channel_id: int | None = None,
        kind: int = ChannelType.TEXT,
        parent_id: int | None = None,
        overwrites: Iterable[Json] = (),
    ) -> Channel:
        """Add a channel below the others, or a thread of the channel `parent_id`."""
        channel = Channel(
            id=channel_id or self.new_id(),
            name=name,
            position=len(self.guild_channels()),
            kind=kind,
            parent_id=parent_id,
            created_at=self.now(),
            overwrites=list(overwrites),
        )
        self.channels[channel.id] = channel
        self.publish(EventName.THREAD_CREATE if channel.is_thread else EventName.CHANNEL_CREATE, channel)
        return channel

    def change_channel(
        self, channel: Channel, *, name: str | None = None, archived: bool | None = None, locked: bool | None = None
    ) -> None:
        """Rename a channel, or archive, lock or reopen a thread."""
        channel.name = channel.name if name is None else name
        channel.archived = channel.archived if archived is None else archived
        channel.locked = channel.locked if locked is None else locked
        self.publish(EventName.THREAD_UPDATE if channel.is_thread else EventName.CHANNEL_UPDATE, channel)

    def remove_channel(self, channel_id: int) -> None:
        """Delete a channel or thread with its messages, and a channel's threads."""
        channel = self.channels[channel_id]
        for thread in [each for each in self.threads() if each.parent_id == channel_id]:
            self.remove_channel(thread.id)
        for message in self._by_channel.pop(channel_id, {}).values():
            message.deleted = True
        del self.channels[channel_id]
        self.publish(EventName.THREAD_DELETE if channel.is_thread else EventName.CHANNEL_DELETE, channel)

    def react(self, message: Message, user_id: int, emoji: str) -> None:
        """Let somebody react to a message, once with each emoji."""
        people = message.reactions.setdefault(emoji, [])
        if user_id not in people:
            people.append(user_id)
            self.publish(EventName.MESSAGE_REACTION_ADD, message, user_id=user_id, emoji=emoji)

    def unreact(self, message: Message, user_id: int, emoji: str) -> None:
        """Remove somebody's reaction. Raises if there is none."""
        people = message.reactions.get(emoji, [])
        if user_id not in people:
            raise errors.ApiError(404, 10014, "Unknown Emoji")
        people.remove(user_id)
        if not people:
            del message.reactions[emoji]
        self.publish(EventName.MESSAGE_REACTION_REMOVE, message, user_id=user_id, emoji=emoji)

    def add_member(self, name: str, *, role_ids: Iterable[int], member_id: int | None, bot: bool) -> Member:
        """Add a member; a former member comes back under the same id."""
        member = Member(
            id=member_id or self.new_id(), name=name, role_ids=list(role_ids), bot=bot, joined_at=self.now()
        )
        self.members[member.id] = member
        self.publish(EventName.GUILD_MEMBER_ADD, member)
        return member

    def remove_member(self, member_id: int) -> None:
        """Remove a member."""
        member = self.member(member_id)
        member.in_guild = False
        self.publish(EventName.GUILD_MEMBER_REMOVE, member)

    def set_roles(self, member_id: int, role_ids: Iterable[int]) -> None:
        """Replace a member's roles."""
        member = self.member(member_id)
        member.role_ids = list(role_ids)
        self.publish(EventName.GUILD_MEMBER_UPDATE, member)

    def direct_channel(self, recipient_id: int) -> Channel:
        """Find the bot's conversation with that person, or open it."""
        if recipient_id not in self._direct:
            channel = Channel(id=self.new_id(), name=self.user(recipient_id).name, recipient_id=recipient_id)
            self.channels[channel.id] = self._direct[recipient_id] = channel
            self.publish(EventName.CHANNEL_CREATE, channel)
        return self._direct[recipient_id]

    def find_direct_channel(self, recipient_id: int) -> Channel | None:
        """Find the bot's conversation with that person, if it was ever opened."""
        return self._direct.get(recipient_id)

    def post(
        self,
        channel_id: int,
        author_id: int,
        draft: Draft,
        *,
        ephemeral_to: int | None = None,
        invocation: Invocation | None = None,
    ) -> Message:
        """Write a message; an enforced nonce seen within a few minutes returns the earlier message."""
        channel = self.channel(channel_id)
        nonce_key = (author_id, str(draft.nonce))
        if draft.enforce_nonce and nonce_key in self._nonces:
            written_at, earlier = self._nonces[nonce_key]
            if self.clock() - written_at < NONCE_SECONDS:
                return earlier
        message = Message(
            id=self.new_id(),
            channel_id=channel_id,
            author_id=author_id,
            created_at=self.now(),
            flags=draft.flags,
            tts=draft.tts,
            nonce=draft.nonce,
            reference_id=draft.reference_id,
            ephemeral_to=ephemeral_to,
            invocation=invocation,
        )
        self._fill(message, draft)
        self.messages[message.id] = self._by_channel[channel_id][message.id] = message
        channel.last_message_id = message.id
        if draft.enforce_nonce:
            self._nonces[nonce_key] = (self.clock(), message)
        self.publish(EventName.MESSAGE_CREATE, message)
        return message

    def edit(self, message: Message, draft: Draft, *, first_fill: bool = False) -> None:
        """Change a message; with `first_fill`, a loading message gets its text, which people do not see as an edit."""
        self._fill(message, draft)
        if not first_fill:
            message.edited_at = self.now()
            message.edit_count += 1
        self.publish(EventName.MESSAGE_UPDATE, message)

    def delete(self, message: Message, **details: object) -> None:
        """Delete a message; tests that hold it see `deleted`."""
        message.deleted = True
        self.publish(EventName.MESSAGE_DELETE, message, **details)

    def delete_many(self, channel: Channel, messages: list[Message]) -> None:
        """Delete several messages of a channel, which bots hear of in one event."""
        for message in messages:
            self.delete(message, in_bulk=True)
        self.publish(EventName.MESSAGE_DELETE_BULK, channel, ids=[each.id for each in messages])

    def _fill(self, message: Message, draft: Draft) -> None:
        if draft.content is not None:
            message.content = draft.content.strip()
            self._ping(message, draft.allowed_mentions)
        if draft.embeds is not None:
            message.embeds = draft.embeds
        if draft.components is not None:
            message.components = draft.components
        if draft.attachments is not None:
            message.attachments = draft.attachments

    def _ping(self, message: Message, allowed: Json | None) -> None:
        """Return the members that the content notifies: mentioned and allowed; mentions in embeds never notify."""
        rules = {"parse": ["users", "roles", "everyone"]} if allowed is None else allowed
        kinds = rules.get("parse", [])
        listed = {int(user_id) for user_id in rules.get("users", [])}
        mentioned = dict.fromkeys(int(user_id) for user_id in USER_MENTION.findall(message.content))
        message.pinged = [each for each in mentioned if each in self.members and ("users" in kinds or each in listed)]
        roles = dict.fromkeys(int(role_id) for role_id in ROLE_MENTION.findall(message.content))
        named = {int(role_id) for role_id in rules.get("roles", [])}
        message.pinged_roles = [each for each in roles if each in self.roles and ("roles" in kinds or each in named)]
        message.pings_everyone = "everyone" in kinds and ("@everyone" in message.content or "@here" in message.content)
