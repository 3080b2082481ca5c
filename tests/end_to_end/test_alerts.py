"""Every alert rule in deploy/ fires when it should and is silent when it should be, on a real bot's metrics."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import anyio
import anyio.to_thread
import pytest

from cashback.database import verifications
from cashback.database.audit_log import BACKUP_MADE, add_entry
from cashback.database.database import DEFAULT_RATE_PPM
from cashback.database.referral_program import unmatched
from cashback.database.wallets import withdrawals
from cashback.settings import Settings
from cli import app
from cli.worker import work_until_signal
from sandbox import ManualClock
from tests.cashback.dashboard.conftest import SECRET, free_port, signed
from tests.conftest import raw
from tests.end_to_end.conftest import DiscordFixture, break_ledger, mend_ledger, until
from tests.end_to_end.test_two_bots import approved, at_a_standstill
from tests.promtool import Phase, firing, needs_promtool, rule_names, series_in

pytestmark = [pytest.mark.anyio, needs_promtool]

HOUR = 60
DAY = 24 * HOUR
FIRED: set[str] = set()
SETTLED = 'cashback_payouts_settled_total{outcome="credited"}'
BODY = b'{"order_id": "A1", "buyer_id": "100000000000000009", "amount_cents": 100}'


@pytest.fixture
def discord_clock() -> ManualClock:
    """Let a test set Discord's clock."""
    return ManualClock()


@dataclass
class ScrapedBot:
    """A bot that Prometheus scrapes: each phase is one answer, held while the ledger's clock goes on."""

    guild: DiscordFixture
    folder: Path
    address: str
    session: aiohttp.ClientSession
    began: float = 0.0
    phases: list[Phase] = field(default_factory=list)
    others: dict[str, list[Phase]] = field(default_factory=dict)

    async def scrape(self) -> dict[str, float]:
        """Read /metrics."""
        async with self.session.get(f"{self.address}/metrics") as answer:
            assert answer.status == 200
            return series_in(await answer.text())

    async def hold(self, minutes: int) -> dict[str, float]:
        """Scrape, and let the answer stand for so many minutes."""
        series = await self.scrape()
        self.gone(minutes, series)
        return series

    def gone(self, minutes: int, series: dict[str, float] | None = None) -> None:
        """Let the bot answer nothing for so many minutes."""
        self.began = self.began or self.guild.clock().timestamp()
        self.phases.append(Phase(minutes, series or {}))
        self.guild.clock.advance(minutes * 60)

    @property
    def minute(self) -> int:
        """Return the last minute."""
        return sum(phase.minutes for phase in self.phases) - 1

    def firing(self) -> set[str]:
        """Return the alerts that fire at the last minute."""
        [found] = self.firing_at(self.minute)
        return found

    def firing_at(self, *minutes: int) -> list[set[str]]:
        """Return the alerts that fire at each of these minutes."""
        found = firing(self.folder, {"bot:8930": self.phases, **self.others}, minutes=minutes, since=self.began)
        FIRED.update(*found)
        return found

    async def care(self) -> None:
        """Verify and back up."""
        await self.guild.ledger.database.write(verifications.note, breaches=0, actor="cli", now=self.guild.clock())
        await self.guild.ledger.database.write(add_entry, at=self.guild.clock(), actor="cli", action=BACKUP_MADE)

    async def post(self, headers: dict[str, str], body: bytes = b"{}") -> int:
        """Send a delivery."""
        address = f"{self.address}/api/v1/purchases"
        async with self.session.post(address, data=body, headers=headers) as answer:
            return answer.status


@pytest.fixture(autouse=True)
def no_old_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each scrape show the ledger as it is then."""
    monkeypatch.setattr("cashback.dashboard.snapshot.USABLE_SECONDS", 0)


async def answer_of(session: aiohttp.ClientSession, address: str) -> str:
    """Read an address as soon as it answers."""
    with anyio.fail_after(20):
        while True:
            try:
                async with session.get(address) as answer:
                    return await answer.text()
            except aiohttp.ClientConnectionError:
                await anyio.sleep(0.05)


@asynccontextmanager
async def watching(guild: DiscordFixture, folder: Path, **referral: bool) -> AsyncIterator[ScrapedBot]:
    """Run a bot with a dashboard and a shop's key, scraped inside the block."""
    guild.adjust(**referral)
    served = {"enabled": True, "port": free_port()}
    changed = Settings.model_validate({"dashboard": served, "intake_keys": {"shop": (SECRET,)}})
    guild.settings = guild.settings.model_copy(
        update={"dashboard": changed.dashboard, "intake_keys": changed.intake_keys}
    )
    async with aiohttp.ClientSession() as session, guild.bot():
        scraped = ScrapedBot(guild, folder, changed.dashboard.address, session)
        await answer_of(session, f"{scraped.address}/healthz")
        await scraped.care()
        yield scraped


