"""An Apex Core bot's file: its tables, its rows, and the statements with which it goes on working."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.conftest import raw

OLD_COLUMNS = {
    "users": (
        "id, discord_id, wallet_balance_cents, total_lifetime_spent_cents, has_client_role, manually_assigned_roles,"
        " created_at, updated_at"
    ),
    "referrals": (
        "id, referrer_user_id, referred_user_id, referred_total_spend_cents, cashback_earned_cents,"
        " cashback_paid_cents, is_blacklisted, created_at"
    ),
    "wallet_transactions": (
        "id, user_discord_id, amount_cents, balance_after_cents, transaction_type, description, order_id, ticket_id,"
        " staff_discord_id, metadata, created_at"
    ),
    "tickets": "id, user_discord_id, status",
}

TABLES = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    discord_id INTEGER UNIQUE NOT NULL,
    wallet_balance_cents INTEGER NOT NULL DEFAULT 0,
    total_lifetime_spent_cents INTEGER NOT NULL DEFAULT 0,
    has_client_role INTEGER NOT NULL DEFAULT 0,
    manually_assigned_roles TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE referrals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    referrer_user_id INTEGER NOT NULL,
    referred_user_id INTEGER NOT NULL UNIQUE,
    referred_total_spend_cents INTEGER DEFAULT 0,
    cashback_earned_cents INTEGER DEFAULT 0,
    cashback_paid_cents INTEGER DEFAULT 0,
    is_blacklisted INTEGER DEFAULT 0,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (referrer_user_id) REFERENCES users (discord_id),
    FOREIGN KEY (referred_user_id) REFERENCES users (discord_id)
);
CREATE INDEX idx_referrals_blacklisted ON referrals (is_blacklisted);
CREATE TABLE wallet_transactions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_discord_id INTEGER NOT NULL,
    amount_cents INTEGER NOT NULL,
    balance_after_cents INTEGER NOT NULL,
    transaction_type TEXT NOT NULL,
    description TEXT,
    order_id INTEGER,
    ticket_id INTEGER,
    staff_discord_id INTEGER,
    metadata TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (user_discord_id) REFERENCES users (discord_id)
);
CREATE TABLE tickets (id INTEGER PRIMARY KEY, user_discord_id INTEGER, status TEXT);
CREATE VIEW open_tickets AS SELECT * FROM tickets WHERE status = 'open';
"""

# Referrer 10 is owed 250 of 400 cents, 20 is owed 90, 30 is flagged, 40 is owed nothing; balances follow from nothing.
ROWS = """
INSERT INTO users (id, discord_id, wallet_balance_cents, total_lifetime_spent_cents) VALUES
    (3, 10, 1234, 0), (5, 20, 0, 900), (6, 30, 77, 0), (7, 40, 5, 5), (8, 11, 0, 40000), (9, 12, 9, 40000),
    (11, 21, 0, 18000), (12, 31, 0, 100000), (13, 41, 0, 2000);
INSERT INTO referrals (id, referrer_user_id, referred_user_id, referred_total_spend_cents, cashback_earned_cents,
                       cashback_paid_cents, is_blacklisted, created_at) VALUES
    (2, 10, 11, 40000, 200, 150, 0, '2025-01-02 03:04:05'), (4, 10, 12, 40000, 200, 0, 0, '2025-01-02T03:04:05.678'),
    (7, 20, 21, 18000, 90, 0, 0, '2025-02-02T03:04:05+00:00'), (8, 30, 31, 100000, 500, 0, 1, NULL),
    (9, 40, 41, 2000, 10, 10, 0, '2025-03-02');
INSERT INTO wallet_transactions (id, user_discord_id, amount_cents, balance_after_cents, transaction_type, metadata)
VALUES (1, 10, 150, 150, 'referral_cashback', '{"batch_id": "BATCH-20250110-150000", "referral_count": 1}'),
       (2, 20, -900, 0, 'purchase', NULL);
INSERT INTO tickets (id, user_discord_id, status) VALUES (1, 10, 'open');
DELETE FROM wallet_transactions WHERE id = 2;
"""


def create(path: Path) -> Path:
    """Write the old bot's file."""
    with raw(path) as connection:
        connection.executescript(TABLES + ROWS)
    return path


def old_rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Read every row as the old bot sees it, with the types of its values."""
    with raw(path) as connection:
        return {
            table: [tuple(row) for row in connection.execute(f"SELECT {columns} FROM {table} ORDER BY id")]
            for table, columns in OLD_COLUMNS.items()
        }


def work_on(path: Path) -> None:
    """Do what the old bot does with its own statements: a purchase, a referral, a payout, a blacklisting."""
    with raw(path) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executescript("""
            BEGIN;
            INSERT INTO users (discord_id) VALUES (50), (51);
            INSERT OR IGNORE INTO users (discord_id) VALUES (50);
            INSERT INTO referrals (referrer_user_id, referred_user_id) VALUES (50, 51);
            UPDATE referrals SET referred_total_spend_cents = referred_total_spend_cents + 20000,
                cashback_earned_cents = cashback_earned_cents + 100 WHERE referred_user_id = 51;
            UPDATE users SET wallet_balance_cents = wallet_balance_cents + 90, updated_at = CURRENT_TIMESTAMP
                WHERE discord_id = 20;
            INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type,
                description, metadata) VALUES (20, 90, 90, 'referral_cashback', 'Referral cashback', '{}');
            UPDATE referrals SET cashback_paid_cents = cashback_earned_cents WHERE referrer_user_id = 20;
            UPDATE referrals SET is_blacklisted = 1 WHERE referrer_user_id = 40;
            UPDATE users SET wallet_balance_cents = wallet_balance_cents - 34 WHERE discord_id = 10;
            COMMIT;
        """)


def go_on_working(path: Path, rounds: int) -> None:
    """Do the old bot's everyday work, each act a transaction of its own: members join, buy, spend; cashback accrues.

    Each round, referrer 10 earns 7 cents on an old referral, 20 spends a cent, and a new member of 50's earns 3 cents.
    """
    connection = sqlite3.connect(path, timeout=30)
    for number in range(rounds):
        member = 5_000 + number
        with connection:
            connection.execute("INSERT OR IGNORE INTO users (discord_id) VALUES (?), (50)", (member,))
        with connection:
            connection.execute("INSERT INTO referrals (referrer_user_id, referred_user_id) VALUES (50, ?)", (member,))
        for referred, cents in ((11, 7), (member, 3)):
            with connection:
                connection.execute(
                    "UPDATE referrals SET referred_total_spend_cents = referred_total_spend_cents + ?,"
                    " cashback_earned_cents = cashback_earned_cents + ? WHERE referred_user_id = ?",
                    (200 * cents, cents, referred),
                )
        with connection:
            connection.execute(
                "UPDATE users SET wallet_balance_cents = wallet_balance_cents - 1, updated_at = CURRENT_TIMESTAMP"
                " WHERE discord_id = 20"
            )
            connection.execute(
                "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type)"
                " SELECT discord_id, -1, wallet_balance_cents, 'purchase' FROM users WHERE discord_id = 20"
            )
    connection.close()
