"""`order` on the command line, and orders without a Discord id in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cashback
from tests.conftest import rows

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
    assert shop("order", "assign", "nonsense").code == 2
    assert shop("order", "assign", "C", BUYER, "too much").code == 2


def test_order_is_shown_with_what_it_earned_and_why_it_is_not_paid(shop: Cashback) -> None:
    shop("import", "p.csv")
    out = shop("order", "#A").out
    assert out.startswith("Order A: $200.00\nImport or delivery: 2\n")
    assert f"Bought by {BUYER} (referred by {REFERRER}) on " in out
    assert "Earned $1.00 at 0.5%: $0.00 paid, $0.00 held, $1.00 pending" in out
    assert out.endswith("Why not paid: $1.00 are pending: the next batch pays them.\n")
    assert "It waits for its member" in shop("order", "B").out
    shop("pay", "--yes")
    [facts] = shop("order", "A", "--json").json["orders"]
    assert (facts["buyer_id"], facts["shop"], facts["why_not_paid"]) == (str(BUYER), "main", [])
    assert [each["cents"] for each in facts["parts"][0]["paid"]] == [100]
    assert "not known" in shop("order", "Z").error


def test_order_is_corrected_with_a_reason(shop: Cashback) -> None:
    shop("import", "p.csv")
    assert shop("order", "amount", "A", "100.00").code == 2
    out = shop("order", "amount", "A", "100.00", "--reason", "a typo").out
    assert out.startswith("Order A: $100.00\n")
    assert "by cli: amount corrected to $100.00: a typo" in out
    assert "$0.50 pending" in out
    out = shop("order", "reassign", "A", BUYER + 1, "--reason", "a ticket").out
    assert f"reassigned to {BUYER + 1}: a ticket" in out
    assert shop("pending", "--json").json["total_cents"] == 0
    assert "already" in shop("order", "reassign", "A", BUYER + 1, "--reason", "again").error
    assert shop("import", "p.csv", "--json").json["known"] == 1
    assert shop("verify").code == 0


def test_orders_of_two_shops_with_one_id_are_both_shown(shop: Cashback) -> None:
    shop("import", "p.csv")
    Path("p2.csv").write_text(f"order_id,buyer_id,amount\nA,{BUYER},300.00\n")
    assert shop("import", "p2.csv", "--shop", "second").code == 0
    assert [each["shop"] for each in shop("order", "A", "--json").json["orders"]] == ["main", "second"]
    out = shop("order", "amount", "A", "10.00", "--shop", "second", "--reason", "x").out
    assert out.startswith("Order A of shop second: $10.00\n")
    assert shop("order", "A", "--shop", "main").out.startswith("Order A: $200.00\n")


def test_each_command_and_import_is_one_entry_of_the_audit_log(shop: Cashback) -> None:
    def entries() -> list[str]:
        return [action for (action,) in rows(Path("cashback.db"), "SELECT action FROM cashback_audit_log ORDER BY id")]

    before = len(entries())
    shop("import", "p.csv")
    shop("import", "p.csv")
    shop("purchase", "P", BUYER, "10.00")
    shop("purchase", "P", BUYER, "10.00")
    shop("refund", "P", "5.00")
    shop("order", "amount", "P", "9.00", "--reason", "x")
    shop("order", "assign", "B", BUYER)
    assert entries()[before:] == [
        "intake_recorded",
        "intake_recorded",
        "purchase_refunded",
        "order_corrected",
        "purchase_assigned",
    ]
    [(kind, taken, cents)] = rows(
        Path("cashback.db"), "SELECT kind, rows, cents FROM cashback_intakes WHERE kind = 'command'"
    )
    assert (kind, taken, cents) == ("command", 1, 1_000)
    assert shop("verify").code == 0


def test_refunds_of_a_file_are_part_of_its_one_entry(shop: Cashback) -> None:
    text = (
        "Purchase ID,Item Name,Purchase Email,Purchase Date,Purchase Time (UTC timezone),Subtotal ($),Taxes ($),"
        "Sale Price ($),Refunded?,Partial Refund ($),Fully Refunded?,Disputed?,Dispute Won?,Custom Fields\n"
        f"g1,Fox,a@b.example,2026-02-03,10:00:00,20.00,0.00,20.00,1,5.00,0,0,0,Discord ID: {BUYER}\n"
        f"g2,Fox,a@b.example,2026-02-03,10:00:00,40.00,0.00,40.00,0,0.0,0,1,0,Discord ID: {BUYER}\n"
    )
    Path("g.csv").write_text(text)
    facts = shop("import", "g.csv", "--json").json["purchases"]
    assert (facts["kind"], facts["refunds"]["cents"]) == ("Gumroad sales", 4_500)
    Path("g.csv").write_text(text.replace(",0,1,0,", ",0,1,1,"))
    facts = shop("import", "g.csv", "--json").json["purchases"]
    assert facts["given_back"] == {"rows": 1, "cents": 4_000}
    Path("g.csv").write_text(text)
    assert shop("import", "g.csv", "--json").json["purchases"]["refunds"]["rows"] == 0
    spent = rows(Path("cashback.db"), "SELECT referred_total_spend_cents FROM referrals")
    assert spent == [(5_500,)]
    actions = rows(Path("cashback.db"), "SELECT action FROM cashback_audit_log WHERE action <> 'intake_recorded'")
    assert ("purchase_refunded",) not in actions
    assert shop("verify").code == 0


def test_guest_order_in_a_later_file_with_its_buyer_counts_once(shop: Cashback) -> None:
    shop("import", "p.csv")
    Path("p2.csv").write_text(f"order_id,buyer_id,amount\nB,{BUYER},100.00\nC,,7.00\nD,{BUYER},1.00\n")
    facts = shop("import", "p2.csv", "--json").json["purchases"]
    assert (facts["imported"], facts["waiting"]["rows"]) == (2, 0)
    assert [each["order_id"] for each in shop("order", "waiting", "--json").json["waiting"]] == ["C"]
    assert shop("verify").code == 0
    assert shop("import", "p.csv", "--json").json["purchases"]["waiting"]["rows"] == 0
    assert shop("import", "--undo", 3).code == 1
    assert shop("verify").code == 0
