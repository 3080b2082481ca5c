"""Reads the values of a delivery's JSON or form; what is not what it should be is named with its place."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import parse_qsl

from cashback.domain.days import check_moment
from cashback.domain.errors import CashbackError
from cashback.shops.webhooks.currencies import NONE_APART, from_minor_units, to_minor_units
from cashback.shops.webhooks.kind import UnreadableError

LONGEST_ID: Final = 200
LARGEST_CENTS: Final = 10**12
LONGEST_AMOUNT: Final = 20
"""Digits before the point, or zeros after it: a number with a large exponent is never written out."""
MOST_FIELDS: Final = 1_000
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_ID: Final = re.compile(r"[1-9][0-9]{16,18}")
_LARGEST_ID: Final = 2**63 - 1
_DECIMAL: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?")


class Fields:
    """The values of a delivery. A path is a list of names; what is missing on the way is None."""

    def __init__(self, value: Any, now: datetime) -> None:  # noqa: ANN401 -- whatever JSON holds
        self._value = value
        self.now = now

    @classmethod
    def of_json(cls, body: bytes | str, now: datetime) -> "Fields":
        """Parse a body; decimal numbers stay exact. Raises UnreadableError."""
        try:
            value = json.loads(body, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_no_repeats)
        except (ValueError, RecursionError, InvalidOperation) as error:
            raise UnreadableError(f"The body is not JSON in UTF-8: {error}.") from error
        if not isinstance(value, dict):
            raise UnreadableError("The body is not a JSON object.")
        return cls(value, now)

    @classmethod
    def of_form(cls, body: bytes, now: datetime) -> "Fields":
        """Parse a form. Of a field that occurs twice, the first counts. Raises UnreadableError."""
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
        except ValueError as error:
            raise UnreadableError(f"The body is not a form in UTF-8: {error}.") from error
        return cls(dict(reversed(pairs)), now)

    def value(self, *path: str) -> Any:  # noqa: ANN401 -- whatever JSON holds
        """Return what stands at a path, None if nothing does."""
        found = self._value
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def names(self) -> list[str]:
        """List the names at this place."""
        return list(self._value) if isinstance(self._value, dict) else []

    def at(self, *path: str) -> "Fields":
        """Return the fields below a path."""
        return Fields(self.value(*path), self.now)

    def items(self, *path: str) -> Iterator["Fields"]:
        """Yield the entries of a list; none if there is no list."""
        found = self.value(*path)
        for entry in found if isinstance(found, list) else ():
            yield Fields(entry, self.now)

    def text(self, *path: str) -> str | None:
        """Return a text, or a whole number as a text; None if there is none."""
        found = self.value(*path)
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
        return found.strip() or None if isinstance(found, str) else None

    def is_true(self, *path: str) -> bool:
        """Return whether a flag is set; forms write it as "true"."""
        found = self.value(*path)
        return found is True or (isinstance(found, str) and found.strip().lower() in {"true", "1", "yes"})

    def id(self, *path: str) -> str:
        """Return a shop's id. Raises UnreadableError if there is none."""
        found = self.text(*path)
        if found is None or len(found) > LONGEST_ID or not found.isprintable():
            raise UnreadableError(f"{'.'.join(path)} is not an id of 1 to {LONGEST_ID} printable characters.")
        return found

    def currency(self, *path: str) -> str:
        """Return a currency in capital letters. Raises UnreadableError."""
        found = (self.text(*path) or "").upper()
        if not _CURRENCY.fullmatch(found):
            raise UnreadableError(f"{'.'.join(path)} is not a currency of three letters.")
        return found

    def minor_units(self, *path: str, currency: str | None = None, apart: Mapping[str, int] = NONE_APART) -> int:
        """Return an amount in the ledger's minor units; without a currency it is in these. Raises UnreadableError.

        `apart` are the decimals of currencies of which the shop's minor units are not those of ISO 4217.
        """
        found = self.text(*path)
        if found is None or not (found.isascii() and found.isdigit()) or len(found) > len(str(LARGEST_CENTS)):
            raise UnreadableError(f"{'.'.join(path)} is not a whole number of minor units.")
        units = int(found)
        return _checked(units if currency is None else from_minor_units(units, currency, apart=apart), path)

    def decimal(self, *path: str, currency: str) -> int:
        """Return an amount with decimals, in minor units. Raises UnreadableError, of an amount below zero too."""
        cents = self.magnitude(*path, currency=currency)
        if cents and str(self.value(*path)).strip().startswith("-"):
            raise UnreadableError(f"{'.'.join(path)} is below zero.")
        return cents

    def magnitude(self, *path: str, currency: str) -> int:
        """Return an amount that the shop writes with a minus or without: a refund, say. Raises UnreadableError."""
        found = self.value(*path)
        text = self.text(*path)
        if isinstance(found, Decimal) and abs(found.adjusted()) < LONGEST_AMOUNT:
            text = f"{found:f}"
        if text is None or not _DECIMAL.fullmatch(text):
            raise UnreadableError(f"{'.'.join(path)} is not an amount of money.")
        cents = to_minor_units(Decimal(text.removeprefix("-")), currency)
        if cents is None:
            raise UnreadableError(f"{'.'.join(path)} is {text}, which has more decimals than {currency}.")
        return _checked(cents, path)

    def moment(self, *path: str) -> datetime | None:
        """Return a moment; None if there is none. One without a zone is UTC. Raises UnreadableError."""
        found = self.value(*path)
        try:
            if isinstance(found, int) and not isinstance(found, bool):
                return check_moment(datetime.fromtimestamp(found, UTC), self.now, ".".join(path))
            if not isinstance(found, str) or not found.strip():
                return None
            moment = datetime.fromisoformat(found.strip())
            aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
            return check_moment(aware, self.now, ".".join(path))
        except (CashbackError, ValueError, OverflowError, OSError) as error:
            raise UnreadableError(f"{'.'.join(path)} is not a moment from 1990 until now.") from error


def buyer_of(*candidates: object) -> int | None:
    """Return the first Discord id among texts. A number is not taken: many languages round numbers of that size."""
    for candidate in candidates:
        if isinstance(candidate, str) and _ID.fullmatch(candidate.strip()) and int(candidate) <= _LARGEST_ID:
            return int(candidate)
    return None


def named(entries: Iterator[Fields], *, name: str, value: str) -> str | None:
    """Return the value of the entry that is called discord_id, in a list of names and values."""
    for entry in entries:
        if (entry.text(name) or "").lower().strip("_").replace(" ", "_").replace("-", "_") == "discord_id":
            found = entry.value(value)
            return found if isinstance(found, str) else None
    return None


def _checked(cents: int, path: tuple[str, ...]) -> int:
    if cents > LARGEST_CENTS:
        raise UnreadableError(f"{'.'.join(path)} is more than {LARGEST_CENTS} cents.")
    return cents


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has a member twice")
    return members
