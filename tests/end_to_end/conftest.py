"""A local Discord, a ledger, and the real bot between them: nothing is replaced but the address."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial

import anyio
import discord
import pytest

import bot
from cashback.database import Database
from cashback.settings import Settings
from sandbox import Channel, Interaction, ManualClock, Member, Message, Role, Sandbox
from sandbox.clock import real_time
from tests.conftest import Clock, LedgerFixture, raw
from tests.description import RequestCheck
from tests.end_to_end.hosts import OtherBot, living
from tests.frozen import FrozenTime

LONG_SECONDS = 1e9
OWN_BOT, ANOTHER_BOT = "own bot", "another bot"
BOTH_BOTS = (OWN_BOT, ANOTHER_BOT)
"""A module with this as `INSIDE` tells its stories twice: in the bot that we ship, and for `make proof` in another."""

GUILD_ID = 1_100_000_000_000_000_000

SUMMARY = "💰 Referral Cashback Batch Summary"
INDIVIDUAL = "💰 Individual Referral Cashback Payout"
COMPLETE = "✅ Referral Cashback Batch Complete"
PROCESSED = "💰 Referral Cashback Batch Processed"
RECEIVED = "💰 Referral Cashback Received!"


def titled(title: str) -> Callable[[Message], bool]:
    """Match messages whose embed has this title."""
    return lambda message: message.embed.get("title") == title


def saying(*words: str) -> Callable[[Message], bool]:
    """Match messages that contain all these words."""
    return lambda message: all(word in message.text for word in words)


def field(message: Message, name: str) -> str:
    """Return the text of an embed's field."""
    return next(str(each["value"]) for each in message.embed["fields"] if each["name"] == name)


def button(message: Message, label: str) -> str:
    """Return the custom id of a button."""
    return next(each.custom_id or "" for each in message.buttons if each.label == label)


class DiscordFixture:
    """A server with an admin, an audit channel and a shop's members, and the bot's settings for it."""

    def __init__(self, sandbox: Sandbox, ledger: LedgerFixture, clock: Clock, inside: str = OWN_BOT) -> None:
        self.inside = inside
        self.sandbox = sandbox
        self.clock = clock
        self.ledger = ledger
        self.admin_role: Role = sandbox.add_role("Admin")
        self.channel: Channel = sandbox.add_channel("admins")
        self.audit: Channel = sandbox.add_channel("audit")
        self.admin: Member = sandbox.add_member("Ada", role_ids=[self.admin_role.id])
        self.settings = Settings.model_validate(
            {
                "guild_ids": [sandbox.guild_id],
                "role_ids": {"admin": self.admin_role.id},
                "logging_channels": {"audit": self.audit.id},
                "referral_settings": {"auto_batch_enabled": False, "dm_per_second": 50},
                "discord_token": sandbox.token,
                "discord_api_url": sandbox.api_url,
            }
        )
        self.adjust(progress_seconds=0.2)

    def adjust(self, **changes: float | Decimal | str) -> None:
        """Change referral settings, also to values that a file may not have: a test does not wait for two minutes."""
        referral = self.settings.referral_settings.model_copy(update=changes)
        self.settings = self.settings.model_copy(update={"referral_settings": referral})

    async def referrer(self, name: str, *amounts_cents: int) -> Member:
        """Add a member with a referral for each amount, pending."""
        member = self.sandbox.add_member(name)
        await self.ledger.earn(member.id, *amounts_cents)
        return member

    @asynccontextmanager
    async def bot(self, database: Database | None = None, *, connected: bool = True) -> AsyncIterator[anyio.Event]:
        """Run the bot inside the block, connected or not yet; it stops at the end, or when the event is set."""
        stop = anyio.Event()
        if self.inside == ANOTHER_BOT:
            async with self.another_bot(stop, database, connected=connected):
                yield stop
            return
        serve = partial(bot.serve, reread=lambda: self.settings)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, self.settings, database or self.ledger.database, stop, name="bot")
            if connected:
                await self.sandbox.wait_connected()
            yield stop
            stop.set()

    @asynccontextmanager
    async def another_bot(
        self, stop: anyio.Event, database: Database | None, *, connected: bool
    ) -> AsyncIterator[None]:
        """Run the program as the extension of another bot, on this ledger with its clock."""

        @asynccontextmanager
        async def opened(_settings: Settings) -> AsyncIterator[Database]:
            yield database or self.ledger.database

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cashback.extension.open_ledger", opened)
            async with living(OtherBot(lambda: self.settings), self.sandbox, stop):
                if connected:
                    await self.sandbox.wait_connected()
                yield

    async def say(self, text: str, by: Member | None = None, channel: Channel | None = None) -> Message:
        """Type in the admins' channel."""
        return await self.sandbox.say((channel or self.channel).id, (by or self.admin).id, text)

    async def ask(self, text: str = "!sendref-cashb", by: Member | None = None) -> Message:
        """Type the command and wait for the summary."""
        said = await self.say(text, by)
        return await self.sandbox.wait_for(lambda message: bool(message.buttons), after=said)

    async def answer(self, text: str, by: Member | None = None) -> Message:
        """Type something and wait for the bot's first answer there."""
        said = await self.say(text, by)
        here = (self.sandbox.bot_user_id, said.channel_id)
        return await self.sandbox.wait_for(lambda each: (each.author_id, each.channel_id) == here, after=said)

    async def press(self, message: Message, label: str, by: Member | None = None) -> Interaction:
        """Press a button."""
        return await self.sandbox.click(message.id, button(message, label), (by or self.admin).id)

    async def shows(self, message: Message, *words: str, seconds: float = 20) -> Message:
        """Wait until a message, edited, has these words."""
        matches = saying(*words)
        return await self.sandbox.wait_for(lambda each: each.id == message.id and matches(each), seconds)

    async def audit_entry(self, *words: str) -> Message:
        """Wait for an entry in the audit channel."""
        matches = saying("Batch Processed", *words)
        return await self.sandbox.wait_for(lambda each: each.channel_id == self.audit.id and matches(each))

    def audit_actions(self) -> list[str]:
        """List the actions in the ledger's audit log."""
        query = "SELECT action FROM cashback_audit_log WHERE action NOT LIKE 'schedule%' ORDER BY id"
        return [action for (action,) in self.ledger.rows(query)]

    def batches(self) -> list[str]:
        """List the batches' states."""
        return [status for (status,) in self.ledger.rows("SELECT status FROM cashback_payout_batches ORDER BY number")]

    def credited(self) -> int:
        """Count the payouts that are credited."""
        return len(self.ledger.rows("SELECT 1 FROM cashback_payouts WHERE status = 'credited'"))


