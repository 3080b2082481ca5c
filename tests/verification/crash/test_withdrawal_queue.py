"""Eight processes at one queue of withdrawals, killed again and again: no cent is lost or paid twice."""

from __future__ import annotations

from pathlib import Path
from random import Random

import anyio
import pytest

from tests.conftest import drop_guards, raw
from verification.crash.withdrawal_queue import JOURNAL, fill, let_loose, look, read_journal
from verification.testbed.databases import Files, Ground
from verification.testbed.findings import Losses

KILLS = 24


@pytest.mark.timeout(120)
def test_killed_processes_lose_no_cent_and_no_answer(tmp_path: Path, ground: Ground) -> None:
    here = tmp_path / "queue"
    location = ground.create(here)
    anyio.run(fill, location)
    assert let_loose(here, location, kills=KILLS, chance=Random(1)) >= KILLS
    assert look(here, location) == (Losses(), [])
    acts = {"ask", "pay", "decline", "cancel", "adjust", "earn", "send", "event", "event-refused"}
    assert acts <= read_journal(here).done.keys()


EVENT = (
    "INSERT INTO cashback_webhook_deliveries (webhook, event, user_id, amount_cents, withdrawal_number, happened_at,"
    " status) SELECT 'shop', 'withdrawal.requested', 1, 100, 1, requested_at, {} FROM cashback_withdrawals"
)
WRONG = {
    "paid and returned": (
        "UPDATE users SET wallet_balance_cents = wallet_balance_cents + 100 WHERE discord_id = 2",
        "member 2 has 100 cents too many",
    ),
    "lost": (
        "UPDATE users SET wallet_balance_cents = wallet_balance_cents - 7 WHERE discord_id = 3",
        "member 3 has -7 cents too many",
    ),
    "an answer forgotten": (
        "UPDATE cashback_withdrawals SET reference = 'another' WHERE number = 1",
        "pay mark-1 was answered and is not in the ledger",
    ),
    "a payout sent twice": (
        (
            "INSERT INTO cashback_audit_log (at, actor, action, details, digest) SELECT at, 'auto-withdrawal', action,"
            """ '{"user_id": 4, "amount_cents": 100}', digest FROM cashback_audit_log WHERE id = 1"""
        ),
        "member 4 was sent 100 cents of 0 that were paid out",
    ),
    "an event twice": (
        EVENT.format("'queued'") + ", (SELECT 1 UNION SELECT 2)",
        "withdrawal.requested 1 100 happened 1 times, 2 events are queued",
    ),
    "an event that reached nobody": (
        EVENT.format("'delivered'"),
        "event 1 is recorded as delivered and reached nobody",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_ledgers_are_found(tmp_path: Path, wrong: str) -> None:
    here = tmp_path / "queue"
    location = Files().create(here)
    anyio.run(fill, location)
    (here / JOURNAL).write_text("tried pay 1 mark-1\ndone pay 1 mark-1\ntried ask asked 1 100\n", encoding="utf-8")
    drop_guards(location)
    with raw(location) as connection:
        connection.executescript(
            "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type)"
            " VALUES (1, -100, 900, 'cashback_withdrawal');"
            "UPDATE users SET wallet_balance_cents = 900 WHERE discord_id = 1;"
            "INSERT INTO cashback_withdrawals (number, user_id, method, amount_cents, status, requested_at, decided_at,"
            " reference, debit_id) SELECT 1, 1, 'asked', 100, 'paid', '2026-07-03 15:00:00.000000',"
            " '2026-07-03 15:00:00.000000', 'mark-1', max(id) FROM wallet_transactions"
        )
    _, before = look(here, location)
    statement, expected = WRONG[wrong]
    with raw(location) as connection:
        connection.executescript(statement)
    _, found = look(here, location)
    assert expected in set(found) - set(before)
