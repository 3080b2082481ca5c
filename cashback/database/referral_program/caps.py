"""The monthly cap of a referrer: what purchases of one month earn above it stays unearned."""

from datetime import datetime

from sqlalchemy import Connection, func, select

from cashback.database.referral_program.pending import PPM
from cashback.database.tables import referral_purchases, referrals

LAST_MONTH = 12


class MonthlyCaps:
    """What referrers may still earn by purchases of a month, in one transaction.

    A purchase that reaches the cap gets a lower rate, so that refunds of it are exact; at most so many millionths of a
    cent as its amount has cents are lost by that.
    """

    def __init__(self, connection: Connection, cap_cents: int | None) -> None:
        self._connection = connection
        self._cap_cents = cap_cents
        self._earned: dict[tuple[int, int, int], int] = {}

    def limited(self, referrer_id: int, purchased_at: datetime, amount_cents: int, rate_ppm: int) -> int:
        """Return the rate at which a purchase may earn, and count what it earns."""
        if self._cap_cents is None or not rate_ppm or not amount_cents:
            return rate_ppm
        month = (referrer_id, purchased_at.year, purchased_at.month)
        if month not in self._earned:
            self._earned[month] = earned_in_month(self._connection, referrer_id, purchased_at)
        left = max(self._cap_cents * PPM - self._earned[month], 0)
        rate_ppm = min(rate_ppm, left // amount_cents)
        self._earned[month] += amount_cents * rate_ppm
        return rate_ppm


def earned_in_month(connection: Connection, referrer_id: int, moment: datetime) -> int:
    """Return what purchases of a moment's month earn a referrer after refunds, in millionths of a cent."""
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    is_last = first.month == LAST_MONTH
    following = first.replace(year=first.year + is_last, month=1 if is_last else first.month + 1)
    bought = referral_purchases.c
    product = (bought.amount_cents - bought.refunded_cents) * bought.rate_ppm
    query = (
        select(func.coalesce(func.sum(product // PPM), 0), func.coalesce(func.sum(product % PPM), 0))
        .join_from(referrals, referral_purchases, bought.referral_id == referrals.c.id)
        .where(referrals.c.referrer_user_id == referrer_id)
        .where(bought.purchased_at >= first, bought.purchased_at < following)
    )
    cents, millionths = connection.execute(query).one()
    return int(cents) * PPM + int(millionths)
