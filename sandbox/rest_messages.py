"""The REST API's routes for messages and their files."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
from aiohttp import web

from sandbox import errors, message_payloads
from sandbox.channel_types import WITHOUT_MESSAGES
from sandbox.front import BODY, PREFIX, WRITTEN, json_response
from sandbox.model import EventName
from sandbox.rest import number, query_number

if TYPE_CHECKING:
    from sandbox.bodies import Drafts
    from sandbox.faults import Faults
    from sandbox.model import Channel, Message
    from sandbox.ratelimits import RateLimits
    from sandbox.state import State

HISTORY_PAGE = 100
BULK_LEAST, BULK_MOST = 2, 100
BULK_AGE = timedelta(days=14)


def track(request: web.Request, message: Message) -> None:
    """Delay clicks on a message until its writer has the response: before that it does not know its own buttons."""
    message.settled = anyio.Event()
    request[WRITTEN].append(message)


class Messages:
    """Handlers of a bot's own messages."""

    def __init__(self, state: State, faults: Faults, drafts: Drafts, rate_limits: RateLimits) -> None:
        self._state = state
        self._faults = faults
        self._drafts = drafts
        self._rate_limits = rate_limits

    def add_routes(self, app: web.Application) -> None:
        """Register the handlers."""
        channel = PREFIX + "/channels/{channel_id}"
        one = channel + "/messages/{message_id}"
        app.add_routes(
            [
                web.post(channel + "/typing", self.typing),
                web.get(channel + "/messages", self.history),
                web.post(channel + "/messages", self.create),
                web.post(channel + "/messages/bulk-delete", self.bulk_delete),
                web.get(one, self.get),
                web.patch(one, self.edit),
                web.delete(one, self.delete),
                web.get("/attachments/{channel_id}/{attachment_id}/{filename}", self.attachment),
            ]
        )

    async def typing(self, request: web.Request) -> web.Response:
        """Show that the bot is typing."""
        self._state.publish(EventName.TYPING_START, self._writable(request))
        return web.Response(status=204)

    async def history(self, request: web.Request) -> web.Response:
        """Return a page of a channel, newest first."""
        channel = self._state.channel(number(request, "channel_id"))
        limit = query_number(request, "limit", 50, HISTORY_PAGE)
        messages = [each for each in self._state.history(channel.id) if not each.ephemeral]
        if "before" in request.query:
            messages = [each for each in messages if each.id < int(request.query["before"])][-limit:]
        elif "after" in request.query:
            messages = [each for each in messages if each.id > int(request.query["after"])][:limit]
        elif "around" in request.query:
            older = [each for each in messages if each.id <= int(request.query["around"])][-(limit // 2 + 1) :]
            newer = [each for each in messages if each.id > int(request.query["around"])][: limit // 2]
            messages = older + newer
        return json_response([message_payloads.message(self._state, each) for each in messages[-limit:][::-1]])

    async def create(self, request: web.Request) -> web.Response:
        """Write a message."""
        channel = self._writable(request)
        body = request[BODY]
        draft = self._drafts.new(channel.id, body.fields, body.files)
        if channel.archived:
            if channel.locked:
                raise errors.thread_is_archived()
            self._state.change_channel(channel, archived=False)
        message = self._state.post(channel.id, self._state.bot.id, draft)
        track(request, message)
        return json_response(message_payloads.message(self._state, message))

    async def get(self, request: web.Request) -> web.Response:
        """Return one message."""
        return json_response(message_payloads.message(self._state, self._public(request)))

    async def edit(self, request: web.Request) -> web.Response:
        """Change one of the bot's own messages."""
        message = self._public(request)
        if message.author_id != self._state.bot.id:
            raise errors.foreign_message()
        if self._state.channel(message.channel_id).archived:
            raise errors.thread_is_archived()
        self._rate_limits.admit_old_edit(message.channel_id, message.created_at.timestamp())
        body = request[BODY]
        self._state.edit(message, self._drafts.change(message, body.fields, body.files))
        track(request, message)
        return json_response(message_payloads.message(self._state, message))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a message; in a DM only the bot's own."""
        message = self._public(request)
        direct = self._state.channel(message.channel_id).is_direct
        if direct and message.author_id != self._state.bot.id:
            raise errors.ApiError(403, 50003, "Cannot execute action on a DM channel")
        self._state.delete(message)
        return web.Response(status=204)

    async def bulk_delete(self, request: web.Request) -> web.Response:
        """Delete 2 to 100 messages of the last two weeks; unknown ones are passed over."""
        channel = self._state.channel(number(request, "channel_id"))
        asked = request[BODY].fields.get("messages")
        if not isinstance(asked, list) or not BULK_LEAST <= len(set(map(str, asked))) <= BULK_MOST:
            fault = {
                "code": "BASE_TYPE_BAD_LENGTH",
                "message": f"Must be between {BULK_LEAST} and {BULK_MOST} in length.",
            }
            raise errors.invalid_form({"messages": {"_errors": [fault]}})
        if channel.is_direct:
            raise errors.ApiError(403, 50003, "Cannot execute action on a DM channel")
        wanted = set(map(str, asked))
        found = [each for each in self._state.history(channel.id) if str(each.id) in wanted]
        if any(self._state.now() - each.created_at > BULK_AGE for each in found):
            message = "You can only bulk delete messages that are under 14 days old."
            raise errors.ApiError(400, 50034, message)
        self._state.delete_many(channel, found)
        return web.Response(status=204)

    async def attachment(self, request: web.Request) -> web.Response:
        """Serve a file, always as a download, so that a page from the bot is never displayed here."""
        for message in self._state.history(number(request, "channel_id")):
            for file in message.attachments:
                if str(file.id) == request.match_info["attachment_id"]:
                    headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
                    return web.Response(body=file.data, content_type=file.content_type, headers=headers)
        raise web.HTTPNotFound

    def _public(self, request: web.Request) -> Message:
        message = self._state.message(number(request, "channel_id"), number(request, "message_id"))
        if message.ephemeral:
            raise errors.unknown_message()
        return message

    def _writable(self, request: web.Request) -> Channel:
        """Find the channel, unless the bot may not write there now."""
        channel = self._state.channel(number(request, "channel_id"))
        if channel.kind in WITHOUT_MESSAGES:
            raise errors.not_a_text_channel()
        if channel.id in self._faults.channel_refusals:
            raise errors.refusal(self._faults.channel_refusals[channel.id])
        if channel.recipient_id is not None:
            if channel.recipient_id in self._faults.dm_refusals:
                raise errors.refusal(self._faults.dm_refusals[channel.recipient_id])
            if not self._state.user(channel.recipient_id).in_guild:
                raise errors.refusal(50278)
        return channel
