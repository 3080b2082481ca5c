"""Discord ids on the command line: only those of accounts count, and none is rounded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Cashback
from tests.conftest import raw, rows

LEDGER = Path("cashback.db")
MEMBER = 10**17
STRANGERS = ["42", "5000000001", "6123456789012", "9223372036854775807"]


@pytest.fixture(autouse=True)
def new(folder: Path, new_ledger: Path) -> None:
    """Start with a new ledger."""
    shutil.copyfile(new_ledger, folder / LEDGER)


@pytest.mark.parametrize("stranger", STRANGERS)
def test_number_that_is_no_account_is_a_bad_row(cashback: Cashback, stranger: str) -> None:
    Path("p.csv").write_text(f"order_id,buyer_id,amount\nA,{stranger},5.00\nB,{MEMBER},5.00\n")
    Path("r.csv").write_text(f"referrer_id,referred_id\n{stranger},{MEMBER}\n{MEMBER + 1},{MEMBER + 2}\n")
    answer = cashback("import", "p.csv", "--referrals", "r.csv", "--json")
    assert (answer.code, answer.json["imported"], answer.json["bad"]) == (3, 2, 2)
    assert all(error["reason"].startswith(f"{stranger} ") for error in answer.json["errors"])
    assert all("Discord account" in error["reason"] for error in answer.json["errors"])
    assert rows(LEDGER, "SELECT order_id FROM cashback_referral_purchases") == [("B",)]


def test_member_of_the_ledger_is_exempt(cashback: Cashback) -> None:
    with raw(LEDGER) as connection:
        connection.execute("INSERT INTO users (discord_id) VALUES (42)")
    Path("p.csv").write_text("order_id,buyer_id,amount\nA,42,5.00\n")
    assert cashback("import", "p.csv").code == 0
    assert cashback("purchase", "B", "42", "5.00").code == 0


@pytest.mark.parametrize("stranger", STRANGERS)
def test_purchase_of_a_number_that_is_no_account_is_refused(cashback: Cashback, stranger: str) -> None:
    answer = cashback("purchase", "A", stranger, "5.00")
    assert (answer.code, answer.out) == (1, "")
    assert f"{stranger} " in answer.error
    assert "check the id" in answer.error
    assert rows(LEDGER, "SELECT count(*) FROM cashback_referral_purchases") == [(0,)]


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("command", [("blacklist",), ("pending", "--user"), ("history", "--user")])
def test_command_on_a_number_that_is_no_account_notes_it(
    cashback: Cashback, command: tuple[str, ...], stranger: str
) -> None:
    answer = cashback(*command, stranger)
    assert answer.code == 0
    assert answer.err.startswith(f"note: the ledger does not know Member {stranger}, which ")


def test_command_on_a_member_that_the_ledger_does_not_know_notes_it(cashback: Cashback) -> None:
    note = f"note: the ledger does not know Member {MEMBER}\n"
    assert cashback("pending", "--user", MEMBER).err == note
    assert cashback("history", "--user", MEMBER).err == note
    assert cashback("blacklist", MEMBER).err == note
    assert cashback("pending", "--user", MEMBER).err == ""


@pytest.mark.parametrize("kind", ["purchases", "referrals", "shop"])
def test_ids_that_a_spreadsheet_rounded_refuse_the_file(cashback: Cashback, kind: str) -> None:
    ids = [MEMBER + 1_000 * n for n in range(3)] + [MEMBER + 1_000 * n + 7 for n in range(50)]
    lines = {
        "purchases": ["order_id,buyer_id,amount", *(f"{n},{one},5.00" for n, one in enumerate(ids))],
        "referrals": ["referrer_id,referred_id", *(f"{MEMBER + 5_000_001},{one}" for one in ids)],
        "shop": [
            "id,Created date (UTC),Amount,Amount Refunded,Currency,Status,discord_id (metadata)",
            *(f"ch_{n},2026-02-03,5.00,0.00,usd,Paid,{one}" for n, one in enumerate(ids)),
        ],
    }[kind]
    Path("f.csv").write_text("\n".join(lines))
    arguments = ["--referrals", "f.csv"] if kind == "referrals" else ["f.csv"]
    refused = kind != "referrals"
    answer = cashback("import", *arguments)
    assert answer.code == (1 if refused else 0)
    if refused:
        assert "a spreadsheet rounded them" in answer.error
        assert rows(LEDGER, "SELECT count(*) FROM cashback_referral_purchases") == [(0,)]


def test_ids_are_texts_in_json(seeded: Cashback) -> None:
    largest = seeded("pending", "--json").json["referrers"][0]["referrer_id"]
    assert isinstance(largest, str)
    one = seeded("pending", "--user", largest, "--json").json
    assert one["referrer_id"] == largest
    assert all(isinstance(detail["user_id"], str) for detail in one["referral_details"])
    batch_id = seeded("pay", "--yes", "--json").json["batch_id"]
    assert {type(payout["referrer_id"]) for payout in seeded("show", batch_id, "--json").json["payouts"]} == {str}
    assert seeded("blacklist", largest, "--json").json["user_id"] == largest
