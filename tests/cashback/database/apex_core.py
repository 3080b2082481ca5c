"""An Apex Core bot's file: its tables, its rows, and the statements with which it goes on working."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from tests.conftest import Rows, raw

SHARED_COLUMNS = {
    "users": (
        "id, discord_id, wallet_balance_cents, total_lifetime_spent_cents, has_client_role, manually_assigned_roles,"
        " created_at, updated_at, pin_hash, pin_attempts, pin_locked_until"
    ),
    "referrals": (
        "id, referrer_user_id, referred_user_id, referred_total_spend_cents, cashback_earned_cents,"
        " cashback_paid_cents, is_blacklisted, created_at"
    ),
    "wallet_transactions": (
        "id, user_discord_id, amount_cents, balance_after_cents, transaction_type, description, order_id, ticket_id,"
        " staff_discord_id, metadata, created_at"
    ),
}

SHARED_TABLES = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT, discord_id INTEGER NOT NULL UNIQUE,
    wallet_balance_cents INTEGER NOT NULL DEFAULT 0, total_lifetime_spent_cents INTEGER NOT NULL DEFAULT 0,
    has_client_role INTEGER NOT NULL DEFAULT 0, manually_assigned_roles TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, pin_hash TEXT,
    pin_attempts INTEGER DEFAULT 0, pin_locked_until TIMESTAMP
);
CREATE TABLE referrals (
    id INTEGER PRIMARY KEY AUTOINCREMENT, referrer_user_id INTEGER NOT NULL, referred_user_id INTEGER NOT NULL UNIQUE,
    referred_total_spend_cents INTEGER DEFAULT 0, cashback_earned_cents INTEGER DEFAULT 0,
    cashback_paid_cents INTEGER DEFAULT 0, is_blacklisted INTEGER DEFAULT 0,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, FOREIGN KEY (referrer_user_id) REFERENCES users (discord_id),
    FOREIGN KEY (referred_user_id) REFERENCES users (discord_id)
);
CREATE TABLE wallet_transactions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_discord_id INTEGER NOT NULL, amount_cents INTEGER NOT NULL,
    balance_after_cents INTEGER NOT NULL, transaction_type TEXT NOT NULL, description TEXT, order_id INTEGER,
    ticket_id INTEGER, staff_discord_id INTEGER, metadata TEXT, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (user_discord_id) REFERENCES users (discord_id)
);
CREATE INDEX idx_referrals_referrer ON referrals (referrer_user_id);
CREATE INDEX idx_referrals_referred ON referrals (referred_user_id);
CREATE INDEX idx_referrals_blacklist ON referrals (is_blacklisted);
CREATE INDEX idx_wallet_transactions_user ON wallet_transactions (user_discord_id);
CREATE INDEX idx_wallet_transactions_type ON wallet_transactions (transaction_type);
CREATE INDEX idx_wallet_transactions_user_created ON wallet_transactions (user_discord_id, created_at);
"""

