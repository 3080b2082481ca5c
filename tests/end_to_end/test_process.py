"""The bot as a process: its errors if it cannot start, its stop, and what it survives."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest

from sandbox import Sandbox
from tests.end_to_end.conftest import COMPLETE, DiscordFixture, button, until

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
NO_SUCH_ID = 123456789012345678


def environment(sandbox: Sandbox, **changes: str) -> dict[str, str]:
    """Point a process at a local Discord."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("DISCORD_", "CASHBACK_"))}
    return {
        **ours,
        "PYTHONPATH": str(ROOT),
        "DISCORD_TOKEN": sandbox.token,
        "DISCORD_API_URL": sandbox.api_url,
        **changes,
    }


def configure(folder: Path, **content: dict[str, Any] | list[int]) -> None:
    """Write a config.json."""
    content.setdefault("referral_settings", {"auto_batch_enabled": False})
    (folder / "config.json").write_text(json.dumps(content))


async def refused(folder: Path, sandbox: Sandbox, *, code: int = os.EX_CONFIG, **changes: str) -> str:
    """Start a bot that cannot start; return its error."""
    with anyio.fail_after(20):
        done = await anyio.run_process(
            [sys.executable, str(ROOT / "bot.py")], cwd=folder, env=environment(sandbox, **changes), check=False
        )
    said = done.stderr.decode()
    assert done.returncode == code, said
    assert sandbox.gateway.starts.spent == 0
    assert "Traceback" not in said
    assert sandbox.token not in said
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said
    return errors[0]


@asynccontextmanager
async def starting(folder: Path, sandbox: Sandbox, **changes: str) -> AsyncIterator[anyio.abc.Process]:
    """Run the bot as a process that need not get as far as to connect, killed after the block if it still runs."""
    command = [sys.executable, str(ROOT / "bot.py")]
    with (folder / "bot.log").open("ab") as log:
        async with await anyio.open_process(
            command, cwd=folder, env=environment(sandbox, **changes), stdout=subprocess.DEVNULL, stderr=log
        ) as process:
            try:
                yield process
            finally:
                if process.returncode is None:
                    process.kill()


@asynccontextmanager
async def running(folder: Path, sandbox: Sandbox, **changes: str) -> AsyncIterator[anyio.abc.Process]:
    """Run the bot as a process, ready inside the block, killed after it if it still runs."""
    async with starting(folder, sandbox, **changes) as process:
        await sandbox.wait_connected()
        yield process


async def test_a_missing_token_is_one_line(tmp_path: Path, sandbox: Sandbox) -> None:
    configure(tmp_path, role_ids={"admin": 1})
    assert "DISCORD_TOKEN is not set" in await refused(tmp_path, sandbox, DISCORD_TOKEN="")


async def test_a_missing_admin_role_is_one_line(tmp_path: Path, sandbox: Sandbox) -> None:
    configure(tmp_path)
    assert "role_ids.admin is not set" in await refused(tmp_path, sandbox)


async def test_a_wrong_token_is_one_line(tmp_path: Path, sandbox: Sandbox) -> None:
    configure(tmp_path, role_ids={"admin": 1})
    assert "Discord does not accept DISCORD_TOKEN" in await refused(tmp_path, sandbox, DISCORD_TOKEN="wrong")  # noqa: S106 -- no secret


async def test_an_admin_role_that_does_not_exist_is_one_line(tmp_path: Path, sandbox: Sandbox) -> None:
    configure(tmp_path, role_ids={"admin": NO_SUCH_ID})
    assert f"role_ids.admin is {NO_SUCH_ID}, but there is no such role" in await refused(tmp_path, sandbox)


@pytest.mark.parametrize("name", ["admin", "dashboard_viewer"])
@pytest.mark.parametrize("is_configured", [True, False])
async def test_everyone_role_is_refused_in_one_line(
    tmp_path: Path,
    sandbox: Sandbox,
    name: str,
    is_configured: bool,
) -> None:
    """A server's id is the id of its @everyone role: with it, every member may pay, or look at everything."""
    role_ids = {"admin": sandbox.add_role("Admin").id, name: sandbox.guild_id}
    configure(tmp_path, role_ids=role_ids, guild_ids=[sandbox.guild_id] * is_configured)
    said = await refused(tmp_path, sandbox)
    assert f"role_ids.{name} is {sandbox.guild_id}, the id of a server and of its @everyone role" in said


