"""The extension's life in another bot: unloaded in mid-batch, reloaded, killed, and next to other processes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest
from discord.ext import commands

import bot as own_bot
from cashback import CashbackError, Database
from cashback.database.dialect import name_of
from cashback.domain.model import BatchReport, ChunkCredited
from cashback.domain.ports import utc_now
from cashback.extend import Additions
from sandbox import Member, Message
from tests.conftest import raw
from tests.end_to_end.conftest import COMPLETE, DiscordFixture, button, saying, until
from tests.end_to_end.hosts import OtherBot, living
from tests.end_to_end.test_extension import content, traces
from tests.end_to_end.test_process import environment

pytestmark = pytest.mark.anyio

PEOPLE = 12
EARLY = 3
CENTS = 100
PATIENCE_SECONDS = 60
RELOAD_SECONDS = 25
"""Less than the 30 s for which a request that a reload cut off once held up all others."""
OTHER_BOT = Path(__file__).with_name("other_bot.py")


class AfterSome:
    """An observer that lets a test act when some chunks are settled; the batch waits until then."""

    def __init__(self) -> None:
        self.chunks = 0
        self.reached = anyio.Event()
        self.released = anyio.Event()

    async def progressed(self, chunk: ChunkCredited) -> None:
        """Count a chunk."""
        self.chunks += 1
        if self.chunks == EARLY:
            self.reached.set()
            await self.released.wait()

    async def finished(self, report: BatchReport) -> None:
        """Do nothing."""

    async def interrupted(self, batch_number: int, reason: str) -> None:
        """Do nothing."""


async def payees(guild: DiscordFixture) -> list[Member]:
    """Add members with cashback pending."""
    return [await guild.referrer(f"Member {number}", CENTS) for number in range(PEOPLE)]


async def confirmed(guild: DiscordFixture) -> Message:
    """Plan a batch and confirm it."""
    summary = await guild.ask()
    await guild.press(summary, "Confirm")
    return summary


def each_paid_once(guild: DiscordFixture, people: list[Member]) -> None:
    """Assert that every member was paid and got one message."""
    assert [guild.ledger.balance(each.id) for each in people] == [CENTS] * PEOPLE
    assert [len(guild.sandbox.direct_messages(each.id)) for each in people] == [1] * PEOPLE
    assert len(guild.ledger.rows("SELECT 1 FROM wallet_transactions")) == PEOPLE


def tasks_of_ours() -> list[str]:
    """List the tasks that run code of ours."""
    return [
        repr(task)
        for task in asyncio.all_tasks()
        if (coroutine := task.get_coro()) and "/cashback/" in getattr(coroutine, "cr_code", coroutine).co_filename  # type: ignore[union-attr]
    ]


@pytest.mark.parametrize("way", ["unloaded and loaded", "reloaded"])
async def test_unloaded_in_mid_batch_it_finishes_the_chunk_and_a_later_load_goes_on(
    guild: DiscordFixture, way: str
) -> None:
    people, observer = await payees(guild), AfterSome()
    client = OtherBot(content(guild))
    client.cashback_additions = Additions(observers=(observer,))
    async with living(client, guild.sandbox):
        await guild.sandbox.wait_connected()
        loaded = traces(client)
        summary = await confirmed(guild)
        await observer.reached.wait()
        if way == "reloaded":
            await client.reload_extension("cashback")
        else:
            await client.unload_extension("cashback")
            assert tasks_of_ours() == []
            assert client.get_command("sendref-cashb") is None
            assert guild.batches() == ["running"]
            assert EARLY <= guild.credited() < PEOPLE
            assert "The bot is stopping" in (await guild.shows(summary, "stopping")).text
            await client.load_extension("cashback")
        await guild.shows(summary, COMPLETE, f"Sent:** {PEOPLE}", seconds=RELOAD_SECONDS)
        assert traces(client)[:4] == loaded[:4]
    assert guild.batches() == ["completed"]
    each_paid_once(guild, people)


async def test_a_reload_that_fails_leaves_what_ran_before(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    given = [content(guild), content(guild, role_ids={"admin": 5}), content(guild)]
    client = OtherBot(lambda: own_settings(given))
    async with living(client, guild.sandbox):
        await guild.sandbox.wait_connected()
        with pytest.raises(commands.ExtensionFailed, match=r"role_ids\.admin is 5"):
            await client.reload_extension("cashback")
        await guild.shows(await confirmed(guild), COMPLETE)
        await client.unload_extension("cashback")
        assert client.get_command("sendref-cashb") is None
    assert guild.ledger.balance(bob.id) == 2500


async def test_a_bot_that_is_closed_twice_at_once_finishes_the_chunk_first(
    guild: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    """A signal's handler and the end of `async with bot` may both close it."""
    await payees(guild)
    observer = AfterSome()
    client = OtherBot(content(guild))
    left: list[str] = []

    async def close() -> None:
        await client.close()
        left.extend(tasks_of_ours())

    client.cashback_additions = Additions(observers=(observer,))
    async with living(client, guild.sandbox):
        await guild.sandbox.wait_connected()
        await confirmed(guild)
        await observer.reached.wait()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(close)
            tasks.start_soon(close)
    assert left == []
    assert guild.batches() == ["running"]
    assert [record.getMessage() for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}] == []


