"""Amounts of money as shops and spreadsheets write them: signs, symbols, thousands separators, decimal commas."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Final, NamedTuple

from cashback.domain.errors import CashbackError
from cashback.domain.money import LARGEST_DOLLARS_CENTS, PRICES_KEPT, money_style, parse_dollars
from cashback.shops.answers import CENTS, DOLLARS, Answers, UnansweredError

POINT: Final = "point"
COMMA: Final = "comma"
VALUE_SHOWN: Final = 40

Parse = Callable[[str], int]
"""Reads one amount as cents; raises CashbackError."""

_SPACES: Final = "[ \u00a0\u202f'’]"
_POINT_DECIMAL: Final = re.compile(rf"[0-9](?:[0-9]|,|{_SPACES})*\.[0-9]{{1,2}}")
_COMMA_DECIMAL: Final = re.compile(rf"[0-9](?:[0-9]|\.|{_SPACES})*,[0-9]{{1,2}}")
_MANY_GROUPS: Final = re.compile(r"[0-9]{1,3}(?:([,.])[0-9]{3})(?:\1[0-9]{3})+")
_TWO_SIGNS: Final = re.compile(r"[0-9]{1,3}([,.])[0-9]{3}(?:\1[0-9]{3})*[,.][0-9]{3}")
"""Thousands and three decimals, as of a dinar: 1,234.500. The last sign is the decimal one."""

_ONE_GROUP: Final = re.compile(r"[0-9]{1,3}([,.])[0-9]{3}")
_SIGNS: Final = {POINT: (",", r"\."), COMMA: (r"\.", ",")}
"""The signs between thousands and before the decimals."""


def style_of(amounts: Iterable[str], answers: Answers, name: str) -> tuple[str, bool]:
    """Return whether a file's amounts have a decimal point or comma, and whether any amount has decimals.

    The first amount that leaves no doubt decides; those that contradict it are bad rows. Raises UnansweredError if
    an amount such as 1,234 could be read two ways and no other decides.
    """
    doubtful = grouped = None
    for amount in amounts:
        text = amount.lstrip("-−+($€£ ").rstrip(") ")
        if _POINT_DECIMAL.fullmatch(text):
            return answers.decimal or POINT, True
        if _COMMA_DECIMAL.fullmatch(text):
            return answers.decimal or COMMA, True
        both = _TWO_SIGNS.fullmatch(text)
        if both and both[1] != text[-4]:
            return answers.decimal or (POINT if both[1] == "," else COMMA), True
        one = _ONE_GROUP.fullmatch(text)
        # Without decimals, a sign before three digits stands between thousands.
        many = _MANY_GROUPS.fullmatch(text) or (one if not money_style().decimals else None)
        if many:
            grouped = POINT if many[1] == "," else COMMA
        elif doubtful is None and one:
            doubtful = text
    style = answers.decimal or grouped
    if doubtful is not None and style is None:
        raise UnansweredError(
            f"{name}: the amount {doubtful!r} can be read two ways; say --decimal point or --decimal comma, or save the"
            " file again with two decimals in each amount.",
            option="decimal",
            question=f"Which sign stands before the cents in {name} (an amount is {doubtful!r})?",
            choices=(POINT, COMMA),
        )
    return style or POINT, False


def unit_of(*, has_decimals: bool, sample: str | None, answers: Answers, name: str) -> str:
    """Return whether a file's amounts are dollars or cents. Raises UnansweredError if none of them has decimals."""
    if answers.amounts is not None:
        return answers.amounts
    if has_decimals or sample is None or not money_style().decimals:
        return DOLLARS
    raise UnansweredError(
        f"{name}: no amount has decimals (such as {sample[:VALUE_SHOWN]!r}); say --amounts dollars or --amounts cents.",
        option="amounts",
        question=f"No amount in {name} has decimals (such as {sample[:VALUE_SHOWN]!r}). Are these dollars or cents?",
        choices=(DOLLARS, CENTS),
    )


def parser_of(style: str, unit: str) -> Parse:
    """Return what reads one amount that is not negative, in a file of this style."""
    if unit == CENTS:
        return _parse_cents
    return lru_cache(maxsize=PRICES_KEPT)(partial(_parse, _forms(style, money_style().decimals), style))


class _Forms(NamedTuple):
    """How amounts of a file may be written: with signs between thousands, and without."""

    grouped: re.Pattern[str]
    plain: re.Pattern[str]


@lru_cache
def _forms(style: str, decimals: int) -> _Forms:
    group, point = _SIGNS[style]
    # Of a currency without decimals, a shop may write zeros.
    fraction = rf"(?:{point}(?P<fraction>[0-9]{{1,{decimals}}}))?" if decimals else rf"(?:{point}(?P<fraction>)00?)?"
    mark = rf"(?P<mark>{group}|{_SPACES})"
    grouped = rf"(?P<whole>[0-9]{{1,3}}{mark}[0-9]{{3}}(?:(?P=mark)[0-9]{{3}})*){fraction}"
    return _Forms(re.compile(grouped), re.compile(rf"(?P<whole>[0-9]+){fraction}"))


def _parse(forms: _Forms, style: str, text: str) -> int:
    found = forms.plain.fullmatch(text) or forms.grouped.fullmatch(text)
    if found is not None:
        whole = re.sub("[^0-9]", "", found["whole"])
        return parse_dollars(f"{whole}.{found['fraction']}" if found["fraction"] else whole)
    if style == POINT:
        return parse_dollars(text)
    raise CashbackError(f"amount {text[:VALUE_SHOWN]!r} is not an amount with a decimal comma, as others in this file")


@lru_cache(maxsize=PRICES_KEPT)
def _parse_cents(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_DOLLARS_CENTS)):
        cents = int(text)
        if cents <= LARGEST_DOLLARS_CENTS:
            return cents
    raise CashbackError(
        f"amount {text[:VALUE_SHOWN]!r} is not a whole number of cents, at most {LARGEST_DOLLARS_CENTS}"
    )


def parse_signed(text: str, parse: Parse) -> int:
    """Read an amount that may have a minus before it."""
    stripped = text.strip()
    return -parse(stripped[1:]) if stripped.startswith("-") else parse(stripped)
