"""What each purchase earned a referrer, and why a purchase did not count."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    Select,
    Subquery,
    bindparam,
    cast,
    func,
    literal,
    or_,
    select,
    union_all,
)

from cashback.database.referral_program.blacklist import blacklisted_among
from cashback.database.tables import is_waiting, referral_purchases, referral_refunds, referrals
from cashback.domain.earning import order_key


class PurchaseState(StrEnum):
    """What became of what a purchase earned, or why it earned nothing."""

    PAID = "paid"
    PENDING = "pending"
    HELD = "held"
    REFUNDED = "refunded"
    BELOW_CENT = "below_cent"
    BLACKLISTED = "blacklisted"
    TOO_EARLY = "too_early"
    NOT_EARNING = "not_earning"
    UNLINKED = "unlinked"
    WAITING = "waiting"
    UNREFERRED = "unreferred"


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseFacts:
    """A purchase as its referrer, or its buyer, may read it. `earned_cents` is less refunds."""

    order_id: str
    buyer_id: int
    amount_cents: int
    refunded_cents: int
    earned_cents: int
    purchased_at: datetime
    payable_at: datetime | None
    state: PurchaseState


_BOUGHT: Final = referral_purchases.c
_REFUND: Final = referral_refunds.c
_TAKEN: Final = (
    select(func.coalesce(func.sum(_REFUND.taken_cents), 0))
    .where(_REFUND.source == _BOUGHT.source, _REFUND.order_id == _BOUGHT.order_id)
    .correlate(referral_purchases)
    .scalar_subquery()
)
_COLUMNS: Final = (
    *referral_purchases.c,
    (_BOUGHT.earned_cents - _TAKEN).label("kept_cents"),
    referrals.c.referrer_user_id,
    referrals.c.cashback_earned_cents.label("all_earned_cents"),
    referrals.c.cashback_paid_cents.label("all_paid_cents"),
    referrals.c.created_at.label("referred_at"),
    referrals.c.cashback_unlinked_at.label("unlinked_at"),
)


def _of_referrer() -> Subquery:
    """Select the purchases of a `referrer`'s referrals: the counted ones, and those that wait or came too early."""
    counted = select(*_COLUMNS).join_from(referrals, referral_purchases, _BOUGHT.referral_id == referrals.c.id)
    uncounted = select(*_COLUMNS).join_from(
        referrals, referral_purchases, _BOUGHT.buyer_id == referrals.c.referred_user_id
    )
    own = referrals.c.referrer_user_id == bindparam("referrer")
    return union_all(counted.where(own), uncounted.where(own, is_waiting)).subquery()


def _with_coverage(found: Subquery) -> Subquery:
    """Add what a referral's purchases earned up to each one, in the order in which paid cashback covers them."""
    each = found.c
    became_payable = func.coalesce(each.payable_at, each.recorded_at)
    earned = func.sum(each.kept_cents)
    up_to_it = earned.over(partition_by=each.referral_id, order_by=(became_payable, each.order_id), rows=(None, 0))
    return select(
        *each,
        cast(up_to_it, BigInteger).label("up_to_it_cents"),
        cast(earned.over(partition_by=each.referral_id), BigInteger).label("explained_cents"),
    ).subquery()


def purchases_page(
    connection: Connection, user_id: int, now: datetime, *, limit: int, offset: int = 0
) -> list[PurchaseFacts]:
    """List a page of the purchases of a referrer's referrals, newest first."""
    barred = bool(blacklisted_among(connection, {user_id}))
    rows = connection.execute(_newest_of_referrer(), {"referrer": user_id, "most": limit, "first": offset})
    return [_facts(row, now, is_barred=barred) for row in rows]


@cache
def _newest_of_referrer() -> Select[Any]:
    found = _with_coverage(_of_referrer())
    newest = select(found).order_by(found.c.purchased_at.desc(), found.c.order_id.desc())
    return newest.limit(bindparam("most")).offset(bindparam("first"))


def count_purchases(connection: Connection, user_id: int) -> int:
    """Count the purchases of a referrer's referrals."""
    query = select(func.count()).select_from(_of_referrer())
    return connection.scalar(query, {"referrer": user_id}) or 0


