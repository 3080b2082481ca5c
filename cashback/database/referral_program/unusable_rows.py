"""Rows of another bot that nobody can be paid by: an id that is not a member's, an amount that is not whole cents.

SQLite keeps any value in any column, and another bot writes what it likes. Such rows are never paid and never summed
up: one of them must not change, or stop, what all others are paid. A plan excludes their referrers with a reason, and
`cashback doctor` lists the rows.
"""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    func,
    insert,
    literal,
    not_,
    select,
    union_all,
)

from cashback.database.dialect import is_whole
from cashback.database.tables import (
    LARGEST_CENTS,
    has_unusable_amounts,
    has_usable_amounts,
    overpaid,
    payout_exclusions,
    referrals,
    unpaid,
    users,
)
from cashback.domain.model import ExclusionReason

SHOWN: Final = 10

_REFERRER, _EARNED, _PAID = (
    referrals.c.referrer_user_id,
    referrals.c.cashback_earned_cents,
    referrals.c.cashback_paid_cents,
)

_UNUSABLE: Final = select(referrals.c.id).where(has_unusable_amounts).correlate(None)
"""The referrals with unusable amounts. They have an index of their own, which is usually empty."""

is_usable: Final = and_(is_whole(_REFERRER), _REFERRER > 0, referrals.c.id.not_in(_UNUSABLE))
"""Whether a referral has a member's id and amounts in whole cents. NULL is not a whole number.

A list of the unusable rows is read once for a statement, which is faster than looking at each row's amounts.
"""

_WALLET: Final = users.c.wallet_balance_cents


def is_usable_balance(cents: ColumnElement[int]) -> ColumnElement[bool]:
    """Build the condition that a balance is an amount in whole cents."""
    return and_(is_whole(cents), cents.between(-LARGEST_CENTS, LARGEST_CENTS))


def leave_out(connection: Connection, number: int, among: Select[int] | None) -> int:
    """Exclude the referrers of unusable rows from a batch; return how many.

    A row whose amounts are unusable is in an index of its own, whatever it would pay; one whose id alone is unusable is
    among those that are to be paid or were overpaid, and their indexes begin with the ids.
    """
    searches = (and_(unpaid, _REFERRER <= 0), and_(overpaid, _REFERRER <= 0), has_unusable_amounts)
    found = union_all(*(_unusable(which, among) for which in searches)).subquery()
    cents = func.coalesce(func.sum(case((found.c.cents > 0, found.c.cents), else_=0)), 0)
    rows = select(literal(number), found.c.referrer_id, cents, literal(ExclusionReason.UNUSABLE_ROW))
    rows = rows.group_by(found.c.referrer_id).order_by(found.c.referrer_id)
    names = ["batch_number", "referrer_id", "pending_cents", "reason"]
    return connection.execute(insert(payout_exclusions).from_select(names, rows)).rowcount


def _unusable(which: ColumnElement[bool], among: Select[int] | None) -> Select[int, int]:
    """Select the referrers of unusable rows, each with the row's cents, if it has any."""
    cents = case((has_usable_amounts, _EARNED - _PAID), else_=0)
    rows = select(_REFERRER.label("referrer_id"), cents.label("cents"))
    rows = rows.where(which, not_(is_usable), is_whole(_REFERRER))
    return rows if among is None else rows.where(_REFERRER.in_(among))


def has_any(connection: Connection, referrer_id: int) -> bool:
    """Return whether a referrer has an unusable row."""
    query = select(referrals.c.id).where(referrals.c.referrer_user_id == referrer_id, not_(is_usable)).limit(1)
    return connection.execute(query).first() is not None


def listed(connection: Connection) -> tuple[int, list[str]]:
    """Count the unusable referrals and wallets, and describe the first of them, a line each. Reads the whole tables."""
    columns = (referrals.c.id, _REFERRER.label("member"), _EARNED.label("earned"), _PAID.label("paid"))
    found = [*_read(connection, select(*columns).where(not_(is_usable)).order_by(referrals.c.id))]
    lines = [line for row in found for line in _about_referral(row)]
    wallets = select(users.c.discord_id.label("member"), _WALLET.label("balance")).where(
        not_(is_usable_balance(_WALLET))
    )
    lines += [f"wallet of {row.member!r}: the balance is {row.balance!r}" for row in _read(connection, wallets)]
    return len(lines), lines[:SHOWN]


def _read(connection: Connection, query: Select[Any]) -> Iterator[Row[Any]]:
    yield from connection.execute(query)


def _about_referral(row: Row[Any]) -> Iterator[str]:
    wrong = [
        f"{name} is {value!r}"
        for name, value, least in (
            ("the referrer's id", row.member, 1),
            ("earned", row.earned, -LARGEST_CENTS),
            ("paid", row.paid, 0),
        )
        if not isinstance(value, int) or value < least or (name != "the referrer's id" and value > LARGEST_CENTS)
    ]
    yield f"referral {row.id} of {row.member!r}: {', '.join(wrong)}"
