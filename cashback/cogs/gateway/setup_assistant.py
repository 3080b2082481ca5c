"""What the setup asks of Discord: the application, its servers, their roles and channels, and a few new ones.

It uses requests alone, without the gateway, so that it works before the bot may read messages.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

import discord

from cashback.cogs.errors import DISCORD_FAILURES, brief
from cashback.cogs.gateway.request_limits import limiting_trace
from cashback.domain.errors import CashbackError

AUTHORIZE: Final = "https://discord.com/oauth2/authorize"
PORTAL: Final = "https://discord.com/developers/applications"
INVITED_WITH: Final = discord.Permissions(
    view_channel=True,
    send_messages=True,
    embed_links=True,
    attach_files=True,
    read_message_history=True,
    manage_roles=True,
    manage_channels=True,
)
"""What the bot needs every day; and, for the role and the channel that setup creates, Manage Roles and Channels."""

IN_ITS_CHANNEL: Final = discord.PermissionOverwrite(
    view_channel=True, send_messages=True, embed_links=True, attach_files=True, read_message_history=True
)
REASON: Final = "cashback setup"


class TokenRefusedError(CashbackError):
    """Discord does not accept the token."""


class PermissionMissingError(CashbackError):
    """The bot lacks a permission on the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """The bot's application: its owner, and whether the bot may read messages."""

    id: int
    name: str
    owner_id: int
    owner_name: str
    may_read_messages: bool

    @property
    def invite_url(self) -> str:
        """The address at which an admin of a server invites the bot."""
        scopes = "bot+applications.commands"
        return f"{AUTHORIZE}?client_id={self.id}&scope={scopes}&permissions={INVITED_WITH.value}"

    @property
    def intents_url(self) -> str:
        """The page on which the intents are switched on."""
        return f"{PORTAL}/{self.id}/bot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A server, a role or a channel."""

    id: int
    name: str


class SetupAssistant:
    """Asks Discord, and creates a role and a channel."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client

    async def application(self) -> Application:
        """Read the bot's application."""
        with _explained("The application cannot be read"):
            info = await self._client.application_info()
        owner = info.team.owner if info.team is not None and info.team.owner is not None else info.owner
        flags = info.flags
        return Application(
            id=info.id,
            name=info.name,
            owner_id=owner.id,
            owner_name=owner.name,
            may_read_messages=flags.gateway_message_content or flags.gateway_message_content_limited,
        )

    async def servers(self) -> list[Named]:
        """List the servers that the bot is in."""
        with _explained("The bot's servers cannot be read"):
            return [Named(id=guild.id, name=guild.name) async for guild in self._client.fetch_guilds()]

    async def roles(self, server_id: int) -> list[Named]:
        """List a server's roles that a member can be given, highest first."""
        with _explained("The server's roles cannot be read"):
            guild = await self._client.fetch_guild(server_id)
        usable = [role for role in reversed(guild.roles) if not role.is_default() and not role.managed]
        return [Named(id=role.id, name=role.name) for role in usable]

    async def channels(self, server_id: int) -> list[Named]:
        """List a server's text channels, in their order."""
        with _explained("The server's channels cannot be read"):
            guild = await self._client.fetch_guild(server_id)
            channels = [each for each in await guild.fetch_channels() if isinstance(each, discord.TextChannel)]
        return [Named(id=each.id, name=each.name) for each in sorted(channels, key=lambda each: each.position)]

    async def create_role(self, server_id: int, name: str) -> Named:
        """Create a role without permissions. Raises PermissionMissingError if the bot may not."""
        with _explained(f"The role {name} cannot be created", permission="Manage Roles"):
            role = await (await self._client.fetch_guild(server_id)).create_role(name=name, reason=REASON)
        return Named(id=role.id, name=role.name)

    async def create_private_channel(self, server_id: int, name: str, admin_role_id: int) -> Named:
        """Create a text channel that only admins and the bot see. Raises PermissionMissingError if the bot may not."""
        with _explained(f"The channel #{name} cannot be created", permission="Manage Channels"):
            guild = await self._client.fetch_guild(server_id)
            admins = guild.get_role(admin_role_id)
            overwrites: dict[discord.Role | discord.Member | discord.Object, discord.PermissionOverwrite] = {
                guild.default_role: discord.PermissionOverwrite(view_channel=False),
                await guild.fetch_member(self._user_id): IN_ITS_CHANNEL,
            }
            if admins is not None:
                overwrites[admins] = discord.PermissionOverwrite(view_channel=True)
            channel = await guild.create_text_channel(name, overwrites=overwrites, reason=REASON)
        return Named(id=channel.id, name=channel.name)

    async def has_role(self, server_id: int, user_id: int, role_id: int) -> bool:
        """Return whether a member of the server has a role; False if the user is not a member."""
        with _explained("The member's roles cannot be read"):
            try:
                member = await (await self._client.fetch_guild(server_id)).fetch_member(user_id)
            except discord.NotFound:
                return False
        return any(role.id == role_id for role in member.roles)

    async def give_role(self, server_id: int, user_id: int, role_id: int) -> None:
        """Give a member a role. Raises PermissionMissingError if the bot may not."""
        with _explained("The role cannot be given", permission="Manage Roles, and a role of its own above that one"):
            member = await (await self._client.fetch_guild(server_id)).fetch_member(user_id)
            await member.add_roles(discord.Object(role_id), reason=REASON)

    async def post(self, channel_id: int, text: str) -> None:
        """Post a message that mentions nobody."""
        with _explained("The greeting cannot be posted", permission="View Channel and Send Messages"):
            channel = self._client.get_partial_messageable(channel_id)
            await channel.send(text, allowed_mentions=discord.AllowedMentions.none())

    @property
    def _user_id(self) -> int:
        if self._client.user is None:
            raise CashbackError("The bot is not logged in.")
        return self._client.user.id


@contextmanager
def _explained(what: str, *, permission: str | None = None) -> Iterator[None]:
    """Turn Discord's refusals into one line."""
    try:
        yield
    except discord.Forbidden as error:
        needed = permission or "access to the server"
        raise PermissionMissingError(f"{what}: the bot lacks {needed}; grant it, or choose another.") from error
    except DISCORD_FAILURES as error:
        raise CashbackError(f"{what}: {' '.join(str(error).split()) or type(error).__name__}.") from error


@asynccontextmanager
async def open_assistant(token: str) -> AsyncIterator[SetupAssistant]:
    """Log in with the token. Raises TokenRefusedError, or CashbackError if Discord cannot be reached."""
    async with discord.Client(intents=discord.Intents.none(), http_trace=limiting_trace()) as client:
        try:
            await client.login(token)
        except discord.LoginFailure as error:
            raise TokenRefusedError("Discord does not accept this token; copy it from the portal again.") from error
        except DISCORD_FAILURES as error:
            reason = brief(error)
            raise CashbackError(f"Discord cannot be reached: {reason}.") from error
        yield SetupAssistant(client)
