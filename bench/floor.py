"""The floor of crediting: the same rows written by raw sqlite3, with the same schema, pragmas and chunks.

Nothing is decided here: who is paid what is computed beforehand and only written. What this program needs beyond
this is the price of knowing, at the moment of writing, that it is right.
"""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

CHUNK = 500
NOW = "2026-01-02 15:00:00.000000"
BATCH_ID = "BATCH-20260102-150000"


def open_raw(path: Path) -> sqlite3.Connection:
    """Open a file with the pragmas of database/engine.py."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16000", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def credit_raw(path: Path) -> tuple[int, float]:
    """Propose and credit everything pending by raw statements; return the number of payouts and the seconds."""
    connection = open_raw(path)
    plan = connection.execute(
        "SELECT r.referrer_user_id, sum(r.cashback_earned_cents - r.cashback_paid_cents), count(*),"
        " u.wallet_balance_cents"
        " FROM referrals r JOIN users u ON u.discord_id = r.referrer_user_id"
        " WHERE r.cashback_earned_cents > r.cashback_paid_cents GROUP BY r.referrer_user_id ORDER BY r.referrer_user_id"
    ).fetchall()
    owed: dict[int, list[int]] = {}
    for referral_id, referrer_id in connection.execute(
        "SELECT id, referrer_user_id FROM referrals WHERE cashback_earned_cents > cashback_paid_cents ORDER BY id"
    ):
        owed.setdefault(referrer_id, []).append(referral_id)
    start = time.perf_counter()
    _write_plan(connection, plan)
    for first in range(0, len(plan), CHUNK):
        _write_chunk(connection, plan[first : first + CHUNK], owed)
    connection.execute("UPDATE payout_batches SET status = 'completed', finished_at = ? WHERE number = 1", (NOW,))
    seconds = time.perf_counter() - start
    connection.close()
    return len(plan), seconds


def _write_plan(connection: sqlite3.Connection, plan: Sequence[tuple[int, int, int, int]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "INSERT INTO payout_batches (number, batch_id, mode, status, proposed_by, proposed_at)"
        " VALUES (1, ?, 'batch', 'running', 'floor', ?)",
        (BATCH_ID, NOW),
    )
    connection.executemany(
        "INSERT INTO payouts (batch_number, referrer_id, approved_cents, referral_count) VALUES (1, ?, ?, ?)",
        ((referrer, cents, count) for referrer, cents, count, _ in plan),
    )
    connection.execute("COMMIT")


def _write_chunk(
    connection: sqlite3.Connection, chunk: Sequence[tuple[int, int, int, int]], owed: dict[int, list[int]]
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type,"
        " description, metadata, created_at, payout_batch_number) VALUES (?, ?, ?, 'referral_cashback', ?, ?, ?, 1)",
        [
            (
                referrer,
                cents,
                balance + cents,
                f"Referral cashback - {count} active referrals",
                f'{{"batch_id": "{BATCH_ID}", "referral_count": {count}}}',
                NOW,
            )
            for referrer, cents, count, balance in chunk
        ],
    )
    connection.executemany(
        "UPDATE referrals SET cashback_paid_cents = cashback_earned_cents WHERE id = ?",
        [(referral_id,) for row in chunk for referral_id in owed[row[0]]],
    )
    connection.executemany(
        "UPDATE users SET wallet_balance_cents = ?, updated_at = ? WHERE discord_id = ?",
        [(balance + cents, NOW, referrer) for referrer, cents, _, balance in chunk],
    )
    connection.executemany(
        "INSERT INTO notifications (batch_number, user_id, status) VALUES (1, ?, 'queued')",
        [(row[0],) for row in chunk],
    )
    connection.executemany(
        "UPDATE payouts SET status = 'credited', paid_cents = ?, settled_at = ?"
        " WHERE batch_number = 1 AND referrer_id = ?",
        [(cents, NOW, referrer) for referrer, cents, _, _ in chunk],
    )
    connection.execute("COMMIT")
