"""Several bots on one ledger, each its own process: one pays, and if it dies another continues."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest

from cashback.background.lease import Lease
from cashback.database.dialect import name_of
from cashback.database.payouts import proposals
from sandbox import Member
from tests.conftest import A_CENTURY, raw
from tests.end_to_end.conftest import COMPLETE, LONG_SECONDS, DiscordFixture, until
from tests.end_to_end.test_process import ROOT, configure, environment

pytestmark = pytest.mark.anyio

LEASE_SECONDS = 2
PATIENCE_SECONDS = 30
PEOPLE = 300
COMMANDS = 20


@asynccontextmanager
async def process(folder: Path, guild: DiscordFixture) -> AsyncIterator[anyio.abc.Process]:
    """Run a bot as a process, connected inside the block; kill it afterwards, also if it is frozen."""
    configure(
        folder,
        role_ids={"admin": guild.admin_role.id},
        guild_ids=[guild.sandbox.guild_id],
        referral_settings={
            "auto_batch_enabled": False,
            "chunk_size": 1,
            "dm_per_second": 50,
            "lease_seconds": LEASE_SECONDS,
        },
    )
    connected = guild.sandbox.gateway.connected
    with (folder / "bot.log").open("ab") as log:
        async with await anyio.open_process(
            [sys.executable, str(ROOT / "bot.py")],
            cwd=folder,
            env=environment(guild.sandbox, CASHBACK_DATABASE=name_of(guild.ledger.location, password=True)),
            stdout=subprocess.DEVNULL,
            stderr=log,
        ) as bot:
            try:
                await guild.sandbox.wait_connected(connected + 1, PATIENCE_SECONDS)
                yield bot
            finally:
                if bot.returncode is None:
                    bot.kill()


def made(folder: Path) -> Path:
    """Make a folder."""
    folder.mkdir()
    return folder


def holder(guild: DiscordFixture) -> str | None:
    """Return the holder of the lease."""
    found = guild.ledger.rows("SELECT holder FROM cashback_leases")
    return found[0][0] if found else None


@contextmanager
def at_a_standstill(guild: DiscordFixture) -> Iterator[None]:
    """Block payouts inside the block: if the ledger is locked, a batch waits wherever it is."""
    location = guild.ledger.location
    with raw(location) as connection:
        if isinstance(location, Path):
            connection.execute("BEGIN IMMEDIATE")
        else:
            connection.execute("BEGIN")
            connection.execute("LOCK TABLE wallet_transactions IN SHARE ROW EXCLUSIVE MODE")
        yield
        connection.execute("ROLLBACK")


async def is_held_by(guild: DiscordFixture, bot: anyio.abc.Process) -> None:
    """Wait until a process holds the lease."""
    await until(lambda: f" process {bot.pid} of " in str(holder(guild)), PATIENCE_SECONDS)


def freeze(bot: anyio.abc.Process) -> None:
    """Freeze a process; return when it is frozen, which is later than the signal."""
    os.kill(bot.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, bot.pid, os.WSTOPPED | os.WNOWAIT)


async def approved(guild: DiscordFixture) -> int:
    """Plan and approve a batch without a deadline: the bots' clock is the real one, and the ledger's is not."""
    database, now = guild.ledger.database, guild.ledger.clock()
    summary = await database.write(proposals.propose, actor="cli", now=now, expires_at=None)
    await guild.ledger.approve(summary.batch_number, valid=A_CENTURY)
    return summary.batch_number


async def payees(guild: DiscordFixture, count: int, *, muted: slice) -> list[Member]:
    """Add members with cashback pending, in the order in which they are paid; some want no direct messages."""
    people = [guild.sandbox.add_member(f"Member {number}") for number in range(count)]
    await guild.ledger.earn_all((each.id, 100) for each in people)
    with raw(guild.ledger.location) as connection:
        for each in people[muted]:
            connection.execute(
                "INSERT INTO cashback_notification_preferences (user_id, payout_dm) VALUES (?, 0)", (each.id,)
            )
    return people


def received(guild: DiscordFixture, people: list[Member]) -> list[int]:
    """Count what each has received."""
    return [len(guild.sandbox.direct_messages(each.id)) for each in people]


def balances(guild: DiscordFixture, people: list[Member]) -> list[int]:
    """List what is in the wallets, by the order of the ids."""
    ids = sorted(each.id for each in people)
    query = "SELECT wallet_balance_cents FROM users WHERE discord_id BETWEEN ? AND ? ORDER BY discord_id"
    return [cents for (cents,) in guild.ledger.rows(query, ids[0], ids[-1])]


async def test_killed_bot_is_replaced_and_members_are_paid_and_notified_once(
    guild: DiscordFixture, tmp_path: Path
) -> None:
    people = await payees(guild, PEOPLE, muted=slice(30, None))
    async with process(made(tmp_path / "first"), guild) as first:
        await is_held_by(guild, first)
        async with process(made(tmp_path / "second"), guild) as second:
            number = await approved(guild)
            await until(guild.credited)
            with at_a_standstill(guild):
                assert 0 < guild.credited() < PEOPLE
                first.kill()
                await first.wait()
            await is_held_by(guild, second)
            await until(lambda: guild.batches() == ["completed"], PATIENCE_SECONDS)
            await until(lambda: received(guild, people[:31]) == [1] * 30 + [0], PATIENCE_SECONDS)
    assert (await guild.ledger.report(number)).users_paid == PEOPLE
    assert balances(guild, people) == [100] * PEOPLE


async def test_a_bot_that_is_frozen_past_its_lease_pays_nothing_and_sends_nothing_when_it_wakes(
    guild: DiscordFixture, tmp_path: Path
) -> None:
    people = await payees(guild, PEOPLE, muted=slice(1, -50))
    request = guild.sandbox.faults.hold("POST", "^/channels/[0-9]+/messages$", after_effect=True)
    async with (
        process(made(tmp_path / "frozen"), guild) as frozen,
        Lease(guild.ledger.database, seconds=LONG_SECONDS) as other,
    ):
        await is_held_by(guild, frozen)
        await approved(guild)
        await until(guild.credited)
        with at_a_standstill(guild):
            # The one message so far is sent and waits for its answer: nothing is just about to be sent.
            with anyio.fail_after(PATIENCE_SECONDS):
                await request.arrived.wait()
            freeze(frozen)
        before = guild.credited()
        assert 0 < before < PEOPLE - 50
        with anyio.fail_after(PATIENCE_SECONDS):
            while not await other.take():  # noqa: ASYNC110 -- no event comes when a lease runs out
                await anyio.sleep(other.poll_seconds / LONG_SECONDS)
        request.release()
        os.kill(frozen.pid, signal.SIGCONT)
        log = tmp_path / "frozen" / "bot.log"
        await until(lambda: "another process pays from now on" in log.read_text(), PATIENCE_SECONDS)
        assert guild.credited() == before
        assert received(guild, people[:1] + people[-50:]) == [1] + [0] * 50
        await other.__aexit__(None, None, None)
        await until(lambda: guild.batches() == ["completed"], PATIENCE_SECONDS)
        await until(lambda: received(guild, people[-51:]) == [0] + [1] * 50, PATIENCE_SECONDS)
    assert received(guild, people[:2]) == [1, 0]
    assert balances(guild, people) == [100] * PEOPLE


async def test_a_confirm_at_a_bot_that_does_not_pay_is_paid_by_the_one_that_does(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with Lease(guild.ledger.database, seconds=LONG_SECONDS) as other:
        assert await other.take()
        async with guild.bot():
            summary = await guild.ask()
            await guild.press(summary, "Confirm")
            await until(lambda: guild.batches() == ["approved"])
            assert guild.ledger.balance(bob.id) == 0
            await other.__aexit__(None, None, None)
            await guild.shows(summary, COMPLETE)
    assert guild.ledger.balance(bob.id) == 2500


async def test_the_bot_that_pays_finds_what_another_process_approved(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        await until(lambda: holder(guild))
        await approved(guild)
        assert "$25.00" in (await guild.audit_entry()).text
    assert guild.ledger.balance(bob.id) == 2500
    assert holder(guild) is None


async def test_two_processes_answer_each_command_once_and_do_it_once(guild: DiscordFixture, tmp_path: Path) -> None:
    people = await payees(guild, COMMANDS, muted=slice(0))
    began_at = (await guild.say("good morning")).id

    def answers() -> list[str]:
        messages = guild.sandbox.messages(guild.channel.id)
        return [each.text for each in messages if each.author_id == guild.sandbox.bot_user_id and each.id > began_at]

    async with (
        process(made(tmp_path / "first"), guild) as first,
        process(made(tmp_path / "second"), guild) as second,
    ):
        for number, each in enumerate(people):
            if number % 2:
                await guild.sandbox.slash(guild.channel.id, guild.admin.id, "sendref-cashb pay", {"user": each.id})
            else:
                await guild.say(f"!sendref-cashb {each.id}")
        await until(lambda: len(answers()) >= COMMANDS and "" not in answers(), PATIENCE_SECONDS)
        for bot in (first, second):
            bot.send_signal(signal.SIGTERM)
            assert await bot.wait() == 0
    assert ["$1.00" in each for each in answers()] == [True] * COMMANDS
    assert guild.batches() == ["proposed"] * COMMANDS
    assert guild.audit_actions() == ["batch_proposed"] * COMMANDS
    for name in ("first", "second"):
        log = (tmp_path / name / "bot.log").read_text()
        assert ("Traceback" in log, '"level": "error"' in log) == (False, False)
