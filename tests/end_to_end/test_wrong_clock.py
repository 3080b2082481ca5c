"""A machine with a wrong clock: it is reported, and until it is right nothing is missed, expired or postponed by it."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from cashback.cogs.gateway.connection import point_at
from cashback.cogs.gateway.doctor import Doctor, visit
from cashback.services import AdminService
from sandbox import ManualClock
from tests.conftest import FRIDAY, raw
from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture, until

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

TWO_MONTHS = 60 * 86_400
WEEK = timedelta(weeks=1)


@pytest.fixture
def discord_clock() -> ManualClock:
    """Let Discord's clock show what is right: the machine is two months ahead of it."""
    return ManualClock(time.time() - TWO_MONTHS)


def clock_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """List what was logged about the clock."""
    return [record.getMessage() for record in caplog.records if "this machine's clock" in record.getMessage()]


async def test_proposal_does_not_expire_by_a_clock_that_is_wrong(
    guild: DiscordFixture, discord_clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        summary = await guild.ask()
        guild.clock.advance(TWO_MONTHS)
        await guild.answer("!sendref-cashb history")
        assert guild.batches() == ["proposed"]
        [line] = clock_lines(caplog)
        assert "60 d 0 h ahead of Discord's; set it" in line
        discord_clock.seconds = time.time()
        await guild.answer("!sendref-cashb history")
        await guild.shows(summary, "This summary expired")
    assert clock_lines(caplog)[1:] == ["this machine's clock and Discord's agree again"]


async def test_slots_are_neither_missed_nor_paid_by_a_clock_that_is_wrong(
    guild: DiscordFixture, discord_clock: ManualClock
) -> None:
    guild.adjust(auto_batch_enabled=True)
    bob = await guild.referrer("Bob", 2500)
    guild.clock.advance(TWO_MONTHS + 3600)
    for _ in range(2):
        async with guild.bot():
            await guild.answer("!sendref-cashb history")
        guild.clock.advance(3 * 86_400)
    assert guild.ledger.rows("SELECT 1 FROM cashback_schedule_slots") == []
    guild.clock.moment = FRIDAY + WEEK
    discord_clock.seconds = time.time()
    async with guild.bot():
        await guild.audit_entry("$25.00")
    slots = guild.ledger.rows("SELECT slot_at, status FROM cashback_schedule_slots")
    assert slots == [(f"{FRIDAY + WEEK:%Y-%m-%d %H:%M:%S.%f}", "batched")]
    assert guild.ledger.balance(bob.id) == 2500


async def test_slot_is_not_announced_by_a_clock_that_is_wrong(
    guild: DiscordFixture, discord_clock: ManualClock
) -> None:
    guild.adjust(auto_batch_enabled=True, notice_hours=24)
    await guild.referrer("Bob", 2500)
    guild.clock.moment = FRIDAY + WEEK - timedelta(hours=2)
    notices = "SELECT slot_at FROM cashback_slot_posts WHERE kind = 'notice'"
    async with guild.bot():
        await guild.answer("!sendref-cashb history")
        await until(lambda: guild.ledger.rows("SELECT 1 FROM cashback_schedule_state"))
    assert guild.ledger.rows(notices) == []
    discord_clock.seconds = time.time()
    async with guild.bot():
        await until(lambda: guild.ledger.rows(notices))
    assert guild.ledger.rows(notices) == [(f"{FRIDAY + WEEK:%Y-%m-%d %H:%M:%S.%f}",)]


async def test_doctor_shows_a_clock_that_is_wrong_and_what_it_did(guild: DiscordFixture) -> None:
    point_at(guild.sandbox.api_url)
    service = AdminService(guild.ledger.database, guild.settings, lambda _number: 0)
    doctor = Doctor(guild.ledger.database, service, guild.settings)
    found = {each.name: each for each in await visit(doctor, guild.settings)}
    assert not found["clock"].is_well
    await service.open_schedule()
    with raw(guild.ledger.location) as connection:
        connection.execute(
            "INSERT INTO cashback_schedule_slots (slot_at, status, decided_by, decided_at) VALUES (?, 'missed',"
            " 'schedule', ?)",
            (f"{FRIDAY + WEEK:%Y-%m-%d %H:%M:%S.%f}", f"{FRIDAY + 9 * WEEK:%Y-%m-%d %H:%M:%S.%f}"),
        )
    found = {each.name: each for each in await doctor.examine_ledger()}
    assert not found["slots"].is_well
    assert "The machine's clock was wrong: what was decided about the slot of 2026-07-10" in found["slots"].text
    await service.correct_schedule()
    found = {each.name: each for each in await doctor.examine_ledger()}
    assert "decisions of a wrong clock were made void" in found["slots"].text
