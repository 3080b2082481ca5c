"""Reconciliation of kinds: amounts are whole numbers. SQLite keeps what it is given; PostgreSQL takes nothing else."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from sqlalchemy import Column, Connection, Select, Table, func, literal_column, or_, select

from cashback.database.integrity.checks import MOST_LINES
from cashback.database.tables import (
    kept_refunds,
    order_corrections,
    payout_reversals,
    payout_shares,
    payouts,
    referral_purchases,
    referral_refunds,
    referrals,
    unmatched_purchases,
    users,
    wallet_transactions,
)

LOOKED_AT: Final = (
    users,
    referrals,
    wallet_transactions,
    payouts,
    payout_shares,
    payout_reversals,
    referral_purchases,
    referral_refunds,
    unmatched_purchases,
    kept_refunds,
    order_corrections,
)


def amounts_of_another_type(connection: Connection) -> Iterator[str]:
    """Find amounts that are fractions or texts. Each table is read once: a sum of whole numbers is a whole number."""
    if connection.dialect.name != "sqlite":
        return
    for table in LOOKED_AT:
        for column, kind in zip(_amounts(table), connection.execute(_kinds(table)).one(), strict=True):
            if kind not in {"integer", "null"}:
                yield from _which(connection, table, column)


def _amounts(table: Table) -> list[Column[int]]:
    return [column for column in table.c if column.name.endswith("_cents")]


@cache
def _kinds(table: Table) -> Select[Any]:
    return select(*(func.typeof(func.sum(column)) for column in _amounts(table))).select_from(table)


def _which(connection: Connection, table: Table, column: Column[int]) -> Iterator[str]:
    kind = func.typeof(column)
    key: list[Any] = [literal_column(f"CAST({each.name} AS TEXT)") for each in table.primary_key]
    query = select(*key, kind).where(or_(kind == "real", kind == "text", kind == "blob")).limit(MOST_LINES + 1)
    for *names, found in connection.execute(query.select_from(table)):
        yield f"{table.name} {' '.join(names)}: {column.name} is a {found}, not a whole number of cents"
