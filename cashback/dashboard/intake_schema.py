"""Parses the shops' JSON into purchases and refunds. Errors name the wrong value by its JSON pointer."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from cashback.dashboard.problems import INVALID, MALFORMED, ProblemError
from cashback.database.referral_program.purchases import LARGEST_PURCHASE_CENTS, Purchase
from cashback.database.referral_program.refunds import Refund
from cashback.database.referral_program.unmatched import UnmatchedPurchase
from cashback.domain.days import check_moment
from cashback.domain.errors import CashbackError
from cashback.domain.reason_texts import MAX_REASON_LENGTH

MAX_ENTRIES: Final = 1_000
LONGEST_ID: Final = 200
_LETTERS: Final = r"!-~\u00a1-\ud7ff\ue000-\uffff"
ID_PATTERN: Final = f"^[{_LETTERS}]([ {_LETTERS}]{{0,{LONGEST_ID - 2}}}[{_LETTERS}])?$"
"""The shop's ids, of any letters: no control characters, and no space at either end."""

BUYER_PATTERN: Final = "^([1-9][0-9]{0,17}|[1-8][0-9]{18})$"
"""A Discord id as text: many languages cannot represent it exactly as a number."""

ACCOUNT_PATTERN: Final = "^([1-9][0-9]{16,17}|1[0-9]{18})$"
"""The ids of Discord's accounts. Members of the ledger may have smaller ones."""

NO_BUYER: Final = (None, "")
"""What a guest's order may have as its buyer; it may also have none."""

E = TypeVar("E")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported(Generic[E]):
    """The entries of a request. If it was a list (`is_bulk`), the answer is a list too."""

    entries: list[E]
    is_bulk: bool


def read_json(body: bytes) -> Any:  # noqa: ANN401 -- whatever JSON holds
    """Parse a body. Raises ProblemError if it is not JSON."""
    try:
        return json.loads(body, parse_constant=_no_constant, object_pairs_hook=_no_repeats)
    except (ValueError, RecursionError) as error:
        raise ProblemError(MALFORMED, f"The body is not JSON in UTF-8: {error}.") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the member {repeated[:LONGEST_ID]!r} twice")
    return members


def purchases_in(value: Any, now: datetime) -> Reported[Purchase | UnmatchedPurchase]:  # noqa: ANN401 -- whatever JSON holds
    """Parse one purchase, or `{"purchases": [...]}`. Raises ProblemError."""
    return _reported(value, "purchases", lambda entry, pointer: _purchase(entry, pointer, now))


def refunds_in(value: Any) -> Reported[Refund]:  # noqa: ANN401 -- whatever JSON holds
    """Parse one refund, or `{"refunds": [...]}`. Raises ProblemError."""
    return _reported(value, "refunds", _refund)


def _reported(value: Any, name: str, read: Callable[[Mapping[str, Any], str], E]) -> Reported[E]:  # noqa: ANN401 -- see above
    if not isinstance(value, dict):
        raise ProblemError(INVALID, "The body is not an object.", pointer="")
    if name not in value:
        return Reported(entries=[read(value, "")], is_bulk=False)
    _only(value, {name}, "")
    listed = value[name]
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_ENTRIES:
        raise ProblemError(INVALID, f"{name} is not a list of 1 to {MAX_ENTRIES} objects.", pointer=f"/{name}")
    entries = []
    for position, entry in enumerate(listed):
        pointer = f"/{name}/{position}"
        if not isinstance(entry, dict):
            raise ProblemError(INVALID, "This entry is not an object.", pointer=pointer)
        entries.append(read(entry, pointer))
    return Reported(entries=entries, is_bulk=True)


def _purchase(entry: Mapping[str, Any], pointer: str, now: datetime) -> Purchase | UnmatchedPurchase:
    _only(entry, {"order_id", "buyer_id", "amount_cents", "purchased_at"}, pointer)
    order_id = _id(entry, "order_id", pointer)
    amount_cents = _amount(entry, pointer, minimum=0)
    purchased_at = _moment(entry, pointer, now)
    if entry.get("buyer_id") in NO_BUYER:
        return UnmatchedPurchase(order_id, amount_cents, purchased_at)
    return Purchase(order_id, _buyer(entry, pointer), amount_cents, purchased_at)


