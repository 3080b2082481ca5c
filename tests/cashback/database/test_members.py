"""A member's account: every fact that keeps some cashback from being paid, and the outcomes of batches."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cashback.database import Database
from cashback.database.payouts import absences
from cashback.database.queries import members
from cashback.database.referral_program import blacklist, preferences
from cashback.database.referral_program.blacklist import Blacklisting
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.domain.model import Absence
from tests.conftest import ALL_OF_IT_PPM, FRIDAY, LedgerFixture, raw

pytestmark = pytest.mark.anyio


async def standing(ledger: LedgerFixture, user_id: int) -> members.MemberAccount:
    """Ask how a member stands."""
    return await ledger.database.read(members.standing, user_id, ledger.clock())


async def hold(database: Database, buyer: int, cents: int, days: int) -> None:
    """Record a purchase whose whole amount is cashback, held for so many days."""
    bought = Purchase(order_id=f"held-{buyer}-{days}", buyer_id=buyer, amount_cents=cents)
    await database.write(record_purchases, [bought], ALL_OF_IT_PPM, FRIDAY, holding_days=days)


async def test_unknown_member_has_an_empty_account(ledger: LedgerFixture) -> None:
    found = await standing(ledger, 5)
    assert (found.wallet_cents, found.pending_cents, found.held_cents, found.owed_cents) == (0, 0, 0, 0)
    assert (found.held_until, found.blacklisting, found.absence) == (None, None, None)


async def test_account_adds_up(ledger: LedgerFixture) -> None:
    first, second = await ledger.earn(1, 100, 40)
    await ledger.pay()
    await ledger.database.log_referral_refund("order-1", 30)
    await ledger.buy([(second, 25)])
    await hold(ledger.database, second, 60, 10)
    await hold(ledger.database, second, 7, 3)
    found = await standing(ledger, 1)
    assert (found.wallet_cents, found.total_paid_cents, found.total_earned_cents) == (140, 140, 202)
    assert (found.pending_cents, found.pending_count, found.held_cents, found.owed_cents) == (25, 1, 67, 30)
    assert (found.held_next_at, found.held_until) == (FRIDAY + timedelta(days=3), FRIDAY + timedelta(days=10))
    page = await ledger.database.read(members.referrals_page, 1, FRIDAY, limit=10)
    assert [(one["referred_user_id"], one["pending_cents"], one["held_cents"]) for one in page] == [
        (first, -30, 0),
        (second, 25, 67),
    ]
    [taken] = await ledger.database.read(members.taken_back, 1, limit=5)
    assert taken == {"taken_cents": 30, "refunded_at": FRIDAY}


async def test_refunded_held_purchase_is_not_shown_as_held(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 2)
    await hold(ledger.database, 2, 60, 10)
    await hold(ledger.database, 2, 7, 3)
    await ledger.database.log_referral_refund("held-2-10")
    found = await standing(ledger, 1)
    assert (found.held_cents, found.held_until) == (7, FRIDAY + timedelta(days=3))


async def test_blacklisting_is_returned_with_reason(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    await ledger.database.blacklist_referral_user(1, reason="fraud", actor="discord:5")
    found = await standing(ledger, 1)
    assert found.blacklisting == Blacklisting(reason="fraud", blacklisted_by="discord:5", blacklisted_at=FRIDAY)
    assert found.pending_cents == 0


async def test_flag_of_other_bot_is_a_blacklisting_without_reason(ledger: LedgerFixture) -> None:
    await ledger.database.share("another bot")
    await ledger.earn(1, 100)
    with raw(ledger.location) as connection:
        connection.execute("UPDATE referrals SET is_blacklisted = 1")
    found = await ledger.database.read(blacklist.blacklisting_of, 1)
    assert found == Blacklisting(reason=None, blacklisted_by=None, blacklisted_at=None)


async def test_absence_is_returned(ledger: LedgerFixture) -> None:
    await ledger.database.write(absences.note, 1, Absence.LEFT, FRIDAY)
    assert (await standing(ledger, 1)).absence is Absence.LEFT


async def test_past_payouts_are_newest_first_with_reasons(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 100)
    await ledger.earn(2, 5)
    first = await ledger.pay()
    await ledger.buy([(buyer, 20)])
    cancelled = await ledger.propose()
    number = await ledger.approved()
    await ledger.database.blacklist_referral_user(1)
    await ledger.run(number)
    await ledger.database.write(blacklist.unblacklist, 1, actor="cli", now=FRIDAY)
    await ledger.database.write(absences.note, 1, Absence.GONE, FRIDAY)
    await ledger.earn(2, 5)
    third = await ledger.pay()
    found = await ledger.database.read(members.past_payouts, 1, limit=10)
    assert [(one.batch_id, one.status, one.cents, one.reason) for one in found] == [
        (third.batch_id, "left_out", 20, "account_gone"),
        ((await ledger.report(number)).batch_id, "skipped", 20, "blacklisted"),
        (first.batch_id, "credited", 100, None),
    ]
    assert cancelled.batch_number not in {first.batch_number, number, third.batch_number}
    assert [one.batch_id for one in await ledger.database.read(members.past_payouts, 1, limit=1)] == [third.batch_id]
    assert await ledger.database.read(members.past_payouts, 99, limit=10) == []


async def test_referrals_are_paged_oldest_first(ledger: LedgerFixture) -> None:
    buyers = await ledger.earn(1, *range(1, 13))
    pages = [
        await ledger.database.read(members.referrals_page, 1, FRIDAY, limit=10, offset=offset) for offset in (0, 10, 20)
    ]
    assert [[one["referred_user_id"] for one in page] for page in pages] == [buyers[:10], buyers[10:], []]


async def test_payout_messages_are_on_by_default(ledger: LedgerFixture) -> None:
    async def set_to(*, wanted: bool) -> bool:
        return await ledger.database.write(preferences.set_payout_dm, 1, wanted=wanted)

    assert await ledger.database.read(preferences.wants_payout_dm, 1)
    assert not await set_to(wanted=True)
    assert await set_to(wanted=False)
    assert not await set_to(wanted=False)
    assert not await ledger.database.read(preferences.wants_payout_dm, 1)
    await ledger.earn(1, 100)
    report = await ledger.pay()
    assert (report.users_paid, report.dm_muted, report.dm_queued) == (1, 1, 0)
    assert await set_to(wanted=True)
    assert await ledger.database.read(preferences.wants_payout_dm, 1)
