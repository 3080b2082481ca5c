"""Guests of files: their orders wait with hints, so that members link an e-mail or claim an order of a file too."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from cashback.services import AdminService
from cashback.settings import EMAIL_KEY
from cli.context import Place, ledger
from tests.cli.conftest import Cashback
from tests.cli.shop_files import ONE, REFERRER, SHOPIFY, TWO
from tests.conftest import rows

LEDGER = Path("cashback.db")
WAITING = "SELECT order_id, amount_cents FROM cashback_unmatched_purchases WHERE buyer_id IS NULL ORDER BY order_id"
GUEST = "order_id,buyer_id,amount,email\n"
KEY = "a key of the test, long enough to be one"


@pytest.fixture(autouse=True)
def new(folder: Path, new_ledger: Path, cashback: Cashback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start with a ledger in which two members were referred, and with a key for e-mails."""
    monkeypatch.setenv(EMAIL_KEY, KEY)
    shutil.copyfile(new_ledger, folder / LEDGER)
    (folder / "r.csv").write_text(f"referrer_id,referred_id\n{REFERRER},{ONE}\n{REFERRER},{TWO}\n")
    assert cashback("import", "--referrals", "r.csv", "--referred-at", "always").code == 0


def import_text(cashback: Cashback, text: str, *options: str) -> dict[str, object]:
    Path("shop.csv").write_text(text)
    answer = cashback("import", "shop.csv", "--json", *options)
    assert answer.code in {0, 3}, answer.err
    facts: dict[str, object] = answer.json["purchases"]
    return facts


def ask(question: Callable[[AdminService], Awaitable[bool]]) -> bool:
    """Ask the service as a member's command does."""

    async def run() -> bool:
        settings = Place(database=str(LEDGER)).settings()
        async with ledger(settings) as database:
            return await question(AdminService(database, settings, lambda _number: 0))

    return anyio.run(run)


def buyers() -> dict[str, int]:
    query = "SELECT order_id, buyer_id FROM cashback_referral_purchases"
    return {order: buyer for order, buyer in rows(LEDGER, query)}  # noqa: C416 -- the rows have no types


@pytest.mark.parametrize("text", [GUEST + "1007,,30.00,D@b.example\n", SHOPIFY.text], ids=["plain", "known"])
def test_email_of_a_files_guest_is_linked_with_the_orders_number(cashback: Cashback, text: str) -> None:
    import_text(cashback, text)
    assert not ask(lambda service: service.link_email(TWO, "other@b.example", "1007"))
    assert "1007" not in buyers()
    assert ask(lambda service: service.link_email(TWO, " d@B.example", "#1007"))
    assert buyers()["1007"] == TWO
    assert b"b.example" not in LEDGER.read_bytes()


def test_file_that_comes_after_the_link_counts_for_its_member(cashback: Cashback) -> None:
    import_text(cashback, GUEST + "1,,30.00,d@b.example\n")
    assert ask(lambda service: service.link_email(TWO, "d@b.example", "1"))
    facts = import_text(cashback, GUEST + "1,,30.00,d@b.example\n2,,40.00,D@B.example\n3,,50.00,e@b.example\n")
    assert buyers() == {"1": TWO, "2": TWO}
    assert rows(LEDGER, WAITING) == [("3", 5_000)]
    assert facts["outcomes"] == {"known": {"rows": 1, "cents": 3_000}, "earned": {"rows": 1, "cents": 4_000}}
    assert facts["excluded"] == {"no Discord id stands in it": {"rows": 1, "cents": 5_000}}


def test_guest_whose_email_is_linked_and_whose_order_main_has_is_asked_about(cashback: Cashback) -> None:
    import_text(cashback, GUEST + f"1,,30.00,d@b.example\n2,{TWO},40.00,\n")
    assert ask(lambda service: service.link_email(TWO, "d@b.example", "1"))
    Path("store.csv").write_text(GUEST + "2,,40.00,d@b.example\n")
    assert "is in main with the same buyer" in cashback("import", "store.csv", "--shop", "store").error
    assert buyers() == {"1": TWO, "2": TWO}


def test_without_a_key_no_hint_is_kept_and_an_order_is_claimed_by_its_number(
    cashback: Cashback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(EMAIL_KEY)
    import_text(cashback, GUEST + "1,,30.00,d@b.example\n")
    assert rows(LEDGER, "SELECT * FROM cashback_unmatched_hints") == []
    assert ask(lambda service: service.claim_order(ONE, "#1"))
    assert buyers() == {"1": ONE}


def test_guests_order_that_is_in_the_file_twice_is_a_bad_row(cashback: Cashback) -> None:
    facts = import_text(cashback, GUEST + "1,,30.00,\n2,,5.00,\n#1,,4.00,\n")
    assert (facts["bad"], facts["waiting"]) == (1, {"rows": 2, "cents": 3_500})
    assert rows(LEDGER, WAITING) == [("1", 3_000), ("2", 500)]


def test_lines_of_a_guests_order_are_summed_like_those_of_a_member(cashback: Cashback) -> None:
    text = GUEST + f"1,,30.00,\n2,{ONE},5.00,\n#1,,4.00,\n#2,{ONE},1.00,\n2,,9.00,\n"
    facts = import_text(cashback, text, "--sum-lines")
    assert facts["bad"] == 1, "a line of order 2 has no buyer"
    assert rows(LEDGER, WAITING) == [("1", 3_400)]
    assert rows(LEDGER, "SELECT order_id, amount_cents FROM cashback_referral_purchases") == [("2", 600)]


def test_file_of_guests_alone_is_read_in_chunks(cashback: Cashback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.import_run.CHUNK_ROWS", 2)
    facts = import_text(cashback, GUEST + "".join(f"{number},,1.00,\n" for number in (1, 2, 3, 1, 4)))
    assert (facts["bad"], facts["waiting"]) == (1, {"rows": 4, "cents": 400})
