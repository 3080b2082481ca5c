"""What of payouts was reversed: sums by batch, by member and by time. The rows of reversals are few."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Select, func, select

from cashback.database.tables import reversals, wallet_transactions
from cashback.domain.model import ReversalStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversedSum:
    """How many payouts were reversed, the cents that left the wallets, and the cents that the wallets did not hold."""

    count: int = 0
    cents: int = 0
    shortfall_cents: int = 0


NOTHING_REVERSED = ReversedSum()

TRANSACTION_TYPE: Final = "referral_cashback_reversal"
"""The type of the wallet's entry that a reversal writes."""

_is_done = reversals.c.status == ReversalStatus.DONE


def by_batch(connection: Connection, numbers: Iterable[int] | Select[int]) -> dict[int, ReversedSum]:
    """Sum up the reversals of these batches, or of those that a query selects; one without reversals has no entry."""
    wanted = numbers if isinstance(numbers, Select) else list(numbers)
    query = (
        select(
            reversals.c.batch_number,
            func.sum(reversals.c.planned_count),
            func.sum(reversals.c.reversed_cents),
            func.sum(reversals.c.shortfall_cents),
        )
        .where(_is_done, reversals.c.batch_number.in_(wanted))
        .group_by(reversals.c.batch_number)
    )
    return {
        number: ReversedSum(count=count, cents=cents, shortfall_cents=shortfall)
        for number, count, cents, shortfall in connection.execute(query)
    }


def of_batch(connection: Connection, number: int) -> ReversedSum:
    """Sum up the reversals of one batch."""
    return by_batch(connection, [number]).get(number, NOTHING_REVERSED)


def total_cents(connection: Connection) -> int:
    """Return the cents that all reversals returned from wallets."""
    query = select(func.coalesce(func.sum(reversals.c.reversed_cents), 0)).where(_is_done)
    return int(connection.scalars(query).one())


def since(connection: Connection, moment: datetime) -> list[tuple[datetime, int]]:
    """List when reversals were finished from a moment on, each with the cents that it returned."""
    query = select(reversals.c.finished_at, reversals.c.reversed_cents)
    found = connection.execute(query.where(_is_done, reversals.c.finished_at >= moment))
    return [(finished_at, cents) for finished_at, cents in found]


def of_member(connection: Connection, user_id: int) -> int:
    """Return the cents that reversals returned from one member's wallet."""
    entry = wallet_transactions.c
    query = select(func.coalesce(func.sum(-entry.amount_cents), 0)).where(
        entry.user_discord_id == user_id, entry.transaction_type == TRANSACTION_TYPE
    )
    return int(connection.scalars(query).one())
