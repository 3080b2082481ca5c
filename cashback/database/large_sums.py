"""Sums beyond 64 bits, which another bot's rows may make: in a check they end at the largest number that fits."""

from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, OperationalError

from cashback.database.dialect import IS_BOUND, LARGEST_SUM

T = TypeVar("T")

TEXTS: Final = ("integer overflow", "bigint out of range")
"""What SQLite and PostgreSQL say of such a sum."""


def bounded(connection: Connection, check: Callable[[Connection], T]) -> T:
    """Run a check that only reads; if a sum in it does not fit, run it again with bounded sums, which are slower."""
    is_sqlite = connection.dialect.name == "sqlite"
    try:
        if is_sqlite:
            return check(connection)
        with connection.begin_nested():
            return check(connection)
    except (DataError, OperationalError) as error:
        if not any(text in str(error.orig) for text in TEXTS):
            raise
    if is_sqlite:
        _bound(connection)
        return check(connection)
    token = IS_BOUND.set(True)
    try:
        # Statements that are compiled already have unbounded sums.
        return check(connection.execution_options(compiled_cache=None))
    finally:
        IS_BOUND.reset(token)


class _Sum:
    """SQL's `sum` as it is, but for a result beyond 64 bits, which becomes the nearest number that fits."""

    def __init__(self) -> None:
        self._total: int | float = 0
        self._count = 0

    def step(self, value: object) -> None:
        """Add a value."""
        self._add(value, 1)

    def inverse(self, value: object) -> None:
        """Remove a value that left the window."""
        self._add(value, -1)

    def _add(self, value: object, sign: int) -> None:
        if isinstance(value, int | float):
            self._total += sign * value
        if value is not None:
            self._count += sign

    def value(self) -> int | float | None:
        """Return the sum so far; NULL if there were no values."""
        if not self._count:
            return None
        if isinstance(self._total, float):
            return self._total
        return max(min(self._total, LARGEST_SUM), -LARGEST_SUM)

    finalize = value


def _bound(connection: Connection) -> None:
    """Let this SQLite connection's sums end at the largest number.

    SQLite cannot take it back, so the connection leaves its pool, and is closed after its use.
    """
    driver = connection.connection.driver_connection
    connection.detach()
    driver.create_window_function("sum", 1, _Sum)  # type: ignore[union-attr]
