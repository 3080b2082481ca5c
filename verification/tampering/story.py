"""The ledger that is tampered with: paid, reversed, refunded, cancelled and open, with decisions about its members."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cashback.database import Database, events
from cashback.database.payouts import approvals, batches, crediting, proposals, reversals, runs
from cashback.database.queries import member_names
from cashback.database.referral_program import (
    blacklist,
    corrections,
    links,
    referrals,
    reports,
    shop_refunds,
    unmatched,
)
from cashback.database.referral_program.preferences import note_language
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.database.referral_program.refunds import Refund, record_refund
from cashback.database.referral_program.unmatched import UnmatchedPurchase
from cashback.database.wallets import adjustments, auto_withdrawals, decisions, withdrawals
from cashback.domain.events import Event
from cashback.domain.model import BatchLimits, ChunkDiscovered, Selection
from verification.tampering.delivery_story import deliver

NOW: Final = datetime(2026, 7, 3, 15, 0, tzinfo=UTC)
ALL_OF_IT_PPM: Final = 1_000_000
TWO_ADMINS: Final = BatchLimits(approval_threshold_cents=100)
PEOPLE: Final = range(1, 7)
BUYER: Final = 100
"""A referrer's buyer has the referrer's id and this number more."""


async def tell(database: Database) -> None:
    """Write the story into an empty ledger."""
    await database.write(events.put_in_force, {"shop": tuple(Event)}, now=NOW)
    people = [(person, BUYER + person) for person in PEOPLE]
    await database.write(referrals.create_referrals, people, NOW)
    await _buy(database, "a", holding_days=0)
    await database.mark_cashback_paid(6, 100)
    first = await _paid(database, BatchLimits())
    await _reverse(database, first, 2)
    await database.write(record_refund, Refund(order_id="a-3", amount_cents=50), actor="cli", now=NOW)
    await _buy(database, "b", holding_days=0)
    cancelled = await _proposed(database, BatchLimits(), min_payout_cents=50)
    await database.write(proposals.cancel, cancelled, actor="cli", now=NOW)
    await _paid(database, TWO_ADMINS, only=frozenset({4}))
    await database.write(blacklist.blacklist, 5, reason="fraud", actor="cli", now=NOW)
    await _buy(database, "c", holding_days=30)
    await database.write(links.unlink, 3, BUYER + 3, reason="a mistake", actor="cli", now=NOW)
    await _proposed(database, BatchLimits(), min_payout_cents=150)
    await _withdraw(database)
    await deliver(database, BUYER + 1, NOW)
    await _correct_orders(database)
    await _send_each_time(database)


async def _send_each_time(database: Database) -> None:
    """Send a member's payouts each time, and add to an open request; know a member's name and language."""
    await database.write(auto_withdrawals.switch_on, 3, "bank", "encrypted-3", actor="discord:3", now=NOW)
    waiting = await database.read(withdrawals.find, 5)
    await database.write(withdrawals.add, waiting, 5, actor=auto_withdrawals.ACTOR, now=NOW)
    await database.write(note_language, 3, "de")
    await database.write(member_names.keep, 3, "name", now=NOW)


async def _withdraw(database: Database) -> None:
    """Adjust a wallet; ask for withdrawals that are paid by two admins, declined, cancelled, and left open."""
    await database.write(
        adjustments.adjust,
        user_id=6,
        cents=900,
        reason="a gift",
        actor="discord:7",
        actor_id=7,
        approver_id=8,
        now=NOW,
        approval_threshold_cents=500,
    )
    await _asked(database, 6, 600)
    await database.write(decisions.approve_first, 1, actor="discord:7", approver_id=7, now=NOW)
    await database.write(decisions.pay, 1, reference="T-1", actor="discord:8", approver_id=8, now=NOW)
    await _asked(database, 6, 50)
    await database.write(decisions.decline, 2, reason="no account", actor="discord:7", approver_id=7, now=NOW)
    await _asked(database, 6, 60)
    await database.write(decisions.cancel, 3, reason="cancelled by the member", actor="discord:6", now=NOW)
    await _asked(database, 6, 70)
    listed = [await database.read(withdrawals.find, 4)]
    await database.write(withdrawals.record_export, listed, actor="discord:7", now=NOW)
    await _asked(database, 4, 80)


async def _correct_orders(database: Database) -> None:
    """Import orders, of which two wait, assign one, keep a refund, win a dispute, and correct a buyer and an amount."""
    reported: list[Purchase | UnmatchedPurchase] = [
        Purchase("o-1", BUYER + 1, 1_000),
        UnmatchedPurchase("g-1", 700),
        UnmatchedPurchase("g-2", 800),
    ]
    await database.write(
        reports.report_purchases, reported, ALL_OF_IT_PPM, NOW, actor="cli", kind=reports.COMMAND, digest="0" * 64
    )
    await database.write(unmatched.assign, "g-1", BUYER + 4, actor="discord:7", now=NOW)
    early = Refund(order_id="k-1", amount_cents=90, refund_id="K")
    lost = Refund(order_id="o-1", amount_cents=400, refund_id="D")
    for refund in (early, lost, replace(lost, amount_cents=None, is_given_back=True)):
        await database.write(shop_refunds.receive_refund, refund, actor="cli", now=NOW)
    because: dict[str, Any] = {"source": "main", "reason": "a ticket", "actor": "discord:7", "now": NOW}
    await database.write(corrections.reassign, "o-1", BUYER + 4, rate_ppm=ALL_OF_IT_PPM, **because)
    await database.write(corrections.correct_amount, "g-1", 650, **because)


async def _asked(database: Database, person: int, cents: int) -> None:
    await database.write(
        withdrawals.request,
        user_id=person,
        cents=cents,
        method="paypal",
        destination=f"encrypted-{person}",
        actor=f"discord:{person}",
        now=NOW,
        approval_threshold_cents=500,
    )


async def _buy(database: Database, letter: str, *, holding_days: int) -> None:
    bought = [
        Purchase(order_id=f"{letter}-{person}", buyer_id=BUYER + person, amount_cents=100 * person) for person in PEOPLE
    ]
    await database.write(record_purchases, bought, ALL_OF_IT_PPM, NOW, holding_days=holding_days)


async def _proposed(
    database: Database, terms: BatchLimits, *, only: frozenset[int] = frozenset(), min_payout_cents: int = 1
) -> int:
    summary = await database.write(
        proposals.propose,
        actor="discord:7",
        now=NOW,
        expires_at=NOW + timedelta(hours=1),
        selection=Selection(only=only),
        min_payout_cents=min_payout_cents,
        terms=terms,
    )
    return summary.batch_number


async def _paid(database: Database, terms: BatchLimits, *, only: frozenset[int] = frozenset()) -> int:
    number = await _proposed(database, terms, only=only)
    for approver in (7, 8) if terms.approval_threshold_cents else (7,):
        actor = f"discord:{approver}"
        await database.write(approvals.approve, number, actor=actor, approver_id=approver, now=NOW)
    await database.write(runs.start, number, now=NOW)
    everyone = ChunkDiscovered(batch_number=number, first_referrer_id=1, last_referrer_id=10**6)
    await database.write(crediting.credit_chunk, everyone, now=NOW)
    await database.write(runs.finish, number, now=NOW)
    return (await database.read(batches.report, number)).batch_number


async def _reverse(database: Database, number: int, referrer_id: int) -> None:
    proposed = await database.write(
        reversals.propose,
        batch_number=number,
        referrer_id=referrer_id,
        reason="a stolen card",
        actor="discord:7",
        now=NOW,
        expires_at=NOW + timedelta(hours=1),
        terms=BatchLimits(),
    )
    await database.write(reversals.approve, proposed.number, actor="discord:7", approver_id=7, now=NOW)
