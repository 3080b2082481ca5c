"""An adopted Apex Core file: its own wallet commands and withdrawals change one balance, and nothing is doubled."""

from __future__ import annotations

import multiprocessing
import sqlite3
from functools import partial
from pathlib import Path

import anyio
import pytest

from cashback.database import Database
from cashback.database.wallets import adjustments, decisions, statement, withdrawals
from cashback.domain.errors import WithdrawalRefusedError
from cashback.domain.ports import utc_now
from tests.cashback.database import apex_core
from tests.conftest import raw

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

MEMBER = 10
ROUNDS = 120
PRICE, DEPOSIT = 70, 60


def shop(path: Path) -> None:
    """Sell and take deposits as the old bot does, each in a transaction of its own, if the wallet has enough."""
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    for number in range(ROUNDS):
        cents, kind = (DEPOSIT, "admin_credit") if number % 2 else (-PRICE, "purchase")
        connection.execute("BEGIN IMMEDIATE")
        [balance] = connection.execute(
            "SELECT wallet_balance_cents FROM users WHERE discord_id = ?", (MEMBER,)
        ).fetchone()
        if balance + cents >= 0:
            connection.execute(
                "UPDATE users SET wallet_balance_cents = wallet_balance_cents + ?, updated_at = CURRENT_TIMESTAMP"
                " WHERE discord_id = ?",
                (cents, MEMBER),
            )
            connection.execute(
                "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type,"
                " description) VALUES (?, ?, ?, ?, 'of the other bot')",
                (MEMBER, cents, balance + cents, kind),
            )
        connection.execute("COMMIT")
    connection.close()


async def act(database: Database, number: int) -> None:
    """Ask for a withdrawal and decide on it, or adjust the wallet."""
    if number % 5 == 4:
        await database.write(
            adjustments.adjust,
            user_id=MEMBER,
            cents=25,
            reason="a gift",
            actor="cli",
            actor_id=None,
            approver_id=None,
            now=utc_now(),
        )
        return
    try:
        asked = await database.write(
            withdrawals.request,
            user_id=MEMBER,
            cents=90,
            method="paypal",
            destination=None,
            actor=f"discord:{MEMBER}",
            now=utc_now(),
        )
    except WithdrawalRefusedError:
        return
    decide = (
        partial(decisions.decline, reason="no account")
        if number % 2
        else partial(decisions.pay, reference=f"T-{number}")
    )
    await database.write(decide, asked.number, actor="discord:7", approver_id=7, now=utc_now())


async def test_both_bots_write_and_each_cent_is_accounted_for(tmp_path: Path) -> None:
    path = apex_core.create(tmp_path / "apex.db")
    async with Database(path) as database:
        with raw(path) as connection:
            [(before,)] = connection.execute("SELECT wallet_balance_cents FROM users WHERE discord_id = 10").fetchall()
        other = multiprocessing.get_context("spawn").Process(target=shop, args=(path,))
        other.start()
        number = 0
        while other.is_alive() or number < 20:
            await act(database, number)
            number += 1
        await anyio.to_thread.run_sync(other.join)
        assert other.exitcode == 0
        shown = await database.read(statement.wallet_of, MEMBER, limit=10_000)
    with raw(path) as connection:
        rows = connection.execute(
            "SELECT amount_cents, balance_after_cents FROM wallet_transactions WHERE user_discord_id = 10"
            " AND (transaction_type LIKE 'cashback%' OR description = 'of the other bot') ORDER BY id"
        ).fetchall()
        [(paid,)] = connection.execute(
            "SELECT coalesce(sum(amount_cents), 0) FROM cashback_withdrawals WHERE status = 'paid'"
        ).fetchall()
    balance = before
    for cents, after in rows:
        balance += cents
        assert balance == after >= 0
    assert shown.balance_cents == balance
    assert paid > 0
    moved = [each for each in shown.entries if each.kind.startswith("cashback")]
    assert -paid + 25 * sum(each.kind == "cashback_adjustment" for each in moved) == sum(
        each.amount_cents for each in moved
    )
    assert {"of the other bot", "Adjustment - a gift"} <= {each.text for each in shown.entries}
