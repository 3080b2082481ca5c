"""What the checks of reconciliation are made of: a question for rows that are wrong, and the line that tells of one.

A question is built once and not at each look, which took nine tenths of looking through a small ledger.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, Protocol

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, bindparam

MOST_LINES: Final = 100
"""Lines that one check tells, before the one that says that there are more."""

THE_BATCH: Final = bindparam("number", type_=BigInteger)
"""In SQL: the number of the batch that is looked at."""

Question = Callable[[], Select[Any]]


class Check(Protocol):
    """Tells each row that is wrong in a line. The number is what THE_BATCH stands for."""

    def __call__(self, connection: Connection, number: int | None = None, /) -> Iterator[str]:
        """Look."""
        ...


def finds(line: str) -> Callable[[Question], Check]:
    """Make a check of a question. The line has names of its columns in braces."""

    def make(question: Question) -> Check:
        wrong = _built(question)

        def check(connection: Connection, number: int | None = None, /) -> Iterator[str]:
            for row in connection.execute(wrong(), {"number": number}):
                yield line.format(**row._asdict())

        return check

    return make


def finds_in(batch: ColumnElement[Any], line: str) -> Callable[[Question], Check]:
    """Make a check of a question for all batches, or for the one whose number this column is."""

    def make(question: Question) -> Check:
        everywhere, in_one = finds(line)(question), finds(line)(lambda: question().where(batch == THE_BATCH))
        return lambda connection, number=None, /: (everywhere if number is None else in_one)(connection, number)

    return make


def _built(question: Question) -> Question:
    return cache(lambda: question().limit(MOST_LINES + 1))


def limited(lines: Iterator[str]) -> Iterator[str]:
    """Pass on the first hundred lines. A value that cannot even be read is a breach too: SQLite takes any."""
    try:
        for count, line in enumerate(lines, start=1):
            if count > MOST_LINES:
                yield f"and more of the kind: {line}"
                return
            yield line
    except (TypeError, ValueError) as error:
        yield f"a row holds a value that cannot be read: {' '.join(str(error).split())}"
