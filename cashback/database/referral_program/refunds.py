"""Refunds: an entry that subtracts the earnings of the refunded part of a purchase, exact to the millionth.

What was not paid yet is no longer pending. What was already paid, the referral owes: it remains marked as paid, so that
later earnings of the same referral are set off against it. Wallets are not touched.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, or_, select, update

from cashback.database import closed_ledger
from cashback.database.audit_log import add_entry
from cashback.database.referral_program import charges, coverage
from cashback.database.referral_program.pending import PPM, held_and_owed
from cashback.database.tables import (
    is_correcting,
    order_corrections,
    referral_purchases,
    referral_refunds,
    referrals,
)
from cashback.domain.earning import FROM_MAIN, MAIN, Origin, order_key
from cashback.domain.errors import (
    NothingLeftError,
    OtherRefundError,
    RefundRefusedError,
    UnknownOrderError,
)
from cashback.domain.money import dollars

THE_REST: Final = "rest"
GIVEN_BACK: Final = "given_back"


class RefundOutcome(StrEnum):
    """The outcome of recording a refund."""

    TAKEN_BACK = "taken_back"
    NOBODY_EARNED = "nobody_earned"
    REPEATED = "repeated"
    KEPT = "kept"
    GIVEN_BACK = "given_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund as the shop reports it. `amount_cents` is None for what is left of the order.

    `refund_id` is the idempotency key. If the shop has none, what is left is refunded once, and each part counts.

    `receive_refund` (`shop_refunds.py`) also takes: `is_in_all`, then `amount_cents` is all that was refunded of the
    order so far, None for the whole order; and `is_given_back`, then the refund of this id was a dispute that the shop
    has won.
    """

    order_id: str
    amount_cents: int | None = None
    refund_id: str | None = None
    reason: str | None = None
    is_in_all: bool = False
    is_given_back: bool = False


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
    asked_cents: int | None = None
    """What the shop asked for, if less was left."""


def record_refund(
    connection: Connection,
    refund: Refund,
    *,
    actor: str,
    now: datetime,
    origin: Origin = FROM_MAIN,
    takes_what_is_left: bool = False,
) -> RecordedRefund:
    """Record a refund of an order, in part or of what is left. The same refund id counts once.

    Raises UnknownOrderError, NothingLeftError, OtherRefundError for a refund id recorded with other data, and
    RefundRefusedError for more than is left unless it `takes_what_is_left`; then nothing is changed.
    """
    order = find_order(connection, origin.source, refund.order_id)
    if order is None:
        # The new ledger may know it, so the shop should send it again.
        closed_ledger.require_open(connection)
        message = f"Order {refund.order_id} is not known; record its purchase first, or check the id."
        raise UnknownOrderError(message)
    refund_id = _id_of(refund, order)
    known = _recorded(connection, origin.source, refund_id, order)
    if known:
        _require_same(known, refund, order)
        return _answer(connection, known, order, RefundOutcome.REPEATED, now)
    asked_cents, amount_cents = _amounts_of(refund, order, takes_what_is_left=takes_what_is_left)
    for number, (row, cents) in enumerate(order.parts(amount_cents), start=1):
        _reduce_order(connection, row, cents)
        values = {
            "refund_id": _part_id(refund_id, number) if number > 1 else refund_id,
            "part_of": refund_id if number > 1 else None,
            "order_id": row.order_id,
            "referral_id": row.referral_id,
            "amount_cents": cents,
            "asked_cents": asked_cents if asked_cents != amount_cents else None,
            "taken_cents": _take_back(connection, row, cents, now),
            "reason": refund.reason,
            "refunded_by": actor,
            "refunded_at": now,
            "source": origin.source,
            "intake_number": origin.intake_number,
            "correction_number": origin.correction_number,
        }
        connection.execute(insert(referral_refunds).values(**values))
    recorded = _recorded(connection, origin.source, refund_id, order)
    earned = any(row.referral_id is not None and row.rate_ppm for row in order.rows)
    outcome = RefundOutcome.TAKEN_BACK if earned else RefundOutcome.NOBODY_EARNED
    answer = _answer(connection, recorded, order, outcome, now)
    if origin.intake_number is None and origin.correction_number is None:
        _note(connection, answer, refund, actor=actor, now=now, source=origin.source)
    return answer


