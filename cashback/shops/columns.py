"""Columns that look as if they mattered: what is not understood is not passed over."""

import re
from collections.abc import Iterable
from typing import Final

from cashback.domain.errors import CashbackError
from cashback.shops.answers import Answers

_WEIGHTY: Final = frozenset(
    {"currency", "unit", "minor", "cents", "quantity", "qty", "type", "kind", "mode", "environment"}
    | {"status", "state", "paid", "unpaid", "pending", "captured", "failed", "failure", "declined", "deleted"}
    | {"cancelled", "canceled", "cancellation", "void", "voided", "fraud", "fraudulent"}
    | {"refund", "refunds", "refunded", "returned", "reversed", "reversal"}
    | {"dispute", "disputed", "chargeback"}
    | {"test", "testmode", "sandbox", "live", "livemode"}
    | {"discount", "tax", "taxes", "shipping", "fee", "fees"}
)
"""Words of columns that may decide whether, or how much of, a row counts."""


_WEIGHTY_PARTS: Final = re.compile(
    r".*(currency|status|refund|refunded|cancelled|canceled|captured|disputed|paid|test)"
    r"|(currency|status|refund|cancel|captured|dispute|paid|test).*"
)
"""The same in words that were written together, such as isTest and orderStatus."""


EMAILS: Final = (
    *("email", "e-mail", "email address", "buyer email", "buyer_email", "buyeremail"),
    *("customer email", "customer_email", "purchase email", "receipt email", "from email address"),
)
"""Columns that hold a buyer's e-mail, in the order in which they are asked."""


def words_of(column: str) -> list[str]:
    """Split a column's name, which is in lower case, into words: "financial_status" is financial, status."""
    return re.findall(r"[a-z]+", column)


def is_weighty(column: str) -> bool:
    """Return whether a column looks as if it decided what counts."""
    return any(word in _WEIGHTY or _WEIGHTY_PARTS.fullmatch(word) for word in words_of(column))


def is_currency(column: str) -> bool:
    """Return whether a column names the currency."""
    return any("currency" in word for word in words_of(column))


def is_status(column: str) -> bool:
    """Return whether a column holds the state of an order."""
    words = words_of(column)
    return words == ["state"] or any("status" in word for word in words)


def refuse_weighty(columns: Iterable[str], answers: Answers, name: str) -> None:
    """Raise CashbackError for the first column that looks as if it mattered, with the options that decide."""
    for column in columns:
        if column in answers.ignored_columns or not is_weighty(column):
            continue
        ways = [f'--ignore-column "{column}"']
        if is_currency(column):
            ways.insert(0, "--currency USD")
        elif is_status(column):
            ways.insert(0, "--only-status paid")
        raise CashbackError(
            f"{name}: the column {column!r} looks as if it mattered and is not understood; say {' or '.join(ways)}."
        )
