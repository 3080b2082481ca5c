"""`order` on the command line, and orders without a Discord id in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cashback

REFERRER, BUYER = 10**17 + 100, 10**17 + 200


@pytest.fixture
def shop(cashback: Cashback, folder: Path) -> Cashback:
    """Let a member be referred, and import a file with a guest's order."""
    (folder / "r.csv").write_text(f"referrer_id,referred_id\n{REFERRER},{BUYER}\n")
    assert cashback("import", "--referrals", "r.csv", "--referred-at", "always").code == 0
    (folder / "p.csv").write_text(f"order_id,buyer_id,amount\nA,{BUYER},200.00\nB,,100.00\nC, ,7.00\n")
    return cashback


def test_guest_rows_of_a_file_wait_and_are_no_bad_rows(shop: Cashback) -> None:
    for new in (2, 0):
        answer = shop("import", "p.csv", "--json")
        facts = answer.json["purchases"]
        assert (answer.code, facts["bad"]) == (0, 0)
        assert facts["excluded"] == {"no Discord id stands in it": {"rows": 2, "cents": 10_700}}
        assert facts["waiting"]["rows"] == new
    out = shop("order", "waiting").out
    assert out.startswith("2 orders wait for a member: $107.00.")
    assert "  B: $100.00, bought " in out
    assert [each["order_id"] for each in shop("order", "waiting", "--json").json["waiting"]] == ["B", "C"]


def test_waiting_order_is_assigned_once(shop: Cashback) -> None:
    shop("import", "p.csv")
    assert shop("order", "assign", "B", BUYER).out == (
        f"Order B is the purchase of {BUYER} now. It earned the member's referrer $0.50.\n"
    )
    assert "already" in shop("order", "assign", "B", BUYER + 1).error
    assert "does not wait" in shop("order", "assign", "Z", BUYER).error
    assert "Discord account" in shop("order", "assign", "C", 42).error
    assert shop("order", "assign", "C", BUYER, "--shop", "second").code == 1
    assert shop("order", "assign", "C", BUYER + 1, "--json").json["earned_cents"] is None
    assert shop("order", "waiting").out == "No orders wait.\n"
    assert shop("pending", "--json").json["total_cents"] == 150
    assert shop("verify").code == 0
    assert shop("order", "nonsense").code == 2
