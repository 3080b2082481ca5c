"""The REST API's routes for reactions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox import errors, payloads
from sandbox.front import PREFIX, json_response
from sandbox.rest import number, query_number

if TYPE_CHECKING:
    from sandbox.model import Message
    from sandbox.state import State

CUSTOM_EMOJI = re.compile(r"(?:a:)?(\w{1,32}):(\d{15,20})")
LONGEST_EMOJI = 64
USERS_PAGE = 100


class Reactions:
    """Handlers of reactions to messages."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add_routes(self, app: web.Application) -> None:
        """Register the handlers."""
        every = PREFIX + "/channels/{channel_id}/messages/{message_id}/reactions"
        one = every + "/{emoji}"
        app.add_routes(
            [
                web.delete(every, self.clear),
                web.get(one, self.users),
                web.delete(one, self.clear),
                web.put(one + "/@me", self.add),
                web.delete(one + "/{user_id}", self.remove),
            ]
        )

    async def add(self, request: web.Request) -> web.Response:
        """React as the bot."""
        message = self._message(request)
        if self._state.channel(message.channel_id).archived:
            raise errors.thread_is_archived()
        self._state.react(message, self._state.bot.id, _emoji(request))
        return web.Response(status=204)

    async def remove(self, request: web.Request) -> web.Response:
        """Remove a member's reaction, or the bot's own."""
        who = request.match_info["user_id"]
        user_id = self._state.bot.id if who == "@me" else number(request, "user_id")
        self._state.unreact(self._message(request), user_id, _emoji(request))
        return web.Response(status=204)

    async def clear(self, request: web.Request) -> web.Response:
        """Remove all reactions, or those with one emoji."""
        message = self._message(request)
        chosen = [_emoji(request)] if "emoji" in request.match_info else list(message.reactions)
        for emoji in chosen:
            for user_id in tuple(message.reactions.get(emoji, ())):
                self._state.unreact(message, user_id, emoji)
        return web.Response(status=204)

    async def users(self, request: web.Request) -> web.Response:
        """List the members who reacted with one emoji."""
        limit = query_number(request, "limit", 25, USERS_PAGE)
        people = self._message(request).reactions.get(_emoji(request), [])
        return json_response([payloads.user(self._state.user(each)) for each in sorted(people)[:limit]])

    def _message(self, request: web.Request) -> Message:
        return self._state.message(number(request, "channel_id"), number(request, "message_id"))


def _emoji(request: web.Request) -> str:
    """Read an emoji: a character of several code points, or `name:id`. Words are refused, as Discord does."""
    text = request.match_info["emoji"]
    if CUSTOM_EMOJI.fullmatch(text):
        return text
    if len(text) > LONGEST_EMOJI or any(each.isalpha() and each.isascii() for each in text) or text.isspace():
        raise errors.ApiError(400, 10014, "Unknown Emoji")
    return text
