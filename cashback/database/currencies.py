"""The ledger's one currency: its code and number of decimals, fixed with the first row that may hold an amount.

Amounts are whole minor units, so another currency would change what every row means. A configuration may only agree.
"""

from typing import Final

from sqlalchemy import Connection, exists, or_, select, update

from cashback.database.tables import (
    cashback_origin,
    referral_purchases,
    referrals,
    unmatched_purchases,
    wallet_transactions,
)
from cashback.domain.errors import CurrencyError, DatabaseUnavailableError

Currency = tuple[str, int]
"""The ISO code, and the number of decimals."""

DOLLARS: Final[Currency] = ("USD", 2)
"""The currency of an adopted ledger, and of one that another bot begins."""

_ROWS: Final = or_(
    *(exists(select(table)) for table in (referrals, referral_purchases, wallet_transactions, unmatched_purchases))
)


def fixed(connection: Connection) -> Currency | None:
    """Return the ledger's currency; None if no row has fixed it yet. Raises DatabaseUnavailableError if it is lost."""
    row = connection.execute(select(cashback_origin.c.currency, cashback_origin.c.decimals)).one_or_none()
    if row is None:
        raise DatabaseUnavailableError(
            "The ledger has lost its row of cashback_origin, which says where it comes from and in what it counts;"
            " restore a backup."
        )
    return None if row.currency is None else (row.currency, row.decimals)


def require(connection: Connection, wanted: Currency | None, name: str) -> bool:
    """Return whether the currency is fixed. Raises CurrencyError if it is another one than the configuration says."""
    found = fixed(connection)
    if found is not None and wanted is not None and found != wanted:
        message = (
            f"The ledger {name} counts in {_said(found)}, but the configuration says {_said(wanted)}: set currency to"
            f" {found[0]}, or name another ledger. A ledger's currency is never changed."
        )
        raise CurrencyError(message)
    return found is not None


def fix(connection: Connection, wanted: Currency | None, name: str) -> bool:
    """Fix the currency if there is a row by now; return whether it is fixed. Raises CurrencyError as `require`."""
    code, decimals = wanted or DOLLARS
    is_open = cashback_origin.c.currency.is_(None)
    connection.execute(update(cashback_origin).where(is_open, _ROWS).values(currency=code, decimals=decimals))
    return require(connection, wanted, name)


def _said(currency: Currency) -> str:
    code, decimals = currency
    return f"{code} with {decimals} decimals" if decimals else f"{code} without decimals"
