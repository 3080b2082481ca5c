"""`sendref-cashb setup`: an admin sees what `cashback setup` asked for, changes it, and the bot works by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from sandbox import Sandbox
from tests.end_to_end.conftest import BOTH_BOTS, OWN_BOT, DiscordFixture, saying
from tests.end_to_end.hosts import OtherBot, living
from tests.end_to_end.test_process import environment, starting

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

COMMAND = "!sendref-cashb setup"
PATIENCE_SECONDS = 60


def with_file(guild: DiscordFixture, folder: Path) -> Path:
    """Let the settings come from files in a folder; return the local one."""
    path = folder / "config.local.json"
    guild.settings = guild.settings.model_copy(update={"local_file": path})
    return path


def written(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(path.read_text())
    return found


def changes_in(guild: DiscordFixture) -> list[tuple[str, str]]:
    rows = guild.ledger.rows(
        "SELECT actor, details FROM cashback_audit_log WHERE action = 'settings_changed' ORDER BY id"
    )
    return [(actor, json.loads(details)["changes"]) for actor, details in rows]


async def test_settings_are_shown_to_admins_only(guild: DiscordFixture) -> None:
    eve = guild.sandbox.add_member("Eve")
    async with guild.bot():
        shown = (await guild.answer(COMMAND)).text
        assert f"**Admin role:** <@&{guild.admin_role.id}>" in shown
        assert f"**Audit channel:** <#{guild.audit.id}>" in shown
        for line in ("**Currency:** USD", "0.5 % of each purchase", "payable at once", "$0.01", "no weekly batch"):
            assert line in shown
        assert "Only an admin" in (await guild.answer(COMMAND, by=eve)).text
        assert "Only an admin" in (await guild.answer(f"{COMMAND} --percent 50", by=eve)).text
    assert guild.audit_actions() == ["refused", "refused"]


async def test_change_is_written_audited_and_posted_and_keeps_what_else_is_there(
    guild: DiscordFixture, tmp_path: Path, inside: str
) -> None:
    path = with_file(guild, tmp_path)
    path.write_text('{"bot_prefix": "!", "referral_settings": {"chunk_size": 7}}')
    async with guild.bot():
        options = "--percent 2.5 --holding-days 7 --minimum $1.50 --weekday mon --time 08:30 --timezone Asia/Tokyo"
        answer = (await guild.answer(f"{COMMAND} {options}")).text
        assert "Cashback: 0.5 % of each purchase → 2.5 % of each purchase" in answer
        assert "Weekly batch: no weekly batch → every Sunday at 23:30 UTC" in answer
        assert "from the bot's next start" in answer, inside
        posted = await guild.sandbox.wait_for(saying("settings were changed", "→ $1.50"))
        assert posted.channel_id == guild.audit.id
        assert "every Sunday at 23:30" not in (await guild.answer("!sendref-cashb schedule pause")).text
        assert "Sunday" in (await guild.answer("!sendref-cashb schedule")).text
    assert written(path) == {
        "bot_prefix": "!",
        "referral_settings": {
            "chunk_size": 7,
            "cashback_percent": 2.5,
            "holding_days": 7,
            "min_payout_cents": 150,
            "auto_batch_enabled": True,
            "batch_day": "sunday",
            "batch_hour_utc": 23,
            "batch_minute_utc": 30,
        },
    }
    [(actor, line)] = changes_in(guild)
    assert actor == f"discord:{guild.admin.id}"
    assert "Holding period: payable at once → payable after 7 days" in line


async def test_slash_command_takes_a_role_and_a_channel(guild: DiscordFixture, tmp_path: Path) -> None:
    path = with_file(guild, tmp_path)
    role = guild.sandbox.add_role("Treasurers")
    books = guild.sandbox.add_channel("books")
    options = {"admin_role": role.id, "audit_channel": books.id}
    async with guild.bot():
        asked = await guild.sandbox.slash(guild.channel.id, guild.admin.id, "sendref-cashb setup", options)
        answer = await asked.replied()
        assert answer is not None
        assert f"You do not have the role {role.id}, so you would lock yourself out" in answer.text
        assert not path.exists()
        guild.admin.role_ids.append(role.id)
        asked = await guild.sandbox.slash(guild.channel.id, guild.admin.id, "sendref-cashb setup", options)
        answer = await asked.replied()
        assert answer is not None
        assert f"<@&{guild.admin_role.id}> → <@&{role.id}>" in answer.text
        told = await guild.sandbox.wait_for(saying("settings were changed", f"→ <#{books.id}>"))
        assert told.channel_id == guild.audit.id
    assert written(path) == {"role_ids": {"admin": role.id}, "logging_channels": {"audit": books.id}}


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ("--percent much", "'much' is not a number"),
        ("--percent 101", "101 is not a number from 0 to 100"),
        ("--holding-days 91", "91 is not a whole number of days from 0 to 90"),
        ("--minimum 0", "0 is not a whole number of cents"),
        ("--weekday t", "'t' is not one of monday"),
        ("--time 25:00 --weekday friday", "'25:00' is not a time of day"),
        ("--timezone Mars/Base --time 15:00", "'Mars/Base' is not a time zone"),
        ("--timezone Europe/Berlin", "--timezone says what --weekday and --time mean"),
        ("--percent 0.5", "These are the settings already; nothing was changed."),
        ("--admin-role @everyone", "the id of a server and of its @"),
        ("--admin-role Nobody", "not found"),
        ("--audit-channel nowhere", "not found"),
        ("--currency EUR", "Usage: "),
        ("percent 5", "Usage: "),
    ],
)
async def test_wrong_change_is_refused_and_nothing_is_written(
    guild: DiscordFixture, tmp_path: Path, options: str, wrong: str
) -> None:
    path = with_file(guild, tmp_path)
    async with guild.bot():
        assert wrong in (await guild.answer(f"{COMMAND} {options}")).text
    assert not path.exists()
    assert changes_in(guild) == []


async def test_audit_channel_that_the_bot_may_not_write_in_is_refused(guild: DiscordFixture, tmp_path: Path) -> None:
    path = with_file(guild, tmp_path)
    closed = guild.sandbox.add_channel("closed")
    everyone = guild.sandbox.state.roles[guild.sandbox.guild_id]
    everyone.permissions &= ~(1 << 14)
    async with guild.bot():
        assert "lacks permissions in #closed" in (await guild.answer(f"{COMMAND} --audit-channel <#{closed.id}>")).text
    assert not path.exists()


async def test_one_admin_does_not_choose_the_second(guild: DiscordFixture, tmp_path: Path) -> None:
    path = with_file(guild, tmp_path)
    guild.adjust(approval_threshold_cents=1_000)
    role = guild.sandbox.add_role("Friends")
    guild.admin.role_ids.append(role.id)
    async with guild.bot():
        assert "with `cashback setup`" in (await guild.answer(f"{COMMAND} --admin-role <@&{role.id}>")).text
    assert not path.exists()


async def test_folder_that_cannot_be_written_changes_nothing(guild: DiscordFixture) -> None:
    with_file(guild, Path("/proc/self"))
    async with guild.bot():
        assert "cannot be written" in (await guild.answer(f"{COMMAND} --percent 5")).text
    assert changes_in(guild) == []


async def test_settings_that_a_host_handed_over_are_changed_there(guild: DiscordFixture) -> None:
    async with guild.bot():
        assert "bot.cashback_settings" in (await guild.answer(f"{COMMAND} --percent 5")).text
    assert changes_in(guild) == []


def configuration(guild: DiscordFixture) -> dict[str, object]:
    """Return the content of a config.json for the server."""
    return {
        "guild_ids": [guild.sandbox.guild_id],
        "role_ids": {"admin": str(guild.admin_role.id)},
        "logging_channels": {"audit": str(guild.audit.id)},
        "referral_settings": {"auto_batch_enabled": False},
    }


@pytest.mark.parametrize("inside", [OWN_BOT])
async def test_bot_that_we_ship_starts_again_and_works_by_the_change(guild: DiscordFixture, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(configuration(guild)))
    async with starting(tmp_path, guild.sandbox) as process:
        await guild.sandbox.wait_connected(1, PATIENCE_SECONDS)
        answer = (await guild.answer(f"{COMMAND} --percent 5 --minimum $2")).text
        assert "The bot restarts now" in answer
        await reconnected(guild.sandbox)
        shown = (await guild.answer(COMMAND)).text
        assert "5 % of each purchase\n" in shown
        assert "**Minimum payout:** $2.00" in shown
        assert "next start" not in shown
        said = await guild.sandbox.slash(guild.channel.id, guild.admin.id, "sendref-cashb setup", {"percent": "6"})
        assert await said.replied() is not None
        await reconnected(guild.sandbox)
        assert "6 % of each purchase\n" in (await guild.answer(COMMAND)).text
        process.terminate()
        assert await process.wait() == 0
    assert written(tmp_path / "config.local.json")["referral_settings"] == {
        "cashback_percent": 6.0,
        "min_payout_cents": 200,
    }
    assert (tmp_path / "config.json").read_text() == json.dumps(configuration(guild))


async def reconnected(sandbox: Sandbox) -> None:
    """Wait until the connection is gone and there again."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while sandbox.gateway.connected:  # noqa: ASYNC110 -- there is no event for it
            await anyio.sleep(0.01)
    await sandbox.wait_connected(1, PATIENCE_SECONDS)


@contextmanager
def configured_by(folder: Path, variables: dict[str, str]) -> Iterator[None]:
    """Let settings be loaded from a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@pytest.mark.parametrize("inside", [OWN_BOT])
async def test_another_bot_works_by_the_change_after_a_reload(guild: DiscordFixture, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(configuration(guild)))
    variables = environment(guild.sandbox)
    with configured_by(tmp_path, {name: variables[name] for name in ("DISCORD_TOKEN", "DISCORD_API_URL")}):
        client = OtherBot(None)
        async with living(client, guild.sandbox):
            await guild.sandbox.wait_connected()
            assert "reload the extension" in (await guild.answer(f"{COMMAND} --percent 5")).text
            assert (
                "0.5 % of each purchase (from the next start: 5 % of each purchase)"
                in (await guild.answer(COMMAND)).text
            )
            await client.reload_extension("cashback")
            shown = (await guild.answer(COMMAND)).text
            assert "**Cashback:** 5 % of each purchase\n" in shown
