"""`pending`: what is pending, and what `pay` would pay of it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Cashback
from tests.conftest import rows


def test_pending_shows_what_pay_would_pay(seeded: Cashback, folder: Path) -> None:
    assert "cashback pay" not in seeded("pending").out
    (folder / "config.json").write_text(json.dumps({"referral_settings": {"min_payout_cents": 1000}}))
    answer = seeded("pending")
    assert "Pending: $127.50 to 15 users" in answer.out
    assert "`cashback pay` would pay $80.75 to 5 users; excluded:" in answer.out
    found = seeded("pending", "--json").json
    dry = seeded("pay", "--dry-run", "--json").json
    assert (found["payable_users"], found["payable_cents"]) == (5, 8_075)
    assert found["payable_cents"] == dry["total_cents"]
    assert sum(each["count"] for each in found["left_out"]) == 10


def test_pending_changes_nothing(seeded: Cashback, folder: Path) -> None:
    tables = ("cashback_payout_batches", "cashback_payouts", "cashback_audit_log", "cashback_payout_exclusions")
    assert seeded("pending").code == 0
    assert [rows(folder / "cashback.db", f"SELECT count(*) FROM {table}") for table in tables] == [[(0,)]] * 4