OTHER_TABLES = """
CREATE TABLE ai_daily_usage (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_discord_id INTEGER NOT NULL, usage_date DATE NOT NULL,
    general_questions INTEGER NOT NULL DEFAULT 0, product_questions INTEGER NOT NULL DEFAULT 0,
    images_generated INTEGER NOT NULL DEFAULT 0, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE ai_subscriptions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_discord_id INTEGER NOT NULL, tier TEXT NOT NULL,
    subscription_start TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, subscription_end TIMESTAMP,
    is_active INTEGER NOT NULL DEFAULT 1, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE ai_usage_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_discord_id INTEGER NOT NULL, tier TEXT NOT NULL, model TEXT NOT NULL,
    input_tokens INTEGER, output_tokens INTEGER, total_tokens INTEGER, estimated_cost_cents INTEGER,
    question_preview TEXT, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE announcements (
    id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, message TEXT NOT NULL, announcement_type TEXT NOT NULL,
    target_role_id INTEGER, target_vip_tier TEXT, delivery_method TEXT NOT NULL, channel_id INTEGER,
    total_recipients INTEGER DEFAULT 0, successful_deliveries INTEGER DEFAULT 0, failed_deliveries INTEGER DEFAULT 0,
    created_by_staff_id INTEGER NOT NULL, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, scheduled_for TIMESTAMP,
    sent_at TIMESTAMP
);
CREATE TABLE atto_config (
    key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE atto_swaps (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_discord_id INTEGER NOT NULL, from_currency TEXT NOT NULL,
    to_currency TEXT NOT NULL, from_amount_cents INTEGER NOT NULL, to_amount_raw TEXT NOT NULL, exchange_rate REAL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE atto_transactions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_discord_id INTEGER NOT NULL, transaction_type TEXT NOT NULL,
    amount_raw TEXT NOT NULL, amount_usd_cents INTEGER, cashback_raw TEXT DEFAULT '0', from_address TEXT,
    to_address TEXT, transaction_hash TEXT, memo TEXT, status TEXT NOT NULL DEFAULT 'pending',
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE atto_user_balances (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_discord_id INTEGER NOT NULL, balance_raw TEXT NOT NULL DEFAULT '0',
    total_deposited_raw TEXT NOT NULL DEFAULT '0', total_withdrawn_raw TEXT NOT NULL DEFAULT '0', deposit_memo TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE crypto_order_addresses (
    id INTEGER PRIMARY KEY AUTOINCREMENT, order_id INTEGER NOT NULL, network TEXT NOT NULL, address TEXT NOT NULL,
    amount_cents INTEGER NOT NULL, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE crypto_transactions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, order_id INTEGER NOT NULL, network TEXT NOT NULL,
    transaction_hash TEXT NOT NULL, address TEXT NOT NULL, amount_cents INTEGER, amount_crypto TEXT,
    status TEXT NOT NULL DEFAULT 'pending', confirmations INTEGER DEFAULT 0, verified_at TIMESTAMP,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE discounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER, product_id INTEGER, vip_tier TEXT,
    discount_percent REAL NOT NULL, description TEXT, expires_at TIMESTAMP, is_stackable INTEGER NOT NULL DEFAULT 0,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE gifts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, gift_type TEXT NOT NULL, sender_discord_id INTEGER NOT NULL,
    recipient_discord_id INTEGER, product_id INTEGER, wallet_amount_cents INTEGER, gift_code TEXT, gift_message TEXT,
    anonymous BOOLEAN DEFAULT 0, status TEXT DEFAULT 'pending', claimed_at TIMESTAMP, claimed_by_user_id INTEGER,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, expires_at TIMESTAMP
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_discord_id INTEGER NOT NULL, product_id INTEGER NOT NULL,
    price_paid_cents INTEGER NOT NULL, discount_applied_percent REAL NOT NULL DEFAULT 0, order_metadata TEXT,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, status TEXT NOT NULL DEFAULT 'pending',
    warranty_expires_at TIMESTAMP, last_renewed_at TIMESTAMP, renewal_count INTEGER NOT NULL DEFAULT 0,
    estimated_delivery TEXT, status_notes TEXT, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE permanent_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, message_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL, guild_id INTEGER NOT NULL, title TEXT, description TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    created_by_staff_id INTEGER
);
CREATE TABLE product_tags (
    id INTEGER PRIMARY KEY AUTOINCREMENT, product_id INTEGER NOT NULL, tag TEXT NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE products (
    id INTEGER PRIMARY KEY AUTOINCREMENT, main_category TEXT NOT NULL, sub_category TEXT NOT NULL,
    service_name TEXT NOT NULL, variant_name TEXT NOT NULL, price_cents INTEGER NOT NULL, start_time TEXT,
    duration TEXT, refill_period TEXT, additional_info TEXT, role_id INTEGER, content_payload TEXT,
    is_active INTEGER NOT NULL DEFAULT 1, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, stock_quantity INTEGER DEFAULT NULL, supplier_id TEXT,
    supplier_name TEXT, supplier_service_id TEXT, supplier_price_cents INTEGER, markup_percent REAL DEFAULT 0,
    supplier_api_url TEXT, supplier_order_url TEXT
);
CREATE TABLE promo_code_usage (
    id INTEGER PRIMARY KEY AUTOINCREMENT, code_id INTEGER NOT NULL, user_discord_id INTEGER NOT NULL,
    order_id INTEGER NOT NULL, discount_applied_cents INTEGER NOT NULL, used_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE promo_codes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT NOT NULL, code_type TEXT NOT NULL, discount_value REAL NOT NULL,
    free_product_id INTEGER, description TEXT, max_uses INTEGER DEFAULT NULL, max_uses_per_user INTEGER DEFAULT 1,
    current_uses INTEGER DEFAULT 0, minimum_purchase_cents INTEGER DEFAULT 0, applicable_categories TEXT,
    applicable_products TEXT, first_time_only BOOLEAN DEFAULT 0, starts_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    expires_at TIMESTAMP DEFAULT NULL, is_active BOOLEAN DEFAULT 1, is_stackable BOOLEAN DEFAULT 0,
    created_by_staff_id INTEGER NOT NULL, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE refunds (
    id INTEGER PRIMARY KEY AUTOINCREMENT, order_id INTEGER NOT NULL, user_discord_id INTEGER NOT NULL,
    requested_amount_cents INTEGER NOT NULL, handling_fee_cents INTEGER NOT NULL, final_refund_cents INTEGER NOT NULL,
    reason TEXT NOT NULL, proof_attachment_url TEXT, status TEXT NOT NULL DEFAULT 'pending',
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, resolved_at TIMESTAMP, resolved_by_staff_id INTEGER,
    rejection_reason TEXT
);
CREATE TABLE reviews (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_discord_id INTEGER NOT NULL, order_id INTEGER NOT NULL,
    rating INTEGER NOT NULL, comment TEXT NOT NULL, photo_url TEXT, status TEXT DEFAULT 'pending',
    reviewed_by_staff_id INTEGER, reviewed_at TIMESTAMP, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE schema_migrations (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE setup_sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, guild_id INTEGER NOT NULL, user_id INTEGER NOT NULL,
    panel_types TEXT NOT NULL, current_index INTEGER NOT NULL DEFAULT 0, completed_panels TEXT, progress TEXT,
    session_payload TEXT, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, expires_at TIMESTAMP
);
CREATE TABLE suppliers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, api_url TEXT NOT NULL, api_key TEXT NOT NULL,
    supplier_type TEXT NOT NULL, markup_percent REAL DEFAULT 0, is_active INTEGER NOT NULL DEFAULT 1,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE ticket_counter (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL, ticket_type TEXT NOT NULL,
    next_count INTEGER NOT NULL DEFAULT 1, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE tickets (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_discord_id INTEGER NOT NULL, channel_id INTEGER NOT NULL,
    status TEXT NOT NULL DEFAULT 'open', last_activity TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, type TEXT NOT NULL DEFAULT 'support', order_id INTEGER,
    assigned_staff_id INTEGER, closed_at TIMESTAMP, priority TEXT
);
CREATE TABLE transcripts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, ticket_id INTEGER NOT NULL, user_discord_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL, storage_type TEXT NOT NULL, storage_path TEXT NOT NULL, file_size_bytes INTEGER,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE wishlist (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_discord_id INTEGER NOT NULL, product_id INTEGER NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE VIEW open_tickets AS SELECT * FROM tickets WHERE status = 'open';
"""

