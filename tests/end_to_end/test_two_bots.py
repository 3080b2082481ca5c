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
async def process(folder: Path, town: DiscordFixture) -> AsyncIterator[anyio.abc.Process]:
    """Run a bot as a process, connected inside the block; kill it afterwards, also if it is frozen."""
    configure(
        folder,
        role_ids={"admin": town.admin_role.id},
        guild_ids=[town.sandbox.guild_id],
        referral_settings={
            "auto_batch_enabled": False,
            "chunk_size": 1,
            "dm_per_second": 50,
            "lease_seconds": LEASE_SECONDS,
        },
    )
    connected = town.sandbox.gateway.connected
    with (folder / "bot.log").open("ab") as log:
        async with await anyio.open_process(
            [sys.executable, str(ROOT / "bot.py")],
            cwd=folder,
            env=environment(town.sandbox, CASHBACK_DATABASE=name_of(town.till.location, password=True)),
            stdout=subprocess.DEVNULL,
            stderr=log,
        ) as bot:
            try:
                await town.sandbox.wait_connected(connected + 1, PATIENCE_SECONDS)
                yield bot
            finally:
                if bot.returncode is None:
                    bot.kill()


def made(folder: Path) -> Path:
    """Make a folder."""
    folder.mkdir()
    return folder


def holder(town: DiscordFixture) -> str | None:
    """Return the holder of the lease."""
    found = town.till.rows("SELECT holder FROM cashback_leases")
    return found[0][0] if found else None


@contextmanager
def at_a_standstill(town: DiscordFixture) -> Iterator[None]:
    """Block payouts inside the block: if the ledger is locked, a batch waits wherever it is."""
    location = town.till.location
    with raw(location) as connection:
        if isinstance(location, Path):
            connection.execute("BEGIN IMMEDIATE")
        else:
            connection.execute("BEGIN")
            connection.execute("LOCK TABLE wallet_transactions IN SHARE ROW EXCLUSIVE MODE")
        yield
        connection.execute("ROLLBACK")


async def is_held_by(town: DiscordFixture, bot: anyio.abc.Process) -> None:
    """Wait until a process holds the lease."""
    await until(lambda: f" process {bot.pid} of " in str(holder(town)), PATIENCE_SECONDS)


def freeze(bot: anyio.abc.Process) -> None:
    """Freeze a process; return when it is frozen, which is later than the signal."""
    os.kill(bot.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, bot.pid, os.WSTOPPED | os.WNOWAIT)


async def approved(town: DiscordFixture) -> int:
    """Plan and approve a batch without a deadline: the bots' clock is the real one, and the till's is not."""
    database, now = town.till.database, town.till.clock()
    summary = await database.write(proposals.propose, actor="cli", now=now, expires_at=None)
    await town.till.approve(summary.batch_number, valid=A_CENTURY)
    return summary.batch_number


async def payees(town: DiscordFixture, count: int, *, muted: slice) -> list[Member]:
    """Add members with cashback pending, in the order in which they are paid; some want no direct messages."""
    people = [town.sandbox.add_member(f"Member {number}") for number in range(count)]
    await town.till.earn_all((each.id, 100) for each in people)
    with raw(town.till.location) as connection:
        for each in people[muted]:
            connection.execute(
                "INSERT INTO cashback_notification_preferences (user_id, payout_dm) VALUES (?, 0)", (each.id,)
            )
    return people


def received(town: DiscordFixture, people: list[Member]) -> list[int]:
    """Count what each has received."""
    return [len(town.sandbox.direct_messages(each.id)) for each in people]


def balances(town: DiscordFixture, people: list[Member]) -> list[int]:
    """List what is in the wallets, by the order of the ids."""
    ids = sorted(each.id for each in people)
    query = "SELECT wallet_balance_cents FROM users WHERE discord_id BETWEEN ? AND ? ORDER BY discord_id"
    return [cents for (cents,) in town.till.rows(query, ids[0], ids[-1])]


async def test_killed_bot_is_replaced_and_members_are_paid_and_notified_once(
    town: DiscordFixture, tmp_path: Path
) -> None:
    people = await payees(town, PEOPLE, muted=slice(30, None))
    async with process(made(tmp_path / "first"), town) as first:
        await is_held_by(town, first)
        async with process(made(tmp_path / "second"), town) as second:
            number = await approved(town)
            await until(town.credited)
            with at_a_standstill(town):
                assert 0 < town.credited() < PEOPLE
                first.kill()
                await first.wait()
            await is_held_by(town, second)
            await until(lambda: town.batches() == ["completed"], PATIENCE_SECONDS)
            await until(lambda: received(town, people[:31]) == [1] * 30 + [0], PATIENCE_SECONDS)
    assert (await town.till.report(number)).users_paid == PEOPLE
    assert balances(town, people) == [100] * PEOPLE


