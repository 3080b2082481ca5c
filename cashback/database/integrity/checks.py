"""The building blocks of reconciliation: a query for wrong rows, and the line that describes each.

A query is built once rather than for each check, which took nine tenths of the time on a small ledger.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, Protocol

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, bindparam

MOST_LINES: Final = 100
"""Lines that one check reports, before the line about further ones."""

THE_BATCH: Final = bindparam("number", type_=BigInteger)
"""The SQL parameter for the number of the checked batch."""

Question = Callable[[], Select[Any]]


class Check(Protocol):
    """Describes each wrong row in a line. The number is the value of THE_BATCH."""

    def __call__(self, connection: Connection, number: int | None = None, /) -> Iterator[str]:
        """Run the check."""
        ...


def finds(line: str) -> Callable[[Question], Check]:
    """Build a check from a query. The line contains names of its columns in braces."""

    def make(question: Question) -> Check:
        wrong = _built(question)

        def check(connection: Connection, number: int | None = None, /) -> Iterator[str]:
            for row in connection.execute(wrong(), {"number": number}):
                yield line.format(**row._asdict())

        return check

    return make


def finds_in(batch: ColumnElement[Any], line: str) -> Callable[[Question], Check]:
    """Build a check from a query for all batches, or for the one whose number is in this column."""

    def make(question: Question) -> Check:
        everywhere, in_one = finds(line)(question), finds(line)(lambda: question().where(batch == THE_BATCH))
        return lambda connection, number=None, /: (everywhere if number is None else in_one)(connection, number)

    return make


def _built(question: Question) -> Question:
    return cache(lambda: question().limit(MOST_LINES + 1))


def limited(lines: Iterator[str]) -> Iterator[str]:
    """Yield the first hundred lines. A value that cannot be read is a breach too: SQLite accepts any."""
    try:
        for count, line in enumerate(lines, start=1):
            if count > MOST_LINES:
                yield f"and more of the kind: {line}"
                return
            yield line
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        yield f"a row holds a value that cannot be read: {' '.join(str(error).split())}"
