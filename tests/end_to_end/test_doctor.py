"""The setup check on Discord and at the command line, with a complete and an incomplete setup."""

from __future__ import annotations

import logging

import pytest
from pydantic import SecretStr

from cashback.cogs.gateway.connection import point_at
from cashback.cogs.gateway.doctor import Doctor, Finding, visit
from cashback.database import Database
from cashback.database.schema import NEWEST
from cashback.services import AdminService
from cashback.settings import LoggingChannels, RoleIds, Settings, WithdrawalSettings
from sandbox import Channel, ChannelType
from tests.end_to_end.conftest import DiscordFixture, until
from tests.postgresql import Server

pytestmark = pytest.mark.anyio

NO_SUCH_ID = 123456789012345678


def said(findings: list[Finding]) -> dict[str, tuple[bool, str]]:
    """Read findings by name."""
    return {each.name: (each.is_well, each.text) for each in findings}


async def examined(guild: DiscordFixture, settings: Settings) -> dict[str, tuple[bool, str]]:
    """Examine Discord as the command line does."""
    point_at(guild.sandbox.api_url)
    service = AdminService(guild.ledger.database, settings, lambda _number: 0)
    return said(await visit(Doctor(guild.ledger.database, service, settings), settings))


async def test_complete_setup_is_reported_as_well(guild: DiscordFixture) -> None:
    async with guild.bot():
        shown = await guild.answer("!sendref-cashb status")
        stranger = await guild.answer("!sendref-cashb status", by=await guild.referrer("Bob"))
    # The guild's clock stands still in July.
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
    guild: DiscordFixture, name: str, change: dict[str, object], advice: str
) -> None:
    found = await examined(guild, guild.settings.model_copy(update=change))
    is_well, text = found[name]
    assert not is_well
    assert advice in text


async def test_server_without_the_bot_is_reported_as_such_and_nothing_wrong_about_the_rest(
    guild: DiscordFixture,
) -> None:
    found = await examined(guild, guild.settings.model_copy(update={"guild_ids": (NO_SUCH_ID,)}))
    is_well, text = found["server"]
    assert not is_well
    assert f"guild_ids has {NO_SUCH_ID}, a server in which the bot is not; invite it, or correct the id" in text
    for name in ("role", "channel"):
        assert found[name] == (False, "it cannot be checked before the server is right")


@pytest.mark.parametrize("name", ["admin", "dashboard_viewer"])
@pytest.mark.parametrize("is_configured", [True, False])
async def test_everyone_role_is_a_finding(
    guild: DiscordFixture,
    name: str,
    is_configured: bool,
) -> None:
    role_ids = guild.settings.role_ids.model_copy(update={name: guild.sandbox.guild_id})
    change = {"role_ids": role_ids, "guild_ids": (guild.sandbox.guild_id,) * is_configured}
    is_well, text = (await examined(guild, guild.settings.model_copy(update=change)))["role"]
    assert not is_well
    assert f"role_ids.{name} is {guild.sandbox.guild_id}" in text
    assert "@everyone" in text


async def test_permissions_that_are_missing_in_the_channel_are_named(guild: DiscordFixture) -> None:
    everyone = guild.sandbox.state.roles[guild.sandbox.guild_id]
    everyone.permissions &= ~(1 << 14)
    is_well, text = (await examined(guild, guild.settings))["channel"]
    assert (is_well, text) == (False, "the bot lacks permissions in #audit: embed links; grant them")


@pytest.mark.parametrize(
    ("terms", "keys", "expected"),
    [
        ({}, "", (True, "switched off")),
        ({"enabled": True}, "", (False, "name at least one method")),
        ({"enabled": True, "methods": {"paypal": "an e-mail"}}, "", (False, "CASHBACK_WITHDRAWAL_KEYS is not set")),
        ({"enabled": True, "methods": {"paypal": "an e-mail"}}, "short", (False, "does not hold valid keys")),
        ({"enabled": True, "methods": {"paypal": "an e-mail"}}, "A" * 43 + "=", (True, "open requests: 0, $0.00")),
        ({"enabled": True, "methods": {"gift-card": None}}, "", (True, "open requests: 0, $0.00")),
    ],
)
async def test_withdrawals_that_cannot_work_are_reported(
    guild: DiscordFixture, terms: dict[str, object], keys: str, expected: tuple[bool, str]
) -> None:
    change = {
        "withdrawals": WithdrawalSettings.model_validate(terms),
        "withdrawal_keys": tuple(map(SecretStr, keys.split())),
    }
    settings = guild.settings.model_copy(update=change)
    doctor = Doctor(guild.ledger.database, AdminService(guild.ledger.database, settings, lambda _number: 0), settings)
    is_well, text = said(await doctor.examine_ledger())["withdrawals"]
    assert (is_well, expected[1] in text) == (expected[0], True), text


async def test_paying_ledger_without_a_backup_is_reported(guild: DiscordFixture) -> None:
    service = AdminService(guild.ledger.database, guild.settings, lambda _number: 0)
    doctor = Doctor(guild.ledger.database, service, guild.settings)
    assert said(await doctor.examine_ledger())["backup"] == (True, "nothing was paid yet")
    await guild.referrer("Bob", 2500)
    await guild.ledger.pay()
    found = said(await doctor.examine_ledger())
    assert found["backup"][0] is False
    assert "cashback backup FILE" in found["backup"][1]
    assert found["outbox"] == (True, "direct messages that wait: 1; a running bot delivers them")
    assert found["database"] == (True, f"the file is sound, schema {NEWEST}")


