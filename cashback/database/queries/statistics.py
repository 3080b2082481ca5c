"""Payout statistics: week by week, the number of members, and the top referrers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from cashback.database.payouts import reversed_sums
from cashback.database.queries.overview import paid_by_week
from cashback.database.tables import payout_reversals, payouts
from cashback.domain.model import PaidWeek, PayoutStatus

TOP: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TopReferrer:
    """A referrer with the total cents and the number of its payouts, and the cents reversed of them."""

    referrer_id: int
    paid_cents: int
    payouts: int
    reversed_cents: int

    @property
    def net_cents(self) -> int:
        """The cents paid and not reversed."""
        return self.paid_cents - self.reversed_cents


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """All payouts so far; `weeks` are the last twelve, this one last; `top` is by what was not reversed."""

    users: int
    payouts: int
    paid_cents: int
    reversed_cents: int
    weeks: tuple[PaidWeek, ...]
    top: tuple[TopReferrer, ...]

    @property
    def net_cents(self) -> int:
        """The cents paid and not reversed."""
        return self.paid_cents - self.reversed_cents

    @property
    def average_cents(self) -> int:
        """The average total of a paid user in whole cents, before reversals, rounded half up."""
        return (2 * self.paid_cents + self.users) // (2 * self.users) if self.users else 0


def read(connection: Connection, *, now: datetime) -> Statistics:
    """Sum up every credited payout, and what was reversed of them."""
    by_user = (
        select(
            payouts.c.referrer_id,
            func.sum(payouts.c.paid_cents).label("paid_cents"),
            func.count().label("payouts"),
        )
        .where(payouts.c.status == PayoutStatus.CREDITED)
        .group_by(payouts.c.referrer_id)
    )
    each = by_user.subquery()
    users, count, cents = connection.execute(
        select(
            func.count(),
            func.coalesce(func.sum(each.c.payouts), 0),
            func.coalesce(func.sum(each.c.paid_cents), 0),
        ).select_from(each)
    ).one()
    taken = payout_reversals.c
    returned = select(taken.referrer_id, func.sum(taken.amount_cents).label("cents")).group_by(taken.referrer_id)
    back = returned.subquery()
    reversed_cents = func.coalesce(back.c.cents, 0)
    largest = (
        select(each, reversed_cents.label("reversed_cents"))
        .join_from(each, back, back.c.referrer_id == each.c.referrer_id, isouter=True)
        .order_by((each.c.paid_cents - reversed_cents).desc(), each.c.referrer_id)
        .limit(TOP)
    )
    return Statistics(
        users=users,
        payouts=count,
        paid_cents=cents,
        reversed_cents=reversed_sums.total_cents(connection),
        weeks=paid_by_week(connection, now),
        top=tuple(TopReferrer(**row) for row in connection.execute(largest).mappings()),
    )