def own_settings(given: list[dict[str, object]]) -> dict[str, object]:
    """Return the next settings, and the last ones from then on."""
    return given.pop(0) if len(given) > 1 else given[0]


async def test_the_hosts_library_is_one_after_any_unload(guild: DiscordFixture) -> None:
    """discord.py forgets the modules of an extension; a host's Database must not meet a second CashbackError."""
    client = OtherBot(content(guild))
    async with living(client, guild.sandbox):
        await guild.sandbox.wait_connected()
        await client.unload_extension("cashback")
        from cashback import CashbackError as Again  # noqa: PLC0415 -- the point of this test
        from cashback import Database as Anew  # noqa: PLC0415 -- as above

        assert Again is CashbackError
        assert Anew is Database
        with pytest.raises(CashbackError, match="cannot refer themselves"):
            await guild.ledger.database.create_referral(7, 7)


def configure(folder: Path, settings: dict[str, object]) -> None:
    """Write a config.json."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(settings))


@asynccontextmanager
async def process(folder: Path, guild: DiscordFixture, **terms: float) -> AsyncIterator[anyio.abc.Process]:
    """Run another bot as a process, connected inside the block; kill it afterwards."""
    referral = {"auto_batch_enabled": False, "chunk_size": 1, "dm_per_second": 50, **terms}
    settings = content(guild, referral_settings=referral)
    configure(folder, {key: settings[key] for key in settings if key != "database"})
    variables = environment(
        guild.sandbox,
        GATEWAY_URL=guild.sandbox.gateway_url,
        CASHBACK_DATABASE=name_of(guild.ledger.location, password=True),
    )
    connected = guild.sandbox.gateway.connected
    with (folder / "bot.log").open("ab") as log:
        async with await anyio.open_process(
            [sys.executable, str(OTHER_BOT)], cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=log
        ) as started:
            try:
                await guild.sandbox.wait_connected(connected + 1, PATIENCE_SECONDS)
                yield started
            finally:
                if started.returncode is None:
                    started.kill()


async def test_a_host_that_is_killed_in_mid_batch_goes_on_at_its_next_start(
    guild: DiscordFixture, tmp_path: Path
) -> None:
    people = await payees(guild)
    with raw(guild.ledger.location) as connection:
        for each in people[1:]:
            connection.execute(
                "INSERT INTO cashback_notification_preferences (user_id, payout_dm) VALUES (?, 0)", (each.id,)
            )
    async with process(tmp_path / "host", guild, lease_seconds=2) as first:
        summary = await confirmed(guild)
        await until(lambda: guild.credited() >= 1, PATIENCE_SECONDS)
        first.kill()
        await until(lambda: guild.sandbox.gateway.connected == 0)
    async with process(tmp_path / "host", guild, lease_seconds=2):
        await guild.shows(summary, COMPLETE, seconds=PATIENCE_SECONDS)
    assert [guild.ledger.balance(each.id) for each in people] == [CENTS] * PEOPLE
    assert len(guild.ledger.rows("SELECT 1 FROM wallet_transactions")) == PEOPLE


@pytest.mark.about_a_file("the conflict is between processes of one ledger on either database")
async def test_two_hosts_and_our_own_bot_answer_each_command_once_and_pay_once(
    guild: DiscordFixture, tmp_path: Path
) -> None:
    # The processes live by the machine's clock: by it, an approval of this bot's frozen day would have lapsed.
    guild.clock.moment = utc_now()
    # With a lease shorter than a busy machine's pauses, the processes would take the paying from each other.
    people, eve = await payees(guild), guild.sandbox.add_member("Eve")
    async with process(tmp_path / "one", guild), process(tmp_path / "two", guild):
        stop = anyio.Event()
        async with anyio.create_task_group() as tasks:
            settings = guild.settings.model_copy()
            tasks.start_soon(own_bot.serve, settings, guild.ledger.database, stop)
            await guild.sandbox.wait_connected(3, PATIENCE_SECONDS)
            said = await guild.say("!sendref-cashb")
            summary = await guild.sandbox.wait_for(lambda message: bool(message.buttons), after=said)
            refused = await guild.say("!sendref-cashb", by=eve)
            await guild.sandbox.wait_for(saying("Only an admin"), after=refused)
            for path in ("profile", "sendref-cashb history"):
                asked = await guild.sandbox.slash(guild.channel.id, guild.admin.id, path)
                assert await asked.replied() is not None
            await guild.sandbox.click(summary.id, button(summary, "Confirm"), guild.admin.id)
            await guild.shows(summary, COMPLETE, f"Sent:** {PEOPLE}", seconds=PATIENCE_SECONDS)
            ours = [each for each in guild.sandbox.messages(guild.channel.id) if each.author_id == said.author_id]
            assert ours
            stop.set()
    summaries = [each for each in guild.sandbox.messages(guild.channel.id) if COMPLETE in each.text]
    refusals = [each for each in guild.sandbox.messages(guild.channel.id) if "Only an admin" in each.text]
    assert (len(summaries), len(refusals)) == (1, 1)
    assert guild.audit_actions().count("batch_proposed") == 1
    assert guild.audit_actions().count("refused") == 1
    each_paid_once(guild, people)
