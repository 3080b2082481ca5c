"""The roles of a member at a command."""

from __future__ import annotations

import anyio
import pytest

from cashback.cogs.actors import actor_of
from cashback.cogs.gateway.client import CashbackClient
from cashback.cogs.gateway.connection import Needs, point_at, stay_connected
from cashback.cogs.gateway.gateway_status import GatewayStatus
from cashback.cogs.gateway.roles import Roles
from tests.end_to_end.conftest import DiscordFixture

pytestmark = pytest.mark.anyio


async def test_everyone_role_is_never_among_a_members_roles(guild: DiscordFixture) -> None:
    """A bot may later join a server whose id equals a configured role's: its members must not become admins."""
    point_at(guild.sandbox.api_url)
    client = CashbackClient(prefix="!", guild_ids=())
    gateway_status = GatewayStatus(client)
    gateway_status.start()
    needs = Needs(
        admin_role_id=guild.admin_role.id, role_ids=guild.settings.role_ids, audit_channel_id=None, guild_ids=()
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stay_connected, client, guild.sandbox.token, needs)
        await gateway_status.wait_guilds_known(10)
        assert await Roles(client, ()).of(guild.admin.id) == {guild.admin_role.id}
        server = client.guilds[0]
        assert actor_of(await server.fetch_member(guild.admin.id)).role_ids == {guild.admin_role.id}
        bob = guild.sandbox.add_member("Bob")
        assert actor_of(await server.fetch_member(bob.id)).role_ids == frozenset()
        tasks.cancel_scope.cancel()
