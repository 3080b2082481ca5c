"""Files that nobody expected: nothing counts in another currency, twice, or by mistake; a refusal says what to do."""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
from pathlib import Path

import openpyxl
import pytest

from tests.cli.conftest import Cashback
from tests.cli.shop_files import ONE, PAYPAL, REFERRER, SHOPIFY, STRIPE, TWO, WOOCOMMERCE, Shape
from tests.conftest import rows

LEDGER = Path("cashback.db")
HEADER = "order_id,buyer_id,amount"
ORDERS = "SELECT order_id, amount_cents FROM cashback_referral_purchases ORDER BY order_id"
WAITING = "SELECT order_id FROM cashback_unmatched_purchases ORDER BY order_id"


@pytest.fixture(autouse=True)
def new(folder: Path, new_ledger: Path, cashback: Cashback) -> None:
    """Start with a ledger in which two members were referred."""
    shutil.copyfile(new_ledger, folder / LEDGER)
    (folder / "r.csv").write_text(f"referrer_id,referred_id\n{REFERRER},{ONE}\n{REFERRER},{TWO}\n")
    assert cashback("import", "--referrals", "r.csv", "--referred-at", "always").code == 0


COLUMNS = {
    **dict.fromkeys(
        ("Währung", "Moneda", "Devise", "valuta", "ccy", "W\u0061\u0308hrung", "валюта", "通貨"), "--currency USD"
    ),
    **dict.fromkeys(("Estado", "statut", "Bestellstatus", "stato", "статус"), "--only-status paid"),
    **dict.fromkeys(("Remboursé", "reembolsado", "Erstattet", "Storniert am", "annulée", "Menge"), "--ignore-column"),
    **dict.fromkeys(("is_valid", "success", "charged_back", "result"), "--ignore-column"),
}


@pytest.mark.parametrize("column", COLUMNS)
def test_column_that_matters_in_another_language_refuses_the_file(cashback: Cashback, column: str) -> None:
    Path("p.csv").write_text(f"{HEADER},{column}\n1,{ONE},10.00,EUR\n", encoding="utf-8")
    answer = cashback("import", "p.csv")
    assert (answer.code, rows(LEDGER, ORDERS)) == (1, [])
    assert "looks as if it mattered" in answer.error
    assert COLUMNS[column] in answer.error


@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "cp437"])
def test_currency_column_is_found_in_old_encodings(cashback: Cashback, encoding: str) -> None:
    Path("p.csv").write_bytes(f"{HEADER},Währung\n1,{ONE},10.00,EUR\n".encode(encoding))
    assert "--currency USD" in cashback("import", "p.csv").error
    assert cashback("import", "p.csv", "--currency", "USD").code == 0
    assert rows(LEDGER, ORDERS) == []


@pytest.mark.parametrize("column", ["date", "created_at", "Order date", "Datum"])
def test_column_of_dates_under_another_name_refuses_the_file(cashback: Cashback, column: str) -> None:
    Path("p.csv").write_text(f"{HEADER},{column}\n1,{ONE},10.00,2020-02-03\n")
    assert "purchased_at" in cashback("import", "p.csv").error
    assert rows(LEDGER, ORDERS) == []
    assert cashback("import", "p.csv", "--ignore-column", column).code == 0
    Path("q.csv").write_text(f"{HEADER},purchased_at,{column}\n2,{ONE},10.00,2020-02-03,x\n")
    assert cashback("import", "q.csv").code == 0
    assert rows(LEDGER, ORDERS) == [("1", 1_000), ("2", 1_000)]


def test_row_of_totals_waits_for_nobody(cashback: Cashback) -> None:
    totals = ("Total", "Grand total:", "SUMME", "Gesamtsumme", "итого")
    Path("p.csv").write_text(f"{HEADER}\n1,{ONE},10.00\nx9,,5.00\n" + "".join(f"{each},,15.00\n" for each in totals))
    answer = cashback("import", "p.csv", "--json")
    assert (answer.code, answer.json["bad"]) == (3, len(totals))
    assert rows(LEDGER, WAITING) == [("x9",)]
    assert "row of totals" in answer.json["errors"][0]["reason"]