def _note(
    connection: Connection, answer: RecordedRefund, refund: Refund, *, actor: str, now: datetime, source: str
) -> None:
    """Add the audit entry of a refund that is a command of its own; an import or delivery has one for all."""
    details = {
        "refund_id": answer.refund_id,
        "order_id": answer.order_id,
        "amount_cents": answer.amount_cents,
        "taken_cents": answer.taken_cents,
        "referrer_id": answer.referrer_id,
        "reason": refund.reason,
    }
    if source != MAIN:
        details["source"] = source
    add_entry(connection, at=now, actor=actor, action="purchase_refunded", details=details)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as it stands: its purchase's row and those of its corrections, oldest first.

    `asked_back_cents` is what the shop refunded in all, `given_back_cents` what it gave back of that.
    """

    rows: tuple[Row[Any], ...]
    asked_back_cents: int
    given_back_cents: int
    corrections: int

    @property
    def order_id(self) -> str:
        """The shop's id."""
        order_id: str = self.rows[0].order_id
        return order_id

    @property
    def buyer_id(self) -> int:
        """The member whose order it is now."""
        buyer_id: int = self.rows[-1].buyer_id
        return buyer_id

    @property
    def left_cents(self) -> int:
        """What is left to refund."""
        return sum(row.amount_cents - row.refunded_cents for row in self.rows)

    @property
    def refunded_cents(self) -> int:
        """What the shop refunded and did not give back."""
        return self.asked_back_cents - self.given_back_cents

    @property
    def amount_cents(self) -> int:
        """The order's amount with its corrections, before refunds."""
        return self.left_cents + self.refunded_cents

    def parts(self, amount_cents: int) -> Iterator[tuple[Row[Any], int]]:
        """Divide an amount among the rows of which something is left, newest first."""
        for row in reversed(self.rows):
            part = min(amount_cents, row.amount_cents - row.refunded_cents)
            if part > 0:
                amount_cents -= part
                yield row, part


def find_order(connection: Connection, source: str, order_id: str) -> Order | None:
    """Find an order with its corrections; None if it is not known."""
    query = select(referral_purchases, referrals.c.referrer_user_id).join_from(
        referral_purchases, referrals, isouter=True
    )
    first = connection.execute(query.where(is_order(source, order_id))).one_or_none()
    if first is None:
        return None
    of_order = (order_corrections.c.source == source, order_corrections.c.order_id == first.order_id)
    corrections = connection.execute(select(order_corrections).where(*of_order)).all()
    if not corrections:
        return Order(rows=(first,), asked_back_cents=first.refunded_cents, given_back_cents=0, corrections=0)
    numbers = select(order_corrections.c.number).where(*of_order)
    number = referral_purchases.c.correction_number
    later = connection.execute(query.where(is_correcting, number.in_(numbers)).order_by(number)).all()
    rows = (first, *later)
    asked_back = select(func.coalesce(func.sum(referral_refunds.c.amount_cents), 0)).where(
        referral_refunds.c.source == source,
        referral_refunds.c.order_id.in_([row.order_id for row in rows]),
        referral_refunds.c.correction_number.is_(None),
    )
    return Order(
        rows=rows,
        asked_back_cents=connection.scalars(asked_back).one(),
        given_back_cents=sum(one.amount_cents for one in corrections if one.kind == GIVEN_BACK),
        corrections=len(corrections),
    )


def is_order(source: str, order_id: str) -> ColumnElement[bool]:
    """Return in SQL whether a purchase is a source's order; earlier versions recorded some as "#1001"."""
    key = order_key(order_id)
    return and_(
        referral_purchases.c.source == source,
        or_(referral_purchases.c.order_id == key, referral_purchases.c.order_id == f"#{key}"),
    )


def _recorded(connection: Connection, source: str, refund_id: str, order: Order) -> Sequence[Row[Any]]:
    """Find a refund: one row, or several if it was taken from several rows of its order."""
    ids = [refund_id, *(_part_id(refund_id, number) for number in range(2, len(order.rows) + 1))]
    query = select(referral_refunds).where(
        referral_refunds.c.source == source,
        referral_refunds.c.refund_id.in_(ids),
        func.coalesce(referral_refunds.c.part_of, referral_refunds.c.refund_id) == refund_id,
    )
    rows = connection.execute(query).all()
    return sorted(rows, key=lambda row: row.part_of is not None)


