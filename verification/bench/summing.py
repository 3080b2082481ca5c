"""The summary: the cost of proposing a batch, against the two bare `INSERT … SELECT` of its payouts and their shares.

With a thousand referrals pending it costs those, however many are stored; the same holds for one member's pending
cashback.
"""

import sqlite3
import time
from pathlib import Path
from typing import Final

import anyio

from cashback.database import Database
from cashback.database.payouts import proposals
from verification.bench.datasets import FIRST_REFERRER, all_pending, few_pending, open_raw
from verification.bench.measuring import Case
from verification.bench.stopwatch import Spent, stopwatch

TIMES_INSERT: Final = 1.3
LOOKS: Final = 20

BATCH: Final = (
    "INSERT INTO cashback_payout_batches (mode, status, proposed_by, proposed_at) VALUES ('batch', 'proposed',"
    " 'baseline', '')"
)
PLAN: Final = (
    "INSERT INTO cashback_payouts (batch_number, referrer_id, approved_cents, referral_count)"
    " SELECT ?, referrer_user_id, sum(cashback_earned_cents - cashback_paid_cents), count(*) FROM referrals"
    " WHERE cashback_earned_cents > cashback_paid_cents GROUP BY referrer_user_id ORDER BY referrer_user_id"
)
SHARES: Final = (
    "INSERT INTO cashback_payout_shares (batch_number, referrer_id, referral_id, payable_cents)"
    " SELECT ?, referrer_user_id, id, cashback_earned_cents - cashback_paid_cents FROM referrals"
    " WHERE cashback_earned_cents > cashback_paid_cents ORDER BY referrer_user_id, id"
)
OWED: Final = (
    "SELECT referred_user_id, cashback_earned_cents - cashback_paid_cents FROM referrals"
    " WHERE referrer_user_id = ? AND cashback_earned_cents > cashback_paid_cents ORDER BY id"
)


async def _propose(path: Path) -> Spent:
    async with Database(path) as database:
        with stopwatch() as spent:
            await database.write(proposals.propose, actor="bench", now=database.now(), expires_at=None)
        return spent


def propose(path: Path) -> dict[str, Spent]:
    """Propose a batch of everything that is pending."""
    return {"": anyio.run(_propose, path)}


def propose_raw(path: Path) -> dict[str, Spent]:
    """Write the plan of the same batch."""
    connection = open_raw(path)
    with stopwatch() as spent:
        _plan(connection)
    connection.close()
    return {"": spent}


def _plan(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    number = connection.execute(BATCH).lastrowid
    connection.execute(PLAN, (number,))
    connection.execute(SHARES, (number,))
    connection.execute("COMMIT")


async def _discover(path: Path) -> dict[str, float]:
    summaries, members = [], []
    async with Database(path) as database:
        for n in range(LOOKS):
            start = time.perf_counter()
            await database.write(proposals.propose, actor="bench", now=database.now(), expires_at=None)
            summaries.append(time.perf_counter() - start)
            start = time.perf_counter()
            await database.get_pending_cashback_for_user(FIRST_REFERRER + n)
            members.append(time.perf_counter() - start)
    return {"the summary": min(summaries), "one member": min(members)}


def discover(path: Path) -> dict[str, float]:
    """Query the summary, and what one member is owed, like a bot that has been running for a while."""
    return anyio.run(_discover, path)


def discover_raw(path: Path) -> dict[str, float]:
    """Write the plan, and read what one member is owed."""
    connection = open_raw(path)
    summaries, members = [], []
    for n in range(LOOKS):
        start = time.perf_counter()
        _plan(connection)
        summaries.append(time.perf_counter() - start)
        start = time.perf_counter()
        connection.execute(OWED, (FIRST_REFERRER + n,)).fetchall()
        members.append(time.perf_counter() - start)
    connection.close()
    return {"the summary": min(summaries), "one member": min(members)}


def cases(*, full: bool) -> list[Case]:
    """Propose large batches, and small ones in a ledger that stores much."""
    return [
        Case(
            name="propose",
            rows=1_000_000 if full else 100_000,
            prepare=all_pending,
            program=propose,
            baseline=propose_raw,
            cpu_times={"": TIMES_INSERT},
        ),
        Case(
            name="1,000 pending",
            rows=10_000_000 if full else 1_000_000,
            prepare=few_pending,
            program=discover,
            baseline=discover_raw,
            seconds={"the summary": 0.020, "one member": 0.002},
        ),
    ]