def orders_named(connection: Connection, user_id: int, order_id: str, now: datetime) -> list[PurchaseFacts]:
    """Find an order in each shop, if this member made it or is the buyer's referrer; the order of others is unknown."""
    key = order_key(order_id)
    bought = (
        select(*_COLUMNS)
        .join_from(referral_purchases, referrals, referrals.c.referred_user_id == _BOUGHT.buyer_id, isouter=True)
        .where(
            _BOUGHT.source.in_(list(sources(connection))),
            _BOUGHT.order_id.in_([key, f"#{key}"]),
            or_(_BOUGHT.buyer_id == user_id, referrals.c.referrer_user_id == user_id),
        )
    )
    answers = []
    for row in connection.execute(bought).all():
        covered = row
        if row.referral_id is not None:
            same = _with_coverage(
                select(*_COLUMNS)
                .join_from(referrals, referral_purchases, _BOUGHT.referral_id == referrals.c.id)
                .where(referrals.c.id == row.referral_id)
                .subquery()
            )
            covered = connection.execute(
                select(same).where(same.c.source == row.source, same.c.order_id == row.order_id)
            ).one()
        barred = row.referrer_user_id is not None and bool(blacklisted_among(connection, {row.referrer_user_id}))
        answers.append(_facts(covered, now, is_barred=barred))
    return answers


def orders_with_id(connection: Connection, order_id: str) -> list[dict[str, Any]]:
    """Find an order in each shop, with its buyer, the referrer it earned for, and what it earned less refunds."""
    key = order_key(order_id)
    query = (
        select(*_COLUMNS)
        .join_from(referral_purchases, referrals, _BOUGHT.referral_id == referrals.c.id, isouter=True)
        .where(_BOUGHT.source.in_(list(sources(connection))), _BOUGHT.order_id.in_([key, f"#{key}"]))
    )
    return [{**row, "referrer_id": row["referrer_user_id"]} for row in connection.execute(query).mappings()]


def sources(connection: Connection) -> Iterator[str]:
    """Yield the shops, each by one look into the primary key."""
    last = literal("")
    while (found := connection.scalar(select(func.min(_BOUGHT.source)).where(_BOUGHT.source > last))) is not None:
        yield found
        last = literal(found)


def _facts(row: Row[Any], now: datetime, *, is_barred: bool) -> PurchaseFacts:
    return PurchaseFacts(
        order_id=row.order_id,
        buyer_id=row.buyer_id,
        amount_cents=row.amount_cents,
        refunded_cents=row.refunded_cents,
        earned_cents=max(row.kept_cents, 0),
        purchased_at=row.purchased_at,
        payable_at=row.payable_at,
        state=_uncounted(row) if row.referral_id is None else _counted(row, now, is_barred=is_barred),
    )


def _counted(row: Row[Any], now: datetime, *, is_barred: bool) -> PurchaseState:
    if not row.rate_ppm:
        return PurchaseState.NOT_EARNING
    if row.amount_cents and row.refunded_cents == row.amount_cents:
        return PurchaseState.REFUNDED
    if row.kept_cents <= 0:
        return PurchaseState.BELOW_CENT
    # What the referral earned before this program kept its purchases is paid first.
    unexplained = max(row.all_earned_cents - row.explained_cents, 0)
    if unexplained + row.up_to_it_cents <= row.all_paid_cents:
        return PurchaseState.PAID
    if is_barred:
        return PurchaseState.BLACKLISTED
    return PurchaseState.HELD if row.payable_at is not None and row.payable_at > now else PurchaseState.PENDING


def _uncounted(row: Row[Any]) -> PurchaseState:
    if row.referrer_user_id is None:
        return PurchaseState.UNREFERRED
    if row.unlinked_at is not None:
        return PurchaseState.UNLINKED
    if not row.rate_ppm:
        return PurchaseState.NOT_EARNING
    is_early = row.referred_at is not None and row.purchased_at < row.referred_at
    return PurchaseState.TOO_EARLY if is_early else PurchaseState.WAITING