async def test_a_server_that_the_bot_is_not_in_is_one_line(tmp_path: Path, sandbox: Sandbox) -> None:
    configure(tmp_path, role_ids={"admin": 1}, guild_ids=[NO_SUCH_ID])
    assert "invite it first" in await refused(tmp_path, sandbox)


async def test_a_missing_intent_is_one_line(tmp_path: Path, sandbox: Sandbox) -> None:
    async with Sandbox(message_content_granted=False) as strict:
        configure(tmp_path, role_ids={"admin": strict.add_role("Admin").id})
        assert "Message Content Intent" in await refused(tmp_path, strict)


async def test_a_ledger_that_cannot_be_opened_is_one_line(tmp_path: Path, sandbox: Sandbox) -> None:
    configure(tmp_path, role_ids={"admin": 1})
    said = await refused(tmp_path, sandbox, code=1, CASHBACK_DATABASE=str(tmp_path / "nowhere" / "cashback.db"))
    assert "the folder" in said


async def test_a_wrong_setting_is_one_line(tmp_path: Path, sandbox: Sandbox) -> None:
    configure(tmp_path, role_ids={"admin": 1}, referral_settings={"dm_per_second": 1000})
    assert "dm_per_second" in await refused(tmp_path, sandbox)


async def test_sigterm_in_the_middle_of_a_batch_loses_and_doubles_nothing(
    guild: DiscordFixture, tmp_path: Path
) -> None:
    people = [guild.sandbox.add_member(f"Member {n}").id for n in range(2000)]
    await guild.ledger.earn_all((person, 100) for person in people)
    configure(
        tmp_path,
        role_ids={"admin": guild.admin_role.id},
        guild_ids=[guild.sandbox.guild_id],
        referral_settings={"auto_batch_enabled": False, "chunk_size": 1, "dm_per_second": 50},
    )
    where = {"CASHBACK_DATABASE": str(guild.ledger.path)}
    async with running(tmp_path, guild.sandbox, **where) as process:
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, "In Progress")
        await until(guild.credited)
        process.send_signal(signal.SIGTERM)
        with anyio.fail_after(10):
            assert await process.wait() == 0
    said = (tmp_path / "bot.log").read_text()
    assert "SIGTERM: stopping after the current chunk" in said
    assert "the next start continues it" in said
    assert guild.sandbox.token not in said
    assert guild.batches() == ["running"]
    assert 0 < guild.credited() < 2000
    guild.adjust(chunk_size=500)
    async with guild.bot():
        await guild.shows(summary, COMPLETE, "Users Paid:** 2,000", seconds=20)
    assert {guild.ledger.balance(person) for person in people} == {100}


async def test_sigterm_does_not_wait_for_a_discord_that_does_not_answer(guild: DiscordFixture, tmp_path: Path) -> None:
    """Direct messages, the edit of the summary and the audit entry are under way, and none is ever answered."""
    people = [await guild.referrer(f"Member {number}", 100) for number in range(10)]
    configure(
        tmp_path,
        role_ids={"admin": guild.admin_role.id},
        logging_channels={"audit": guild.audit.id},
        guild_ids=[guild.sandbox.guild_id],
        referral_settings={"auto_batch_enabled": False, "dm_per_second": 50},
    )
    async with running(tmp_path, guild.sandbox, CASHBACK_DATABASE=str(guild.ledger.path)) as process:
        summary = await guild.ask()
        hold = guild.sandbox.faults.hold("*", "^/(channels|users)/", times=100)
        await guild.press(summary, "Confirm")
        with anyio.fail_after(5):
            await hold.arrived.wait()
        process.send_signal(signal.SIGTERM)
        with anyio.fail_after(10):
            assert await process.wait() == 0
    guild.sandbox.faults.clear()
    async with guild.bot():
        await guild.shows(summary, COMPLETE, "Sent:** 10")
    assert [len(guild.sandbox.direct_messages(each.id)) for each in people] == [1] * 10
    assert [guild.ledger.balance(each.id) for each in people] == [100] * 10


async def test_a_token_that_is_reset_while_the_bot_runs_is_one_line(guild: DiscordFixture, tmp_path: Path) -> None:
    configure(tmp_path, role_ids={"admin": guild.admin_role.id})
    async with running(tmp_path, guild.sandbox, CASHBACK_DATABASE=str(guild.ledger.path)) as process:
        guild.sandbox.gateway._token = "another"  # noqa: S105 -- of this local Discord, for this test
        await guild.sandbox.gateway.disconnect(resumable=False)
        with anyio.fail_after(20):
            assert await process.wait() == 1
    said = (tmp_path / "bot.log").read_text()
    assert "error: Discord closed the connection for good (code 4004)." in said
    assert "Traceback" not in said


