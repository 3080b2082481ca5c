"""Tries an edit on a copy of the story's ledger: as it is, and with the guards dropped before and put back after."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from enum import StrEnum
from typing import Final

import psycopg
from sqlalchemy.engine import URL

from cashback.database import Database
from cashback.database.dialect import Location, make_engine
from cashback.database.guards import create_guards, lift_guards
from cashback.database.integrity import reconciliation
from verification.testbed.databases import connect

REFUSED: Final = (sqlite3.IntegrityError, psycopg.IntegrityError)


class Outcome(StrEnum):
    """What became of an edit."""

    REFUSED = "refused"
    FOUND = "found by verify"
    NOT_FOUND = "not found"


Attempt = Callable[[Location, str], Awaitable[Outcome]]


async def with_guards(location: Location, edit: str) -> Outcome:
    """Try an edit on a ledger as it is."""
    try:
        _execute(location, edit)
    except REFUSED:
        return Outcome.REFUSED
    return await _verified(location)


async def without_guards(location: Location, edit: str) -> Outcome:
    """Drop the guards and the constraints that can be dropped, try an edit, and put the guards back."""
    _lift(location)
    try:
        _execute(location, edit)
    except REFUSED:
        # A key, or a constraint of the table itself, which only a rebuilt table would lose.
        return Outcome.REFUSED
    _put_back(location)
    return await _verified(location)


def _execute(location: Location, edit: str) -> None:
    with closing(connect(location)) as connection:
        if isinstance(connection, sqlite3.Connection):
            connection.executescript(edit)
        else:
            connection.execute(edit.encode())


def _lift(location: Location) -> None:
    engine = make_engine(location, writes=True)
    with engine.begin() as connection:
        lift_guards(connection)
        if isinstance(location, URL):
            checks = "SELECT conname, conrelid::regclass::text FROM pg_constraint WHERE contype IN ('c', 'f')"
            for name, table in connection.exec_driver_sql(f"{checks} AND conrelid <> 0").all():
                connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    engine.dispose()


def _put_back(location: Location) -> None:
    engine = make_engine(location, writes=True)
    with engine.begin() as connection:
        create_guards(connection)
    engine.dispose()


async def _verified(location: Location) -> Outcome:
    async with Database(location) as database:
        verdict = await database.read(reconciliation.verify)
    if any("\n" in breach for breach in verdict.breaches):
        raise ValueError("a breach takes several lines")
    return Outcome.FOUND if verdict.breaches else Outcome.NOT_FOUND
