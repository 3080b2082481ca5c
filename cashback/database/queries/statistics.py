"""Payout statistics: week by week, the number of members, and the top referrers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from cashback.database.queries.overview import paid_by_week
from cashback.database.tables import payouts
from cashback.domain.model import PayoutStatus

TOP: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TopReferrer:
    """A referrer with the total cents and the number of its payouts."""

    referrer_id: int
    paid_cents: int
    payouts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """All payouts so far; `weeks` are the last twelve, by their Mondays in UTC, this one last."""

    users: int
    payouts: int
    paid_cents: int
    weeks: tuple[tuple[datetime, int], ...]
    top: tuple[TopReferrer, ...]

    @property
    def average_cents(self) -> int:
        """The average total of a paid user in whole cents, rounded half up."""
        return (2 * self.paid_cents + self.users) // (2 * self.users) if self.users else 0


def read(connection: Connection, *, now: datetime) -> Statistics:
    """Sum up every credited payout. Later reversals are not subtracted: they are visible in the wallets."""
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
    largest = select(each).order_by(each.c.paid_cents.desc(), each.c.referrer_id).limit(TOP)
    return Statistics(
        users=users,
        payouts=count,
        paid_cents=cents,
        weeks=paid_by_week(connection, now),
        top=tuple(TopReferrer(**row) for row in connection.execute(largest).mappings()),
    )
