"""The REST API's routes for the application, the guild, its people and its commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from sandbox import errors, payloads
from sandbox.front import BODY, PREFIX, json_response
from sandbox.limits import check_custom_text

if TYPE_CHECKING:
    from sandbox.commands import Commands
    from sandbox.faults import Faults
    from sandbox.gateway import Gateway
    from sandbox.model import Json
    from sandbox.state import State

MEMBERS_PAGE = 1000
MANAGE_ROLES = 1 << 28


def number(request: web.Request, name: str) -> int:
    """Parse an id in a path; text that is not a number matches no id."""
    text = request.match_info[name]
    if not text.isdecimal():
        message = f'Value "{text}" is not snowflake.'
        raise errors.invalid_form({name: {"_errors": [{"code": "NUMBER_TYPE_COERCE", "message": message}]}})
    return int(text)


def query_number(request: web.Request, name: str, default: int, most: int) -> int:
    """Parse a number in a query, from 1 to `most`."""
    text = request.query.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        message = f"int value should be from 1 to {most}."
        raise errors.invalid_form({name: {"_errors": [{"code": "NUMBER_TYPE_MAX", "message": message}]}})
    return int(text)


class Rest:
    """Handlers of all routes except messages and interactions."""

    def __init__(self, state: State, faults: Faults, gateway: Gateway, commands: Commands) -> None:
        self._state = state
        self._faults = faults
        self._gateway = gateway
        self._commands = commands

    def add_routes(self, app: web.Application) -> None:
        """Register the handlers."""
        get, post, put = web.get, web.post, web.put
        guild = PREFIX + "/guilds/{guild_id}"
        everywhere = PREFIX + "/applications/{application_id}/commands"
        here = PREFIX + "/applications/{application_id}/guilds/{guild_id}/commands"
        app.add_routes(
            [
                get(PREFIX + "/gateway", self.gateway),
                get(PREFIX + "/gateway/bot", self.gateway_bot),
                get(PREFIX + "/users/@me", self.me),
                post(PREFIX + "/users/@me/channels", self.open_dm),
                get(PREFIX + "/users/@me/guilds", self.my_guilds),
                get(PREFIX + "/users/{user_id}", self.user),
                get(PREFIX + "/applications/@me", self.application),
                get(PREFIX + "/oauth2/applications/@me", self.application),
                get(guild, self.guild),
                get(PREFIX + "/soundboard-default-sounds", self.default_sounds),
                get(guild + "/channels", self.guild_channels),
                get(guild + "/roles", self.guild_roles),
                get(guild + "/roles/member-counts", self.role_member_counts),
                post(guild + "/roles", self.create_role),
                put(guild + "/members/{user_id}/roles/{role_id}", self.give_role),
                get(guild + "/members", self.members),
                get(guild + "/members/search", self.search_members),
                get(guild + "/members/{user_id}", self.member),
                get(everywhere, self.commands),
                put(everywhere, self.overwrite_commands),
                post(everywhere, self.add_command),
                *(
                    route
                    for scope in (everywhere, here)
                    for route in (
                        get(scope + "/{command_id}", self.command),
                        web.patch(scope + "/{command_id}", self.change_command),
                        web.delete(scope + "/{command_id}", self.remove_command),
                    )
                ),
                get(here, self.commands),
                put(here, self.overwrite_commands),
                post(here, self.add_command),
            ]
        )

    async def gateway(self, _: web.Request) -> web.Response:
        """Return the Gateway's address."""
        return json_response({"url": self._gateway.url})

    async def gateway_bot(self, _: web.Request) -> web.Response:
        """Return the Gateway's address, and how often a bot may identify."""
        limit = self._gateway.starts.limit()
        return json_response({"url": self._gateway.url, "shards": self._gateway.shards, "session_start_limit": limit})

    async def default_sounds(self, _: web.Request) -> web.Response:
        """Return no sounds; py-cord asks for them before it is ready."""
        return json_response([])

    async def me(self, _: web.Request) -> web.Response:
        """Return the bot."""
        return json_response(payloads.current_user(self._state.bot))

    async def my_guilds(self, _: web.Request) -> web.Response:
        """Return the one guild, briefly, if the bot is in it."""
        if not self._state.bot.in_guild:
            return json_response([])
        brief: Json = {
            "id": str(self._state.guild_id),
            "name": self._state.guild_name,
            "icon": None,
            "banner": None,
            "owner": False,
            "permissions": payloads.BOT_PERMISSIONS,
            "features": [],
        }
        return json_response([brief])

    async def user(self, request: web.Request) -> web.Response:
        """Return a user."""
        return json_response(payloads.user(self._state.user(number(request, "user_id"))))

    async def application(self, _: web.Request) -> web.Response:
        """Return the bot's application."""
        return json_response(payloads.application(self._state))

    async def open_dm(self, request: web.Request) -> web.Response:
        """Open a DM, or find the existing one."""
        recipient = self._state.members.get(int(request[BODY].fields.get("recipient_id") or 0))
        if recipient is None:
            raise errors.ApiError(400, 50033, "Invalid Recipient(s)")
        if recipient.bot:
            # Other refusals with this code have another status; clients must rely on the code.
            raise errors.refusal(50007, status=400)
        if refusal := self._faults.take_opening():
            raise refusal
        return json_response(payloads.channel(self._state, self._state.direct_channel(recipient.id)))

    async def guild(self, request: web.Request) -> web.Response:
        """Return the guild."""
        self._check_guild(request)
        shape = payloads.guild(self._state)
        if request.query.get("with_counts") in {"1", "true", "True"}:
            count = len(self._state.guild_members())
            shape |= {"approximate_member_count": count, "approximate_presence_count": count}
        return json_response(shape)

    async def guild_channels(self, request: web.Request) -> web.Response:
        """Return the guild's channels."""
        self._check_guild(request)
        return json_response([payloads.channel(self._state, each) for each in self._state.guild_channels()])

    async def guild_roles(self, request: web.Request) -> web.Response:
        """Return the guild's roles."""
        self._check_guild(request)
        return json_response([payloads.role(each) for each in self._state.roles.values()])

    async def create_role(self, request: web.Request) -> web.Response:
        """Create a role; an invited bot needs Manage Roles."""
        self._check_guild(request)
        self._state.require_of_bot(MANAGE_ROLES)
        fields = request[BODY].fields
        name = fields.get("name", "new role")
        check_custom_text("name", name, 1, 100)
        role = self._state.add_role(name, permissions=int(fields.get("permissions") or 0))
        return json_response(payloads.role(role))

    async def give_role(self, request: web.Request) -> web.Response:
        """Give a member a role; an invited bot needs Manage Roles."""
        self._check_guild(request)
        member = self._state.member(number(request, "user_id"))
        role_id = number(request, "role_id")
        if role_id not in self._state.roles:
            raise errors.ApiError(404, 10011, "Unknown Role")
        self._state.require_of_bot(MANAGE_ROLES)
        self._state.set_roles(member.id, [*dict.fromkeys([*member.role_ids, role_id])])
        return web.Response(status=204)

    async def role_member_counts(self, request: web.Request) -> web.Response:
        """Return how many members have each role, without @everyone."""
        self._check_guild(request)
        people = self._state.guild_members()
        roles = [each for each in self._state.roles if each != self._state.guild_id]
        return json_response({str(role): sum(role in each.role_ids for each in people) for role in roles})

    async def members(self, request: web.Request) -> web.Response:
        """Return the guild's members, a page in the order of their ids."""
        self._check_guild(request)
        limit = query_number(request, "limit", 1, MEMBERS_PAGE)
        after = int(request.query.get("after", "0"))
        people = sorted((each for each in self._state.guild_members() if each.id > after), key=lambda each: each.id)
        return json_response([payloads.member(each) for each in people[:limit]])

    async def search_members(self, request: web.Request) -> web.Response:
        """Return the guild's members whose name starts like the query."""
        self._check_guild(request)
        limit = query_number(request, "limit", 1, MEMBERS_PAGE)
        prefix = request.query.get("query", "").casefold()
        people = [each for each in self._state.guild_members() if each.name.casefold().startswith(prefix)]
        return json_response([payloads.member(each) for each in people[:limit]])

    async def member(self, request: web.Request) -> web.Response:
        """Return one member."""
        self._check_guild(request)
        return json_response(payloads.member(self._state.member(number(request, "user_id"))))

    async def commands(self, request: web.Request) -> web.Response:
        """Return the registered commands of a scope."""
        return json_response(self._commands.all(self._scope(request)))

    async def overwrite_commands(self, request: web.Request) -> web.Response:
        """Replace the registered commands."""
        bodies = request[BODY].json
        if not isinstance(bodies, list):
            raise errors.invalid_form({"_errors": [{"code": "BASE_TYPE_LIST", "message": "Must be a list."}]})
        return json_response(self._commands.overwrite(bodies, self._scope(request)))

    async def add_command(self, request: web.Request) -> web.Response:
        """Register a command."""
        return json_response(self._commands.add(request[BODY].fields, self._scope(request)), 201)

    async def command(self, request: web.Request) -> web.Response:
        """Return one registered command."""
        return json_response(self._commands.find(number(request, "command_id"), self._scope(request)))

    async def change_command(self, request: web.Request) -> web.Response:
        """Change one registered command."""
        scope = self._scope(request)
        return json_response(self._commands.change(number(request, "command_id"), request[BODY].fields, scope))

    async def remove_command(self, request: web.Request) -> web.Response:
        """Delete one registered command."""
        self._commands.remove(number(request, "command_id"), self._scope(request))
        return web.Response(status=204)

    def _scope(self, request: web.Request) -> int | None:
        if number(request, "application_id") != self._state.bot.id:
            raise errors.ApiError(403, 20012, "You are not authorized to perform this action on this application")
        if "guild_id" not in request.match_info:
            return None
        if number(request, "guild_id") != self._state.guild_id:
            raise errors.refusal(50001)
        return self._state.guild_id

    def _check_guild(self, request: web.Request) -> None:
        if number(request, "guild_id") != self._state.guild_id or not self._state.bot.in_guild:
            raise errors.unknown_guild()
