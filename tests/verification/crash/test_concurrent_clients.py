"""Nine processes on one ledger: every cent is paid once, no process hangs, and no lock error reaches a user."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import anyio
import pytest

from cashback.database.dialect import BUSY_TIMEOUT_SECONDS
from tests.conftest import drop_guards, raw, rows
from verification.crash.concurrency import ORDERS, earned_cents, fill, let_loose, look
from verification.crash.concurrent_clients import pay_the_rest
from verification.testbed.databases import Ground
from verification.testbed.findings import Losses


def test_nine_processes_on_one_ledger_pay_each_cent_once(tmp_path: Path, ground: Ground) -> None:
    here = tmp_path / "crowd"
    location = ground.create(here)
    anyio.run(fill, location)
    testimonies = let_loose(here, location, ORDERS)
    assert [error for testimony in testimonies for error in testimony.errors] == []
    assert max(testimony.longest_seconds for testimony in testimonies) < BUSY_TIMEOUT_SECONDS
    assert look(location) == (Losses(), [])
    balances = rows(location, "SELECT discord_id, wallet_balance_cents FROM users WHERE wallet_balance_cents > 0")
    assert dict(balances) == earned_cents()
    assert rows(location, "SELECT count(*) > 0 FROM cashback_audit_log WHERE action = 'retry_started'") == [(True,)]


def test_wrong_results_of_processes_are_found(tmp_path: Path) -> None:
    path = tmp_path / "crowd.db"
    anyio.run(fill, path)
    anyio.run(pay_the_rest, path)
    short, violations = look(path)
    assert short == Losses(lost_cents=sum(earned_cents().values()) - sum(range(1, 31)))
    assert violations == ["a wallet does not hold what was earned"]
    drop_guards(path)
    with raw(path) as connection:
        connection.execute("UPDATE users SET wallet_balance_cents = 1000000 WHERE discord_id IN (1, 2)")
        connection.execute("UPDATE cashback_payout_batches SET status = 'running'")
    doubled, violations = look(path)
    assert doubled.double_payments == 2
    assert any("wallet of 1 holds 1000000 cents" in line for line in violations)


def test_nine_processes_starting_on_a_missing_ledger_share_it(tmp_path: Path, ground: Ground) -> None:
    """The first start creates the schema; the others wait for it, and find it done."""
    location = ground.create(tmp_path / "new")
    testimonies = let_loose(tmp_path, location, [])
    assert [error for testimony in testimonies for error in testimony.errors] == []
    assert rows(location, "SELECT count(*) FROM cashback_origin") == [(1,)]


def test_wait_over_the_limit_is_one_error_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that never lets go is not ours; the limit is shortened, so that the test does not wait for it."""
    monkeypatch.setattr("cashback.database.dialect.BUSY_TIMEOUT_SECONDS", 0.05)
    path = tmp_path / "held.db"
    anyio.run(fill, path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(RuntimeError, match="is in use by another program; try again in a moment"):
        anyio.run(fill, path)
    holder.close()
