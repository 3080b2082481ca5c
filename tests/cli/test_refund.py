"""`refund` and the holding period on the command line: what is pending, held and owed."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import Cashback

REFERRER, BUYER = 10**17 + 100, 10**17 + 200
REFERRALS = f"referrer_id,referred_id\n{REFERRER},{BUYER}\n"


@pytest.fixture
def shop(cashback: Cashback, folder: Path) -> Cashback:
    """Let a referred member buy for $200, which earns a dollar."""
    (folder / "referrals.csv").write_text(REFERRALS)
    assert cashback("import", "--referrals", "referrals.csv", "--referred-at", "always").code == 0
    assert cashback("purchase", "A", BUYER, "200.00").code == 0
    return cashback


def configure(folder: Path, **terms: object) -> None:
    """Write a config.json."""
    (folder / "config.json").write_text(json.dumps({"referral_settings": terms}))


def amounts(cashback: Cashback) -> tuple[int, int, int]:
    """Return what is pending, held and owed: for everyone the same as for the only referrer."""
    one, everyone = cashback("pending", "--user", REFERRER, "--json").json, cashback("pending", "--json").json
    found = (one["pending_cents"], one["held_cents"], one["owed_cents"])
    assert found == (everyone["total_cents"], everyone["held_cents"], everyone["owed_cents"])
    return found


def test_part_of_an_order_is_refunded_and_then_the_rest(shop: Cashback) -> None:
    first = shop("refund", "A", "50.00", "--refund-id", "R1", "--reason", "torn", "--json")
    assert (first.code, first.err) == (0, "")
    assert first.json == {
        "outcome": "taken_back",
        "refund_id": "R1",
        "order_id": "A",
        "amount_cents": 5_000,
        "taken_cents": 25,
        "referrer_id": str(REFERRER),
        "owed_cents": 0,
    }
    assert amounts(shop) == (75, 0, 0)
    rest = shop("refund", "A")
    assert rest.out == f"Refund: $150.00 of order A. It takes $0.75 off the cashback of {REFERRER}.\n"
    assert amounts(shop) == (0, 0, 0)
    assert shop("refund", "A").out.endswith("It was known already and counts once.\n")
    assert shop("refund", "A", "50.00", "--refund-id", "R1", "--json").json["outcome"] == "repeated"
    assert shop("refund", "A", "--refund-id", "R2").error == "Nothing is left to refund of order A ($200.00)."


def test_refund_id_with_another_amount_is_refused(shop: Cashback) -> None:
    shop("refund", "A", "50.00", "--refund-id", "R1")
    answer = shop("refund", "A", "51.00", "--refund-id", "R1")
    assert answer.code == 1
    assert "Refund R1 is known with another order or amount ($50.00 of order A)" in answer.error
    assert amounts(shop) == (75, 0, 0)


def test_refund_after_the_payout_is_owed_and_leaves_the_wallet(shop: Cashback) -> None:
    assert shop("pay", "--yes", "--json").json["total_cents"] == 100
    answer = shop("refund", "A")
    assert f"It takes $1.00 off the cashback of {REFERRER}, who owes $1.00 against later earnings." in answer.out
    assert amounts(shop) == (0, 0, 100)
    assert "Owed after refunds, against later earnings of the same referral: $1.00" in shop("pending").out
    shop("purchase", "B", BUYER, "260.00")
    assert amounts(shop) == (30, 0, 0)
    assert shop("verify").code == 0


def test_refund_of_a_purchase_without_cashback_takes_nothing(shop: Cashback) -> None:
    shop("purchase", "N", 10**17 + 999, "200.00")
    assert "It takes nothing off anybody" in shop("refund", "N").out


def test_held_cashback_is_shown_next_to_pending(shop: Cashback, folder: Path) -> None:
    configure(folder, holding_days=14)
    bought = shop("purchase", "B", BUYER, "100.00", "--json").json
    assert (bought["earned_cents"], bought["outcome"]) == (50, "earned")
    assert datetime.fromisoformat(bought["payable_at"]) > datetime.now().astimezone() + timedelta(days=13)
    assert " It is payable from " in shop("purchase", "C", BUYER, "2.00").out
    assert amounts(shop) == (100, 51, 0)
    assert "Held until the holding period is over: $0.51" in shop("pending", "--user", REFERRER).out
    assert shop("pay", "--yes", "--json").json["total_cents"] == 100
    assert amounts(shop) == (0, 51, 0)
    assert shop("refund", "B", "--json").json["owed_cents"] == 0
    assert amounts(shop) == (0, 1, 0)


def test_imported_purchases_are_held_from_their_own_date(shop: Cashback, folder: Path) -> None:
    configure(folder, holding_days=30)
    today = datetime.now().astimezone()
    rows = [f"D{days},{BUYER},100.00,{(today - timedelta(days=days)).isoformat()}" for days in (1, 29, 31)]
    (folder / "purchases.csv").write_text("\n".join(["order_id,buyer_id,amount,purchased_at", *rows, ""]))
    assert shop("import", "purchases.csv").code == 0
    assert amounts(shop) == (150, 100, 0)
    assert shop("import", "purchases.csv", "--json").json["known"] == 3
    assert amounts(shop) == (150, 100, 0)


@pytest.mark.parametrize("moment", ["9999-12-31", "9999-12-31T23:59:59-12:00"])
def test_purchase_at_the_end_of_the_calendar_is_refused(shop: Cashback, folder: Path, moment: str) -> None:
    configure(folder, holding_days=90)
    (folder / "purchases.csv").write_text(f"order_id,buyer_id,amount,purchased_at\nX,{BUYER},5.00,{moment}\n")
    answer = shop("import", "purchases.csv")
    assert answer.code == 3
    assert "is not an ISO date or datetime" in answer.err


def test_purchase_keeps_the_percentage_of_its_day(shop: Cashback, folder: Path) -> None:
    configure(folder, cashback_percent=10)
    assert shop("purchase", "B", BUYER, "10.00", "--json").json["earned_cents"] == 100
    configure(folder, cashback_percent=0)
    assert shop("refund", "A", "--json").json["taken_cents"] == 100
    assert shop("refund", "B", "--json").json["taken_cents"] == 100
    assert amounts(shop) == (0, 0, 0)


def test_refund_of_more_than_is_left_takes_what_is_left_and_says_so(shop: Cashback) -> None:
    answer = shop("refund", "A", "226.00", "--refund-id", "R1")
    assert answer.out.endswith(f"off the cashback of {REFERRER}. That is what was left: $226.00 were asked for.\n")
    assert shop("refund", "A", "226.00", "--refund-id", "R1", "--json").json["asked_cents"] == 22_600
    assert amounts(shop) == (0, 0, 0)


def test_refund_in_all_counts_once_and_a_won_dispute_gives_back(shop: Cashback) -> None:
    outcomes = [shop("refund", "A", "50.00", "--in-all", "--json").json["outcome"] for _ in range(2)]
    assert outcomes == ["taken_back", "repeated"]
    assert amounts(shop) == (75, 0, 0)
    shop("refund", "A", "--refund-id", "D")
    assert "given back" in shop("refund", "A", "--refund-id", "D", "--given-back").out
    assert amounts(shop) == (75, 0, 0)
    for wrong in (
        ("--given-back",),
        ("5.00", "--refund-id", "D", "--given-back"),
        ("5", "--in-all", "--refund-id", "R"),
    ):
        assert shop("refund", "A", *wrong).code == 2
    assert shop("verify").code == 0


def test_refund_before_its_purchase_is_kept_only_if_asked(shop: Cashback) -> None:
    assert "Order B is not known" in shop("refund", "B", "50.00").error
    assert "kept and applied" in shop("refund", "B", "50.00", "--refund-id", "R", "--keep").out
    shop("purchase", "B", BUYER, "200.00")
    assert amounts(shop) == (175, 0, 0)
    assert shop("verify").code == 0
