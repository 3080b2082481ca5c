"""Communities to measure on: written by raw statements, because making them is not what is measured."""

from pathlib import Path

import anyio

from bench.floor import open_raw
from database import Database

FIRST_REFERRER = 10**17
FIRST_BUYER = 2 * 10**17


async def _create(path: Path) -> None:
    async with Database(path):
        pass


def make_community(path: Path, *, referrers: int, referrals_each: int = 3) -> None:
    """Write a new ledger in which each referrer has so many referrals, each with cashback pending."""
    anyio.run(_create, path)
    connection = open_raw(path)
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("BEGIN IMMEDIATE")
    people = [FIRST_REFERRER + n for n in range(referrers)]
    buyers = referrers * referrals_each
    connection.executemany("INSERT INTO users (discord_id) VALUES (?)", ((person,) for person in people))
    connection.executemany("INSERT INTO users (discord_id) VALUES (?)", ((FIRST_BUYER + n,) for n in range(buyers)))
    connection.executemany(
        "INSERT INTO referrals (referrer_user_id, referred_user_id, referred_total_spend_cents, cashback_earned_cents)"
        " VALUES (?, ?, ?, ?)",
        ((people[n % referrers], FIRST_BUYER + n, 200 * (n % 97 + 1), n % 97 + 1) for n in range(buyers)),
    )
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
