"""`cashback import` on the exports of known shops: each row has the answer that an account by hand gives it."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.cli.conftest import Answer, Cashback
from tests.cli.shop_files import GUMROAD, ONE, REFERRER, SHAPES, SHOPIFY, STRIPE, TWO, WOOCOMMERCE, Shape
from tests.conftest import rows
from tests.examples import first_of

LEDGER = Path("cashback.db")
PURCHASES = "SELECT order_id, buyer_id, amount_cents, refunded_cents FROM cashback_referral_purchases ORDER BY order_id"
NAMES = [shape.name for shape in SHAPES]


@pytest.fixture(autouse=True)
def new(folder: Path, new_ledger: Path, cashback: Cashback) -> None:
    """Start with a ledger in which two members were referred, long before they bought."""
    shutil.copyfile(new_ledger, folder / LEDGER)
    (folder / "r.csv").write_text(f"referrer_id,referred_id\n{REFERRER},{ONE}\n{REFERRER},{TWO}\n")
    assert cashback("import", "--referrals", "r.csv", "--referred-at", "always").code == 0


def imported() -> dict[str, tuple[int, int, int]]:
    return {order: (buyer, cents, refunded) for order, buyer, cents, refunded in rows(LEDGER, PURCHASES)}


def spent() -> int:
    [(cents,)] = rows(LEDGER, "SELECT sum(referred_total_spend_cents) FROM referrals")
    return int(cents)


def kept(shape: Shape) -> int:
    return sum(cents - refunded for _, cents, refunded in shape.purchases.values())


def rows_accounted_for(facts: dict[str, Any]) -> int:
    """Return how many rows of a file the tally names: as orders, refunds, excluded, bad, or others."""
    named = [counts["rows"] for part in ("outcomes", "excluded", "refund_rows") for counts in facts[part].values()]
    return int(sum(named) + facts["bad"] + sum(facts["other_rows"].values()))


def import_text(cashback: Cashback, text: str, *options: str) -> Answer:
    Path("shop.csv").write_text(text)
    return cashback("import", "shop.csv", "--json", *options)


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_each_row_has_its_answer_and_a_second_import_changes_nothing(cashback: Cashback, shape: Shape) -> None:
    for _ in range(2):
        answer = import_text(cashback, shape.text)
        assert answer.code == (3 if shape.bad else 0), answer.err
        facts = answer.json["purchases"]
        assert (facts["kind"], facts["bad"]) == (shape.name, shape.bad)
        assert rows_accounted_for(facts) == facts["read"] == len([*csv.reader(io.StringIO(shape.text))]) - 1
        assert {reason: counts["cents"] for reason, counts in facts["excluded"].items()} == shape.excluded
        assert imported() == shape.purchases
        assert spent() == kept(shape)
    assert cashback("verify").code == 0


def separated(text: str, separator: str) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows(csv.reader(io.StringIO(text)))
    return out.getvalue().encode()


def workbook(text: str, value: Callable[[str], object] = str) -> bytes:
    book = openpyxl.Workbook()
    for row in csv.reader(io.StringIO(text)):
        book.active.append([*map(value, row)])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def rewritten(text: str, *, header: Callable[[str], str] = str, cell: Callable[[str], str] = str, step: int = 1) -> str:
    """Write a file's names and cells otherwise; a step of -1 reverses its columns."""
    names, *lines = csv.reader(io.StringIO(text))
    out = io.StringIO()
    table = [[*map(header, names)], *([*map(cell, line)] for line in lines)]
    csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL).writerows(line[::step] for line in table)
    return out.getvalue()


def with_decimal_comma(cell: str) -> str:
    """Write an amount as German spreadsheets do: 1.200,00."""
    is_amount = re.fullmatch(r"-?(?:&#36;|[$€])?[0-9][0-9,]*\.[0-9]{1,2}", cell)
    return cell.translate(str.maketrans(",.", ".,")) if is_amount else cell


def day_and_time(cell: str) -> object:
    """Return what a spreadsheet makes of a day, and of a time, when it opens a CSV."""
    for form in ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%y", "%m/%d/%Y %H:%M", "%Y-%m-%d %H:%M:%S"):
        with suppress(ValueError):
            return datetime.strptime(cell, form)  # noqa: DTZ007 -- a spreadsheet has no zones
    return time.fromisoformat(cell) if re.fullmatch("[0-9]{2}:[0-9]{2}:[0-9]{2}", cell) else cell


