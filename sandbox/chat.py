"""The chat page's endpoints, all under `/chat/`: what one member sees and does; the page can switch members.

The page is for the user of this machine; it has no login. Changes require JSON and the page's own origin, so that no
other page in the same browser can act here.
"""

from __future__ import annotations

import json
import pathlib
from typing import TYPE_CHECKING, Any

import anyio
from aiohttp import web

from sandbox import message_payloads, typed
from sandbox.channel_types import WITHOUT_MESSAGES
from sandbox.errors import ApiError, SandboxError
from sandbox.front import json_response
from sandbox.model import Channel, EventName, Message
from sandbox.permissions import sees

if TYPE_CHECKING:
    from sandbox.commands import Commands
    from sandbox.faults import Faults
    from sandbox.gateway import Gateway
    from sandbox.model import Change, Json
    from sandbox.people import People
    from sandbox.state import State

PAGE = pathlib.Path(__file__).parent / "page"
FILES = {
    "": "index.html",
    "style.css": "style.css",
    "chat.js": "chat.js",
    "complete.js": "complete.js",
    "render.js": "render.js",
    "text.js": "text.js",
}
HISTORY = 200
LISTED_MEMBERS = 500
BACKLOG = 500
ALIVE_SECONDS = 20.0
ANSWER_SECONDS = 3.0
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Chat:
    """Serves the page and acts for the member that it names."""

    def __init__(self, state: State, people: People, commands: Commands, faults: Faults, gateway: Gateway) -> None:
        self._state = state
        self._people = people
        self._commands = commands
        self._faults = faults
        self._gateway = gateway
        self._streams: set[anyio.CancelScope] = set()

    def add_routes(self, app: web.Application) -> None:
        """Register the handlers."""
        app.add_routes(
            [
                web.get("/", self.home),
                web.get("/chat", self.home),
                web.get("/chat/{file:[a-z.]*}", self.file),
                web.get("/chat/view/overview", self.overview),
                web.get("/chat/view/messages", self.messages),
                web.get("/chat/view/events", self.events),
                web.post("/chat/do/say", self.say),
                web.post("/chat/do/click", self.click),
                web.post("/chat/do/open-direct", self.open_direct),
                web.post("/chat/do/direct-messages", self.direct_messages),
            ]
        )

    def close(self) -> None:
        """End the event streams."""
        for stream in tuple(self._streams):
            stream.cancel()

    async def home(self, _: web.Request) -> web.Response:
        """Redirect to the page."""
        raise web.HTTPFound("/chat/")

    async def file(self, request: web.Request) -> web.FileResponse:
        """Serve one of the page's files."""
        name = FILES.get(request.match_info["file"])
        if name is None:
            raise web.HTTPNotFound
        return web.FileResponse(PAGE / name, headers=HEADERS)

    async def overview(self, request: web.Request) -> web.Response:
        """Show the guild as the chosen member sees it."""
        member_id = _number(request.query.get("member"))
        direct = self._state.find_direct_channel(member_id)
        return json_response(
            {
                "guild": self._state.guild_name,
                "bot": {"id": str(self._state.bot.id), "name": self._state.bot.name, "online": self._gateway.connected},
                "channels": [{"id": str(each.id), "name": each.name} for each in self._places(member_id)],
                "direct": None if direct is None else str(direct.id),
                "directOpen": member_id not in self._faults.dm_refusals,
                "members": self._people_to_be(member_id),
                "names": {str(each.id): each.name for each in self._state.members.values()},
                "roles": {str(each.id): each.name for each in self._state.roles.values()},
                "commands": self._commands.usable(),
                "typed": self._commands.typed,
            },
            headers=HEADERS,
        )

    async def messages(self, request: web.Request) -> web.Response:
        """Show the end of a channel as the chosen member sees it."""
        member_id = _number(request.query.get("member"))
        channel = self._state.channels.get(_number(request.query.get("channel")))
        if channel is None or not self._is_seen(channel, member_id):
            raise web.HTTPNotFound
        seen = [each for each in self._state.history(channel.id) if each.seen_by(member_id)]
        return json_response([self._message(each) for each in seen[-HISTORY:]], headers=HEADERS)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Stream events to the page; a page that cannot keep up is disconnected and reconnects."""
        member_id = _number(request.query.get("member"))
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        send, receive = anyio.create_memory_object_stream[str](BACKLOG)

        def listen(change: Change) -> None:
            note = self._note(change, member_id)
            if note is not None:
                try:
                    send.send_nowait(f"data: {json.dumps(note)}\n\n")
                except (anyio.WouldBlock, anyio.BrokenResourceError):
                    send.close()

        scope = anyio.CancelScope()
        self._streams.add(scope)
        self._state.listeners.append(listen)
        try:
            with scope, send, receive:
                await response.write(b": welcome\n\n")
                while True:
                    text = ": still here\n\n"
                    with anyio.move_on_after(ALIVE_SECONDS):
                        text = await receive.receive()
                    await response.write(text.encode())
        except (anyio.EndOfStream, anyio.ClosedResourceError, ConnectionError):
            pass
        finally:
            self._state.listeners.remove(listen)
            self._streams.discard(scope)
        return response

    async def say(self, request: web.Request) -> web.Response:
        """Type a message or a slash command."""
        asked = await self._asked(request)
        channel_id, member_id = _number(asked.get("channel")), _number(asked.get("member"))
        text = str(asked.get("content", ""))
        try:
            if text.startswith("/"):
                path, options = typed.read_command(text, self._commands.usable(), self._state)
                interaction = self._people.slash(channel_id, member_id, path, options)
                with anyio.move_on_after(ANSWER_SECONDS) as limit:
                    await interaction.answered()
                if limit.cancelled_caught:
                    return json_response({"problem": "The application did not respond"}, headers=HEADERS)
            else:
                self._people.say(channel_id, member_id, typed.with_mentions(text, self._state))
        except (SandboxError, ApiError) as error:
            return json_response({"problem": str(error)}, headers=HEADERS)
        return json_response({}, headers=HEADERS)

    async def click(self, request: web.Request) -> web.Response:
        """Press a button or choose from a menu."""
        asked = await self._asked(request)
        try:
            interaction = await self._people.click(
                _number(asked.get("message")),
                str(asked.get("customId")),
                _number(asked.get("member")),
                [str(each) for each in asked.get("values") or []],
            )
            with anyio.move_on_after(ANSWER_SECONDS) as limit:
                await interaction.answered()
        except (SandboxError, ApiError) as error:
            return json_response({"problem": str(error)}, headers=HEADERS)
        return json_response({"problem": "This interaction failed"} if limit.cancelled_caught else {}, headers=HEADERS)

    async def open_direct(self, request: web.Request) -> web.Response:
        """Open a member's conversation with the bot."""
        asked = await self._asked(request)
        try:
            channel = self._state.direct_channel(_number(asked.get("member")))
        except ApiError as error:
            return json_response({"problem": str(error)}, headers=HEADERS)
        return json_response({"channel": str(channel.id)}, headers=HEADERS)

    async def direct_messages(self, request: web.Request) -> web.Response:
        """Open or close a member's DMs to the bot."""
        asked = await self._asked(request)
        if asked.get("open"):
            self._faults.open_dms(_number(asked.get("member")))
        else:
            self._faults.close_dms(_number(asked.get("member")))
        return json_response({}, headers=HEADERS)

    async def _asked(self, request: web.Request) -> Json:
        """Read the page's request; other pages cannot send JSON here, nor from this origin."""
        origin = request.headers.get("Origin")
        if request.content_type != "application/json" or origin not in {None, f"http://{request.host}"}:
            raise web.HTTPForbidden
        try:
            asked = await request.json()
        except ValueError:
            raise web.HTTPBadRequest from None
        if not isinstance(asked, dict):
            raise web.HTTPBadRequest
        return asked

    def _note(self, change: Change, member_id: int) -> Json | None:
        """Build the event of a change for one member's page, None if the change is not visible there."""
        subject = change.subject
        if isinstance(subject, Message):
            channel = self._state.channel(subject.channel_id)
            if not self._is_seen(channel, member_id) or subject.ephemeral_to not in {None, member_id}:
                return None
            if change.event is EventName.MESSAGE_DELETE:
                return {"kind": "deleted", "id": str(subject.id), "channel": str(channel.id)}
            return {"kind": "message", "message": self._message(subject)}
        if change.event is EventName.TYPING_START and isinstance(subject, Channel):
            if not self._is_seen(subject, member_id):
                return None
            return {"kind": "typing", "channel": str(subject.id)}
        return {"kind": "overview"}

    def _message(self, message: Message) -> Json:
        invocation = message.invocation
        return {
            **message_payloads.message(self._state, message),
            "ephemeral": message.ephemeral,
            "loading": message.loading,
            "usedCommand": None if invocation is None else invocation.name,
            "usedBy": None if invocation is None else self._state.user(invocation.user_id).name,
            "usedById": None if invocation is None else str(invocation.user_id),
        }

    def _places(self, member_id: int) -> list[Channel]:
        """List the channels that this member sees and can write in, and the threads that are not archived."""
        channels = [each for each in self._state.guild_channels() if each.kind not in WITHOUT_MESSAGES]
        channels += [each for each in self._state.threads() if not each.archived]
        return [each for each in channels if self._is_seen(each, member_id)]

    def _is_seen(self, channel: Channel, member_id: int) -> bool:
        """Return whether a member sees a channel; whoever is not there sees none."""
        member = self._state.members.get(member_id)
        return member is not None and sees(self._state, member, channel)

    def _people_to_be(self, chosen_id: int) -> list[Json]:
        """List the people to choose from: the first so many, and the chosen one."""
        people = [each for each in self._state.guild_members() if not each.bot]
        listed = people[:LISTED_MEMBERS]
        listed += [each for each in people[LISTED_MEMBERS:] if each.id == chosen_id]
        return [self._person(each.id) for each in listed]

    def _person(self, member_id: int) -> Json:
        person = self._state.member(member_id)
        roles = [self._state.roles[each].name for each in person.role_ids]
        return {"id": str(person.id), "name": person.name, "roles": roles}


def _number(text: Any) -> int:  # noqa: ANN401 — whatever the page sent
    """Parse an id; an invalid one is 0, which matches nothing."""
    return int(text) if isinstance(text, str) and text.isdecimal() else 0
