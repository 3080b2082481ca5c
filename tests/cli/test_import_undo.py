"""`import --undo`: as if the file had not been imported, as long as nothing of it is paid."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Answer, Cashback
from tests.conftest import rows

REFERRER, BUYER = 10**17 + 100, 10**17 + 200
LEDGER = Path("cashback.db")
MONEY = "SELECT cashback_earned_cents, cashback_carry_ppm, referred_total_spend_cents FROM referrals ORDER BY id"


@pytest.fixture
def shop(cashback: Cashback, folder: Path) -> Cashback:
    """Let a member be referred, and buy."""
    (folder / "r.csv").write_text(f"referrer_id,referred_id\n{REFERRER},{BUYER}\n")
    assert cashback("import", "--referrals", "r.csv", "--referred-at", "always").code == 0
    assert cashback("purchase", "A", BUYER, "201.33").code == 0
    return cashback


def imported(cashback: Cashback, text: str, *options: object) -> Answer:
    Path("p.csv").write_text("order_id,buyer_id,amount\n" + text)
    return cashback("import", "p.csv", *options)


def undone(cashback: Cashback) -> Answer:
    [(number,)] = rows(LEDGER, "SELECT max(number) FROM cashback_intakes WHERE kind = 'import'")
    return cashback("import", "--undo", number)


def test_undone_import_is_as_if_it_had_not_been_and_may_come_again(shop: Cashback) -> None:
    before = rows(LEDGER, MONEY)
    wrong = imported(shop, f"B,{BUYER},1999.99\nC,,5.00\nD,{BUYER + 1},7.00\n")
    assert "`cashback import --undo 3` undoes it" in wrong.out
    assert rows(LEDGER, MONEY) != before
    assert undone(shop).out == (
        "Import 3 of shop main is undone: 2 purchases of $2,006.99, which earned $10.00; 0 refunds; 1 waiting order;"
        " 0 referrals. It may be imported again.\n"
    )
    assert rows(LEDGER, MONEY) == before
    assert shop("verify").code == 0
    assert "undone" in undone(shop).error
    assert "There is no import 99" in shop("import", "--undo", 99).error
    assert imported(shop, f"B,{BUYER},19.99\n", "--json").json["imported"] == 1
    assert shop("order", "waiting").out == "No orders wait.\n"
    assert shop("verify").code == 0
    assert shop("import", "p.csv", "--undo", 4).code == 2


def test_import_of_which_something_is_paid_is_not_undone(shop: Cashback) -> None:
    imported(shop, f"B,{BUYER},100.00\n")
    assert shop("pay", "--yes").code == 0
    assert "cashback of order B is paid" in undone(shop).error
    imported(shop, f"C,{BUYER},100.00\n")
    assert undone(shop).code == 0
    assert shop("pending", "--json").json["total_cents"] == 0
    assert shop("verify").code == 0


def test_planned_payout_pays_nothing_of_an_undone_import(shop: Cashback) -> None:
    imported(shop, f"B,{BUYER},100.00\n")
    assert shop("pay", "--dry-run", "--json").json["total_cents"] == 150
    assert undone(shop).code == 0
    assert shop("pay", "--yes", "--json").json["total_cents"] == 100
    assert shop("verify").code == 0


def test_later_refund_of_an_undone_purchase_is_applied_when_it_comes_again(shop: Cashback) -> None:
    imported(shop, f"B,{BUYER},100.00\n")
    shop("refund", "B", "60.00", "--refund-id", "R")
    assert undone(shop).code == 0
    assert shop("verify").code == 0
    imported(shop, f"B,{BUYER},200.00\n")
    assert shop("pending", "--json").json["total_cents"] == 170
    assert shop("refund", "B", "60.00", "--refund-id", "R", "--json").json["outcome"] == "repeated"
    assert shop("verify").code == 0


def test_referrals_of_an_undone_import_are_unlinked(shop: Cashback) -> None:
    Path("r2.csv").write_text(f"referrer_id,referred_id\n{REFERRER},{BUYER + 5}\n")
    shop("import", "--referrals", "r2.csv", "--referred-at", "always")
    shop("purchase", "X", BUYER + 5, "10.00")
    assert "order X, which did not come with it" in undone(shop).error
    Path("r3.csv").write_text(f"referrer_id,referred_id\n{REFERRER},{BUYER + 6}\n")
    Path("p3.csv").write_text(f"order_id,buyer_id,amount\nY,{BUYER + 6},10.00\n")
    shop("import", "p3.csv", "--referrals", "r3.csv", "--referred-at", "always")
    assert undone(shop).code == 0
    assert rows(LEDGER, "SELECT count(*) FROM referrals WHERE referred_user_id = ?", BUYER + 6) == [(0,)]
    assert shop("verify").code == 0


def test_corrected_order_keeps_its_import(shop: Cashback) -> None:
    imported(shop, f"B,{BUYER},100.00\n")
    shop("order", "amount", "B", "90.00", "--reason", "a typo")
    assert "order B was corrected since" in undone(shop).error
