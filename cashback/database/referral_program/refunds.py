"""Refunds: an entry that subtracts the earnings of the refunded part of a purchase, exact to the millionth.

What was not paid yet is no longer pending. What was already paid, the referral owes: it remains marked as paid, so that
later earnings of the same referral are set off against it. Wallets are not touched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, or_, select, update

from cashback.database import closed_ledger
from cashback.database.audit_log import add_entry
from cashback.database.referral_program import coverage
from cashback.database.referral_program.pending import PPM, held_and_owed
from cashback.database.tables import referral_purchases, referral_refunds, referrals
from cashback.domain.earning import FROM_MAIN, MAIN, Origin, order_key
from cashback.domain.errors import RefundRefusedError
from cashback.domain.money import dollars

THE_REST: Final = "rest"


class RefundOutcome(StrEnum):
    """The outcome of recording a refund."""

    TAKEN_BACK = "taken_back"
    NOBODY_EARNED = "nobody_earned"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund as the shop reports it. `amount_cents` is None for what is left of the order.

    `refund_id` is the idempotency key. If the shop has none, what is left is refunded once, and each part counts.
    """

    order_id: str
    amount_cents: int | None = None
    refund_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRefund:
    """The outcome of a refund: what it subtracted from the referrer's cashback, and what the referrer now owes."""

    outcome: RefundOutcome
    refund_id: str
    order_id: str
    amount_cents: int
    taken_cents: int
    referrer_id: int | None
    owed_cents: int


def record_refund(
    connection: Connection, refund: Refund, *, actor: str, now: datetime, origin: Origin = FROM_MAIN
) -> RecordedRefund:
    """Record a refund of an order, in part or of what is left. The same refund id counts once.

    Raises RefundRefusedError for an unknown order, an invalid amount or more than is left, and a refund id recorded
    with other data; then nothing is changed.
    """
    order = connection.execute(
        select(referral_purchases, referrals.c.referrer_user_id)
        .join_from(referral_purchases, referrals, isouter=True)
        .where(is_order(origin.source, refund.order_id))
    ).one_or_none()
    if order is None:
        # The new ledger may know it, so the shop should send it again.
        closed_ledger.require_open(connection)
        message = f"Order {refund.order_id} is not known; record its purchase first, or check the id."
        raise RefundRefusedError(message)
    refund_id = _id_of(refund, order)
    known = connection.execute(select(referral_refunds).where(_is_refund(origin.source, refund_id))).one_or_none()
    if known is not None:
        _require_same(known, refund)
        return _answer(connection, known, order, RefundOutcome.REPEATED, now)
    amount_cents = _amount_of(refund, order)
    _reduce_order(connection, order, amount_cents)
    taken_cents = _take_back(connection, order, amount_cents)
    connection.execute(
        insert(referral_refunds).values(
            refund_id=refund_id,
            order_id=order.order_id,
            referral_id=order.referral_id,
            amount_cents=amount_cents,
            taken_cents=taken_cents,
            reason=refund.reason,
            refunded_by=actor,
            refunded_at=now,
            source=origin.source,
            intake_number=origin.intake_number,
        )
    )
    details = {
        "refund_id": refund_id,
        "order_id": order.order_id,
        "amount_cents": amount_cents,
        "taken_cents": taken_cents,
        "referrer_id": order.referrer_user_id,
        "reason": refund.reason,
    }
    if origin.source != MAIN:
        details["source"] = origin.source
    add_entry(connection, at=now, actor=actor, action="purchase_refunded", details=details)
    earned = order.referral_id is not None and order.rate_ppm
    outcome = RefundOutcome.TAKEN_BACK if earned else RefundOutcome.NOBODY_EARNED
    recorded = connection.execute(select(referral_refunds).where(_is_refund(origin.source, refund_id))).one()
    return _answer(connection, recorded, order, outcome, now)


def is_order(source: str, order_id: str) -> ColumnElement[bool]:
    """Return in SQL whether a purchase is a source's order; earlier versions recorded some as "#1001"."""
    key = order_key(order_id)
    return and_(
        referral_purchases.c.source == source,
        or_(referral_purchases.c.order_id == key, referral_purchases.c.order_id == f"#{key}"),
    )


def _is_refund(source: str, refund_id: str) -> ColumnElement[bool]:
    return and_(referral_refunds.c.source == source, referral_refunds.c.refund_id == refund_id)


