"""Formats whole minor units in the ledger's currency, and parses amounts, without floats.

The currency and the language of a process, or of one answer, are a context variable, which worker threads and tasks
inherit. Cents are the currency's minor units: yen have none, a Kuwaiti dinar has 1,000.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from importlib import import_module
from typing import Any, Final
from unicodedata import decimal as digit

from cashback.domain.errors import CashbackError

LARGEST_DOLLARS_CENTS: Final = 10**12
PRICES_KEPT: Final = 16_384
"""Most orders of a shop have an amount that occurred before: parsed amounts are cached."""

DOLLARS: Final = "USD"
ENGLISH: Final = "en"
_SPACES: Final = str.maketrans({**dict.fromkeys("\u00a0\u202f\u2009", " "), "\u2019": "'"})
_INVISIBLE: Final = str.maketrans(dict.fromkeys("\u200e\u200f\u061c", ""))


def _tables() -> Any:  # noqa: ANN401 -- a module
    """Import what needs Babel, which takes 60 ms to load."""
    return import_module("cashback.domain.currency_tables")


@dataclass(frozen=True)
class MoneyStyle:
    """A currency by its ISO code, and how amounts are written: a language, with or without a country, as in "de_CH"."""

    currency: str = DOLLARS
    locale: str = ENGLISH

    @property
    def is_plain(self) -> bool:
        """Whether amounts are dollars in English, which need no tables."""
        return self.currency == DOLLARS and self.locale in {ENGLISH, "en_US"}

    @cached_property
    def decimals(self) -> int:
        """The number of the currency's decimals."""
        if self.currency == DOLLARS:
            return 2
        return int(_tables().decimals_of(self.currency))

    @cached_property
    def signs(self) -> tuple[str, str]:
        """The signs between thousands and before the decimals."""
        if self.is_plain:
            return ",", "."
        group, decimal = _tables().signs_of(self.locale)
        return group.translate(_SPACES), decimal

    @cached_property
    def thousands(self) -> str:
        """The regular expression of the digits after the first group, as in 1,234,567 or, in India, 12,34,567."""
        group = re.escape(self.signs[0])
        if not group:
            return "(?!)"
        is_by_two = not self.is_plain and self.signs[0].join(("12", "34", "567")) in _formatted(
            1234567 * 10**self.decimals, self
        ).translate(_SPACES)
        return rf"(?:{group}[0-9]{{2}}){{0,7}}{group}[0-9]{{3}}" if is_by_two else rf"(?:{group}[0-9]{{3}}){{1,6}}"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What may stand before or after a typed amount: the currency's code and signs."""
        if self.is_plain:
            return ("US$", "USD", "$")
        signs = {_tables().symbol_of(self.currency, locale) for locale in (self.locale, ENGLISH)}
        return tuple(sorted({*(each.translate(_INVISIBLE) for each in signs), self.currency}, key=len, reverse=True))

    def plain(self, cents: int) -> str:
        """Format an amount for programs: digits, a point, and as many decimals as the currency has."""
        whole, fraction = divmod(abs(cents), 10**self.decimals)
        text = f"{whole}.{fraction:0{self.decimals}}" if self.decimals else str(whole)
        return f"-{text}" if cents < 0 else text


def is_currency(code: str) -> bool:
    """Return whether this is the ISO code of a currency."""
    return code == DOLLARS or bool(_tables().is_known(code))


def locale_of(name: str) -> str | None:
    """Return a language's name as Babel writes it: "pt_BR" for "pt-br"; None if it is unknown."""
    known: str | None = name if name == ENGLISH else _tables().locale_named(name)
    return known


_style: ContextVar[MoneyStyle] = ContextVar("money_style", default=MoneyStyle())  # noqa: B039 -- it is frozen


_language: ContextVar[str | None] = ContextVar("money_language", default=None)
"""The language of the one who reads the answer, if it is another than the configuration's."""


def money_style() -> MoneyStyle:
    """Return the currency and the language in force."""
    language = _language.get()
    return _style.get() if language is None else replace(_style.get(), locale=language)


def use_money_style(style: MoneyStyle) -> None:
    """Set the currency and the language of this process: of this task, and of the tasks that it starts."""
    _style.set(style)


def use_locale(locale: str) -> None:
    """Write amounts in another language in this task."""
    _language.set(locale)


@contextmanager
def amounts_in(locale: str) -> Iterator[None]:
    """Write amounts in another language inside the block."""
    token = _language.set(locale)
    try:
        yield
    finally:
        _language.reset(token)


def dollars(cents: int) -> str:
    """Format cents in the currency: 123456 is "$1,234.56", -100 is "-$1.00"."""
    return _shown(cents, money_style())


def recorded_dollars(cents: int) -> str:
    """Format cents for the ledger, in the configuration's language: what is stored is read by others too."""
    return _shown(cents, _style.get())


