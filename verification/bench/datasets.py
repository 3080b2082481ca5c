"""Ledgers to measure on; their books balance. Raw statements write them, because creating them is not measured."""

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import anyio

from cashback.database import Database
from cashback.database.dialect import FOR_ALL, FOR_THE_WRITER

FIRST_REFERRER: Final = 10**17
FIRST_BUYER: Final = 2 * 10**17
REFERRALS_EACH: Final = 3
STORED_EACH: Final = 100
PENDING: Final = 1_000
NOW: Final = "2026-01-02 15:00:00.000000"

BATCHES: Final = 10
PAID_CENTS: Final = 100
"""The cents that each batch of a history has paid to each referrer, and the cents pending beyond it."""

PURCHASES: Final = (
    "INSERT INTO cashback_referral_purchases"
    " (order_id, buyer_id, referral_id, amount_cents, rate_ppm, earned_cents, purchased_at, recorded_at)"
    " SELECT 'order-' || referred_user_id, referred_user_id, id, referred_total_spend_cents, 5000,"
    " cashback_earned_cents, ?1, ?1 FROM referrals"
)
"""One purchase for each referral, which earned the stored amount."""


PAID_PAYOUTS: Final = (
    "INSERT INTO cashback_payouts"
    " (batch_number, referrer_id, status, approved_cents, referral_count, paid_cents, settled_at)"
    " SELECT :number, referrer_user_id, 'credited', :cents, 1, :cents, :now FROM referrals ORDER BY 2"
)
PAID_TRANSACTIONS: Final = (
    "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type,"
    " description, metadata, created_at, cashback_payout_batch_number) SELECT referrer_user_id, :cents, :cents *"
    " :number,"
    " 'referral_cashback', 'Referral cashback - 1 active referrals',"
    " json_object('batch_id', :id, 'referral_count', 1), :now, :number FROM referrals ORDER BY 1"
)
SENT_MESSAGES: Final = (
    "INSERT INTO cashback_notifications (batch_number, user_id, status, attempts, sent_at)"
    " SELECT :number, referrer_user_id, 'sent', 1, :now FROM referrals ORDER BY 2"
)
FINISHED: Final = (
    "INSERT INTO cashback_audit_log (at, actor, action, batch_number, details, digest)"
    " VALUES (:now, 'bench', 'batch_finished', :number, '{}', printf('%064d', :number))"
)
"""What a batch of a history leaves: all of it was credited, and all messages sent."""


SEED: Final = 31

APEX: Final = (
    (
        "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, discord_id INTEGER NOT NULL UNIQUE,"
        " wallet_balance_cents INTEGER NOT NULL DEFAULT 0, total_lifetime_spent_cents INTEGER NOT NULL DEFAULT 0,"
        " has_client_role INTEGER NOT NULL DEFAULT 0, manually_assigned_roles TEXT,"
        " created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)"
    ),
    (
        "CREATE TABLE referrals (id INTEGER PRIMARY KEY AUTOINCREMENT, referrer_user_id INTEGER NOT NULL,"
        " referred_user_id INTEGER NOT NULL UNIQUE, referred_total_spend_cents INTEGER DEFAULT 0,"
        " cashback_earned_cents INTEGER DEFAULT 0, cashback_paid_cents INTEGER DEFAULT 0,"
        " is_blacklisted INTEGER DEFAULT 0,"
        " created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, FOREIGN KEY (referrer_user_id) REFERENCES users (discord_id),"
        " FOREIGN KEY (referred_user_id) REFERENCES users (discord_id))"
    ),
    (
        "CREATE TABLE wallet_transactions (id INTEGER PRIMARY KEY AUTOINCREMENT, user_discord_id INTEGER NOT NULL,"
        " amount_cents INTEGER NOT NULL, balance_after_cents INTEGER NOT NULL, transaction_type TEXT NOT NULL,"
        " description TEXT, order_id INTEGER, ticket_id INTEGER, staff_discord_id INTEGER, metadata TEXT,"
        " created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, FOREIGN KEY (user_discord_id) REFERENCES users (discord_id))"
    ),
    "CREATE INDEX idx_referrals_referrer ON referrals (referrer_user_id)",
    "CREATE INDEX idx_referrals_referred ON referrals (referred_user_id)",
    "CREATE INDEX idx_referrals_blacklist ON referrals (is_blacklisted)",
    "CREATE INDEX idx_wallet_transactions_user ON wallet_transactions (user_discord_id)",
    "CREATE INDEX idx_wallet_transactions_type ON wallet_transactions (transaction_type)",
    "CREATE INDEX idx_wallet_transactions_user_created ON wallet_transactions (user_discord_id, created_at)",
)
"""The shared tables as an Apex Core bot makes them."""

People = Sequence[int]
Referral = tuple[int, int, int, int, int]
"""Referrer, referred, spend, earned, paid."""


def open_raw(path: Path) -> sqlite3.Connection:
    """Open a ledger as cashback/database/engine.py does, with the driver only."""
    return _open(path, "journal_mode=WAL", *FOR_ALL, *FOR_THE_WRITER)


def open_plain(path: Path) -> sqlite3.Connection:
    """Open a file with what durability needs, and SQLite's defaults for the rest."""
    return _open(path, "journal_mode=WAL", "synchronous=FULL")


