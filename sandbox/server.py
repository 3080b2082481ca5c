"""The local Discord as one object: it serves on loopback while its `async with` block runs."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.lowlevel
from aiohttp import web

from sandbox import permissions
from sandbox.bodies import Drafts
from sandbox.channel_types import ChannelType
from sandbox.chat import Chat
from sandbox.clock import real_time
from sandbox.commands import Commands
from sandbox.errors import SandboxError
from sandbox.faults import Faults
from sandbox.front import PREFIX, Front, RequestRecord
from sandbox.gateway import Gateway
from sandbox.interactions import Interactions
from sandbox.model import Channel, Member
from sandbox.people import People
from sandbox.ratelimits import RateLimits
from sandbox.rest import Rest
from sandbox.rest_channels import Channels
from sandbox.rest_interactions import Callbacks
from sandbox.rest_messages import Messages
from sandbox.rest_reactions import Reactions
from sandbox.session_starts import SessionStarts
from sandbox.sessions import Hub, Intents
from sandbox.state import GATEWAY_GUILD_MEMBERS, GATEWAY_MESSAGE_CONTENT, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from sandbox.answers import Interaction
    from sandbox.model import Json, Message, Role

__all__ = ["RequestRecord", "Sandbox"]

LARGEST_BODY = 128 * 1024 * 1024
ACCEPT_TURNS = 4
"""The turns of the event loop from a socket's `accept` to the request handler that knows of the connection."""


