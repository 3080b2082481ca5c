"""The REST API's routes for channels and threads: create, change, archive and delete them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from sandbox import errors, limits, payloads
from sandbox.channel_types import WITH_THREADS, WITHOUT_MESSAGES, ChannelType
from sandbox.front import BODY, PREFIX, json_response
from sandbox.rest import number
from sandbox.rest_messages import track

if TYPE_CHECKING:
    from sandbox.bodies import Drafts
    from sandbox.model import Channel, Json
    from sandbox.state import State

THREAD_TYPES = (10, 11, 12)
MANAGE_CHANNELS = 1 << 4


class Channels:
    """Handlers of channels and threads."""

    def __init__(self, state: State, drafts: Drafts) -> None:
        self._state = state
        self._drafts = drafts

    def add_routes(self, app: web.Application) -> None:
        """Register the handlers."""
        guild, channel = PREFIX + "/guilds/{guild_id}", PREFIX + "/channels/{channel_id}"
        app.add_routes(
            [
                web.post(guild + "/channels", self.create),
                web.get(guild + "/threads/active", self.active_threads),
                web.get(channel, self.get),
                web.patch(channel, self.change),
                web.delete(channel, self.delete),
                web.post(channel + "/threads", self.start_thread),
                web.post(channel + "/messages/{message_id}/threads", self.start_thread_at_message),
            ]
        )

    async def get(self, request: web.Request) -> web.Response:
        """Return one channel or thread."""
        return json_response(payloads.channel(self._state, self._channel(request)))

    async def create(self, request: web.Request) -> web.Response:
        """Create a channel of the guild."""
        if number(request, "guild_id") != self._state.guild_id:
            raise errors.unknown_guild()
        self._state.require_of_bot(MANAGE_CHANNELS)
        fields = request[BODY].fields
        limits.check_custom_text("name", fields.get("name"), 1, 100)
        channel = self._state.add_channel(
            fields["name"], kind=_kind(fields.get("type") or 0), parent_id=_id(fields.get("parent_id"))
        )
        channel.overwrites = [
            {"id": str(each["id"]), "type": each["type"], "allow": str(each["allow"]), "deny": str(each["deny"])}
            for each in fields.get("permission_overwrites") or []
        ]
        return json_response(payloads.channel(self._state, channel), 201)

    async def active_threads(self, request: web.Request) -> web.Response:
        """List the threads that are not archived."""
        if number(request, "guild_id") != self._state.guild_id:
            raise errors.unknown_guild()
        threads = [payloads.channel(self._state, each) for each in self._state.threads() if not each.archived]
        return json_response({"threads": threads, "members": [], "has_more": False})

    async def change(self, request: web.Request) -> web.Response:
        """Rename a channel, or archive, lock or reopen a thread."""
        channel, fields = self._channel(request), request[BODY].fields
        if channel.is_direct:
            raise errors.ApiError(403, 50003, "Cannot execute action on a DM channel")
        if "name" in fields:
            limits.check_custom_text("name", fields["name"], 1, 100)
        is_reopened = fields.get("archived") is False
        if channel.archived and not is_reopened:
            raise errors.thread_is_archived()
        self._state.change_channel(
            channel, name=fields.get("name"), archived=fields.get("archived"), locked=fields.get("locked")
        )
        return json_response(payloads.channel(self._state, channel))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a channel or thread with its messages."""
        channel = self._channel(request)
        shape = payloads.channel(self._state, channel)
        if not channel.is_direct:
            self._state.remove_channel(channel.id)
        return json_response(shape)

    async def start_thread(self, request: web.Request) -> web.Response:
        """Start a thread, in a forum with its first message."""
        parent, body = self._channel(request), request[BODY]
        thread = self._start(parent, body.fields, _id(None))
        shape = payloads.channel(self._state, thread)
        if parent.kind in WITHOUT_MESSAGES:
            draft = self._drafts.new(thread.id, body.fields.get("message") or {}, body.files)
            message = self._state.post(thread.id, self._state.bot.id, draft)
            track(request, message)
        return json_response(shape, 201)

    async def start_thread_at_message(self, request: web.Request) -> web.Response:
        """Start a thread at a message; its id is the message's."""
        parent = self._channel(request)
        message = self._state.message(parent.id, number(request, "message_id"))
        if message.id in self._state.channels:
            raise errors.ApiError(400, 160004, "A thread has already been created for this message")
        thread = self._start(parent, request[BODY].fields, message.id)
        return json_response(payloads.channel(self._state, thread), 201)

    def _start(self, parent: Channel, fields: Json, thread_id: int | None) -> Channel:
        if parent.kind not in WITH_THREADS:
            raise errors.ApiError(400, 50024, "Cannot execute action on this channel type")
        limits.check_custom_text("name", fields.get("name"), 1, 100)
        kind = ChannelType.PUBLIC_THREAD
        if thread_id is None and parent.kind not in WITHOUT_MESSAGES:
            kind = _kind(fields.get("type") or ChannelType.PRIVATE_THREAD, allowed=THREAD_TYPES)
        return self._state.add_channel(fields["name"], kind=kind, parent_id=parent.id, channel_id=thread_id)

    def _channel(self, request: web.Request) -> Channel:
        return self._state.channel(number(request, "channel_id"))


def _kind(value: object, *, allowed: tuple[int, ...] = (0, 2, 4, 5, 13, 15, 16)) -> ChannelType:
    if value not in allowed:
        fault = {"code": "BASE_TYPE_CHOICES", "message": f"Value must be one of {list(allowed)}."}
        raise errors.invalid_form({"type": {"_errors": [fault]}})
    return ChannelType(int(str(value)))


def _id(value: object) -> int | None:
    return int(str(value)) if str(value or "").isdecimal() else None
