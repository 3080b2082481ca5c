"""Reads what shops report: JSON into purchases and refunds. What is wrong is named by its JSON pointer."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from cashback.dashboard.problems import INVALID, MALFORMED, ProblemError
from cashback.database.referral_program.people import LARGEST_ID
from cashback.database.referral_program.purchases import LARGEST_PURCHASE_CENTS, Purchase
from cashback.database.referral_program.refunds import Refund

MOST_ENTRIES: Final = 1_000
LONGEST_ID: Final = 200
LONGEST_REASON: Final = 200
ID_PATTERN: Final = f"^[!-~]([ -~]{{0,{LONGEST_ID - 2}}}[!-~])?$"
"""The shop's ids: printable ASCII, no blank at either end."""

BUYER_PATTERN: Final = "^([1-9][0-9]{0,17}|[1-8][0-9]{18})$"
"""A Discord id as text: many languages cannot hold one as a number exactly."""

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
CLOCKS_DIFFER: Final = timedelta(minutes=5)

E = TypeVar("E")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported(Generic[E]):
    """What a request reports. `is_bulk` tells whether it came as a list, so that the answer is one."""

    entries: list[E]
    is_bulk: bool


def read_json(body: bytes) -> Any:  # noqa: ANN401 -- whatever JSON holds
    """Read a body. Raises ProblemError where it is no JSON."""
    try:
        return json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ProblemError(MALFORMED, f"The body is not JSON in UTF-8: {error}.") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number that JSON knows")


def purchases_in(value: Any, now: datetime) -> Reported[Purchase]:  # noqa: ANN401 -- whatever JSON holds
    """Read one purchase, or `{"purchases": [...]}`. Raises ProblemError."""
    return _reported(value, "purchases", lambda entry, where: _purchase(entry, where, now))


def refunds_in(value: Any) -> Reported[Refund]:  # noqa: ANN401 -- whatever JSON holds
    """Read one refund, or `{"refunds": [...]}`. Raises ProblemError."""
    return _reported(value, "refunds", _refund)


def _reported(value: Any, name: str, read: Callable[[Mapping[str, Any], str], E]) -> Reported[E]:  # noqa: ANN401 -- see above
    if not isinstance(value, dict):
        raise ProblemError(INVALID, "The body is not an object.", pointer="")
    if name not in value:
        return Reported(entries=[read(value, "")], is_bulk=False)
    _only(value, {name}, "")
    listed = value[name]
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_ENTRIES:
        raise ProblemError(INVALID, f"{name} is not a list of 1 to {MOST_ENTRIES} objects.", pointer=f"/{name}")
    entries = []
    for position, entry in enumerate(listed):
        where = f"/{name}/{position}"
        if not isinstance(entry, dict):
            raise ProblemError(INVALID, "This entry is not an object.", pointer=where)
        entries.append(read(entry, where))
    return Reported(entries=entries, is_bulk=True)


def _purchase(entry: Mapping[str, Any], where: str, now: datetime) -> Purchase:
    _only(entry, {"order_id", "buyer_id", "amount_cents", "purchased_at"}, where)
    return Purchase(
        order_id=_id(entry, "order_id", where),
        buyer_id=_buyer(entry, where),
        amount_cents=_amount(entry, where, least=0),
        purchased_at=_moment(entry, where, now),
    )


def _refund(entry: Mapping[str, Any], where: str) -> Refund:
    _only(entry, {"order_id", "refund_id", "amount_cents", "reason"}, where)
    return Refund(
        order_id=_id(entry, "order_id", where),
        refund_id=_id(entry, "refund_id", where),
        amount_cents=None if entry.get("amount_cents") is None else _amount(entry, where, least=1),
        reason=_reason(entry, where),
    )


def _only(entry: Mapping[str, Any], known: set[str], where: str) -> None:
    for name in entry:
        if name not in known:
            may_be = ", ".join(sorted(known))
            # A pointer's own way of writing strokes and tildes.
            place = name[:LONGEST_ID].replace("~", "~0").replace("/", "~1")
            raise ProblemError(
                INVALID, f"There is no such member here; there are {may_be}.", pointer=f"{where}/{place}"
            )


def _id(entry: Mapping[str, Any], name: str, where: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not re.fullmatch(ID_PATTERN, value, re.ASCII):
        raise ProblemError(
            INVALID, f"{name} is not a text of 1 to {LONGEST_ID} printable ASCII characters.", pointer=f"{where}/{name}"
        )
    return value


def _buyer(entry: Mapping[str, Any], where: str) -> int:
    value = entry.get("buyer_id")
    if isinstance(value, str) and re.fullmatch(BUYER_PATTERN, value, re.ASCII):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_ID:
        return value
    raise ProblemError(INVALID, "buyer_id is not a Discord id, as text or number.", pointer=f"{where}/buyer_id")


def _amount(entry: Mapping[str, Any], where: str, *, least: int) -> int:
    value = entry.get("amount_cents")
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= LARGEST_PURCHASE_CENTS:
        return value
    detail = f"amount_cents is not a whole number from {least} to {LARGEST_PURCHASE_CENTS}."
    raise ProblemError(INVALID, detail, pointer=f"{where}/amount_cents")


def _moment(entry: Mapping[str, Any], where: str, now: datetime) -> datetime | None:
    value = entry.get("purchased_at")
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is not None and moment.tzinfo is not None and EARLIEST <= moment <= now + CLOCKS_DIFFER:
        return moment.astimezone(UTC)
    detail = "purchased_at is not a moment with its zone, such as 2026-01-31T12:00:00Z, since 2000 and not to come."
    raise ProblemError(INVALID, detail, pointer=f"{where}/purchased_at")


def _reason(entry: Mapping[str, Any], where: str) -> str | None:
    value = entry.get("reason")
    if value is None:
        return None
    # What cannot be written as UTF-8 is half a character.
    if isinstance(value, str) and len(value) <= LONGEST_REASON and not re.search("[\ud800-\udfff]", value):
        return " ".join(value.split()) or None
    raise ProblemError(
        INVALID, f"reason is not a text of at most {LONGEST_REASON} characters.", pointer=f"{where}/reason"
    )
