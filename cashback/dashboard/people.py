"""The people that a page shows: the names and pictures that the bot saw on Discord, and every actor in words."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Final

from aiohttp import web

from cashback.database import Database
from cashback.database.queries import member_names
from cashback.database.queries.member_names import MemberName
from cashback.domain.errors import CashbackError
from cashback.shops.ids import to_id

MAX_PEOPLE: Final = 2_000
ID_FIELDS: Final = frozenset(
    {
        *("user_id", "member_id", "referrer_id", "referred_id", "referred_user_id"),
        *("target_user_id", "buyer_id", "referred_by", "approver_id"),
    }
)
_PERSON: Final = re.compile(r"\b(?:discord:|dashboard:|Member )(\d{1,19})\b")
_PROGRAMS: Final = {
    "cli": "the command line",
    "schedule": "the weekly schedule",
    "system": "the program",
}

Names = Mapping[int, MemberName]


class People:
    """Finds the names of everyone on a page with one question to the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def named(self, shown: object) -> Names:
        """Return the names of the people in the values of a page."""
        people = set()
        for user_id in _ids_in(shown):
            people.add(user_id)
            if len(people) >= MAX_PEOPLE:
                break
        return await self._database.read(member_names.find, people) if people else {}


async def person_named(database: Database, typed: str) -> int | None:
    """Read an id, or the beginning of a name; None if nothing is typed. Raises CashbackError."""
    if not typed:
        return None
    if typed.isascii() and typed.isdigit():
        return to_id(typed, "Member")
    found = await database.read(member_names.begins_with, typed.removeprefix("@"), limit=1)
    if not found:
        message = f"No member is called {typed[:40]!r}; type the beginning of a name, or a Discord id."
        raise CashbackError(message)
    return found[0]


PEOPLE: Final = web.AppKey("people", People)


def _ids_in(value: object) -> Iterator[int]:
    """Yield the ids in rows, facts and actors, wherever they stand in a page's values."""
    if isinstance(value, str):
        yield from map(int, _PERSON.findall(value))
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _ids_of(name, each)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _ids_of(field.name, getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _ids_in(each)


def _ids_of(name: object, value: object) -> Iterator[int]:
    is_id = name in ID_FIELDS and not isinstance(value, bool)
    if is_id and isinstance(value, int):
        yield value
    elif is_id and isinstance(value, str) and value.isascii() and value.isdigit():
        yield int(value)
    else:
        yield from _ids_in(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownActor:
    """An actor in words: a person with the place of the action, or a text."""

    user_id: int | None
    text: str


def shown_actor(actor: str | None) -> ShownActor:
    """Return how an actor is shown: "dashboard:5" is person 5 "on the dashboard", "cli" is the command line."""
    kind, _, who = (actor or "").partition(":")
    if kind in {"discord", "dashboard"} and who.isascii() and who.isdigit():
        return ShownActor(user_id=int(who), text="on the dashboard" if kind == "dashboard" else "")
    if kind == "shop" and who:
        return ShownActor(user_id=None, text=f"the shop {who}")
    if kind == "dashboard":
        return ShownActor(user_id=None, text="this machine")
    return ShownActor(user_id=None, text=_PROGRAMS.get(actor or "", actor or "–"))
