"""The library: `from cashback import Database, CashbackError` is all that another bot needs.

`Database` is imported when it is first asked for: a command that only prints its help does not wait for SQLAlchemy.
"""

from typing import TYPE_CHECKING, Any

from cashback.domain.errors import CashbackError

if TYPE_CHECKING:
    from cashback.database import Database

__all__ = ["CashbackError", "Database"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- the protocol of module attributes
    """Import `Database` on first use."""
    if name == "Database":
        from cashback.database import Database  # noqa: PLC0415 -- the point of this function

        return Database
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