OTHERS = tuple(re.findall(r"CREATE TABLE (\w+)", OTHER_TABLES))
"""The tables that are the old bot's alone."""

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
DELETE FROM wallet_transactions WHERE id = 2;
"""


def create(path: Path, *, others: bool = True) -> Path:
    """Write the old bot's file; without `others` as a version of it that has only the shared tables yet."""
    with raw(path) as connection:
        connection.executescript(SHARED_TABLES + ROWS)
    if others:
        add_others(path)
    return path


def add_others(path: Path) -> None:
    """Create the tables that are the old bot's alone, and write two rows into each."""
    with raw(path) as connection:
        connection.executescript(OTHER_TABLES)
        for table in OTHERS:
            _insert(connection, table, everything=True)
            _insert(connection, table, everything=False)


def _insert(connection: Rows, table: str, *, everything: bool) -> None:
    """Insert a row with a value in each column, or only in the required ones."""
    [(number,)] = connection.execute(f"SELECT count(*) + 1 FROM {table}").fetchall()
    kinds = {
        name: kind
        for _, name, kind, is_needed, default, is_key in connection.execute(f"PRAGMA table_info({table})").fetchall()
        if everything or (is_needed and default is None) or is_key
    }
    values = [f"{name} {number}" if kind == "TEXT" else number for name, kind in kinds.items()]
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO {table} ({', '.join(kinds)}) VALUES ({marks})", values)


def old_rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Read every row as the old bot sees it, with the types of its values."""
    with raw(path) as connection:
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        columns = SHARED_COLUMNS | {table: "*" for table in OTHERS if table in there}
        return {
            table: [tuple(row) for row in connection.execute(f"SELECT {listed} FROM {table} ORDER BY 1")]
            for table, listed in columns.items()
        }


def work_on_others(path: Path) -> None:
    """Insert, change and delete rows in each table that is the old bot's alone."""
    with raw(path) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        for table in OTHERS:
            before = connection.execute(f"SELECT * FROM {table}").fetchall()
            name = (
                "value"
                if table == "atto_config"
                else connection.execute(f"PRAGMA table_info({table})").fetchall()[1][1]
            )
            _insert(connection, table, everything=True)
            connection.execute(f"UPDATE {table} SET {name} = {name}")
            connection.execute(f"DELETE FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})")
            assert connection.execute(f"SELECT * FROM {table}").fetchall() == before


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