PLACES = [ChannelType.TEXT, ChannelType.ANNOUNCEMENT, ChannelType.VOICE, ChannelType.PUBLIC_THREAD]


def with_audit(guild: DiscordFixture, channel: Channel) -> Settings:
    """Return the settings with another audit channel."""
    return guild.settings.model_copy(update={"logging_channels": LoggingChannels(audit=channel.id)})


@pytest.mark.parametrize("kind", PLACES)
async def test_channel_in_which_the_bot_can_post_passes(guild: DiscordFixture, kind: ChannelType) -> None:
    channel = guild.sandbox.add_channel("here", kind=kind, parent=guild.channel)
    assert (await examined(guild, with_audit(guild, channel)))["channel"] == (True, "the bot may write in #here")


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (ChannelType.CATEGORY, "a category"),
        (ChannelType.FORUM, "a forum"),
        (ChannelType.MEDIA, "a media channel"),
        (99, "does not know (99)"),
    ],
)
async def test_channel_in_which_nobody_can_post_is_reported_by_doctor_and_at_the_start(
    guild: DiscordFixture, kind: int, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    channel = guild.sandbox.add_channel("here", kind=kind)
    guild.settings = with_audit(guild, channel)
    is_well, text = (await examined(guild, guild.settings))["channel"]
    assert not is_well
    assert word in text
    assert "set it to a text channel's id" in text
    async with guild.bot():
        await until(lambda: any(word in each.getMessage() for each in caplog.records))


async def test_an_unknown_type_of_channel_elsewhere_does_not_spoil_the_check(guild: DiscordFixture) -> None:
    guild.sandbox.add_channel("new", kind=99)
    assert (await examined(guild, guild.settings))["channel"] == (True, "the bot may write in #audit")


@pytest.mark.parametrize(("locked", "is_well"), [(False, True), (True, False)])
async def test_archived_thread_passes_unless_it_is_locked(
    guild: DiscordFixture, *, locked: bool, is_well: bool
) -> None:
    thread = guild.sandbox.add_thread("payouts", guild.channel)
    guild.sandbox.archive_thread(thread, locked=locked)
    assert (await examined(guild, with_audit(guild, thread)))["channel"][0] is is_well


@pytest.mark.parametrize("name", ["admin", "dashboard_viewer"])
async def test_role_of_an_integration_is_reported_by_doctor_and_at_the_start(
    guild: DiscordFixture, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    role = guild.sandbox.add_role("Server Booster", managed=True)
    guild.settings = guild.settings.model_copy(
        update={"role_ids": guild.settings.role_ids.model_copy(update={name: role.id})}
    )
    is_well, text = (await examined(guild, guild.settings))["role"]
    assert not is_well
    assert f"role_ids.{name} is {role.id}" in text
    assert "an integration manages" in text
    async with guild.bot():
        await until(lambda: any("an integration manages" in each.getMessage() for each in caplog.records))


@pytest.mark.parametrize("is_counted", [True, False])
@pytest.mark.parametrize("name", ["admin", "dashboard_viewer"])
async def test_role_of_half_of_the_server_is_reported_by_doctor_and_at_the_start(
    guild: DiscordFixture, name: str, caplog: pytest.LogCaptureFixture, *, is_counted: bool
) -> None:
    role = guild.sandbox.add_role("Customer")
    for number in range(10):
        guild.sandbox.add_member(f"Member {number}", [role.id] * (number % 3 > 0))
    guild.settings = guild.settings.model_copy(
        update={"role_ids": guild.settings.role_ids.model_copy(update={name: role.id})}
    )
    if not is_counted:
        guild.sandbox.faults.fail("GET", "/roles/member-counts", status=403, code=50013, times=10)
    is_well, text = (await examined(guild, guild.settings))["role"]
    assert not is_well
    assert f"role_ids.{name} is {role.id}, the role 'Customer', which 6 of 12 members have" in text
    async with guild.bot():
        await until(lambda: any("6 of 12 members" in each.getMessage() for each in caplog.records))


async def test_role_of_fewer_members_passes(guild: DiscordFixture) -> None:
    for number in range(10):
        guild.sandbox.add_member(f"Member {number}", [guild.admin_role.id] * (number % 3 == 0))
    assert (await examined(guild, guild.settings))["role"] == (True, "admins have the role Admin")


async def test_admin_role_that_is_deleted_while_the_bot_runs_is_reported(
    guild: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with guild.bot():
        await until(lambda: any("ready in" in each.getMessage() for each in caplog.records))
        guild.sandbox.remove_role(guild.admin_role)
        line = await guild.sandbox.wait_for(lambda message: message.channel_id == guild.audit.id)
    assert f"role_ids.admin is {guild.admin_role.id}, but the role 'Admin' was deleted" in line.text
    assert any("was deleted" in each.getMessage() for each in caplog.records)
    is_well, text = (await examined(guild, guild.settings))["role"]
    assert (is_well, "there is no such role" in text) == (False, True)


async def test_backup_of_postgresql_is_left_to_its_own_tools(guild: DiscordFixture, postgresql: Server) -> None:
    url = postgresql.create()
    async with Database(url) as database:
        service = AdminService(database, guild.settings, lambda _number: 0)
        found = said(await Doctor(database, service, guild.settings).examine_ledger())
        assert {name: is_well for name, (is_well, _) in found.items()} == dict.fromkeys(found, True)
        assert "pg_dump" in found["backup"][1]
    postgresql.drop(url)
