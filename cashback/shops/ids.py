"""Discord ids and shops' ids as files and commands write them."""

import re
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Final

from cashback.database.referral_program.people import LARGEST_ID
from cashback.domain.errors import CashbackError

LONGEST_ORDER_ID: Final = 200
LONGEST_ID: Final = 19
VALUE_SHOWN: Final = 40
SPREADSHEET_DIGITS: Final = 15
FEWEST_DIGITS: Final = 5
"""A spreadsheet keeps so many digits of an id at most, and shows so many at least."""
_ROUNDED: Final = re.compile(r"[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+")
_ROUNDED_ORDER: Final = re.compile(r"[0-9](?:[.,][0-9]+)?E\+[0-9]{2}")
"""As spreadsheets write it: a shop's own id may have an E among digits."""
_GUARDED: Final = re.compile(r"=?\s*[\"“”]([^\"“”]*)[\"“”]|['‘’]([^'‘’]+)['‘’]?")
"""How ids are kept from being numbers in a spreadsheet: ="1001" and '1001, and whole ids in quotes."""
_GUARDS: Final = frozenset("=\"“”'‘’")
_AS_NUMBER: Final = re.compile(r"[0-9]+\.0+|[0-9]{1,3}(?:,[0-9]{3})+")
_ALONE: Final = re.compile(r"(?<![0-9])[0-9]{17,19}(?![0-9])")
_NAMED: Final = re.compile(
    r"discord[ _-]?(?:user[ _-]?)?(?:id)?[\"']?\s*(?:=>|[:=])\s*[\"']?([^\s\"',;}|]+)", re.IGNORECASE
)


def unguarded(text: str) -> str:
    """Return a cell's text without the spaces around it, and without what keeps a spreadsheet from rounding it."""
    stripped = text.strip()
    if stripped[:1] not in _GUARDS:
        return stripped
    found = _GUARDED.fullmatch(stripped)
    return (found[1] or found[2] or "").strip() if found is not None else stripped


def to_id(text: str, what: str = "id") -> int:
    """Read a Discord id. Raises CashbackError that says what it may be."""
    digits = unguarded(text)
    if len(digits) <= LONGEST_ID and digits.isdigit() and digits.isascii():
        number = int(digits)
        if 0 < number <= LARGEST_ID:
            return number
    if _ROUNDED.fullmatch(digits):
        raise CashbackError(
            f"{what} {text[:VALUE_SHOWN]!r} was rounded by a spreadsheet; export it again and format the ids as text"
        )
    raise CashbackError(f"{what} {text[:VALUE_SHOWN]!r} is not a Discord id (a whole number from 1 to {LARGEST_ID})")


def may_be_rounded(text: str, number: int) -> bool:
    """Return whether a text is this id as a spreadsheet rounds it, 2.84651E+17 or 284651237461238000."""
    try:
        shown = Decimal(text.strip().replace(",", "."))
    except InvalidOperation:
        return False
    digits = min(len(shown.as_tuple().digits), SPREADSHEET_DIGITS)
    ways = (Context(prec=digits, rounding=way).create_decimal(number) for way in (ROUND_HALF_UP, ROUND_DOWN))
    return digits >= FEWEST_DIGITS and any(shown == way for way in ways)


def named_ids(text: str) -> list[str]:
    """Return the different numbers that follow "discord_id:" or the like in a note."""
    return sorted({name for name in _NAMED.findall(text) if name[0].isdigit()})


def named_id(text: str) -> str | None:
    """Return the one number that follows "discord_id:" or the like in a note, None without one or with several."""
    found = named_ids(text)
    return found[0] if len(found) == 1 else None


def only_id(text: str) -> str | None:
    """Return the one number in a text that is as long as a Discord id, None without one or with several."""
    found = set(_ALONE.findall(text))
    return found.pop() if len(found) == 1 else None


def check_order_id(text: str, what: str = "order_id") -> str:
    """Return a shop's id without the spaces around it. Raises CashbackError if it is not one."""
    order_id = text.strip()
    if not order_id or len(order_id) > LONGEST_ORDER_ID or not order_id.isprintable():
        raise CashbackError(
            f"{what} {text[:VALUE_SHOWN]!r} is not a shop's id (1 to {LONGEST_ORDER_ID} printable characters)"
        )
    return order_id


def order_id_in(cell: str, what: str = "order_id") -> str:
    """Return the shop's id in a file's cell.

    Raises CashbackError if it is not one, and if a program wrote it as a number: the same order may come as text too.
    """
    if cell[:1].isalpha() or cell.isalnum():
        return check_order_id(cell, what)
    order_id = check_order_id(unguarded(cell), what)
    if order_id[:1].isdigit():
        if _ROUNDED_ORDER.fullmatch(order_id):
            raise CashbackError(
                f"{what} {order_id!r} was rounded by a spreadsheet; export it again and format the ids as text"
            )
        if _AS_NUMBER.fullmatch(order_id):
            raise CashbackError(f"{what} {order_id!r} was written as a number; format the ids as text")
    return order_id
