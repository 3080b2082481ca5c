"""`cashback export`: files for bookkeeping, with the numbers of the ledger."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

import openpyxl

from tests.cli.conftest import Cashback
from tests.conftest import drop_guards, raw, rows


def read(path: Path) -> list[dict[str, str]]:
    """Read a CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_batch_export_writes_a_file_of_totals_too(seeded: Cashback, folder: Path) -> None:
    batch_id = seeded("pay", "--yes", "--json").json["batch_id"]
    answer = seeded("export", batch_id, "--json").json
    payouts = read(folder / f"{batch_id}.csv")
    paid = rows(folder / "cashback.db", "SELECT referrer_id, paid_cents FROM cashback_payouts ORDER BY referrer_id")
    assert [(int(row["referrer_id"]), int(row["paid_cents"])) for row in payouts] == paid
    transactions = rows(folder / "cashback.db", "SELECT id FROM wallet_transactions ORDER BY user_discord_id")
    assert [(int(row["transaction_id"]),) for row in payouts] == transactions
    assert {(row["batch_id"], row["state"], row["dm_state"]) for row in payouts} == {(batch_id, "credited", "queued")}
    [totals] = read(folder / f"{batch_id}-totals.csv")
    assert (totals["payouts"], totals["paid_cents"]) == ("15", "12750")
    assert (answer["payouts"], answer["paid_cents"], answer["failed"]) == (15, 12_750, 0)


def test_export_of_days_puts_totals_in_the_same_file_if_asked(seeded: Cashback, folder: Path) -> None:
    seeded("pay", "--yes")
    assert seeded("export", "--from", "2020-01-01", "--output", "all.csv", "--totals").code == 0
    *payouts, totals = read(folder / "all.csv")
    assert (len(payouts), totals["batch_id"], totals["paid_dollars"]) == (15, "TOTAL", "127.50")
    assert seeded("export", "--to", "2020-01-01", "--output", "none.csv").code == 0
    assert read(folder / "none.csv") == []


def test_reason_is_never_exported_as_a_formula(seeded: Cashback, folder: Path) -> None:
    with raw(folder / "cashback.db") as ledger:
        ledger.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON wallet_transactions BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    assert seeded("pay", "--yes").code == 3
    drop_guards(folder / "cashback.db")
    with raw(folder / "cashback.db") as ledger:
        ledger.execute("UPDATE cashback_payouts SET reason = '=1+1'")
    seeded("export", 1)
    assert {row["reason"] for row in read(folder / "1.csv")} == {"'=1+1"}


def test_spreadsheet_keeps_every_digit_of_an_id(seeded: Cashback, folder: Path) -> None:
    seeded("pay", "--yes")
    assert seeded("export", 1, "--format", "xlsx", "--output", "one.xlsx").code == 0
    sheet = openpyxl.load_workbook(folder / "one.xlsx").active
    assert sheet is not None
    head, first, *_ = sheet.iter_rows(values_only=True)
    shown = dict(zip(head, first, strict=True))
    [(referrer_id, cents)] = rows(
        folder / "cashback.db", "SELECT referrer_id, paid_cents FROM cashback_payouts ORDER BY referrer_id LIMIT 1"
    )
    assert (shown["referrer_id"], shown["paid_cents"]) == (str(referrer_id), cents)


def test_spreadsheet_has_amounts_and_moments_as_such(seeded: Cashback, folder: Path) -> None:
    seeded("pay", "--yes")
    assert seeded("export", 1, "--format", "xlsx", "--output", "one.xlsx", "--totals").code == 0
    sheet = openpyxl.load_workbook(folder / "one.xlsx").active
    assert sheet is not None
    head, *listed, totals = sheet.iter_rows()
    columns = [cell.value for cell in head]
    for name in ("approved_dollars", "paid_dollars", "reversed_dollars", "net_dollars"):
        cells = [row[columns.index(name)] for row in (*listed, totals)]
        assert {cell.data_type for cell in cells} == {"n"}
        assert {cell.number_format for cell in cells} == {"0.00"}
        assert round(sum(cell.value for cell in cells[:-1]), 2) == cells[-1].value
    assert totals[columns.index("net_dollars")].value == 127.5
    assert {type(row[columns.index("settled_at")].value) for row in listed} == {datetime}
    assert {row[columns.index("referrer_id")].data_type for row in listed} == {"s"}


def test_export_without_a_valid_choice_is_refused(seeded: Cashback) -> None:
    assert seeded("export").code == 2
    assert seeded("export", 1, "--from", "2026-01-01").code == 2
    assert seeded("export", 1, "--output", "one.txt").code == 2
    assert "There is no batch" in seeded("export", 7).error
    assert "is not a date" in seeded("export", "--from", "yesterday").error