@pytest.mark.parametrize("end", [",,\n", "\n , , \n,,\n", ",,,,\n,\n"])
def test_empty_rows_at_the_end_are_no_bad_rows(cashback: Cashback, end: str) -> None:
    Path("p.csv").write_text(f"{HEADER}\n1,{ONE},10.00\n{end}")
    assert cashback("import", "p.csv").code == 0
    Path("s.csv").write_text(SHOPIFY.text + "," * SHOPIFY.text.partition("\n")[0].count(",") + "\n")
    assert cashback("import", "s.csv").code == 0


OTHERS = {
    "a web page": b"\xef\xbb\xbf\n<html><table><tr><td>order_id</td></tr></table></html>",
    "JSON": b' [{"order_id": "1"}]',
    "a compressed file": b"Rar!\x1a\x07\x00",
    "an old Excel file": b"\xd0\xcf\x11\xe0" + bytes(100),
    "ODS": b"content.xml",
    "an archive without a workbook": b"orders.csv",
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_kind_of_file_named_csv_is_refused_by_name(cashback: Cashback, what: str) -> None:
    content = OTHERS[what]
    if content in {b"content.xml", b"orders.csv"}:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr(content.decode(), "x")
        content = out.getvalue()
    Path("p.csv").write_bytes(content)
    answer = cashback("import", "p.csv")
    assert (answer.code, what in answer.error) == (1, True), answer.error


def test_endless_line_is_refused_before_it_is_read_into_memory(cashback: Cashback) -> None:
    with Path("p.csv").open("wb") as file:
        file.write(f"{HEADER}\n1,{ONE},10.00\n".encode())
        file.writelines(b"9" * (1 << 20) for _ in range(18))
    answer = cashback("import", "p.csv")
    assert (answer.code, "line 3 has more than 16 MB" in answer.error) == (1, True)
    assert rows(LEDGER, ORDERS) == []


def test_header_with_several_byte_order_marks_is_understood(cashback: Cashback) -> None:
    Path("p.csv").write_bytes(b"\xef\xbb\xbf" * 2 + f"{HEADER}\n1,{ONE},10.00\n".encode())
    assert cashback("import", "p.csv").code == 0


def test_unknown_header_in_quotes_is_not_called_broken(cashback: Cashback) -> None:
    Path("p.csv").write_text('"Datum","Uhrzeit","Brutto"\n"03.02.2026","10:00:00","10,00"\n')
    assert "English column names" in cashback("import", "p.csv").error


def require_shown(cashback: Cashback, shown: str, *, counts: bool) -> None:
    """Import a workbook whose amount is shown in a currency; it counts, or is excluded."""
    book = openpyxl.Workbook()
    book.active.append(HEADER.split(","))
    book.active.append(["1", str(ONE), 10.5])
    book.active["C2"].number_format = shown
    book.save("p.xlsx")
    assert cashback("import", "p.xlsx").code == (0 if counts else 3)
    assert rows(LEDGER, ORDERS) == ([("1", 1_050)] if counts else [])


@pytest.mark.parametrize(
    ("shown", "counts"),
    [
        ("#,##0.00 [$€-407]", False),
        ('#,##0.00\\ "€"', False),
        ("£#,##0.00", False),
        ('#,##0.00 "CHF"', False),
        ('"R$" #,##0.00', False),
        ('#,##0.00 "Kč"', False),
        ('#,##0.00 "Fr."', False),
        ("[$CA$-1009]#,##0.00", False),
        ('"$"#,##0.00', True),
        ("[$$-409]#,##0.00", True),
        ("[$USD] #,##0.00", True),
        ("#,##0.00", True),
    ],
)
def test_currency_that_a_workbook_only_shows_is_read(cashback: Cashback, shown: str, counts: bool) -> None:
    require_shown(cashback, shown, counts=counts)


@pytest.mark.parametrize("shape", [PAYPAL, WOOCOMMERCE], ids=lambda shape: shape.name)
def test_refund_that_is_in_the_file_twice_is_a_bad_row(cashback: Cashback, shape: object) -> None:
    text = PAYPAL.text if shape is PAYPAL else WOOCOMMERCE.text
    again = next(line for line in text.splitlines() if ",-" in line)
    Path("p.csv").write_text(f"{text}{again}\n")
    answer = cashback("import", "p.csv", "--json")
    assert (answer.code, answer.json["bad"]) == (3, 1)
    assert "is in the file twice" in answer.json["errors"][0]["reason"]


def test_note_with_several_ids_is_a_bad_row(cashback: Cashback) -> None:
    Path("p.csv").write_text(SHOPIFY.text.replace(f"discord_id: {TWO},", f"discord_id: {TWO} discord_id: {ONE},"))
    answer = cashback("import", "p.csv", "--json")
    assert (answer.code, answer.json["bad"]) == (3, 1)
    assert "several Discord ids" in answer.json["errors"][0]["reason"]


@pytest.mark.parametrize(
    "written", ['=""1001""', "'1001", "'#1001", " 1001", "#1001 ", "\u00a01001", '""1001""', "“1001”", "‘1001’"]
)
def test_order_id_that_a_spreadsheet_guards_is_the_same_order(cashback: Cashback, written: str) -> None:
    Path("p.csv").write_text(f"{HEADER}\n1001,{ONE},10.00\n")
    Path("q.csv").write_text(f'{HEADER}\n"{written}",{ONE},10.00\n', encoding="utf-8")
    assert cashback("import", "p.csv").code == 0
    assert cashback("import", "q.csv").code == 0
    assert rows(LEDGER, ORDERS) == [("1001", 1_000)]


@pytest.mark.parametrize("written", ["1.00123E+11", "1,00123E+11", "1001.0", "1001.00", "1,001", "\u200b1001"])
def test_order_id_that_a_program_wrote_as_a_number_is_a_bad_row(cashback: Cashback, written: str) -> None:
    Path("p.csv").write_text(f'{HEADER}\n"{written}",{ONE},10.00\n', encoding="utf-8")
    header, first, *_ = STRIPE.text.splitlines()
    Path("s.csv").write_text(f"{header}\n{first.replace('ch_1', chr(34) + written + chr(34))}\n", encoding="utf-8")
    for name in ("p.csv", "s.csv"):
        answer = cashback("import", name, "--json")
        assert (answer.code, answer.json["bad"]) == (3, 1)
        assert rows(LEDGER, ORDERS) == []


@pytest.mark.parametrize("written", [f'=""{ONE}""', f"'{ONE}", f"“{ONE}”"])
def test_discord_id_that_a_spreadsheet_guards_is_read(cashback: Cashback, written: str) -> None:
    Path("p.csv").write_text(f'{HEADER}\n1,"{written}",10.00\n', encoding="utf-8")
    Path("s.csv").write_text(STRIPE.text.replace(str(ONE), f'"{written}"'), encoding="utf-8")
    assert cashback("import", "p.csv").code == 0
    assert cashback("import", "s.csv").code == 0
    assert dict(rows(LEDGER, ORDERS)) == {"1": 1_000, "ch_1": 120_000, "ch_2": 5_000, "ch_7": 1_000}


@pytest.mark.parametrize("column", ["Amount", "Currency", "id", "Status", "discord_id (metadata)", "Amount Refunded"])
@pytest.mark.parametrize("is_first", [True, False])
def test_known_file_with_a_column_twice_is_refused(cashback: Cashback, column: str, is_first: bool) -> None:
    header, *lines = STRIPE.text.splitlines()
    both = [f"{column},{header}" if is_first else f"{header},{column}"]
    both += [f"1,{line}" if is_first else f"{line},1" for line in lines]
    Path("p.csv").write_text("\n".join(both))
    assert f"names the column {column.lower()} twice" in cashback("import", "p.csv").error
    assert rows(LEDGER, ORDERS) == []


@pytest.mark.parametrize("shape", [STRIPE, WOOCOMMERCE], ids=lambda shape: shape.name)
def test_row_of_a_known_file_without_a_date_is_a_bad_row(cashback: Cashback, shape: Shape) -> None:
    """It would count as made now, so that it earns for a referral that came after it."""
    Path("p.csv").write_text(re.sub(r"2026-02-0[0-9] 10:00:00", "", shape.text))
    answer = cashback("import", "p.csv", "--json")
    assert answer.code == 3
    assert rows(LEDGER, ORDERS) == []
    assert "the row has no date" in answer.json["errors"][0]["reason"]


@pytest.mark.parametrize("options", [["--currency", "EUR"], ["--currency", "eur", "--ignore-column", "currency"]])
def test_other_money_does_not_count_because_an_admin_names_it(cashback: Cashback, options: list[str]) -> None:
    Path("p.csv").write_text(f"{HEADER},currency\n1,{ONE},10.00,EUR\n")
    assert "other money cannot count" in cashback("import", "p.csv", *options).error
    assert rows(LEDGER, ORDERS) == []


@pytest.mark.parametrize("refunded", ["€20.00", "20.00 EUR", "CA$20.00"])
def test_refund_that_shows_other_money_than_its_order_is_a_bad_row(cashback: Cashback, refunded: str) -> None:
    Path("p.csv").write_text(STRIPE.text.replace(",20.00,usd", f",{refunded},usd"), encoding="utf-8")
    answer = cashback("import", "p.csv", "--json")
    assert (answer.code, answer.json["bad"]) == (3, 1)
    assert "not USD" in answer.json["errors"][0]["reason"]
    assert rows(LEDGER, ORDERS) == [("ch_1", 120_000), ("ch_7", 1_000)]


def test_empty_rows_are_not_read_and_lines_of_an_order_are_counted(cashback: Cashback) -> None:
    Path("p.csv").write_text(f"{HEADER},status\n1,{ONE},10.00,paid\n1,{ONE},5.00,paid\n,,,\n2,{ONE},7.00,void\n,,,\n")
    facts = cashback("import", "p.csv", "--only-status", "paid", "--sum-lines", "--json").json["purchases"]
    assert (facts["read"], facts["orders"], facts["other_rows"]) == (3, 1, {"further lines of orders": 1})
    assert facts["excluded"] == {"status 'void'": {"rows": 1, "cents": 0}}


IN_OTHER_LEDGERS = [
    ("EUR", "10,50", 1_050),
    ("JPY", "1200", 1_200),
    ("JPY", "1,200", 1_200),
    ("JPY", "1200.00", 1_200),
    ("JPY", "12.50", None),
    ("HUF", "5 000,00", 5_000),
    ("KWD", "10.5", 10_500),
    ("KWD", "1,234.567", 1_234_567),
]


@pytest.mark.parametrize(("currency", "written", "units"), IN_OTHER_LEDGERS)
def test_amounts_have_the_decimals_of_the_ledgers_currency(
    cashback: Cashback, currency: str, written: str, units: int | None
) -> None:
    LEDGER.unlink()
    Path("config.json").write_text(json.dumps({"currency": currency}))
    Path("p.csv").write_text(f'{HEADER}\n1,{ONE},"{written}"\n')
    assert cashback("import", "p.csv").code == (3 if units is None else 0)
    assert rows(LEDGER, ORDERS) == ([] if units is None else [("1", units)])


@pytest.mark.parametrize(("shown", "counts"), [("[$€-407]#,##0.00", True), ("$#,##0.00", False), ("[$-407]0.00", True)])
def test_workbook_of_a_ledger_in_euro(cashback: Cashback, shown: str, counts: bool) -> None:
    LEDGER.unlink()
    Path("config.json").write_text(json.dumps({"currency": "EUR"}))
    require_shown(cashback, shown, counts=counts)