def _refund(entry: Mapping[str, Any], pointer: str) -> Refund:
    _only(entry, {"order_id", "refund_id", "amount_cents", "refunded_in_all_cents", "given_back", "reason"}, pointer)
    order_id, reason = _id(entry, "order_id", pointer), _reason(entry, pointer)
    if entry.get("refunded_in_all_cents") is not None:
        for name in ("refund_id", "amount_cents", "given_back"):
            if entry.get(name):
                raise ProblemError(
                    INVALID,
                    f"{name} does not go together with refunded_in_all_cents; send one of them.",
                    pointer=f"{pointer}/{name}",
                )
        in_all = _amount(entry, pointer, minimum=1, name="refunded_in_all_cents")
        return Refund(order_id=order_id, amount_cents=in_all, reason=reason, is_in_all=True)
    amount_cents = None if entry.get("amount_cents") is None else _amount(entry, pointer, minimum=1)
    given_back = entry.get("given_back")
    if given_back is not None and not isinstance(given_back, bool):
        raise ProblemError(INVALID, "given_back is not true or false.", pointer=f"{pointer}/given_back")
    return Refund(
        order_id=order_id,
        amount_cents=amount_cents,
        refund_id=_id(entry, "refund_id", pointer),
        is_given_back=bool(given_back),
        reason=reason,
    )


def _only(entry: Mapping[str, Any], known: set[str], pointer: str) -> None:
    for name in entry:
        if name not in known:
            expected = ", ".join(sorted(known))
            # JSON pointers escape slashes and tildes.
            escaped = name[:LONGEST_ID].replace("~", "~0").replace("/", "~1")
            raise ProblemError(
                INVALID, f"This member is not known; expected {expected}.", pointer=f"{pointer}/{escaped}"
            )


def _id(entry: Mapping[str, Any], name: str, pointer: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not re.fullmatch(ID_PATTERN, value, re.ASCII):
        raise ProblemError(
            INVALID,
            f"{name} is not 1 to {LONGEST_ID} characters without control characters, or has a space at an end.",
            pointer=f"{pointer}/{name}",
        )
    return value


def _buyer(entry: Mapping[str, Any], pointer: str) -> int:
    value = entry.get("buyer_id")
    if isinstance(value, str) and re.fullmatch(BUYER_PATTERN, value, re.ASCII):
        return int(value)
    detail = "buyer_id is not a Discord id as text."
    if isinstance(value, int | float):
        detail = "buyer_id is a number; send the Discord id as text, because many languages round numbers of that size."
    raise ProblemError(INVALID, detail, pointer=f"{pointer}/buyer_id")


def _amount(entry: Mapping[str, Any], pointer: str, *, minimum: int, name: str = "amount_cents") -> int:
    value = entry.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= LARGEST_PURCHASE_CENTS:
        return value
    detail = f"{name} is not a whole number from {minimum} to {LARGEST_PURCHASE_CENTS}."
    raise ProblemError(INVALID, detail, pointer=f"{pointer}/{name}")


def _moment(entry: Mapping[str, Any], pointer: str, now: datetime) -> datetime | None:
    value = entry.get("purchased_at")
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    detail = "purchased_at is not a date and time with a time zone, such as 2026-01-31T12:00:00Z, between 1990 and now."
    if moment is not None and moment.tzinfo is not None:
        try:
            return check_moment(moment.astimezone(UTC), now, "purchased_at")
        except (CashbackError, OverflowError):
            pass
    elif isinstance(value, int | float) or (isinstance(value, str) and value.isdigit()):
        detail = f"{detail[:-1]}; a number of seconds or milliseconds since 1970 is not accepted."
    raise ProblemError(INVALID, detail, pointer=f"{pointer}/purchased_at")


def _reason(entry: Mapping[str, Any], pointer: str) -> str | None:
    value = entry.get("reason")
    if value is None:
        return None
    # Lone surrogates cannot be encoded as UTF-8.
    if isinstance(value, str) and len(value) <= MAX_REASON_LENGTH and not re.search("[\ud800-\udfff]", value):
        return " ".join(value.split()) or None
    raise ProblemError(
        INVALID, f"reason is not a text of at most {MAX_REASON_LENGTH} characters.", pointer=f"{pointer}/reason"
    )