async def test_unreadable_frame_does_not_end_the_bot(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        guild.sandbox.gateway._hub.dispatch("MESSAGE_CREATE", {"nonsense": 1})
        await reconnected(guild)
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE)
    assert guild.ledger.balance(bob.id) == 2500


async def test_a_lost_connection_is_taken_up_and_a_replayed_command_is_not_run_again(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        summary = await guild.ask()
        await guild.sandbox.gateway.disconnect(replay=5)
        await guild.sandbox.wait_connected()
        await guild.answer("!sendref-cashb nonsense")
        await guild.sandbox.click(summary.id, button(summary, "Confirm"), guild.admin.id)
        await guild.shows(summary, COMPLETE)
    assert len(guild.batches()) == 1


async def reconnected(guild: DiscordFixture) -> None:
    """Wait until the bot has disconnected and reconnected."""
    await until(lambda: not guild.sandbox.gateway.connected)
    await guild.sandbox.wait_connected()


@pytest.mark.parametrize("path", ["/users/@me$", "/gateway/bot$"])
async def test_the_money_does_not_wait_for_discord(
    guild: DiscordFixture, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """If Discord is down at the start, approved batches are paid, and shown when Discord is back."""
    bob = await guild.referrer("Bob", 2500)
    await guild.ledger.approved()
    guild.sandbox.faults.fail("GET", path, status=503)
    async with guild.bot():
        entry = await guild.audit_entry()
    assert "Discord cannot be reached" in caplog.text
    assert "$25.00" in entry.text
    assert guild.ledger.balance(bob.id) == 2500


async def test_bot_waits_for_the_reset_if_too_few_session_starts_are_left(
    guild: DiscordFixture, tmp_path: Path
) -> None:
    """With one IDENTIFY too many Discord would reset the token."""
    guild.sandbox.gateway.starts.remaining = 0
    guild.sandbox.gateway.starts.reset_seconds = 8
    configure(tmp_path, role_ids={"admin": guild.admin_role.id})
    async with running(tmp_path, guild.sandbox, CASHBACK_DATABASE=str(guild.ledger.path)) as process:
        assert guild.sandbox.gateway.starts.remaining == 999
        process.send_signal(signal.SIGTERM)
        with anyio.fail_after(10):
            assert await process.wait() == 0
    said = (tmp_path / "bot.log").read_text()
    assert re.search(r"Discord allows 0 of 1000 session starts until the reset in \d s, and 1 are needed", said)
    assert "Traceback" not in said


async def test_stop_does_not_wait_for_the_reset_of_session_starts(guild: DiscordFixture, tmp_path: Path) -> None:
    guild.sandbox.gateway.starts.remaining = 0
    configure(tmp_path, role_ids={"admin": guild.admin_role.id})
    async with starting(tmp_path, guild.sandbox, CASHBACK_DATABASE=str(guild.ledger.path)) as process:
        await until(lambda: "waiting for it" in (tmp_path / "bot.log").read_text())
        process.send_signal(signal.SIGTERM)
        with anyio.fail_after(10):
            assert await process.wait() == 0
    assert guild.sandbox.gateway.starts.spent == 0


async def test_session_that_is_lost_without_a_start_left_waits_too(guild: DiscordFixture) -> None:
    async with guild.bot():
        guild.sandbox.gateway.starts.remaining = 0
        guild.sandbox.gateway.starts.reset_seconds = 3
        await guild.sandbox.gateway.disconnect(resumable=False)
        await guild.sandbox.wait_connected()
        assert guild.sandbox.gateway.starts.remaining >= 998


@pytest.mark.parametrize(
    ("arguments", "content"),
    [([], '{"nonsense'), ([], '{"referral_settings": {"chunk_size": 0}}'), (["--config", "nowhere.json"], "{}")],
)
async def test_wrong_settings_exit_with_78_from_the_command_too(
    tmp_path: Path, sandbox: Sandbox, arguments: list[str], content: str
) -> None:
    (tmp_path / "config.json").write_text(content)
    command = [sys.executable, "-m", "cli", "bot", *arguments]
    done = await anyio.run_process(command, cwd=tmp_path, env=environment(sandbox), check=False)
    assert done.returncode == os.EX_CONFIG, done.stderr
    assert "Traceback" not in done.stderr.decode()