def record_refunds(
    connection: Connection,
    refunds: Sequence[Refund],
    *,
    actor: str,
    now: datetime,
    origin: Origin = FROM_MAIN,
) -> list[RecordedRefund | RefundRefusedError]:
    """Record refunds in the order given; return the outcome of each, an error if it was refused.

    A refusal comes before anything of the refund is written: the others of the same transaction stay.
    """
    answers: list[RecordedRefund | RefundRefusedError] = []
    for refund in refunds:
        try:
            answers.append(record_refund(connection, refund, actor=actor, now=now, origin=origin))
        except RefundRefusedError as refusal:
            answers.append(refusal)
    return answers


def _id_of(refund: Refund, order: Row[Any]) -> str:
    """Name a refund without an id: by its order, and by the amount refunded before."""
    if refund.refund_id is not None:
        if not refund.refund_id:
            message = "The refund id is empty; give the shop's id of this refund, or none."
            raise RefundRefusedError(message)
        return refund.refund_id
    return f"{order.order_id}/{THE_REST if refund.amount_cents is None else order.refunded_cents}"


def _require_same(known: Row[Any], refund: Refund) -> None:
    if order_key(known.order_id) != order_key(refund.order_id) or refund.amount_cents not in {None, known.amount_cents}:
        message = (
            f"Refund {known.refund_id} is known with another order or amount"
            f" ({dollars(known.amount_cents)} of order {known.order_id}); nothing was changed."
        )
        raise RefundRefusedError(message)


def _amount_of(refund: Refund, order: Row[Any]) -> int:
    left_cents: int = order.amount_cents - order.refunded_cents
    amount_cents = left_cents if refund.amount_cents is None else refund.amount_cents
    if isinstance(amount_cents, bool) or not isinstance(amount_cents, int):
        message = f"The amount {amount_cents!r} is not a whole number of cents."
        raise RefundRefusedError(message)
    if not left_cents:
        message = f"Nothing is left to refund of order {order.order_id} ({dollars(order.amount_cents)})."
        raise RefundRefusedError(message)
    if not 0 < amount_cents <= left_cents:
        message = (
            f"A refund of {dollars(amount_cents)} is not between $0.01 and what is left of order {order.order_id}:"
            f" {dollars(left_cents)} of {dollars(order.amount_cents)}; nothing was changed."
        )
        raise RefundRefusedError(message)
    return amount_cents


def _reduce_order(connection: Connection, order: Row[Any], amount_cents: int) -> None:
    connection.execute(
        update(referral_purchases)
        .where(referral_purchases.c.source == order.source, referral_purchases.c.order_id == order.order_id)
        .values(refunded_cents=referral_purchases.c.refunded_cents + amount_cents)
    )


def _take_back(connection: Connection, order: Row[Any], amount_cents: int) -> int:
    """Take what this part of the order earned off its referral; return by how many whole cents the earnings fell.

    Cashback is taken once. What a reversal has taken back of the refunded purchase already is neither owed nor paid any
    more; only the rest of what was paid of it is charged to the referrer.
    """
    if order.referral_id is None:
        return 0
    referral = connection.execute(select(referrals).where(referrals.c.id == order.referral_id)).one()
    rise, carry_left = divmod(referral.cashback_carry_ppm - amount_cents * order.rate_ppm, PPM)
    fell = -int(rise)
    paid_of_it = coverage.paid_cents_of(connection, referral, order, fell) if fell else 0
    offset = min(referral.cashback_forfeited_cents, paid_of_it)
    connection.execute(
        update(referrals)
        .where(referrals.c.id == order.referral_id)
        .values(
            referred_total_spend_cents=referrals.c.referred_total_spend_cents - amount_cents,
            cashback_earned_cents=referrals.c.cashback_earned_cents - fell,
            cashback_carry_ppm=carry_left,
            cashback_refunded_cents=referrals.c.cashback_refunded_cents + fell,
            cashback_paid_cents=referrals.c.cashback_paid_cents - offset,
            cashback_forfeited_cents=referrals.c.cashback_forfeited_cents - offset,
            cashback_charged_cents=referrals.c.cashback_charged_cents + paid_of_it - offset,
        )
    )
    return fell


def _answer(
    connection: Connection, recorded: Row[Any], order: Row[Any], outcome: RefundOutcome, now: datetime
) -> RecordedRefund:
    referrer_id = order.referrer_user_id
    owed = held_and_owed(connection, now, referrer_id=referrer_id)["owed_cents"] if referrer_id is not None else 0
    return RecordedRefund(
        outcome=outcome,
        refund_id=recorded.refund_id,
        order_id=recorded.order_id,
        amount_cents=recorded.amount_cents,
        taken_cents=recorded.taken_cents,
        referrer_id=referrer_id,
        owed_cents=owed,
    )
