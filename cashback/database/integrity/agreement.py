"""Agreement of two tables in one pass: the quick question before a check that looks for the wrong rows.

A check that has to find the rows on either side sorts both. If the sums of the one side are joined to the rows of the
other, and both have equally many with an amount, there are no wrong rows, and the check has nothing to look for.
"""

from collections.abc import Callable, Iterator
from functools import cache

from sqlalchemy import ColumnElement, Connection, Select, Subquery, Table, and_, case, func, select

from cashback.database.integrity.checks import Check

Agreement = Callable[[], Select[bool, bool]]


def agreement(
    sums: Subquery, table: Table, *, same: ColumnElement[bool], equal: ColumnElement[bool], amount: ColumnElement[bool]
) -> Select[bool, bool]:
    """Select whether each of the sums equals its row of the table, and whether no further row has an amount.

    The sums' first column is their key; rows without one are of nothing. `amount` is about the table's row.
    """
    compared = (
        select(
            func.count(sums.c[0]).label("sums"),
            func.count(case((equal, 1))).label("equal"),
            func.count(case((and_(equal, amount), 1))).label("amounts"),
        )
        .select_from(sums.outerjoin(table, same))
        .subquery("compared")
        .c
    )
    amounts = select(func.count()).select_from(table).where(amount).scalar_subquery()
    return select(compared.sums == compared.equal, compared.amounts == amounts)


def agrees(connection: Connection, question: Agreement) -> bool:
    """Return whether both tables agree. The question is cached: it is built once."""
    return all(connection.execute(question()).one())


def unless_they_agree(*questions: Agreement) -> Callable[[Check], Check]:
    """Let a check of everything look for wrong rows only if the tables disagree."""
    built = [cache(question) for question in questions]

    def make(check: Check) -> Check:
        def quick(connection: Connection, number: int | None = None, /) -> Iterator[str]:
            if number is not None or not all(agrees(connection, question) for question in built):
                yield from check(connection, number)

        return quick

    return make