async def held(scraped: ScrapedBot, name: str, value: float) -> None:
    """Wait until a scrape shows a value."""
    with anyio.fail_after(20):
        while (await scraped.scrape())[name] != value:  # noqa: ASYNC110 -- another task's number has no event
            await anyio.sleep(0.05)


async def test_healthy_bot_with_its_daily_care_rings_nothing(guild: DiscordFixture, tmp_path: Path) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with watching(guild, tmp_path, auto_batch_enabled=True) as scraped:
        await scraped.hold(HOUR)
        number = await approved(guild)
        await until(lambda: guild.batches() == ["completed"])
        await until(lambda: guild.sandbox.direct_messages(bob.id))
        # The message is recorded as sent a moment after it has arrived.
        await held(scraped, 'cashback_direct_messages{status="queued"}', 0)
        assert await scraped.post(signed(BODY, at=guild.clock()), BODY) == 200
        for _day in range(5):
            await scraped.hold(DAY)
            await scraped.care()
        assert number == 1
        minutes = (HOUR - 1, HOUR + 2, HOUR + 30, DAY, 3 * DAY, scraped.minute)
        assert scraped.firing_at(*minutes) == [set()] * len(minutes)


async def test_bot_that_is_away_rings_although_its_worker_answers(guild: DiscordFixture, tmp_path: Path) -> None:
    async with watching(guild, tmp_path) as scraped, anyio.create_task_group() as tasks:
        port = free_port()
        settings = Settings.model_validate({"database": str(guild.ledger.path)})
        tasks.start_soon(work_until_signal, settings, port)
        worker = series_in(await answer_of(scraped.session, f"http://127.0.0.1:{port}/metrics"))
        await scraped.hold(30)
        scraped.gone(15)
        scraped.others["worker:9108"] = [Phase(45, worker)]
        assert scraped.firing_at(29, scraped.minute) == [set(), {"CashbackAway"}]
        tasks.cancel_scope.cancel()


async def test_ledger_that_cannot_be_read_rings(guild: DiscordFixture, tmp_path: Path) -> None:
    async with watching(guild, tmp_path) as scraped:
        await scraped.hold(30)
        moved = guild.ledger.path.with_suffix(".gone")
        guild.ledger.path.rename(moved)
        series = await scraped.hold(15)
        moved.rename(guild.ledger.path)
        assert series['cashback_healthy{part="Ledger"}'] == 0
        assert scraped.firing() == {"CashbackUnwell"}


async def test_bots_of_which_none_pays_ring(guild: DiscordFixture, tmp_path: Path) -> None:
    await guild.ledger.earn(guild.sandbox.add_member("Bob").id, 100)
    guild.adjust(lease_seconds=1)
    async with watching(guild, tmp_path) as scraped:
        payer = await scraped.hold(30)
        with raw(guild.ledger.location) as connection:
            connection.execute(
                "UPDATE cashback_leases SET fence = fence + 1, milliseconds = 900000, holder = 'another'"
            )
        await held(scraped, "cashback_lease_held", 0)
        await guild.ledger.pay()
        standby = await scraped.hold(HOUR + 10)
        assert standby['cashback_direct_messages{status="queued"}'] == 1
        before, soon, later = scraped.firing_at(29, 29 + 20, scraped.minute)
        assert (before, soon) == (set(), {"CashbackNobodyPays"})
        # Nobody sends the message that the batch has queued either.
        assert later == {"CashbackNobodyPays", "CashbackMessagesPileUp"}
        scraped.phases = [Phase(HOUR, {**standby, 'cashback_direct_messages{status="queued"}': 0.0})]
        scraped.others["second:8930"] = [Phase(HOUR, payer)]
        assert scraped.firing() == set()


async def test_books_that_do_not_balance_ring(guild: DiscordFixture, tmp_path: Path) -> None:
    await guild.ledger.earn(5, 100)
    await guild.ledger.pay()
    guild.ledger.honest = False
    async with watching(guild, tmp_path) as scraped:
        await scraped.hold(30)
        with raw(guild.ledger.location) as connection:
            connection.execute("UPDATE users SET wallet_balance_cents = 777 WHERE discord_id = 5")
        config = tmp_path / "config.json"
        config.write_text("{}")
        found = await anyio.to_thread.run_sync(
            app.run, ["--config", str(config), "--database", str(guild.ledger.path), "verify"]
        )
        assert found == 1
        await scraped.hold(5)
        assert scraped.firing_at(29, scraped.minute) == [set(), {"CashbackBooksDoNotBalance"}]


