"""Ledgers to measure on; their books balance. Written by raw statements: making them is not what is measured."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import anyio

from database import Database

FIRST_REFERRER: Final = 10**17
FIRST_BUYER: Final = 2 * 10**17
REFERRALS_EACH: Final = 3
STORED_EACH: Final = 100
PENDING: Final = 1_000
NOW: Final = "2026-01-02 15:00:00.000000"

PURCHASES: Final = (
    "INSERT INTO referral_purchases"
    " (order_id, buyer_id, referral_id, amount_cents, rate_ppm, earned_cents, purchased_at, recorded_at)"
    " SELECT 'order-' || referred_user_id, referred_user_id, id, referred_total_spend_cents, 5000,"
    " cashback_earned_cents, ?1, ?1 FROM referrals"
)
"""One purchase for each referral, which earned what stands there."""


def open_raw(path: Path) -> sqlite3.Connection:
    """Open a ledger as database/engine.py does, without anything above the driver."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16384", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def all_pending(path: Path, referrers: int) -> None:
    """Write a ledger in which each referrer has three referrals, made in turns, each with one purchase, all pending."""
    buyers = referrers * REFERRALS_EACH
    rows = ((FIRST_REFERRER + n % referrers, FIRST_BUYER + n, 200 * (n % 97 + 1), n % 97 + 1, 0) for n in range(buyers))
    with _new_ledger(path) as connection:
        _insert_people(connection, FIRST_REFERRER, referrers)
        _insert_people(connection, FIRST_BUYER, buyers)
        _insert_referrals(connection, rows)
        connection.execute(PURCHASES, (NOW,))


def few_pending(path: Path, referrals: int) -> None:
    """Write a ledger of so many referrals, a hundred for each referrer, of which a thousand are pending."""
    referrers = referrals // STORED_EACH
    pending_every = referrals // PENDING
    rows = (
        (FIRST_REFERRER + n % referrers, FIRST_BUYER + n, 20_000, 100, 100 if n % pending_every else 0)
        for n in range(referrals)
    )
    with _new_ledger(path) as connection:
        _insert_people(connection, FIRST_REFERRER, referrers)
        _insert_people(connection, FIRST_BUYER, referrals)
        _insert_referrals(connection, rows)


async def _create(path: Path) -> None:
    async with Database(path):
        pass


@contextmanager
def _new_ledger(path: Path) -> Iterator[sqlite3.Connection]:
    """Create a ledger and fill it in one transaction; the indexes of `referrals` are made at its end."""
    anyio.run(_create, path)
    connection = open_raw(path)
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("BEGIN IMMEDIATE")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'referrals' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    yield connection
    for _, statement in indexes:
        connection.execute(statement)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _insert_people(connection: sqlite3.Connection, first: int, count: int) -> None:
    people = ((first + n,) for n in range(count))
    connection.executemany("INSERT INTO users (discord_id) VALUES (?)", people)


def _insert_referrals(connection: sqlite3.Connection, rows: Iterator[tuple[int, ...]]) -> None:
    connection.executemany(
        "INSERT INTO referrals (referrer_user_id, referred_user_id, referred_total_spend_cents, cashback_earned_cents,"
        " cashback_paid_cents, cashback_paid_elsewhere_cents) VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
        rows,
    )
