"""Amounts in each currency and language: shown, and read as people type them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cashback.cogs.texts import embeds
from cashback.dashboard import template_filters
from cashback.domain.errors import CashbackError
from cashback.domain.money import MoneyStyle, amounts_in, dollars, money_style, parse_typed_dollars, use_money_style
from cli import output

SPACE = "\u00a0"


@pytest.fixture(autouse=True)
def own_style() -> Iterator[None]:
    """Leave the style of other tests alone."""
    before = money_style()
    yield
    use_money_style(before)


@pytest.mark.parametrize(
    ("currency", "locale", "cents", "shown"),
    [
        ("USD", "en", 123456, "$1,234.56"),
        ("USD", "en", -100, "-$1.00"),
        ("EUR", "en", 123456, "€1,234.56"),
        ("EUR", "de", 123456, f"1.234,56{SPACE}€"),
        ("USD", "pt_BR", 123456, f"US${SPACE}1.234,56"),
        ("JPY", "en", 1500, "¥1,500"),
        ("JPY", "ja", -5, "-￥5"),
        ("KWD", "en", 1250, "KWD1.250"),
        ("KWD", "de", 1, f"0,001{SPACE}KWD"),
        ("BRL", "pt_BR", 99, f"R${SPACE}0,99"),
        ("CHF", "de_CH", -123_456_789, "CHF-1'234'567.89"),
        ("INR", "hi", 123_456_789, "₹12,34,567.89"),
    ],
)
def test_amount_is_shown_in_its_currency(currency: str, locale: str, cents: int, shown: str) -> None:
    use_money_style(MoneyStyle(currency, locale))
    assert dollars(cents).replace("\u202f", SPACE) == shown.replace("\u202f", SPACE)


@pytest.mark.parametrize(
    ("currency", "locale", "typed", "cents"),
    [
        ("EUR", "en", "12.34", 1234),
        ("EUR", "en", "€12.34", 1234),
        ("EUR", "en", "1,250.00 EUR", 125000),
        ("EUR", "de", "12,34", 1234),
        ("EUR", "de", "12.34", 1234),
        ("EUR", "de", "1.250,5 €", 125050),
        ("EUR", "de", "1.250", 125000),
        ("EUR", "de_CH", "1'250.50", 125050),
        ("EUR", "fr", "1 250,50", 125050),
        ("JPY", "en", "1500", 1500),
        ("JPY", "en", "¥1,500", 1500),
        ("KWD", "en", "1.5", 1500),
        ("KWD", "en", "1.234", 1234),
        ("KWD", "de", "1,234", 1234),
        ("INR", "hi", "12,34,567.50", 123456750),
        ("JPY", "hi", "१,५००", 1500),
        ("KWD", "ar", "١٬٢٣٤٫٥", 1234500),
        ("EUR", "de", "١٢٫٥", 1250),
    ],
)
def test_amount_is_read_with_the_decimals_of_its_currency(currency: str, locale: str, typed: str, cents: int) -> None:
    use_money_style(MoneyStyle(currency, locale))
    assert parse_typed_dollars(typed) == cents


@pytest.mark.parametrize(
    ("currency", "locale", "typed", "why"),
    [
        ("USD", "en", "1,25", "one way only"),
        ("USD", "en", "€5", "not an amount in dollars"),
        ("EUR", "en", "$5", "not an amount in EUR"),
        ("EUR", "de", "1,250", "one way only"),
        ("KWD", "de", "1.250", "one way only"),
        ("JPY", "en", "15.5", "no decimals"),
        ("JPY", "en", "1500.00", "no decimals"),
        ("KWD", "en", "1.2345", "at most three decimals"),
        ("EUR", "de", "12,345", "one way only"),
        ("EUR", "de", "", "not an amount"),
        ("EUR", "de", "€", "not an amount"),
    ],
)
def test_amount_that_is_wrong_or_ambiguous_is_refused(currency: str, locale: str, typed: str, why: str) -> None:
    use_money_style(MoneyStyle(currency, locale))
    with pytest.raises(CashbackError, match=why) as refused:
        parse_typed_dollars(typed)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("currency", ["USD", "EUR", "JPY", "BRL", "ISK"])
@pytest.mark.parametrize("locale", ["en", "en_GB", "de", "de_CH", "es", "fr", "pt_BR", "ja", "sv"])
@pytest.mark.parametrize("cents", [0, 1, 99, 100, 123_456, 99_999_999])
def test_shown_amount_is_read_back(currency: str, locale: str, cents: int) -> None:
    use_money_style(MoneyStyle(currency, locale))
    assert parse_typed_dollars(dollars(cents)) == cents


def test_language_changes_for_one_answer() -> None:
    with amounts_in("de"):
        assert dollars(250) == f"2,50{SPACE}$"
    assert dollars(250) == "$2.50"


@pytest.mark.parametrize("currency", ["USD", "EUR", "JPY", "KWD", "INR"])
@pytest.mark.parametrize(
    "locale", ["en", "de", "de_CH", "es", "fr", "pt_BR", "sv", "hi", "en_IN", "bn", "ar", "ar_EG", "fa"]
)
def test_amount_may_be_typed_as_it_is_shown(currency: str, locale: str) -> None:
    use_money_style(MoneyStyle(currency, locale))
    for cents in (0, 5, 99, 1_234, 98_765, 1_234_567, 123_456_789_012):
        assert parse_typed_dollars(dollars(cents)) == cents, dollars(cents)


@pytest.mark.parametrize(("currency", "typed"), [("JPY", "١٫٥"), ("JPY", "1.5"), ("KWD", "1.2345"), ("KWD", "١٫٢٣٤٥")])
def test_more_decimals_than_the_currency_has_are_refused(currency: str, typed: str) -> None:
    for locale in ("en", "de", "pt_BR", "es", "ar", "hi"):
        use_money_style(MoneyStyle(currency, locale))
        with pytest.raises(CashbackError):
            parse_typed_dollars(typed)


def test_counts_have_the_same_signs_as_the_amounts_beside_them() -> None:
    """1,250 users for 1.250 € would be one and a quarter of a user."""
    use_money_style(MoneyStyle("EUR", "de"))
    for counted in (embeds.counted, output.counted, template_filters.counted):
        assert counted(1_250, "user") == "1.250 users"
    assert template_filters.count(12_345) == "12.345"
