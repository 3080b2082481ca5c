"""Amounts of money as shops and spreadsheets write them: signs, symbols, thousands separators, decimal commas."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

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
_GROUPED: Final = {
    POINT: re.compile(rf"[0-9]{{1,3}}(?:(?P<mark>,|{_SPACES})[0-9]{{3}})(?:(?P=mark)[0-9]{{3}})*(?:\.[0-9]{{1,3}})?"),
    COMMA: re.compile(rf"[0-9]{{1,3}}(?:(?P<mark>\.|{_SPACES})[0-9]{{3}})(?:(?P=mark)[0-9]{{3}})*(?:,[0-9]{{1,3}})?"),
}
_COMMA_PLAIN: Final = re.compile(r"[0-9]+(?:,[0-9]{1,3})?")
_MANY_GROUPS: Final = re.compile(r"[0-9]{1,3}(?:([,.])[0-9]{3})(?:\1[0-9]{3})+")
_TWO_SIGNS: Final = re.compile(r"[0-9]{1,3}([,.])[0-9]{3}(?:\1[0-9]{3})*[,.][0-9]{3}")
"""Thousands and three decimals, as of a dinar: 1,234.500. The last sign is the decimal one."""

_ONE_GROUP: Final = re.compile(r"[0-9]{1,3}[,.][0-9]{3}")


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
        many = _MANY_GROUPS.fullmatch(text)
        if many:
            grouped = POINT if many[1] == "," else COMMA
        elif doubtful is None and _ONE_GROUP.fullmatch(text):
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
    return _parse_point if style == POINT else _parse_comma


@lru_cache(maxsize=PRICES_KEPT)
def _parse_point(text: str) -> int:
    if _GROUPED[POINT].fullmatch(text):
        return parse_dollars(re.sub(f",|{_SPACES}", "", text))
    return parse_dollars(text)


@lru_cache(maxsize=PRICES_KEPT)
def _parse_comma(text: str) -> int:
    if _GROUPED[COMMA].fullmatch(text):
        return parse_dollars(re.sub(rf"\.|{_SPACES}", "", text).replace(",", "."))
    if _COMMA_PLAIN.fullmatch(text):
        return parse_dollars(text.replace(",", "."))
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