def _part_id(refund_id: str, number: int) -> str:
    return f"{refund_id} (part {number})"


def _id_of(refund: Refund, order: Order) -> str:
    """Name a refund without an id: by its order, and by the amount refunded before."""
    if refund.refund_id is not None:
        if not refund.refund_id:
            message = "The refund id is empty; give the shop's id of this refund, or none."
            raise RefundRefusedError(message)
        return refund.refund_id
    if refund.amount_cents is not None:
        return f"{order.order_id}/{order.asked_back_cents}"
    # After a correction, what is left is another rest.
    return f"{order.order_id}/{THE_REST}" + (f"-{order.corrections}" if order.corrections else "")


def _require_same(known: Sequence[Row[Any]], refund: Refund, order: Order) -> None:
    first, cents = known[0], sum(row.amount_cents for row in known)
    is_of_order = first.order_id in {row.order_id for row in order.rows}
    if not is_of_order or refund.amount_cents not in {None, cents, first.asked_cents}:
        message = (
            f"Refund {first.refund_id} is known with another order or amount"
            f" ({dollars(cents)} of order {first.order_id}); nothing was changed."
        )
        raise OtherRefundError(message)


def _amounts_of(refund: Refund, order: Order, *, takes_what_is_left: bool) -> tuple[int, int]:
    """Return what the refund asks for, and what it takes."""
    left_cents = order.left_cents
    asked_cents = left_cents if refund.amount_cents is None else refund.amount_cents
    if isinstance(asked_cents, bool) or not isinstance(asked_cents, int):
        message = f"The amount {asked_cents!r} is not a whole number of cents."
        raise RefundRefusedError(message)
    if not left_cents:
        message = f"Nothing is left to refund of order {order.order_id} ({dollars(order.amount_cents)})."
        raise NothingLeftError(message)
    if asked_cents <= 0 or (asked_cents > left_cents and not takes_what_is_left):
        message = (
            f"A refund of {dollars(asked_cents)} is not between {dollars(1)} and what is left of order"
            f" {order.order_id}:"
            f" {dollars(left_cents)} of {dollars(order.amount_cents)}; nothing was changed."
        )
        raise RefundRefusedError(message)
    return asked_cents, min(asked_cents, left_cents)


def _reduce_order(connection: Connection, order: Row[Any], amount_cents: int) -> None:
    connection.execute(
        update(referral_purchases)
        .where(referral_purchases.c.source == order.source, referral_purchases.c.order_id == order.order_id)
        .values(refunded_cents=referral_purchases.c.refunded_cents + amount_cents)
    )


def _take_back(connection: Connection, order: Row[Any], amount_cents: int, now: datetime) -> int:
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
    taken = charges.charge(connection, referral, order, paid_of_it, now)
    connection.execute(
        update(referrals)
        .where(referrals.c.id == order.referral_id)
        .values(
            referred_total_spend_cents=referrals.c.referred_total_spend_cents - amount_cents,
            cashback_earned_cents=referrals.c.cashback_earned_cents - fell,
            cashback_carry_ppm=carry_left,
            cashback_refunded_cents=referrals.c.cashback_refunded_cents + fell,
            cashback_paid_cents=referrals.c.cashback_paid_cents - taken.forgiven_cents,
            cashback_forfeited_cents=referrals.c.cashback_forfeited_cents - taken.forgiven_cents,
            cashback_charged_cents=referrals.c.cashback_charged_cents + taken.charged_cents,
        )
    )
    return fell


def _answer(
    connection: Connection, recorded: Sequence[Row[Any]], order: Order, outcome: RefundOutcome, now: datetime
) -> RecordedRefund:
    first = recorded[0]
    referrer_id = next(row.referrer_user_id for row in order.rows if row.order_id == first.order_id)
    owed = held_and_owed(connection, now, referrer_id=referrer_id)["owed_cents"] if referrer_id is not None else 0
    return RecordedRefund(
        outcome=outcome,
        refund_id=first.refund_id,
        order_id=order.order_id,
        amount_cents=sum(row.amount_cents for row in recorded),
        taken_cents=sum(row.taken_cents for row in recorded),
        referrer_id=referrer_id,
        owed_cents=owed,
        asked_cents=first.asked_cents,
    )
