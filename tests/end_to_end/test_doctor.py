"""The setup check on Discord and at the command line, with a complete and an incomplete setup."""

from __future__ import annotations

import pytest

from cashback.cogs.gateway.connection import point_at
from cashback.cogs.gateway.doctor import Doctor, Finding, visit
from cashback.services import AdminService
from cashback.settings import LoggingChannels, RoleIds, Settings
from tests.end_to_end.conftest import DiscordFixture

pytestmark = pytest.mark.anyio

NO_SUCH_ID = 123456789012345678


def said(findings: list[Finding]) -> dict[str, tuple[bool, str]]:
    """Read findings by name."""
    return {each.name: (each.is_well, each.text) for each in findings}


async def examined(town: DiscordFixture, settings: Settings) -> dict[str, tuple[bool, str]]:
    """Examine Discord as the command line does."""
    point_at(town.sandbox.api_url)
    service = AdminService(town.till.database, settings, lambda _number: 0)
    return said(await visit(Doctor(town.till.database, service, settings), settings))


async def test_complete_setup_is_reported_as_well(town: DiscordFixture) -> None:
    async with town.bot():
        shown = await town.answer("!sendref-cashb status")
        stranger = await town.answer("!sendref-cashb status", by=await town.referrer("Bob"))
    # The town's clock stands still in July.
    wrong = [line for line in shown.embed["description"].splitlines() if line.startswith("⚠️")]
    assert [line.partition(":")[0] for line in wrong] == ["⚠️ **Clock"]
    assert "set it, with NTP" in wrong[0]
    assert "the bot may write in #audit" in shown.text
    assert "Your attempt was recorded." in stranger.text


@pytest.mark.parametrize(
    ("name", "change", "advice"),
    [
        ("role", {"role_ids": RoleIds(admin=NO_SUCH_ID)}, "there is no such role"),
        ("channel", {"logging_channels": LoggingChannels(audit=NO_SUCH_ID)}, "there is no such channel"),
        ("channel", {"logging_channels": LoggingChannels()}, "set logging_channels.audit"),
        ("server", {"guild_ids": (NO_SUCH_ID,)}, "it cannot be checked"),
        ("token", {"discord_token": None}, "set DISCORD_TOKEN"),
    ],
)
async def test_missing_parts_are_reported_with_the_remedy(
    town: DiscordFixture, name: str, change: dict[str, object], advice: str
) -> None:
    found = await examined(town, town.settings.model_copy(update=change))
    is_well, text = found[name]
    assert not is_well
    assert advice in text


@pytest.mark.parametrize("name", ["admin", "dashboard_viewer"])
@pytest.mark.parametrize("is_configured", [True, False])
async def test_everyone_role_is_a_finding(
    town: DiscordFixture,
    name: str,
    is_configured: bool,
) -> None:
    role_ids = town.settings.role_ids.model_copy(update={name: town.sandbox.guild_id})
    change = {"role_ids": role_ids, "guild_ids": (town.sandbox.guild_id,) * is_configured}
    is_well, text = (await examined(town, town.settings.model_copy(update=change)))["role"]
    assert not is_well
    assert f"role_ids.{name} is {town.sandbox.guild_id}" in text
    assert "@everyone" in text


async def test_permissions_that_are_missing_in_the_channel_are_named(town: DiscordFixture) -> None:
    everyone = town.sandbox.state.roles[town.sandbox.guild_id]
    everyone.permissions &= ~(1 << 14)
    is_well, text = (await examined(town, town.settings))["channel"]
    assert (is_well, text) == (False, "the bot lacks permissions in #audit: embed links; grant them")


async def test_paying_ledger_without_a_backup_is_reported(town: DiscordFixture) -> None:
    service = AdminService(town.till.database, town.settings, lambda _number: 0)
    doctor = Doctor(town.till.database, service, town.settings)
    assert said(await doctor.examine_ledger())["backup"] == (True, "nothing was paid yet")
    await town.referrer("Bob", 2500)
    await town.till.pay()
    found = said(await doctor.examine_ledger())
    assert found["backup"][0] is False
    assert "cashback backup FILE" in found["backup"][1]
    assert found["outbox"] == (True, "direct messages that wait: 1; a running bot delivers them")
    assert found["database"] == (True, "the file is sound, schema 0003")