async def test_a_bot_that_is_frozen_past_its_lease_pays_nothing_and_sends_nothing_when_it_wakes(
    town: DiscordFixture, tmp_path: Path
) -> None:
    people = await payees(town, PEOPLE, muted=slice(1, -50))
    request = town.sandbox.faults.hold("POST", "^/channels/[0-9]+/messages$", after_effect=True)
    async with (
        process(made(tmp_path / "frozen"), town) as frozen,
        Lease(town.till.database, seconds=LONG_SECONDS) as other,
    ):
        await is_held_by(town, frozen)
        await approved(town)
        await until(town.credited)
        with at_a_standstill(town):
            # The one message so far is sent and waits for its answer: nothing is just about to be sent.
            with anyio.fail_after(PATIENCE_SECONDS):
                await request.arrived.wait()
            freeze(frozen)
        before = town.credited()
        assert 0 < before < PEOPLE - 50
        with anyio.fail_after(PATIENCE_SECONDS):
            while not await other.take():  # noqa: ASYNC110 -- no event comes when a lease runs out
                await anyio.sleep(other.poll_seconds / LONG_SECONDS)
        request.release()
        os.kill(frozen.pid, signal.SIGCONT)
        log = tmp_path / "frozen" / "bot.log"
        await until(lambda: "another process pays from now on" in log.read_text(), PATIENCE_SECONDS)
        assert town.credited() == before
        assert received(town, people[:1] + people[-50:]) == [1] + [0] * 50
        await other.__aexit__(None, None, None)
        await until(lambda: town.batches() == ["completed"], PATIENCE_SECONDS)
        await until(lambda: received(town, people[-51:]) == [0] + [1] * 50, PATIENCE_SECONDS)
    assert received(town, people[:2]) == [1, 0]
    assert balances(town, people) == [100] * PEOPLE


async def test_a_confirm_at_a_bot_that_does_not_pay_is_paid_by_the_one_that_does(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    async with Lease(town.till.database, seconds=LONG_SECONDS) as other:
        assert await other.take()
        async with town.bot():
            summary = await town.ask()
            await town.press(summary, "Confirm")
            await until(lambda: town.batches() == ["approved"])
            assert town.till.balance(bob.id) == 0
            await other.__aexit__(None, None, None)
            await town.shows(summary, COMPLETE)
    assert town.till.balance(bob.id) == 2500


async def test_the_bot_that_pays_finds_what_another_process_approved(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    async with town.bot():
        await until(lambda: holder(town))
        await approved(town)
        assert "$25.00" in (await town.audit_entry()).text
    assert town.till.balance(bob.id) == 2500
    assert holder(town) is None


async def test_two_processes_answer_each_command_once_and_do_it_once(town: DiscordFixture, tmp_path: Path) -> None:
    people = await payees(town, COMMANDS, muted=slice(0))
    began_at = (await town.say("good morning")).id

    def answers() -> list[str]:
        messages = town.sandbox.messages(town.channel.id)
        return [each.text for each in messages if each.author_id == town.sandbox.bot_user_id and each.id > began_at]

    async with (
        process(made(tmp_path / "first"), town) as first,
        process(made(tmp_path / "second"), town) as second,
    ):
        for number, each in enumerate(people):
            if number % 2:
                await town.sandbox.slash(town.channel.id, town.admin.id, "sendref-cashb pay", {"user": each.id})
            else:
                await town.say(f"!sendref-cashb {each.id}")
        await until(lambda: len(answers()) >= COMMANDS and "" not in answers(), PATIENCE_SECONDS)
        for bot in (first, second):
            bot.send_signal(signal.SIGTERM)
            assert await bot.wait() == 0
    assert ["$1.00" in each for each in answers()] == [True] * COMMANDS
    assert town.batches() == ["proposed"] * COMMANDS
    assert town.audit_actions() == ["batch_proposed"] * COMMANDS
    for name in ("first", "second"):
        log = (tmp_path / name / "bot.log").read_text()
        assert ("Traceback" in log, '"level": "error"' in log) == (False, False)