class Sandbox:
    """A local Discord: `async with Sandbox() as sandbox:`.

    `clock` returns Unix seconds for ids, timestamps and deadlines; by default it is `time.time`, looked up at each
    call. `message_content_granted` and `members_granted` are the privileged intents switched on in the portal. `shards`
    is the number of gateway connections that it asks of a bot, `session_starts` how often a bot may identify in a day.
    `real_rate_limits` counts requests like Discord. A bot that is not `invited` is not in the guild before
    `invite_bot`; only requests know the difference. `request_check` gets method, path and JSON body of every request
    and returns its errors; `complaints` collects these and every failure of this server itself.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        guild_id: int | None = None,
        guild_name: str = "Sandbox",
        bot_name: str = "sandbox-bot",
        clock: Callable[[], float] = real_time,
        message_content_granted: bool = True,
        members_granted: bool = True,
        shards: int = 1,
        session_starts: int = 1000,
        real_rate_limits: bool = False,
        invited: bool = True,
        request_check: Callable[[str, str, object], list[str]] | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self.faults = Faults()
        self.state = State(clock=clock, guild_id=guild_id, guild_name=guild_name, bot_name=bot_name, invited=invited)
        self.token = token or _token_of(self.state.bot.id)
        privileged = Intents.MESSAGE_CONTENT if message_content_granted else Intents.NONE
        privileged |= Intents.GUILD_MEMBERS if members_granted else Intents.NONE
        self.state.application_flags = GATEWAY_MESSAGE_CONTENT * message_content_granted
        self.state.application_flags |= GATEWAY_GUILD_MEMBERS * members_granted
        hub = Hub(self.state, self.faults)
        starts = SessionStarts(clock, session_starts)
        self.gateway = Gateway(self.state, hub, token=self.token, privileged=privileged, shards=shards, starts=starts)
        self.commands = Commands(self.state)
        self._rate_limits = RateLimits(clock, enabled=real_rate_limits)
        self._front = Front(self.faults, self._rate_limits, token=self.token, clock=clock, request_check=request_check)
        self._drafts = Drafts(self.state)
        interactions = Interactions(self.state, hub)
        self._people = People(self.state, self.commands, interactions)
        self._chat = Chat(self.state, self._people, self.commands, self.faults, self.gateway)
        self._handlers = (
            self._chat,
            Rest(self.state, self.faults, self.gateway, self.commands),
            Messages(self.state, self.faults, self._drafts, self._rate_limits),
            Channels(self.state, self._drafts),
            Reactions(self.state),
            Callbacks(self.state, self._drafts, interactions),
        )
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        """Start serving."""
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self._port = self._runner.addresses[0][1]
        self._drafts.base_url = self.url
        self.gateway.url = f"ws://{self._host}:{self._port}/gateway"
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release held requests, close the connections and stop, even if the caller was cancelled."""
        with anyio.CancelScope(shield=True):
            self.faults.release_all()
            self._chat.close()
            if self._runner is not None:
                for site in tuple(self._runner.sites):
                    await site.stop()
                # A connection that was accepted a moment ago is there only now; left alone, its client would wait.
                for _ in range(ACCEPT_TURNS):
                    await anyio.lowlevel.checkpoint()
            await self.gateway.close()
            if self._runner is not None:
                await self._runner.cleanup()

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[self._split])
        app.router.add_get("/gateway", self.gateway.handle)
        for handlers in self._handlers:
            handlers.add_routes(app)
        return app

    @web.middleware
    async def _split(self, request: web.Request, handler: Any) -> web.StreamResponse:  # noqa: ANN401 — aiohttp's own type
        """Pass only the REST API through the middleware."""
        if request.path.startswith(PREFIX + "/"):
            return await self._front.middleware(request, handler)
        # Another host name that resolves to this machine is not this server.
        if request.host.rpartition(":")[0] not in {self._host, "localhost", "127.0.0.1"}:
            raise web.HTTPForbidden
        response: web.StreamResponse = await handler(request)
        return response

    @property
    def url(self) -> str:
        """The server's address, with the chat page."""
        return f"http://{self._host}:{self._port}"

    @property
    def api_url(self) -> str:
        """The address of the REST API, for `discord.http.Route.BASE`."""
        return self.url + PREFIX

    @property
    def gateway_url(self) -> str:
        """The address of the Gateway, as in `GET /gateway/bot`."""
        return self.gateway.url

    @property
    def guild_id(self) -> int:
        """The guild."""
        return self.state.guild_id

    @property
    def bot_user_id(self) -> int:
        """The bot's user and application."""
        return self.state.bot.id

    @property
    def requests(self) -> list[RequestRecord]:
        """The REST requests so far, oldest first."""
        return self._front.requests

    @property
    def complaints(self) -> list[str]:
        """Errors found by `request_check`, and failures of this server itself; a test expects it to be empty."""
        return self._front.complaints

    @property
    def invalid_requests(self) -> int:
        """How many responses counted towards the 10,000 refusals after which Discord blocks an address."""
        return self._rate_limits.invalid_requests

    def add_role(
        self,
        name: str,
        *,
        id: int | None = None,  # noqa: A002 — it is one
        permissions: int = 0,
        color: int = 0,
        managed: bool = False,
    ) -> Role:
        """Add a role; a `managed` one belongs to an integration."""
        return self.state.add_role(name, permissions=permissions, color=color, role_id=id, managed=managed)

    def remove_role(self, role: Role | int) -> None:
        """Delete a role."""
        self.state.remove_role(role if isinstance(role, int) else role.id)

    def add_channel(
        self,
        name: str,
        *,
        id: int | None = None,  # noqa: A002 — it is one
        kind: int = ChannelType.TEXT,
        parent: Channel | int | None = None,
        only_for: Iterable[Role] = (),
    ) -> Channel:
        """Add a channel, a text channel unless `kind` names another type.

        Everybody sees it; with `only_for`, only these roles and the bot.
        """
        parent_id = parent.id if isinstance(parent, Channel) else parent
        roles = [role.id for role in only_for]
        rules = permissions.only_for(self.state, roles) if roles else []
        return self.state.add_channel(name, channel_id=id, kind=kind, parent_id=parent_id, overwrites=rules)

    def add_thread(self, name: str, parent: Channel | int) -> Channel:
        """Start a public thread in a channel, or a post in a forum."""
        return self.add_channel(name, kind=ChannelType.PUBLIC_THREAD, parent=parent)

    def archive_thread(self, thread: Channel, *, locked: bool = False) -> None:
        """Archive a thread; in a `locked` one only moderators can write."""
        self.state.change_channel(thread, archived=True, locked=locked)

    def remove_channel(self, channel: Channel | int) -> None:
        """Delete a channel with its messages and threads."""
        self.state.remove_channel(channel if isinstance(channel, int) else channel.id)

    def react(self, message: Message, member: Member | int, emoji: str) -> None:
        """React to a message as that member."""
        self.state.react(message, member if isinstance(member, int) else member.id, emoji)

    def add_member(
        self,
        name: str,
        role_ids: Iterable[int] = (),
        id: int | None = None,  # noqa: A002 — it is one
        *,
        bot: bool = False,
    ) -> Member:
        """Add a member."""
        return self.state.add_member(name, role_ids=role_ids, member_id=id, bot=bot)

    def invite_bot(self, permissions: int) -> None:
        """Let the bot join, with a role of its own that has these permissions, like an admin who opens the invite."""
        self.state.invite_bot(permissions)

    def remove_member(self, member_id: int) -> None:
        """Remove a member; DMs to that person are refused with 50278 from now on."""
        self.state.remove_member(member_id)

    def set_roles(self, member: Member | int, roles: Iterable[Role | int]) -> None:
        """Replace a member's roles."""
        member_id = member.id if isinstance(member, Member) else member
        self.state.set_roles(member_id, [role if isinstance(role, int) else role.id for role in roles])

    async def say(self, channel_id: int, member_id: int, content: str, *, reply_to: int | None = None) -> Message:
        """Type a message as that member."""
        return self._people.say(channel_id, member_id, content, reply_to=reply_to)

    async def click(
        self, message_id: int, custom_id: str, member_id: int, values: Sequence[str] | None = None
    ) -> Interaction:
        """Press a button, or choose from a menu; `await interaction.answered()` for the bot's response."""
        return await self._people.click(message_id, custom_id, member_id, values)

    async def slash(
        self, channel_id: int, member_id: int, name: str, options: Mapping[str, Any] | None = None
    ) -> Interaction:
        """Use a slash command, `name` with a subcommand's words; people, channels and roles in `options` by id."""
        return self._people.slash(channel_id, member_id, name, options or {})

    async def autocomplete(
        self, channel_id: int, member_id: int, name: str, focused: str, options: Mapping[str, Any] | None = None
    ) -> list[Json]:
        """Return the bot's suggestions for the option `focused`, whose beginning is in `options`."""
        return await self._people.autocomplete(channel_id, member_id, name, focused, options or {})

    async def submit(self, interaction: Interaction, values: Mapping[str, str]) -> Interaction:
        """Send the form that the bot answered with, its texts by custom id."""
        return self._people.submit(interaction, values)

    async def wait_for(
        self,
        predicate: Callable[[Message], bool],
        timeout_seconds: float = 20.0,
        *,
        after: Message | int | None = None,
    ) -> Message:
        """Wait for a message, existing, new or edited, that matches the predicate; TimeoutError if there is none.

        `after` excludes that message and all older ones.
        """
        return await self._people.wait_for(predicate, timeout_seconds, after)

    async def wait_connected(self, count: int = 1, timeout_seconds: float = 10.0) -> None:
        """Wait until that many bots are connected and identified."""
        with anyio.fail_after(timeout_seconds):
            await self.gateway.wait_connected(count)

    def messages(self, channel_id: int) -> list[Message]:
        """Return a channel's messages, oldest first, including those that only one member sees."""
        return self.state.history(channel_id)

    def direct_messages(self, user_id: int) -> list[Message]:
        """Return the DMs between the bot and that person, oldest first."""
        channel = self.state.find_direct_channel(user_id)
        return [] if channel is None else self.state.history(channel.id)

    def open_direct_channel(self, user_id: int) -> Channel:
        """Open a person's conversation with the bot."""
        if self.state.user(user_id).bot:
            message = "bots do not write to each other"
            raise SandboxError(message)
        return self.state.direct_channel(user_id)


def _token_of(bot_id: int) -> str:
    """Make a token of the shape of Discord's: some clients read the bot's id from it."""
    first = base64.urlsafe_b64encode(str(bot_id).encode()).decode().rstrip("=")
    return f"{first}.{secrets.token_hex(3)}.{secrets.token_urlsafe(32)}"