def break_ledger(guild: DiscordFixture) -> None:
    """Take away a table that only crediting needs."""
    with raw(guild.ledger.path) as connection:
        connection.execute("ALTER TABLE cashback_notification_preferences RENAME TO taken_away")


def mend_ledger(guild: DiscordFixture) -> None:
    """Give it back."""
    with raw(guild.ledger.path) as connection:
        connection.execute("ALTER TABLE taken_away RENAME TO cashback_notification_preferences")


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait for a condition without an event: a row, or a private answer."""
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 -- see above
            await anyio.sleep(0.01)


@pytest.fixture
def discord_clock() -> ManualClock | None:
    """Return the local Discord's own clock; None is the machine's."""
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a module's stories in each bot that it names, unless one names its own."""
    bots = getattr(metafunc.module, "INSIDE", None)
    is_named = any("inside" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if bots is not None and "inside" in metafunc.fixturenames and not is_named:
        again = [pytest.param(each, marks=pytest.mark.proof) for each in bots[1:]]
        metafunc.parametrize("inside", [bots[0], *again])


@pytest.fixture
def inside() -> str:
    """Return the bot that the program runs in."""
    return OWN_BOT


@pytest.fixture
def shards() -> int:
    """Return the number of connections that the local Discord asks for."""
    return 1


@pytest.fixture
async def sandbox(
    monkeypatch: pytest.MonkeyPatch,
    request_check: RequestCheck | None,
    discord_clock: ManualClock | None,
    shards: int,
) -> AsyncIterator[Sandbox]:
    """Serve a local Discord; if the bot pointed the library at it, restore the library afterwards."""
    monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
    # A test does not wait as long as Discord asks between two connections.
    monkeypatch.setattr("cashback.cogs.gateway.client.IDENTIFY_SECONDS", 0.01)
    default = discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY
    monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", default)
    clock = discord_clock or real_time
    async with Sandbox(request_check=request_check, clock=clock, shards=shards, guild_id=GUILD_ID) as server:
        yield server
        assert server.complaints == []


@pytest.fixture
async def guild(
    sandbox: Sandbox, ledger: LedgerFixture, clock: Clock, inside: str, caplog: pytest.LogCaptureFixture
) -> DiscordFixture:
    """Create a server with its bot's settings; if a test fails, the bot's log is shown."""
    caplog.set_level(logging.INFO)
    return DiscordFixture(sandbox, ledger, clock, inside)


@pytest.fixture
async def frozen_guild(
    frozen_time: FrozenTime, sandbox: Sandbox, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> AsyncIterator[DiscordFixture]:
    """Create a server under frozen time, for the bot and its ledger too."""
    # The heartbeat is a thread's and stays in real time: without this, each minute would look like a dead connection.
    patient = property(lambda _socket: LONG_SECONDS, lambda _socket, _seconds: None)
    monkeypatch.setattr(discord.gateway.DiscordWebSocket, "_max_heartbeat_timeout", patient, raising=False)
    async with Database(tmp_path / "frozen.db") as database:
        ledger = LedgerFixture(database, frozen_time)
        frozen = DiscordFixture(sandbox, ledger, Clock(), inside)
        # Each timer is a stop on the way through frozen time: a progress message every 0.2 seconds would be hundreds,
        # and so would the renewals of a lease without a competitor, and looking for withdrawals each second.
        frozen.adjust(progress_seconds=10, lease_seconds=LONG_SECONDS)
        monkeypatch.setattr("cashback.cogs.posts.withdrawal_notes.POLL_SECONDS", 30)
        yield frozen
        assert (await ledger.verify()).breaches == ()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make claims take too long from the start."""
    monkeypatch.setattr("cashback.cogs.gateway.claims.ACKNOWLEDGE_SECONDS", 0)
