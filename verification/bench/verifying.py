"""Reconciliation against one raw pass: every row of the same tables is read once, in the order of a key.

The pass only reads what the checks compare. The program's extra time is the comparison.
"""

import sqlite3
from pathlib import Path
from typing import Final

import anyio

from cashback.database import Database
from cashback.database.integrity import reconciliation
from verification.bench.crediting import credit
from verification.bench.datasets import all_pending, open_raw
from verification.bench.measuring import Case
from verification.bench.stopwatch import Spent, stopwatch

TIMES_PASS: Final = 1.5

PASS: Final = (
    ("users", "discord_id, wallet_balance_cents, total_lifetime_spent_cents", "discord_id"),
    (
        "referrals",
        (
            "id, referrer_user_id, referred_user_id, referred_total_spend_cents, cashback_earned_cents,"
            " cashback_carry_ppm, cashback_paid_cents, cashback_paid_elsewhere_cents, cashback_refunded_cents,"
            " cashback_forfeited_cents, cashback_charged_cents, cashback_held_until"
        ),
        "id",
    ),
    (
        "cashback_referral_purchases",
        (
            "source, order_id, buyer_id, referral_id, amount_cents, refunded_cents, rate_ppm, earned_cents, payable_at,"
            " intake_number, correction_number"
        ),
        "source, order_id",
    ),
    (
        "wallet_transactions",
        (
            "user_discord_id, id, amount_cents, balance_after_cents, transaction_type, created_at,"
            " cashback_payout_batch_number"
        ),
        "user_discord_id, id",
    ),
    (
        "cashback_payouts",
        "batch_number, referrer_id, status, approved_cents, paid_cents, settled_at",
        "batch_number, referrer_id",
    ),
    (
        "cashback_payout_shares",
        (
            "batch_number, referrer_id, referral_id, payable_cents, refunded_cents, paid_cents, returned_cents,"
            " charged_cents, forfeited_cents"
        ),
        "batch_number, referrer_id, referral_id",
    ),
    ("cashback_notifications", "batch_number, user_id", "batch_number, user_id"),
    ("cashback_payout_batches", "*", "number"),
    ("cashback_audit_log", "*", "id"),
)
"""Tables, the columns to check, and the order in which they are read."""


def paid(path: Path, referrers: int) -> None:
    """Write a ledger whose every payout is credited."""
    all_pending(path, referrers)
    credit(path)


async def _verify(path: Path) -> dict[str, Spent]:
    async with Database(path) as database:
        with stopwatch() as spent:
            verdict = await database.read(reconciliation.verify)
        with stopwatch() as spent_on_batch:
            await database.read(reconciliation.verify_batch, 1)
    if not verdict.balanced:
        raise ValueError(verdict.breaches[0])
    return {"everything": spent, "the batch": spent_on_batch}


def verify(path: Path) -> dict[str, Spent]:
    """Verify that the books balance, then the one batch alone."""
    return anyio.run(_verify, path)


def read_raw(path: Path) -> dict[str, Spent]:
    """Read every row once."""
    connection = open_raw(path)
    with stopwatch() as spent:
        for table, columns, key in PASS:
            _read(connection, f"SELECT {columns} FROM {table} ORDER BY {key}")
    connection.close()
    return {"everything": spent, "the batch": spent}


def _read(connection: sqlite3.Connection, query: str) -> None:
    for _row in connection.execute(query):
        pass


def cases(*, full: bool) -> list[Case]:
    """Verify a ledger of many payouts."""
    return [
        Case(
            name="verify",
            rows=1_000_000 if full else 100_000,
            prepare=paid,
            program=verify,
            baseline=read_raw,
            cpu_times={"everything": TIMES_PASS},
            reads_only=True,
        )
    ]
