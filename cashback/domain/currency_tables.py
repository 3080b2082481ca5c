"""What Babel knows about currencies and languages. It is imported only if amounts are not dollars in English."""

import re
from decimal import Decimal

from babel import Locale, UnknownLocaleError
from babel.numbers import (
    format_currency,
    get_currency_precision,
    get_currency_symbol,
    get_decimal_symbol,
    get_group_symbol,
    list_currencies,
)


def decimals_of(currency: str) -> int:
    """Return the number of a currency's decimals."""
    return get_currency_precision(currency)


def signs_of(locale: str) -> tuple[str, str]:
    """Return a language's signs between thousands and before the decimals."""
    return get_group_symbol(locale), get_decimal_symbol(locale)


def symbol_of(currency: str, locale: str) -> str:
    """Return a currency's sign in a language."""
    return get_currency_symbol(currency, locale)


def formatted(cents: int, decimals: int, currency: str, locale: str) -> str:
    """Format an amount as the language writes it."""
    amount, group = Decimal(cents).scaleb(-decimals), get_group_symbol(locale)
    if group != "'":
        return format_currency(amount, currency, locale=locale)
    # Babel takes two apostrophes, as in the Swiss 1'234'567.00, for quotation marks, and removes them.
    text = format_currency(amount, currency, locale=locale, group_separator=False)
    return re.sub("[0-9]+", lambda whole: f"{int(whole[0]):,}".replace(",", group), text, count=1)


def is_known(currency: str) -> bool:
    """Return whether this is the ISO code of a currency."""
    return currency in list_currencies()


def locale_named(name: str) -> str | None:
    """Return a language's name as Babel writes it: "pt_BR" for "pt-br"; None if it is unknown."""
    try:
        return str(Locale.parse(name.replace("-", "_")))
    except (UnknownLocaleError, ValueError):
        return None
