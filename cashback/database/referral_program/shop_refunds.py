"""Refunds as shops report them: an amount with its id, the sum of all so far, or a dispute that was won.

A refund of an order that is not known is kept until its purchase comes. More than is left takes what is left: a shop
refunds taxes and shipping that its order here may not have.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from cashback.database import closed_ledger
from cashback.database.referral_program import corrections
from cashback.database.referral_program.kept_refunds import Kind, has_kept_win, in_all_id, keep, rest_of_sum
from cashback.database.referral_program.refunds import (
    THE_REST,
    Order,
    RecordedRefund,
    Refund,
    RefundOutcome,
    find_order,
    record_refund,
)
from cashback.domain.earning import ANY_TIME, FROM_MAIN, EarningDates, Origin, order_key
from cashback.domain.errors import RefundRefusedError

Answer = RecordedRefund | RefundRefusedError

CHANGES: Final = frozenset({RefundOutcome.TAKEN_BACK, RefundOutcome.NOBODY_EARNED, RefundOutcome.GIVEN_BACK})
"""The outcomes of a refund that changes something of an order."""


def receive_refunds(
    connection: Connection,
    refunds: Sequence[Refund],
    *,
    actor: str,
    now: datetime,
    origin: Origin = FROM_MAIN,
    dates: EarningDates = ANY_TIME,
) -> list[Answer]:
    """Record refunds in the order given; return the outcome of each, an error if it was refused.

    A refusal comes before anything of the refund is written: the others of the same transaction stay.
    """
    answers: list[Answer] = []
    for refund in refunds:
        try:
            answers.append(receive_refund(connection, refund, actor=actor, now=now, origin=origin, dates=dates))
        except RefundRefusedError as refusal:
            answers.append(refusal)
    return answers


def receive_refund(
    connection: Connection,
    refund: Refund,
    *,
    actor: str,
    now: datetime,
    origin: Origin = FROM_MAIN,
    dates: EarningDates = ANY_TIME,
) -> RecordedRefund:
    """Record, keep or give back one refund. Raises NothingLeftError and OtherRefundError; then nothing is changed."""
    refund_id = refund.refund_id or f"{order_key(refund.order_id)}/{THE_REST}"
    if refund.is_in_all:
        refund_id = in_all_id(refund.order_id, refund.amount_cents)
    wanted = replace(refund, refund_id=refund_id)
    order = find_order(connection, origin.source, refund.order_id)
    if order is None:
        # The new ledger may know it, so the shop should send it again.
        closed_ledger.require_open(connection)
        kind = Kind.GIVEN_BACK if refund.is_given_back else Kind.IN_ALL if refund.is_in_all else Kind.REFUND
        keep(connection, wanted, kind, refund_id=refund_id, actor=actor, now=now, origin=origin)
        return _unchanged(RefundOutcome.KEPT, wanted, wanted.order_id)
    if refund.is_given_back:
        return _give_back(connection, order, wanted, actor=actor, now=now, origin=origin, dates=dates)
    if refund.is_in_all:
        rest = rest_of_sum(connection, wanted, origin.source)
        if rest is None:
            return _unchanged(RefundOutcome.REPEATED, wanted, order.order_id)
        refund = rest
    elif has_kept_win(connection, origin.source, refund_id):
        return _unchanged(RefundOutcome.REPEATED, wanted, order.order_id)
    return record_refund(connection, refund, actor=actor, now=now, origin=origin, takes_what_is_left=True)


def _give_back(
    connection: Connection,
    order: Order,
    wanted: Refund,
    *,
    actor: str,
    now: datetime,
    origin: Origin,
    dates: EarningDates,
) -> RecordedRefund:
    refund_id = str(wanted.refund_id)
    given = corrections.give_back(connection, order, refund_id, actor=actor, now=now, origin=origin, dates=dates)
    is_known = corrections.is_given_back(connection, origin.source, refund_id)
    if not is_known and not has_kept_win(connection, origin.source, refund_id):
        # Its loss may come later: deliveries change places.
        keep(connection, wanted, Kind.GIVEN_BACK, refund_id=refund_id, actor=actor, now=now, origin=origin)
        return _unchanged(RefundOutcome.KEPT, wanted, order.order_id)
    outcome = RefundOutcome.GIVEN_BACK if given else RefundOutcome.REPEATED
    return _unchanged(outcome, wanted, order.order_id, cents=given)


def _unchanged(outcome: RefundOutcome, wanted: Refund, order_id: str, *, cents: int = 0) -> RecordedRefund:
    return RecordedRefund(
        outcome=outcome,
        refund_id=str(wanted.refund_id),
        order_id=order_id,
        amount_cents=cents,
        taken_cents=0,
        referrer_id=None,
        owed_cents=0,
    )