def _open(path: Path, *pragmas: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def all_pending(path: Path, referrers: int) -> None:
    """Write a ledger in which each referrer has three referrals, interleaved, each with one purchase, all pending.

    Everyone stands in the order of the ids, as in a ledger that was written at once.
    """
    people, rows = _community(referrers)
    with _new_ledger(path) as connection:
        _insert_everyone(connection, people, rows)
        connection.execute(PURCHASES, (NOW,))


def shuffled(path: Path, referrers: int) -> None:
    """Write the same community as it comes about: people and referrals in the order in which they happened to come."""
    people, rows = _mixed(*_community(referrers))
    with _new_ledger(path) as connection:
        _insert_everyone(connection, people, rows)
        connection.execute(PURCHASES, (NOW,))


def adopted(path: Path, referrers: int) -> None:
    """Let another bot write the same community, in the order of the ids, and adopt its file."""
    _write_apex(path, *_community(referrers))
    anyio.run(_create, path)


def adopted_shuffled(path: Path, referrers: int) -> None:
    """Let another bot write the community as it comes about, and adopt its file."""
    _write_apex(path, *_mixed(*_community(referrers)))
    anyio.run(_create, path)


def _community(referrers: int) -> tuple[list[int], list[Referral]]:
    buyers = referrers * REFERRALS_EACH
    people = [*range(FIRST_REFERRER, FIRST_REFERRER + referrers), *range(FIRST_BUYER, FIRST_BUYER + buyers)]
    rows = [(FIRST_REFERRER + n % referrers, FIRST_BUYER + n, 200 * (n % 97 + 1), n % 97 + 1, 0) for n in range(buyers)]
    return people, rows


def _mixed(people: list[int], rows: list[Referral]) -> tuple[list[int], list[Referral]]:
    chance = random.Random(SEED)
    chance.shuffle(people)
    chance.shuffle(rows)
    return people, rows


def _write_apex(path: Path, people: People, rows: Sequence[Referral]) -> None:
    connection = open_plain(path)
    connection.execute("BEGIN IMMEDIATE")
    for statement in APEX:
        connection.execute(statement)
    connection.executemany("INSERT INTO users (discord_id) VALUES (?)", ((person,) for person in people))
    connection.executemany(
        "INSERT INTO referrals (referrer_user_id, referred_user_id, referred_total_spend_cents, cashback_earned_cents,"
        " cashback_paid_cents) VALUES (?, ?, ?, ?, ?)",
        rows,
    )
    connection.execute("COMMIT")
    connection.close()


def _insert_everyone(connection: sqlite3.Connection, people: People, rows: Sequence[Referral]) -> None:
    connection.executemany("INSERT INTO users (discord_id) VALUES (?)", ((person,) for person in people))
    _insert_referrals(connection, iter(rows))


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


def history(path: Path, payouts: int) -> None:
    """Write a ledger of ten completed batches with so many payouts in all; the amount of one batch is pending again.

    All of it balances but the audit log, which has no entries about the batches.
    """
    referrers = payouts // BATCHES
    earned = PAID_CENTS * (BATCHES + 1)
    paid = PAID_CENTS * BATCHES
    rows = ((FIRST_REFERRER + n, FIRST_BUYER + n, 200 * earned, earned, paid) for n in range(referrers))
    with _new_ledger(path) as connection:
        _insert_people(connection, FIRST_REFERRER, referrers)
        _insert_people(connection, FIRST_BUYER, referrers)
        _insert_referrals(connection, rows)
        connection.execute("UPDATE referrals SET cashback_paid_elsewhere_cents = 0")
        connection.execute(PURCHASES, (NOW,))
        for number in range(1, BATCHES + 1):
            _insert_batch(connection, number, referrers)
        connection.execute("UPDATE users SET wallet_balance_cents = ? WHERE discord_id < ?", (paid, FIRST_BUYER))


def _insert_batch(connection: sqlite3.Connection, number: int, referrers: int) -> None:
    """Write a completed batch that has paid every referrer, with transactions, messages and an audit entry."""
    batch_id = f"BATCH-202601{number:02}-150000"
    paid = {"number": number, "id": batch_id, "cents": PAID_CENTS, "now": f"2026-01-{number:02} 15:00:00.000000"}
    connection.execute(
        "INSERT INTO cashback_payout_batches (number, batch_id, mode, status, proposed_by, proposed_at, approved_by,"
        " approved_at, started_at, finished_at, planned_count, planned_cents, credited_count, credited_cents)"
        " VALUES (:number, :id, 'batch', 'completed', 'bench', :now, 'bench', :now, :now, :now, :count, :all, :count,"
        " :all)",
        {**paid, "count": referrers, "all": referrers * PAID_CENTS},
    )
    for statement in (PAID_PAYOUTS, PAID_TRANSACTIONS, SENT_MESSAGES, FINISHED):
        connection.execute(statement, paid)


async def _create(path: Path) -> None:
    async with Database(path):
        pass


@contextmanager
def _new_ledger(path: Path) -> Iterator[sqlite3.Connection]:
    """Create a ledger and fill it in one transaction; the indexes of `referrals` are created at its end."""
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