async def test_ledger_without_care_rings(guild: DiscordFixture, tmp_path: Path) -> None:
    async with watching(guild, tmp_path) as scraped:
        await scraped.hold(2 * DAY)
        await scraped.hold(2 * DAY)
        assert scraped.firing_at(2 * DAY - 1, scraped.minute) == [set(), {"CashbackNotVerified", "CashbackNotBackedUp"}]


async def test_ledger_that_was_never_cared_for_rings_after_a_day(
    guild: DiscordFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(_watch: ScrapedBot) -> None:
        return

    monkeypatch.setattr(ScrapedBot, "care", none)
    async with watching(guild, tmp_path) as scraped:
        await scraped.hold(DAY + HOUR)
        assert scraped.firing_at(DAY - 10, scraped.minute) == [set(), {"CashbackNotVerified", "CashbackNotBackedUp"}]


async def test_run_that_is_interrupted_rings(guild: DiscordFixture, tmp_path: Path) -> None:
    await guild.ledger.earn(guild.sandbox.add_member("Bob").id, 100)
    async with watching(guild, tmp_path) as scraped:
        await scraped.hold(30)
        break_ledger(guild)
        await approved(guild)
        await held(scraped, 'cashback_runs_total{outcome="interrupted"}', 1)
        await scraped.hold(5)
        mend_ledger(guild)
        before, now = scraped.firing_at(29, scraped.minute)
        assert before == set()
        assert "CashbackRunInterrupted" in now


async def test_failed_payouts_ring(guild: DiscordFixture, tmp_path: Path) -> None:
    bob = guild.sandbox.add_member("Bob").id
    await guild.ledger.earn(bob, 100)
    async with watching(guild, tmp_path) as scraped:
        await scraped.hold(30)
        with raw(guild.ledger.location) as connection:
            connection.execute(
                "CREATE TRIGGER refuse BEFORE UPDATE OF wallet_balance_cents ON users"
                " BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        await approved(guild)
        await until(lambda: guild.batches() == ["completed_with_failures"])
        await scraped.hold(5)
        assert scraped.firing_at(29, scraped.minute) == [set(), {"CashbackPayoutsFailed"}]
        with raw(guild.ledger.location) as connection:
            connection.execute("DROP TRIGGER refuse")


async def test_batch_that_stands_still_rings(guild: DiscordFixture, tmp_path: Path) -> None:
    await guild.ledger.earn(guild.sandbox.add_member("Bob").id, 100)
    async with watching(guild, tmp_path) as scraped:
        await scraped.hold(30)
        await approved(guild)
        with at_a_standstill(guild):
            await held(scraped, "cashback_runner_batches", 1)
            await scraped.hold(25)
        assert scraped.firing_at(29, scraped.minute) == [set(), {"CashbackBatchStandsStill"}]
        # A batch that is running and settles payouts does not.
        steps = [{**scraped.phases[1].series, SETTLED: 500.0 * step} for step in range(25)]
        scraped.phases = [Phase(1, step) for step in steps]
        assert scraped.firing() == set()


async def test_missed_slot_rings_also_if_the_bot_was_away(guild: DiscordFixture, tmp_path: Path) -> None:
    guild.adjust(auto_batch_enabled=True)
    async with guild.bot():
        await guild.answer("!sendref-cashb schedule")
    guild.clock.advance(9 * DAY * 60)
    async with watching(guild, tmp_path) as scraped:
        await held(scraped, 'cashback_schedule_slots{status="missed"}', 1)
        await scraped.hold(HOUR)
        await scraped.care()
        await scraped.hold(2 * DAY)
        assert scraped.firing_at(HOUR - 1, scraped.minute) == [{"CashbackSlotMissed"}, set()]


async def test_schedule_that_is_paused_rings(guild: DiscordFixture, tmp_path: Path) -> None:
    async with watching(guild, tmp_path, auto_batch_enabled=True) as scraped:
        await scraped.hold(HOUR)
        await guild.answer("!sendref-cashb schedule pause a holiday")
        await scraped.hold(2 * HOUR)
        assert scraped.firing_at(HOUR - 1, scraped.minute) == [set(), {"CashbackNextSlotUnknown"}]


async def test_schedule_that_is_switched_off_does_not_ring(guild: DiscordFixture, tmp_path: Path) -> None:
    async with watching(guild, tmp_path) as scraped:
        await scraped.hold(DAY)
        assert scraped.firing() == set()


async def test_refused_delivery_of_a_shop_rings(guild: DiscordFixture, tmp_path: Path) -> None:
    async with watching(guild, tmp_path) as scraped:
        await scraped.hold(30)
        assert await scraped.post(signed(b"{}", at=guild.clock())) >= 400
        await scraped.hold(5)
        assert scraped.firing_at(29, scraped.minute) == [set(), {"CashbackDeliveriesRefused"}]


async def test_refused_strangers_ring_as_an_intake_that_refuses(guild: DiscordFixture, tmp_path: Path) -> None:
    async with watching(guild, tmp_path) as scraped:
        for _phase in range(8):
            assert await scraped.post(signed(b"{}", at=guild.clock(), key="stranger")) == 401
            await scraped.hold(5)
        assert scraped.firing() == {"CashbackIntakeRefuses"}


async def test_withdrawal_that_waits_rings(guild: DiscordFixture, tmp_path: Path) -> None:
    await guild.ledger.earn(5, 500)
    await guild.ledger.pay()
    async with watching(guild, tmp_path) as scraped:
        await scraped.hold(HOUR)
        await guild.ledger.database.write(
            withdrawals.request,
            user_id=5,
            cents=500,
            method="cash",
            destination=None,
            actor="discord:5",
            now=guild.clock(),
        )
        for _day in range(4):
            await scraped.care()
            await scraped.hold(DAY)
        assert scraped.firing_at(2 * DAY, scraped.minute) == [set(), {"CashbackWithdrawalsWait"}]


async def test_purchases_that_nobody_assigns_ring(guild: DiscordFixture, tmp_path: Path) -> None:
    async with watching(guild, tmp_path) as scraped:
        await guild.ledger.database.write(
            unmatched.record_unmatched,
            [unmatched.UnmatchedPurchase("guest-1", 5000)],
            DEFAULT_RATE_PPM,
            guild.clock(),
        )
        for _day in range(8):
            await scraped.care()
            await scraped.hold(DAY)
        assert scraped.firing_at(6 * DAY, scraped.minute) == [set(), {"CashbackPurchasesWait"}]


async def test_wrong_clock_rings(guild: DiscordFixture, tmp_path: Path, discord_clock: ManualClock) -> None:
    async with watching(guild, tmp_path) as scraped:
        await scraped.hold(30)
        discord_clock.advance(3600)
        await guild.answer("!sendref-cashb history")
        await scraped.hold(10)
        assert scraped.firing_at(29, scraped.minute) == [set(), {"CashbackClockDoubted"}]


async def test_dropped_lines_of_the_log_ring(guild: DiscordFixture, tmp_path: Path) -> None:
    async with watching(guild, tmp_path) as scraped:
        await scraped.hold(30)
        # More refusals than lines are written in the two minutes over which these requests may be spread.
        for _request in range(130):
            await scraped.post({"Content-Type": "application/json"})
        await scraped.hold(5)
        assert scraped.firing_at(29, scraped.minute) == [set(), {"CashbackLogLinesDropped"}]


async def test_bots_of_different_versions_ring(
    guild: DiscordFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cashback.dashboard.metrics.version", lambda: "0.0.1")
    async with watching(guild, tmp_path) as scraped:
        older = await scraped.scrape()
    monkeypatch.undo()
    async with watching(guild, tmp_path) as scraped:
        await scraped.hold(2 * HOUR)
        assert scraped.firing() == set()
        scraped.others["second:8930"] = [Phase(2 * HOUR, older)]
        assert scraped.firing() == {"CashbackVersionsDiffer"}


async def test_event_loop_that_lags_rings(guild: DiscordFixture, tmp_path: Path) -> None:
    async with watching(guild, tmp_path) as scraped:
        await scraped.hold(30)
        while (await scraped.scrape())["cashback_loop_lag_seconds"] <= 1:
            time.sleep(2.5)  # noqa: ASYNC251 -- it is what must never happen
        lagging = {**await scraped.scrape(), "cashback_loop_lag_seconds": 1.5}
        scraped.gone(10, lagging)
        before, now = scraped.firing_at(29, scraped.minute)
        assert before == set()
        assert {"CashbackLoopLags", "CashbackUnwell"} >= now >= {"CashbackLoopLags"}


def test_every_rule_has_fired_in_a_test_above() -> None:
    if FIRED:
        assert sorted(set(rule_names()) - FIRED) == []
