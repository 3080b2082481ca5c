"""The daily verification: when it is due, and what it reports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cashback.background.daily_verify import DailyVerify, next_hour
from cashback.database import verifications
from cashback.services import AdminService
from cashback.settings import Settings
from tests.conftest import Clock, LedgerFixture, raw

pytestmark = pytest.mark.anyio

HOUR = 4


@pytest.fixture
def posted() -> list[str]:
    """Return the lines in the audit channel."""
    return []


@pytest.fixture
def daily(ledger: LedgerFixture, posted: list[str]) -> DailyVerify:
    """Make the verification of a process that starts now."""

    async def post_line(text: str) -> None:
        posted.append(text)

    service = AdminService(ledger.database, Settings(), lambda _number: 0)
    return DailyVerify(ledger.database, service, hour_utc=HOUR, post_line=post_line)


def test_next_hour_is_today_or_tomorrow() -> None:
    night = datetime(2026, 7, 3, 1, 30, tzinfo=UTC)
    assert next_hour(night, 4) == datetime(2026, 7, 3, 4, tzinfo=UTC)
    assert next_hour(night + timedelta(hours=3), 4) == datetime(2026, 7, 4, 4, tzinfo=UTC)
    assert next_hour(datetime(2026, 7, 3, 4, tzinfo=UTC), 4) == datetime(2026, 7, 4, 4, tzinfo=UTC)


async def test_it_is_due_once_a_day_from_its_hour_on(ledger: LedgerFixture, daily: DailyVerify, clock: Clock) -> None:
    assert not await daily.is_due()
    clock.moment = next_hour(clock(), HOUR)
    assert await daily.is_due()
    await daily.verify()
    assert not await daily.is_due()
    clock.advance(23 * 3600)
    assert not await daily.is_due()
    clock.advance(3600)
    assert await daily.is_due()


async def test_restart_does_not_verify_again_and_an_old_verification_is_made_up_for(
    ledger: LedgerFixture, daily: DailyVerify, clock: Clock
) -> None:
    await daily.verify()
    clock.moment = next_hour(clock(), HOUR) + timedelta(hours=1)
    assert await daily.is_due()
    await daily.verify()
    later = DailyVerify(ledger.database, daily._service, hour_utc=HOUR, post_line=daily._post_line)
    assert not await later.is_due()
    clock.advance(3 * 24 * 3600)
    at_the_start = DailyVerify(ledger.database, daily._service, hour_utc=HOUR, post_line=daily._post_line)
    assert await at_the_start.is_due()


async def test_verification_by_a_clock_that_was_ahead_does_not_hold_it_up(
    ledger: LedgerFixture, daily: DailyVerify, clock: Clock
) -> None:
    today = clock()
    clock.advance(60 * 24 * 3600)
    await daily.verify()
    clock.moment = next_hour(today, HOUR)
    assert await daily.is_due()


async def test_balanced_books_are_recorded_and_not_posted(
    ledger: LedgerFixture, daily: DailyVerify, posted: list[str]
) -> None:
    await ledger.earn(7, 250)
    await ledger.pay()
    await daily.verify()
    verified = await ledger.database.read(verifications.last)
    assert verified == verifications.Verified(at=ledger.clock(), actor="schedule", breaches=0)
    assert posted == []


async def test_breach_is_posted_with_what_to_do(ledger: LedgerFixture, daily: DailyVerify, posted: list[str]) -> None:
    await ledger.earn(7, 250)
    await ledger.pay()
    ledger.honest = False
    with raw(ledger.location) as connection:
        connection.execute("UPDATE users SET wallet_balance_cents = 1000000 WHERE discord_id = 7")
    await daily.verify()
    [line] = posted
    assert "do not balance" in line
    assert "cashback verify" in line
    assert "wallet of 7 holds 1000000 cents" in line
