"""Columns that look as if they mattered: what is not understood is not passed over."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from cashback.domain.errors import CashbackError
from cashback.shops.answers import Answers
from cashback.shops.currency import own_code

_WEIGHTY: Final = frozenset(
    {"currency", "unit", "minor", "cents", "quantity", "qty", "type", "kind", "mode", "environment"}
    | {"status", "state", "paid", "unpaid", "pending", "captured", "failed", "failure", "declined", "deleted"}
    | {"cancelled", "canceled", "cancellation", "void", "voided", "fraud", "fraudulent"}
    | {"refund", "refunds", "refunded", "returned", "reversed", "reversal"}
    | {"dispute", "disputed", "chargeback"}
    | {"test", "testmode", "sandbox", "live", "livemode"}
    | {"discount", "tax", "taxes", "shipping", "fee", "fees"}
    | {"valid", "success", "successful", "result", "approved", "charged", "ccy", "curr"}
    | {"zahlung", "menge", "anzahl", "steuer", "steuern", "rabatt", "versand", "gültig", "erfolgreich", "testmodus"}
    | {"estado", "tipo", "cantidad", "impuesto", "impuestos", "envío", "prueba", "válido", "pago", "pagado", "divisa"}
    | {"état", "payé", "quantité", "taxe", "livraison", "remise", "essai", "valide", "devise"}
    | {"stato", "valuta", "quantità", "imposta", "pagato", "prova", "moeda", "betaald", "aantal"}
)
"""Words of columns that may decide whether, or how much of, a row counts, in their owners' languages."""


_WEIGHTY_PARTS: Final = re.compile(
    r".*(currency|status|refund|refunded|cancelled|canceled|captured|disputed|paid|test)"
    r"|(currency|status|refund|cancel|captured|dispute|paid|test|chargeback).*"
    r"|.*(hrung|erstatt|rückzahl|stornier|bezahlt|валют|статус|возврат|通貨|状態|返金|货币|状态|退款|통화|환불).*"
    r"|(moneda|reembols|devolu|cancelad|anulad|annul|rembours|statut|rimbors|rembolso|terugbeta|geannuleerd|stornat).*"
)
"""The same in words that were written together, such as isTest and orderStatus, or that have several endings.

"hrung" is Währung, whatever an encoding made of its second letter.
"""

DATES: Final = frozenset(
    {"date", "datetime", "time", "timestamp", "created", "purchased", "bought", "ordered", "datum", "fecha"}
)
"""Words of columns that may hold when a purchase was made."""

_CURRENCY: Final = re.compile("currency|hrung|валют|通貨|货币|통화|^(ccy|curr|moneda|divisa|devise|valuta|moeda)$")

EMAILS: Final = (
    *("email", "e-mail", "email address", "buyer email", "buyer_email", "buyeremail"),
    *("customer email", "customer_email", "purchase email", "receipt email", "from email address"),
)
"""Columns that hold a buyer's e-mail, in the order in which they are asked."""


def words_of(column: str) -> list[str]:
    """Split a column's name, which is in lower case, into words: "financial_status" is financial, status."""
    return re.findall(r"[^\W\d_]+", unicodedata.normalize("NFC", column))


def is_weighty(column: str) -> bool:
    """Return whether a column looks as if it decided what counts."""
    return any(word in _WEIGHTY or _WEIGHTY_PARTS.fullmatch(word) for word in words_of(column))


def is_currency(column: str) -> bool:
    """Return whether a column names the currency."""
    return any(_CURRENCY.search(word) for word in words_of(column))


def is_status(column: str) -> bool:
    """Return whether a column holds the state of an order."""
    words = words_of(column)
    return words in (["state"], ["estado"], ["stato"]) or any("statu" in word or "статус" in word for word in words)


def refuse_weighty(columns: Iterable[str], answers: Answers, name: str) -> None:
    """Raise CashbackError for the first column that looks as if it mattered, with the options that decide."""
    for column in columns:
        if column in answers.ignored_columns or not is_weighty(column):
            continue
        ways = [f'--ignore-column "{column}"']
        if is_currency(column):
            ways.insert(0, f"--currency {own_code()}")
        elif is_status(column):
            ways.insert(0, "--only-status paid")
        raise CashbackError(
            f"{name}: the column {column!r} looks as if it mattered and is not understood; say {' or '.join(ways)}."
        )


def refuse_twice(columns: Sequence[str], read: Iterable[str], name: str) -> None:
    """Raise CashbackError for the first of the columns to read that a file names twice."""
    for column in read:
        if columns.count(column) > 1:
            raise CashbackError(f"{name} names the column {column} twice; remove or rename one.")


def refuse_dates(columns: Iterable[str], answers: Answers, name: str, *, wanted: str) -> None:
    """Raise CashbackError for a column that looks like the rows' moments, in a file that lacks the `wanted` column."""
    for column in columns:
        if column not in answers.ignored_columns and any(word in DATES for word in words_of(column)):
            raise CashbackError(
                f"{name}: the column {column!r} looks like the {wanted} of its rows; name it so, or say"
                f' --ignore-column "{column}", and each row counts as made now.'
            )
