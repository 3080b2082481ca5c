"""The baselines of crediting: the rows of a batch, written set by set by someone who knows them beforehand.

A baseline decides nothing. Before its clock it notes in two temporary tables who gets what and of which referrals; then
it writes the same rows as the program with one statement for each table and chunk. The first baseline writes into the
ledger as it is, with all constraints, indexes and triggers, through a connection set up like the program's. The bare
one first makes plain tables of ours, keeps only the other bot's indexes on the shared ones, and uses SQLite's defaults.
"""

import json
import sqlite3
from pathlib import Path
from typing import Final

from verification.bench.datasets import NOW, open_plain, open_raw
from verification.bench.stopwatch import Spent, stopwatch

CHUNK: Final = 500
BATCH_ID: Final = "BATCH-20260102-150000"

KNOWN: Final = (
    (
        "CREATE TEMP TABLE owed (referrer_id INTEGER, referral_id INTEGER, cents INTEGER,"
        " PRIMARY KEY (referrer_id, referral_id)) WITHOUT ROWID"
    ),
    (
        "INSERT INTO owed SELECT referrer_user_id, id, cashback_earned_cents - cashback_paid_cents FROM referrals"
        " WHERE cashback_earned_cents > cashback_paid_cents ORDER BY 1, 2"
    ),
    "CREATE TEMP TABLE plan (referrer_id INTEGER PRIMARY KEY, cents INTEGER, count INTEGER, balance INTEGER)",
    (
        "INSERT INTO plan SELECT referrer_id, sum(cents), count(*), max(u.wallet_balance_cents)"
        " FROM owed JOIN users u ON u.discord_id = referrer_id GROUP BY referrer_id"
    ),
)
"""What a baseline knows before its clock starts."""

PLAN: Final = (
    (
        "INSERT INTO cashback_payouts (batch_number, referrer_id, approved_cents, referral_count)"
        " SELECT 1, referrer_id, cents, count FROM plan ORDER BY referrer_id"
    ),
    (
        "INSERT INTO cashback_payout_shares (batch_number, referrer_id, referral_id, payable_cents)"
        " SELECT 1, referrer_id, referral_id, cents FROM owed ORDER BY referrer_id, referral_id"
    ),
)
CHUNK_STATEMENTS: Final = (
    (
        "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type,"
        " description, metadata, created_at, cashback_payout_batch_number)"
        " SELECT referrer_id, cents, balance + cents, 'referral_cashback',"
        " 'Referral cashback - ' || count || ' active referrals',"
        " '{\"batch_id\": \"' || :id || '\", \"referral_count\": ' || count || '}', :now, 1"
        " FROM plan WHERE referrer_id BETWEEN :first AND :last ORDER BY referrer_id"
    ),
    (
        "UPDATE cashback_payout_shares SET paid_cents = payable_cents"
        " WHERE batch_number = 1 AND referrer_id BETWEEN :first AND :last"
    ),
    (
        "UPDATE referrals SET cashback_paid_cents = cashback_earned_cents FROM owed"
        " WHERE owed.referrer_id BETWEEN :first AND :last AND id = owed.referral_id"
    ),
    (
        "UPDATE users SET wallet_balance_cents = balance + cents, updated_at = :now FROM plan"
        " WHERE plan.referrer_id BETWEEN :first AND :last AND discord_id = plan.referrer_id"
    ),
    (
        "INSERT INTO cashback_notifications (batch_number, user_id, status)"
        " SELECT 1, referrer_id, 'queued' FROM plan WHERE referrer_id BETWEEN :first AND :last ORDER BY referrer_id"
    ),
    (
        "UPDATE cashback_payouts SET status = 'credited', paid_cents = approved_cents, settled_at = :now"
        " WHERE batch_number = 1 AND referrer_id BETWEEN :first AND :last"
    ),
)

