"""What an edit of any single column can do unseen: the catalogue has edits that somebody thought of, this the rest.

Each column of each row of the story is edited, with the guards dropped and put back: a number by one, a moment to years
before and after, a text by a letter, and to NULL; and each row is deleted. `verify` finds each edit, but those of the
columns below, which move no money that is on record.
"""

# ruff: noqa: S608 -- statements of our own

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import StaticPool, create_engine

from cashback.database.integrity import reconciliation
from cashback.database.tables import OWN, metadata

DELETED: Final = "*"
"""Stands for a whole row in place of a column."""

UNPROVEN: Final[dict[str, str]] = {
    "columns of the other bot": (
        "users: total_lifetime_spent_cents has_client_role manually_assigned_roles;"
        "wallet_transactions: order_id ticket_id staff_discord_id; referrals: is_blacklisted"
    ),
    "days that decide what later purchases earn": (
        "users: created_at updated_at; referrals: created_at; referral_purchases: purchased_at recorded_at payable_at;"
        "unmatched_purchases: purchased_at recorded_at waits_until settled_at; origin: started_at"
    ),
    "what a later reversal or open plan may take or pay at most": (
        "referrals: refunded_cents charged_cents; payout_shares: payable_cents refunded_cents charged_cents"
    ),
    "under which id an order or refund is known, and from which import": (
        "referrals: intake_number; referral_purchases: order_id source intake_number referral_id;"
        "referral_refunds: refund_id part_of asked_cents intake_number correction_number referral_id;"
        "unmatched_purchases: * order_id source intake_number; order_corrections: order_id buyer_id;"
        "refund_facts: source refund_id; shop_deliveries: * number shop kind event_id topic outcome events"
    ),
    "refunds that are kept": (
        "kept_refunds: * number source order_id refund_id amount_cents reason kept_by kept_at intake_number"
    ),
    "what one purchase or refund moved, of which only the sums are proven": (
        "referral_purchases: earned_cents; referral_refunds: taken_cents"
    ),
    "who is left out of one batch, and goes first in the next": (
        "payout_exclusions: referrer_id pending_cents reason turns; payout_batches: selected_count unusual"
    ),
    "the bounds of guessing and of spread links": (
        "order_claims: * number member_id at was_right; buyer_emails: * member_id first_at"
    ),
    "when something began, ended, or was noted; and who noted it": (
        "payout_batches: slot_at expires_at lapses_at started_at finished_at approved_by approved_at;"
        "payouts: settled_at; reversals: expires_at; intakes: at actor; referral_refunds: refunded_by refunded_at;"
        "order_corrections: made_by made_at; unmatched_purchases: settled_by; refund_facts: recorded_at;"
        "shop_deliveries: at; member_emails: linked_at; auto_withdrawals: set_at;"
        "withdrawals: erased_at told_status decided_by decider_id"
    ),
    "what is erased of one: the token, which then decides nothing, and an approver's id beside the name": (
        "payout_batches: token approver_id; reversals: approver_id"
    ),
    "texts that are shown": (
        "wallet_transactions: description metadata; payouts: referral_count reason; referral_refunds: reason;"
        "order_corrections: reason; shop_deliveries: reason; withdrawals: reason"
    ),
    "messages, names and events for others": (
        "notifications: attempts next_attempt_at last_error sent_at; notification_preferences: * user_id payout_dm"
        " language; member_names: * user_id name searched_name avatar_key avatar_base64 seen_at; webhooks: * name"
        " events; webhook_deliveries: * webhook attempts next_attempt_at last_error settled_at"
    ),
    "what each program compares with its configuration": "origin: id currency decimals",
    "which payouts of an auto-withdrawal were sent": "auto_withdrawals: after_transaction_id",
}
"""By the reason: the columns, without what their names begin with, whose edits `verify` need not find."""


def unproven() -> set[tuple[str, str]]:
    """List the columns above, each with its table."""
    found = set()
    for listed in UNPROVEN.values():
        for part in listed.split(";"):
            table, _, columns = part.partition(":")
            found |= {(table.strip(), column) for column in columns.split()}
    return found


def missed(story: Path) -> Iterator[tuple[str, str, str]]:
    """Edit each column of the ledger; yield each table and column of which an edit is not found, and the edit."""
    unseen = set()
    ledger = sqlite3.connect(story, isolation_level=None, check_same_thread=False)
    engine = create_engine("sqlite+pysqlite://", creator=lambda: ledger, poolclass=StaticPool)
    with engine.connect() as connection:
        for table in metadata.tables:
            query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?"
            guards = ledger.execute(query, [table]).fetchall()
            for column, edit in list(_edits(ledger, table)):
                if (table, column) in unseen:
                    continue
                ledger.execute("BEGIN")
                for name, _ in guards:
                    ledger.execute(f"DROP TRIGGER {name}")
                try:
                    ledger.execute(edit)
                except sqlite3.IntegrityError:
                    ledger.execute("ROLLBACK")
                    continue
                for _, guard in guards:
                    ledger.execute(guard)
                if not reconciliation.verify(connection).breaches:
                    unseen.add((table, column))
                    yield _short(table), _short(column), edit
                ledger.execute("ROLLBACK")
    ledger.close()


def _short(name: str) -> str:
    return name.removeprefix(OWN)


def _edits(ledger: sqlite3.Connection, table: str) -> Iterator[tuple[str, str]]:
    """Yield edits of one row of each kind: those differ in their states, and in which of their columns are empty."""
    columns = ledger.execute(f"PRAGMA table_info({table})").fetchall()
    keys, names = [each[1] for each in columns if each[5]], [each[1] for each in columns]
    kinds = set()
    for values in ledger.execute(f"SELECT * FROM {table}").fetchall():
        row = dict(zip(names, values, strict=True))
        kind = tuple(value is None or (value if name in _KINDS else "") for name, value in row.items())
        if kind in kinds:
            continue
        kinds.add(kind)
        where = " AND ".join(f"{key} = {_literal(row[key])}" for key in keys)
        yield DELETED, f"DELETE FROM {table} WHERE {where}"
        for name, value in row.items():
            for other in _others(name, value):
                yield name, f"UPDATE {table} SET {name} = {_literal(other)} WHERE {where}"


_KINDS: Final = frozenset({"status", "kind", "outcome", "action", "event", "transaction_type"})


def _others(name: str, value: Any) -> list[Any]:  # noqa: ANN401 -- whatever the column holds
    before, after = "2020-01-01 00:00:00.000000", "2099-01-01 00:00:00.000000"
    is_moment = name.endswith(("_at", "_until")) or name == "at"
    if value is None:
        return [before] if is_moment else [1] if name.endswith(("number", "cents", "_id")) else ["x"]
    if isinstance(value, int):
        return [value + 1, None]
    return [before, after, None] if is_moment else [f"{value}x", None]


def _literal(value: Any) -> str:  # noqa: ANN401 -- as above
    return "NULL" if value is None else str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
