"""Opens the files of an import, whatever shop wrote them."""

from datetime import datetime
from pathlib import Path

from cashback.shops.answers import Answers
from cashback.shops.chunks import PurchaseFile, ReferralFile
from cashback.shops.every_kind import recognise
from cashback.shops.known import known_of
from cashback.shops.plain import PURCHASES, REFERRALS, purchases_of, referrals_of
from cashback.shops.tables import open_table


def open_purchases(path: Path, answers: Answers, now: datetime, *, delivers: bool = False) -> PurchaseFile:
    """Check a file of purchases: a known shop's export, or the plain `order_id,buyer_id,amount`.

    `delivers` is whether its shop is connected, so that deliveries name the same orders.

    Raises CashbackError if it cannot be read, and UnansweredError if it leaves something open.
    """
    table = open_table(path, _count_purchase_columns)
    kind = recognise(table.columns)
    return (
        known_of(table, kind, answers, now, delivers=delivers)
        if kind is not None
        else purchases_of(table, answers, now)
    )


def open_referrals(path: Path, answers: Answers, now: datetime) -> ReferralFile:
    """Check a file of referrals: `referrer_id,referred_id` and optionally `referred_at`.

    Raises CashbackError if it cannot be read.
    """
    return referrals_of(open_table(path, lambda columns: _count(columns, REFERRALS)), answers, now)


def _count_purchase_columns(columns: list[str]) -> int:
    kind = recognise(columns)
    return len(kind.identified_by) if kind is not None else _count(columns, PURCHASES)


def _count(columns: list[str], wanted: tuple[str, ...]) -> int:
    return sum(column in columns for column in wanted)