WAYS: dict[str, Callable[[str], bytes]] = {
    "with a mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "Windows-1252": lambda text: text.replace("Fox", "Füchslein").encode("cp1252"),
    "semicolons": lambda text: separated(text, ";"),
    "tabs": lambda text: separated(text, "\t"),
    "for Excel": lambda text: b"sep=;\r\n" + separated(text, ";"),
    "XLSX": workbook,
    "line ends of old Macs": lambda text: text.replace("\n", "\r").encode(),
    "capital letters and quotes": lambda text: rewritten(text, header=str.upper).encode(),
    "spaces around all": lambda text: rewritten(text, header=" {} ".format, cell="  {} ".format).encode(),
    "columns the other way round": lambda text: rewritten(text, step=-1).encode(),
    "decimal commas": lambda text: rewritten(text, cell=with_decimal_comma).encode("cp1252"),
    "days and times of a workbook": lambda text: workbook(text, day_and_time),
    "empty rows between": lambda text: text.replace(
        "\n", "\n\n" + "," * text.partition("\n")[0].count(",") + "\n"
    ).encode(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", first_of(SHAPES), ids=NAMES)
def test_the_same_file_written_otherwise_has_the_same_cents(cashback: Cashback, shape: Shape, way: str) -> None:
    Path("shop.csv").write_bytes(WAYS[way](shape.text))
    answer = cashback("import", "shop.csv", "--json")
    assert answer.code == (3 if shape.bad else 0), answer.err
    assert imported() == shape.purchases
    assert spent() == kept(shape)


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_a_dry_run_says_the_same_and_changes_nothing(cashback: Cashback, shape: Shape) -> None:
    dry = import_text(cashback, shape.text, "--dry-run")
    assert imported() == {}
    assert dry.json == import_text(cashback, shape.text).json
    assert imported() == shape.purchases


def test_the_summary_names_the_largest_and_what_was_not_looked_at(cashback: Cashback) -> None:
    Path("shop.csv").write_text(STRIPE.text)
    out = cashback("import", "shop.csv", "--dry-run").out
    assert "Read as Stripe payments: 3 orders of 2 members, $1,260.00 in all." in out
    assert "Excluded: 1 row, $70.00: a test payment." in out
    assert f"Largest: $1,200.00 (order ch_1 by {ONE})" in out
    assert "Not looked at: column 'converted amount', column 'converted currency', column 'fee'." in out
    assert "This was a dry run: nothing was imported." in out
    assert "Refunded: 2 orders, $30.00; that takes back $0.15." in out


def test_the_total_counts_if_the_admin_says_so(cashback: Cashback) -> None:
    assert import_text(cashback, SHOPIFY.text, "--amount", "total").code == 0
    assert imported()["1001"] == (ONE, 11_300, 0)


def test_a_later_export_takes_back_what_was_refunded_or_cancelled_since(cashback: Cashback) -> None:
    before = SHOPIFY.text.replace(f"discord_id: {TWO},,Cards,15.00", f"discord_id: {TWO},,Cards,0.00")
    before = before.replace(",2026-02-05 10:00:00 +0000,Cards,60.00", ",,Cards,0.00").replace(",refunded,", ",paid,")
    assert import_text(cashback, before).code == 0
    assert imported()["1002"] == (TWO, 4_000, 0)
    assert imported()["1006"] == (ONE, 6_000, 0)
    assert import_text(cashback, SHOPIFY.text).code == 0
    assert imported()["1002"] == (TWO, 4_000, 1_500)
    assert imported()["1006"] == (ONE, 6_000, 6_000)


def test_the_same_order_twice_is_a_bad_row_or_summed(cashback: Cashback) -> None:
    again = STRIPE.text + STRIPE.text.splitlines()[2] + "\n"
    answer = import_text(cashback, again)
    assert (answer.code, answer.json["bad"]) == (3, 1)
    assert "order ch_2 is in the file twice" in answer.json["errors"][0]["reason"]
    assert imported() == STRIPE.purchases


def test_a_column_that_looks_as_if_it_mattered_refuses_a_known_file(cashback: Cashback) -> None:
    header, _, body = STRIPE.text.partition("\n")
    wider = f"{header},Sandbox\n" + "".join(f"{line},yes\n" for line in body.splitlines())
    answer = import_text(cashback, wider)
    assert (answer.code, imported()) == (1, {})
    assert '--ignore-column "sandbox"' in answer.error
    assert import_text(cashback, wider, "--ignore-column", "Sandbox").code == 0


def test_members_of_patreon_are_refused_by_name(cashback: Cashback) -> None:
    text = (
        "Name,Email,Discord,Patron Status,Follows You,Lifetime Amount,Pledge Amount\nX,a@b.example,x#1,Active,No,9,3\n"
    )
    answer = import_text(cashback, text)
    assert answer.code == 1
    assert "Patreon members" in answer.error


def test_days_that_can_be_read_two_ways_are_asked_about(cashback: Cashback) -> None:
    text = next(shape.text for shape in SHAPES if shape.name == "PayPal activity")
    doubtful = text.replace("13/02/", "03/02/").replace("14/02/", "04/02/")
    answer = import_text(cashback, doubtful)
    assert (answer.code, imported()) == (1, {})
    assert "--day-order dmy or --day-order mdy" in answer.error
    assert import_text(cashback, doubtful, "--day-order", "dmy").code == 0
    query = "SELECT purchased_at FROM cashback_referral_purchases"
    assert rows(LEDGER, query) == [("2026-02-03 18:00:00.000000",)]


WHOLE = [shape for shape in SHAPES if shape is not GUMROAD]


def test_summary_names_the_columns_that_decide_and_are_missing(cashback: Cashback) -> None:
    rows_of = [*csv.reader(io.StringIO(STRIPE.text))]
    place = rows_of[0].index("Mode")
    lines = [",".join(f'"{cell}"' for n, cell in enumerate(row) if n != place) for row in rows_of]
    facts = import_text(cashback, "\n".join(lines)).json["purchases"]
    assert "column 'mode', which the file lacks" in facts["not_looked_at"]


@pytest.mark.parametrize("shape", WHOLE, ids=lambda shape: shape.name)
def test_known_file_without_decimals_is_asked_about(cashback: Cashback, shape: Shape) -> None:
    whole = re.sub(r"([0-9])\.[0-9]{1,2}(?![0-9])", r"\1", re.sub(r"([;\"]1),([0-9]{3})", r"\1\2", shape.text))
    answer = import_text(cashback, whole)
    assert (answer.code, imported()) == (1, {})
    assert "--amounts dollars or --amounts cents" in answer.error
    assert import_text(cashback, whole, "--amounts", "dollars").code == (3 if shape.bad else 0)
    in_dollars = {order: cents // 100 * 100 for order, (_, cents, _) in shape.purchases.items()}
    assert {order: cents for order, (_, cents, _) in imported().items()} == in_dollars


IN_EURO = {
    "Shopify orders": {"1004": 8_000},
    "Stripe payments": {"ch_5": 8_000},
    "Etsy orders": {},
    "Etsy order items": {},
    "PayPal activity": {"P4": 7_000},
    "Ko-fi transactions": {},
    "WooCommerce analytics": {"703": 3_000},
}


@pytest.mark.parametrize("shape", WHOLE, ids=lambda shape: shape.name)
def test_ledger_in_euro_counts_the_rows_in_euro_alone(cashback: Cashback, shape: Shape) -> None:
    """The ledger of the test is in dollars: it cannot be another currency's any more."""
    LEDGER.unlink()
    Path("config.json").write_text('{"currency": "EUR"}')
    assert cashback("import", "--referrals", "r.csv", "--referred-at", "always").code == 0
    answer = import_text(cashback, shape.text)
    assert answer.code in {0, 3}, answer.err
    assert {order: cents for order, (_, cents, _) in imported().items()} == IN_EURO[shape.name]


def test_file_whose_shop_always_writes_dollars_is_refused_by_a_ledger_in_euro(cashback: Cashback) -> None:
    LEDGER.unlink()
    Path("config.json").write_text('{"currency": "EUR"}')
    assert cashback("import", "--referrals", "r.csv", "--referred-at", "always").code == 0
    answer = import_text(cashback, GUMROAD.text)
    assert (answer.code, imported()) == (1, {})
    assert "amounts are in USD" in answer.error


TESTS = [
    *(
        (SHOPIFY, "Bogus Gateway", each)
        for each in ("(for testing) Bogus Gateway", "Bogus Gateway + Gift Card", "bogus")
    ),
    *((STRIPE, ",Test,", f",{each},") for each in ("test", "Test mode", " TEST ")),
]


@pytest.mark.parametrize(("shape", "written", "other"), TESTS, ids=lambda value: getattr(value, "name", value))
def test_test_orders_are_excluded_however_the_shop_names_them(
    cashback: Cashback, shape: Shape, written: str, other: str
) -> None:
    assert import_text(cashback, shape.text.replace(written, other)).json["purchases"]["excluded"].keys() == {
        *shape.excluded
    }
    assert imported() == shape.purchases


LATER = {"Etsy orders": ("Paid", "Canceled", "3001"), "WooCommerce analytics": ("Completed", "Cancelled", "701")}


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.name in LATER], ids=lambda shape: shape.name)
def test_order_that_is_cancelled_after_its_import_is_taken_back(cashback: Cashback, shape: Shape) -> None:
    paid, cancelled, order_id = LATER[shape.name]
    assert import_text(cashback, shape.text).code == 0
    assert import_text(cashback, shape.text.replace(paid, cancelled, 1)).code == 0
    buyer, cents, refunded = imported()[order_id]
    assert (buyer, refunded) == (ONE, cents)
    assert cashback("verify").code == 0


def test_order_that_failed_and_was_paid_in_a_second_try_counts(cashback: Cashback) -> None:
    assert import_text(cashback, WOOCOMMERCE.text.replace("Completed", "Failed", 1)).code == 0
    assert "701" not in imported()
    assert import_text(cashback, WOOCOMMERCE.text).code == 0
    assert imported()["701"] == WOOCOMMERCE.purchases["701"]
