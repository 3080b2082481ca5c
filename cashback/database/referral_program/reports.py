"""Reports of purchases and refunds: each is one intake with one entry in the audit log, unless it brought nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from cashback.database.referral_program import intakes, kept_refunds, shop_refunds, unmatched
from cashback.database.referral_program.purchases import Purchase, PurchaseOutcome, RecordedPurchase
from cashback.database.referral_program.refunds import RecordedRefund, Refund
from cashback.database.referral_program.shop_refunds import Answer
from cashback.database.referral_program.unmatched import UnmatchedPurchase
from cashback.domain.earning import ANY_TIME, MAIN, EarningDates, Origin

DELIVERY: Final = "delivery"
COMMAND: Final = "command"
REFUNDED: Final = "purchase_refunded"
_NEW: Final = frozenset({PurchaseOutcome.EARNED, PurchaseOutcome.NOBODY_EARNS, PurchaseOutcome.WAITING})


def report_purchases(
    connection: Connection,
    reported: Sequence[Purchase | UnmatchedPurchase],
    rate_ppm: int,
    now: datetime,
    *,
    actor: str,
    kind: str = DELIVERY,
    digest: str | None = None,
    holding_days: int = 0,
    unmatched_days: int = unmatched.DEFAULT_DAYS,
    dates: EarningDates = ANY_TIME,
) -> list[RecordedPurchase]:
    """Record purchases of members and of guests as one intake; return the outcome of each, in the order given."""
    number = intakes.begin(connection, source=MAIN, kind=kind, actor=actor, now=now)
    answers = unmatched.record_reported(
        connection,
        reported,
        rate_ppm,
        now,
        holding_days=holding_days,
        unmatched_days=unmatched_days,
        dates=dates,
        origin=Origin(intake_number=number),
        actor=actor,
    )
    new = [one.amount_cents for one, answer in zip(reported, answers, strict=True) if answer.outcome in _NEW]
    totals = intakes.IntakeTotals(digest=digest, rows=len(new), cents=sum(new))
    intakes.finish(connection, number, totals, actor=actor, now=now)
    return answers


def report_refunds(
    connection: Connection,
    reported: Sequence[Refund],
    *,
    actor: str,
    now: datetime,
    digest: str | None = None,
    dates: EarningDates = ANY_TIME,
) -> list[Answer]:
    """Record refunds as one intake; return the outcome of each, an error if it was refused."""
    number = intakes.begin(connection, source=MAIN, kind=DELIVERY, actor=actor, now=now)
    origin = Origin(intake_number=number)
    answers = shop_refunds.receive_refunds(connection, reported, actor=actor, now=now, origin=origin, dates=dates)
    changed = [one for one in answers if isinstance(one, RecordedRefund) and one.outcome in shop_refunds.CHANGES]
    rows = len(changed) + kept_refunds.count_of(connection, number)
    totals = intakes.IntakeTotals(digest=digest, rows=rows, cents=sum(one.amount_cents for one in changed))
    facts = {}
    if len(changed) == len(reported) == 1:
        [one] = changed
        facts = {
            "refund_id": one.refund_id,
            "order_id": one.order_id,
            "outcome": one.outcome,
            "taken_cents": one.taken_cents,
            "referrer_id": one.referrer_id,
            "reason": reported[0].reason,
        }
    action = REFUNDED if facts else intakes.RECORDED
    intakes.finish(connection, number, totals, actor=actor, now=now, action=action, facts=facts)
    return answers
