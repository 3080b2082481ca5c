"""A ledger in another currency on the command line: what is typed, shown and exported."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from cashback.domain.money import MoneyStyle, money_style, use_money_style
from tests.cli.conftest import Cashback

pytestmark = pytest.mark.usefixtures("folder")

BUYER, REFERRER = 599287828863678298, 599287828863678299


@pytest.mark.parametrize(
    ("currency", "locale", "typed", "cents", "earned", "refused"),
    [
        ("USD", "en", "100.00", 10_000, "$1.00", "1.2345"),
        ("EUR", "de", "100,00", 10_000, "1,00\u00a0€", "1,2345"),
        ("JPY", "en", "10000", 10_000, "¥100", "100.50"),
        ("KWD", "en", "100.000", 100_000, "KWD1.000", "1.2345"),
    ],
)
def test_amounts_are_typed_shown_and_exported_in_the_currency(
    cashback: Cashback, currency: str, locale: str, typed: str, cents: int, earned: str, refused: str
) -> None:
    before = money_style()
    try:
        Path("config.json").write_text(
            json.dumps({"currency": currency, "locale": locale, "referral_settings": {"cashback_percent": 1}})
        )
        Path("referrals.csv").write_text(f"referrer_id,referred_id\n{REFERRER},{BUYER}\n")
        assert cashback("import", "--referrals", "referrals.csv").code == 0
        bought = cashback("purchase", "1001", BUYER, typed, "--json")
        assert bought.json["amount_cents"] == cents
        assert cashback("purchase", "1002", BUYER, refused).code == 1
        assert earned in cashback("pending").out
        batch_id = cashback("pay", "--yes", "--json").json["batch_id"]
        assert earned in cashback("show", batch_id).out
        assert cashback("export", batch_id, "--output", "payouts.csv").code == 0
        with Path("payouts.csv").open(encoding="utf-8", newline="") as file:
            (row,) = csv.DictReader(file)
        unit = "dollars" if currency == "USD" else currency.lower()
        assert row[f"paid_{unit}"] == MoneyStyle(currency).plain(cents // 100)
    finally:
        use_money_style(before)


@pytest.mark.parametrize(
    ("key", "value"), [("currency", "XXZ"), ("currency", 5), ("locale", "klingon"), ("locale", ""), ("locale", None)]
)
def test_currency_or_language_that_does_not_exist_is_refused(cashback: Cashback, key: str, value: object) -> None:
    Path("config.json").write_text(json.dumps({key: value}))
    answer = cashback("pending")
    assert answer.code == 1
    assert key in answer.error


@pytest.mark.parametrize(
    ("currency", "written", "cents"),
    [
        ("JPY", ("1234", "1,500"), 2_734),
        ("KWD", ("1,234.500", "12.500"), 1_247_000),
        ("KWD", ('"1.234,500"', '"12,500"'), 1_247_000),
    ],
)
def test_file_of_a_currency_without_or_with_three_decimals_is_read_to_the_last_unit(
    cashback: Cashback, currency: str, written: tuple[str, ...], cents: int
) -> None:
    before = money_style()
    try:
        Path("config.json").write_text(json.dumps({"currency": currency}))
        cells = [each if each.startswith('"') else f'"{each}"' for each in written]
        lines = [f"{number},{BUYER},{cell}" for number, cell in enumerate(cells)]
        Path("p.csv").write_text("\n".join(["order_id,buyer_id,amount", *lines, ""]))
        Path("r.csv").write_text(f"referrer_id,referred_id\n{REFERRER},{BUYER}\n")
        sign = ("--decimal", "point") if currency == "JPY" else ()
        answer = cashback("import", "p.csv", "--referrals", "r.csv", "--json", *sign)
        assert answer.code == 0, answer.err
        assert answer.json["purchases"]["cents"] == cents, answer.out
    finally:
        use_money_style(before)


def test_refusals_name_amounts_in_the_currency(cashback: Cashback) -> None:
    before = money_style()
    try:
        Path("config.json").write_text(json.dumps({"currency": "JPY"}))
        assert cashback("purchase", "1001", BUYER, "1000").code == 0
        assert "between ¥1 and" in cashback("refund", "1001", "0").error
        assert "adjustment of ¥0" in cashback("wallet", "adjust", BUYER, "0", "--reason", "x").error
        assert "no decimals" in cashback("wallet", "adjust", BUYER, "1.5", "--reason", "x").error
    finally:
        use_money_style(before)