BARE: Final = (
    (
        "CREATE TABLE cashback_payout_batches (number INTEGER PRIMARY KEY, batch_id TEXT, mode TEXT, status TEXT,"
        " proposed_by TEXT, proposed_at TEXT, planned_count INTEGER, planned_cents INTEGER, finished_at TEXT,"
        " credited_count INTEGER, credited_cents INTEGER)"
    ),
    (
        "CREATE TABLE cashback_payouts (batch_number INTEGER, referrer_id INTEGER, status TEXT DEFAULT 'planned',"
        " approved_cents INTEGER, referral_count INTEGER, paid_cents INTEGER DEFAULT 0, settled_at TEXT,"
        " PRIMARY KEY (batch_number, referrer_id)) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE cashback_payout_shares (batch_number INTEGER, referrer_id INTEGER, referral_id INTEGER,"
        " payable_cents INTEGER, paid_cents INTEGER DEFAULT 0,"
        " PRIMARY KEY (batch_number, referrer_id, referral_id)) WITHOUT ROWID"
    ),
    "CREATE TABLE cashback_notifications (id INTEGER PRIMARY KEY, batch_number INTEGER, user_id INTEGER, status TEXT)",
    (
        "CREATE TABLE cashback_audit_log (id INTEGER PRIMARY KEY, at TEXT, actor TEXT, action TEXT,"
        " batch_number INTEGER, details TEXT, digest TEXT)"
    ),
)


def credit_known(path: Path) -> dict[str, Spent]:
    """Write the rows of a batch into the ledger as it is."""
    return _credit(open_raw(path))


def credit_bare(path: Path) -> dict[str, Spent]:
    """Write the rows of a batch into tables without constraints, triggers and further indexes of ours."""
    connection = open_plain(path)
    _strip(connection)
    return _credit(connection)


def _strip(connection: sqlite3.Connection) -> None:
    for kind in ("trigger", "index", "table"):
        ours = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = ? AND name LIKE 'cashback!_%' ESCAPE '!' AND sql IS NOT NULL",
            (kind,),
        ).fetchall()
        for (name,) in ours:
            connection.execute(f"DROP {kind} {name}")
    for statement in BARE:
        connection.execute(statement)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _credit(connection: sqlite3.Connection) -> dict[str, Spent]:
    for statement in KNOWN:
        connection.execute(statement)
    [(count, cents)] = connection.execute("SELECT count(*), sum(cents) FROM plan")
    ends = [row[0] for row in connection.execute("SELECT referrer_id FROM plan ORDER BY referrer_id")]
    with stopwatch() as spent:
        _write_plan(connection, count, cents)
        for place in range(0, count, CHUNK):
            chunk = ends[place : place + CHUNK]
            _write_chunk(connection, chunk[0], chunk[-1])
        _write_end(connection, count, cents)
    connection.close()
    return {"": spent}


def _write_plan(connection: sqlite3.Connection, count: int, cents: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "INSERT INTO cashback_payout_batches (number, mode, status, proposed_by, proposed_at, planned_count,"
        " planned_cents) VALUES (1, 'batch', 'proposed', 'baseline', ?, ?, ?)",
        (NOW, count, cents),
    )
    for statement in PLAN:
        connection.execute(statement)
    _write_audit(connection, "batch_proposed", count, cents)
    connection.execute("COMMIT")
    for status in ("approved", "running"):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE cashback_payout_batches SET status = ?, batch_id = ?", (status, BATCH_ID))
        _write_audit(connection, f"batch_{status}", count, cents)
        connection.execute("COMMIT")


def _write_chunk(connection: sqlite3.Connection, first: int, last: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in CHUNK_STATEMENTS:
        connection.execute(statement, {"first": first, "last": last, "now": NOW, "id": BATCH_ID})
    connection.execute("COMMIT")


def _write_end(connection: sqlite3.Connection, count: int, cents: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "UPDATE cashback_payout_batches SET status = 'completed', finished_at = ?, credited_count = ?,"
        " credited_cents = ?",
        (NOW, count, cents),
    )
    _write_audit(connection, "batch_finished", count, cents)
    connection.execute("COMMIT")


def _write_audit(connection: sqlite3.Connection, action: str, users: int, cents: int) -> None:
    details = json.dumps({"batch_id": BATCH_ID, "users": users, "total_cents": cents})
    connection.execute(
        "INSERT INTO cashback_audit_log (at, actor, action, batch_number, details, digest) VALUES (?, 'baseline',"
        " ?, 1, ?, ?)",
        (NOW, action, details, "0" * 64),
    )