def _shown(cents: int, style: MoneyStyle) -> str:
    if not style.is_plain:
        return _formatted(cents, style)
    whole, fraction = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}${whole:,}.{fraction:02}"


@lru_cache(maxsize=PRICES_KEPT)
def _formatted(cents: int, style: MoneyStyle) -> str:
    return str(_tables().formatted(cents, style.decimals, style.currency, style.locale))


def grouped(count: int) -> str:
    """Format a count with the language's sign between thousands."""
    return f"{count:,}".replace(",", money_style().signs[0])


def parse_dollars(text: str) -> int:
    """Parse an amount such as "12.34" into cents. Raises a CashbackError that explains the valid form."""
    return _parsed(text, money_style())


@lru_cache(maxsize=PRICES_KEPT)
def _parsed(text: str, style: MoneyStyle) -> int:
    match = _plain_form(style.decimals).fullmatch(text)
    if match is not None:
        whole, fraction = match[1], match[2] or ""
        cents: int = int(whole) * 10**style.decimals + int(fraction.ljust(style.decimals, "0") or "0")
        if cents <= LARGEST_DOLLARS_CENTS:
            return cents
    raise CashbackError(f"amount {text[:40]!r} is not {_kind(style)} ({_form(style)})")


@lru_cache(maxsize=8)
def _plain_form(decimals: int) -> re.Pattern[str]:
    return re.compile(rf"([0-9]{{1,20}})(?:\.([0-9]{{1,{decimals}}}))?" if decimals else r"([0-9]{1,20})(\b\B)?")


def _kind(style: MoneyStyle) -> str:
    return "an amount in dollars" if style.currency == DOLLARS else f"an amount in {style.currency}"


def _form(style: MoneyStyle) -> str:
    most = f"{style.plain(LARGEST_DOLLARS_CENTS)}"
    if style.currency == DOLLARS:
        most = f"{LARGEST_DOLLARS_CENTS // 100:,}.00"
    names = {0: "no decimals", 1: "at most one decimal", 2: "at most two decimals", 3: "at most three decimals"}
    return f"digits, {names.get(style.decimals, f'at most {style.decimals} decimals')}, at most {most}"


def parse_typed_dollars(text: str) -> int:
    """Read an amount as people write it, such as "$12.50" or "1,250.00", as cents.

    The signs between thousands and before the decimals are those of the language in force. Raises CashbackError if the
    amount is not valid, or ambiguous: "1,25" is $1.25 to some people and $125 to others.
    """
    style = money_style()
    group, decimal = style.signs
    own = str.maketrans({"\u066b": decimal, "\u066c": group})
    typed = _without_currency(_in_digits(text.translate(_SPACES).translate(_INVISIBLE).translate(own)).strip(), style)
    read = _grouped(typed, group, decimal, style)
    if decimal != ".":
        # A point before two decimals is a point everywhere: thousands have three digits.
        pointed = _grouped(typed, "", ".", style)
        if read is None or pointed is None:
            read = read or pointed
        elif read != pointed:
            raise _ambiguous(text, style)
    if read is not None:
        return _parsed(read, style)
    if not typed.isascii() or "," not in typed or not re.fullmatch("[0-9][0-9.,' ]*[0-9]", typed):
        return _parsed(typed, style)
    raise _ambiguous(text, style)


def _without_currency(typed: str, style: MoneyStyle) -> str:
    for name in style.names:
        for bare in (typed.removeprefix(name), typed.removesuffix(name)):
            if bare != typed:
                # One space may stand between the sign and the amount.
                return bare.removeprefix(" ").removesuffix(" ")
    return typed


def _in_digits(typed: str) -> str:
    """Write the digits of other scripts, as Arabic or Hindi keyboards have them, as ours."""
    return typed if typed.isascii() else "".join(str(digit(each)) if each.isdecimal() else each for each in typed)


def _grouped(typed: str, group: str, decimal: str, style: MoneyStyle) -> str | None:
    """Return a typed amount in the form of programs; None if these signs do not make it one."""
    decimals = style.decimals
    thousands = rf"|[1-9][0-9]{{0,2}}{style.thousands}" if group else ""
    fraction = rf"(?:{re.escape(decimal)}([0-9]{{1,{decimals}}}))?" if decimals else "()"
    match = re.fullmatch(rf"([0-9]{{1,20}}{thousands}){fraction}", typed)
    if match is None:
        return None
    whole = match[1].replace(group, "") if group else match[1]
    return f"{whole}.{match[2]}" if match[2] else whole


def _ambiguous(text: str, style: MoneyStyle) -> CashbackError:
    group, decimal = style.signs
    example = f"1{group}250{decimal}{'0' * style.decimals}" if style.decimals else f"1{group}250"
    if style.is_plain:
        advice = "write a point before the cents and commas between thousands, as in 1,250.00"
    else:
        advice = f"write it as in {example}"
    return CashbackError(f"amount {text[:40]!r} is not {_kind(style)} that can be read in one way only; {advice}")
