"""`cashback import`: good rows count once, bad rows are reported, and an unreadable file changes nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from cli import import_run
from tests.cli.conftest import Answer, Cashback
from tests.conftest import rows

LEDGER = Path("cashback.db")
REFERRALS = "referrer_id,referred_id\n@100,@200\n@100,@201\n@101,@202\n"
PURCHASES = "order_id,buyer_id,amount\nA-1,@200,10.00\nA-2,@201,20.5\nA-3,@999,30\n"
KEYS = ["read", "imported", "known", "nobody_earns", "bad", "earned_cents", "errors"]


MEMBER = 10**17
"""In the files below @200 is the member 200: ids that small are no account's."""


def real(text: str) -> str:
    """Write the members' ids as Discord's."""
    return re.sub(r"@(\d{1,3})\b", lambda found: str(MEMBER + int(found[1])), text)


def write(path: Path, text: str) -> None:
    """Write a file with real ids."""
    path.write_text(real(text))


def counts(answer: Answer) -> tuple[int, ...]:
    return tuple(answer.json[key] for key in KEYS[:-1])


def everything(path: Path = LEDGER) -> list[list[tuple[object, ...]]]:
    tables = ("users", "referrals", "cashback_referral_purchases", "wallet_transactions", "cashback_audit_log")
    return [rows(path, f"SELECT * FROM {table} ORDER BY 1") for table in tables]


@pytest.fixture(autouse=True)
def new(folder: Path, new_ledger: Path) -> None:
    """Start with a new ledger: creating one is tested elsewhere, and takes as long as an import."""
    shutil.copyfile(new_ledger, folder / LEDGER)


@pytest.fixture
def files(folder: Path) -> tuple[Path, Path]:
    """Write a good file of each kind."""
    write(folder / "purchases.csv", PURCHASES)
    write(folder / "referrals.csv", REFERRALS)
    return Path("purchases.csv"), Path("referrals.csv")


@pytest.mark.parametrize("strict", [[], ["--strict"]])
def test_referrals_are_imported_first_and_a_second_import_changes_nothing(
    cashback: Cashback, files: tuple[Path, Path], strict: list[str]
) -> None:
    purchases, referrals = files
    answer = cashback("import", purchases, "--referrals", referrals, "--json", *strict)
    assert answer.code == 0
    assert counts(answer) == (6, 6, 0, 1, 0, 15)
    assert list(answer.json) == [*KEYS, "referrals", "purchases"]
    assert answer.json["purchases"]["imported"] == 3
    before = everything()
    again = cashback("import", purchases, "--referrals", referrals, "--json", *strict)
    assert again.code == 0
    assert counts(again) == (6, 0, 6, 0, 0, 0)
    assert everything() == before
    assert cashback("pending", "--json").json["total_cents"] == 15
    text = cashback("import", purchases, "--referrals", referrals).out
    assert "Purchases: 3 rows read, 0 imported, 3 known already, 0 bad." in text
    assert cashback("verify").code == 0


def test_referral_loops_are_bad_rows(cashback: Cashback, folder: Path) -> None:
    write(folder / "referrals.csv", "referrer_id,referred_id\n@1,@2\n@2,@3\n@3,@1\n@3,@4\n")
    answer = cashback("import", "--referrals", "referrals.csv", "--json")
    assert (answer.code, answer.json["imported"], answer.json["bad"]) == (3, 3, 1)
    [error] = answer.json["errors"]
    assert error["line"] == 4
    assert error["reason"] == real(
        "@3 referred @1: Member @3 was referred by Member @1, directly or through others; a referral loop is refused"
    )
    assert rows(LEDGER, "SELECT referred_user_id FROM referrals ORDER BY 1") == [(MEMBER + n,) for n in (2, 3, 4)]


def test_csv_of_spreadsheet_programs_is_read(cashback: Cashback, folder: Path) -> None:
    text = (
        "\ufeffNote, Amount ,ORDER_ID,buyer_id,purchased_at\r\n\r\n"
        '"a ""quoted"", note",1.10,"A,1",@200,2025-01-31\r\n'
        "\r\n"
        "x, 2.2 , A-2 , @200 ,2025-01-31T15:00:00\r\n"
        "x,3,Ä-3,@200,2025-01-31T15:00:00+02:00\r\n"
        "x,0,A-4,@200,\r\n"
        '"over\r\ntwo lines",5,A-5,@200,2025-01-31T15:00:00.5Z'
    )
    (folder / "p.csv").write_bytes(real(text).encode())
    assert counts(cashback("import", "p.csv", "--json")) == (5, 5, 0, 5, 0, 0)
    query = "SELECT order_id, amount_cents, purchased_at FROM cashback_referral_purchases ORDER BY amount_cents"
    found = rows(LEDGER, query)
    assert found[1:] == [
        ("A,1", 110, "2025-01-31 00:00:00.000000"),
        ("A-2", 220, "2025-01-31 15:00:00.000000"),
        ("Ä-3", 300, "2025-01-31 13:00:00.000000"),
        ("A-5", 500, "2025-01-31 15:00:00.500000"),
    ]
    assert found[0][:2] == ("A-4", 0)


BAD_PURCHASES = [
    ("A,@200,12.345", "amount '12.345' is not an amount in dollars"),
    ("A,@200,-5", "amount '-5'"),
    ("A,@200,+5", "amount '+5'"),
    ("A,@200,1e9", "amount '1e9'"),
    ("A,@200,NaN", "amount 'NaN'"),
    ("A,@200,", "amount ''"),
    ("A,@200,$5", "amount '$5'"),
    ("A,@200,.5", "amount '.5'"),
    ("A,@200,5.", "amount '5.'"),
    ("A,@200,٣", "amount '٣'"),
    ("A,@200,10000000000.01", "at most 10,000,000,000.00"),
    ("A,@200," + "9" * 5_000, "amount '999"),
    ('A,@200,"1,5"', "amount '1,5'"),
    ("A,@200,1,234.56", "the row has 4 cells, the header names 3 columns"),
    ("A,@200", "the row has 2 cells"),
    ("A,0,5", "buyer_id '0' is not a Discord id"),
    ("A,-1,5", "buyer_id '-1'"),
    ("A,9223372036854775808,5", "buyer_id '9223372036854775808'"),
    ("A,1.5,5", "buyer_id '1.5'"),
    ("A,９,5", "buyer_id"),
    (",@200,5", "order_id '' is not a shop's id"),
    ("  ,@200,5", "order_id"),
    ("x" * 201 + ",@200,5", "order_id"),
    ("a\x07b,@200,5", "order_id"),
    ('"a"b,@200,5', "the row is not valid CSV"),
    ("x" * 200_000 + ",@200,5", "the row is not valid CSV"),
    ("KNOWN,@200,6", "order KNOWN is known with another buyer or amount"),
    ("KNOWN,@201,5", "order KNOWN is known with another buyer or amount"),
]


@pytest.mark.parametrize(("row", "reason"), BAD_PURCHASES)
def test_bad_purchase_is_reported_and_the_others_count(cashback: Cashback, folder: Path, row: str, reason: str) -> None:
    write(folder / "p.csv", f"order_id,buyer_id,amount\nKNOWN,@200,5.00\n\n{row}\nGOOD,@200,5\n")
    answer = cashback("import", "p.csv", "--json")
    assert answer.code == 3
    assert counts(answer) == (3, 2, 0, 2, 1, 0)
    [error] = answer.json["errors"]
    assert error["line"] == 4
    assert reason in error["reason"]
    assert answer.err.startswith("p.csv line 4: ")
    assert len(answer.err.splitlines()) == 1
    assert len(answer.err) < 250


@pytest.mark.parametrize("moment", ["yesterday", "2025-13-01", "0001-01-01T00:00:00+14:00", "31.01.2025"])
def test_invalid_moment_is_a_bad_row(cashback: Cashback, folder: Path, moment: str) -> None:
    write(folder / "p.csv", f"order_id,buyer_id,amount,purchased_at\nA,@200,5.00,{moment}\n")
    answer = cashback("import", "p.csv", "--json")
    assert answer.code == 3
    assert moment in answer.json["errors"][0]["reason"]


def test_unclosed_quote_is_one_bad_row(cashback: Cashback, folder: Path) -> None:
    write(folder / "p.csv", 'order_id,buyer_id,amount\nA,@200,5.00\n"B,@200,5\nC,@200,5\n')
    answer = cashback("import", "p.csv", "--json")
    assert answer.code == 3
    assert counts(answer)[:5] == (2, 1, 0, 1, 1)
    assert answer.json["errors"][0]["line"] == 3


def test_bad_referrals_are_reported(cashback: Cashback, folder: Path) -> None:
    write(folder / "r.csv", "referrer_id,referred_id\n@100,@200\n@100,@200\n@101,@200\n@5,@5\n@7,x\n@8,@208\n")
    answer = cashback("import", "--referrals", "r.csv", "--json")
    assert answer.code == 3
    assert counts(answer) == (6, 2, 1, 0, 3, 0)
    assert [(error["file"], error["line"]) for error in answer.json["errors"]] == [
        ("referrals", 4),
        ("referrals", 5),
        ("referrals", 6),
    ]
    reasons = [error["reason"] for error in answer.json["errors"]]
    assert reasons[0] == real("@101 referred @200: This user has already been referred by someone (@100)")
    assert reasons[1] == real("@5 referred @5: Users cannot refer themselves")


def test_strict_imports_all_or_nothing(
    cashback: Cashback, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    purchases, referrals = files
    monkeypatch.setattr(import_run, "CHUNK_ROWS", 1)
    cashback("migrate")
    before = everything()
    write(purchases, PURCHASES + "A-4,@200,oops\nA-1,@200,10.01\n")
    answer = cashback("import", purchases, "--referrals", referrals, "--strict", "--json")
    assert answer.code == 1
    assert counts(answer) == (8, 0, 0, 0, 2, 0)
    assert [error["line"] for error in answer.json["errors"]] == [5, 6]
    assert answer.err.splitlines()[-1] == "error: nothing was imported: --strict, and 2 rows are bad"
    assert everything() == before
    assert cashback("import", purchases, "--referrals", referrals).code == 3


def test_first_hundred_bad_rows_are_listed_and_all_counted(cashback: Cashback, folder: Path) -> None:
    write(folder / "p.csv", "order_id,buyer_id,amount\n" + "A,@200,x\n" * 6_000)
    answer = cashback("import", "p.csv", "--json")
    assert answer.code == 3
    assert (answer.json["bad"], len(answer.json["errors"])) == (6_000, 100)
    assert len(answer.err.splitlines()) == 101
    assert answer.err.splitlines()[-1] == "p.csv: and 5,900 more bad rows"


def test_chunks_do_not_change_what_is_earned(cashback: Cashback, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "r.csv", REFERRALS)
    lines = "".join(f"A-{n},@{200 + n % 3},1.99\n" for n in range(1_000))
    write(folder / "p.csv", "order_id,buyer_id,amount\n" + lines)
    monkeypatch.setattr(import_run, "CHUNK_ROWS", 7)
    small = cashback("--database", "small.db", "import", "p.csv", "--referrals", "r.csv", "--json")
    monkeypatch.setattr(import_run, "CHUNK_ROWS", 20_000)
    large = cashback("--database", "large.db", "import", "p.csv", "--referrals", "r.csv", "--json")
    assert small.json == large.json
    assert [cents for (cents,) in rows(Path("small.db"), "SELECT cashback_earned_cents FROM referrals")] == [
        334 * 199 * 5 // 1_000,
        333 * 199 * 5 // 1_000,
        333 * 199 * 5 // 1_000,
    ]


BAD_FILES = {
    "missing.csv": (None, "does not exist"),
    "empty.csv": (b"", "is empty"),
    "blank.csv": (b"\n\n", "is empty"),
    "columns.csv": (b"order_id,buyer\nA,1\n", "lacks the column buyer_id"),
    "bars.csv": (b"order_id|buyer_id|amount\nA|1|5\n", "lacks the column order_id"),
    "twice.csv": (b"order_id,buyer_id,amount,amount\nA,1,5,6\n", "names the column amount twice"),
    "header.csv": (b'"order_id"x,buyer_id,amount\n', "the header is not valid CSV"),
    "mixed.csv": ("order_id,buyer_id,amount\nMü,1,5\n".encode() + b"M\xfc,1,5\n", "is not UTF-8 text"),
    "undefined.csv": (b"order_id,buyer_id,amount\nM\xfc\x81,1,5\n", "is not UTF-8 text"),
    "cut.csv": (b"order_id,buyer_id,amount\nA,1,5\nM\xc3", "is not UTF-8 text"),
    "old.xls": (b"\xd0\xcf\x11\xe0" + bytes(600), "save it as XLSX or CSV"),
    "archive.zip": (b"PK\x03\x04" + bytes(600), "is not an XLSX workbook"),
    "whole.csv": (b"order_id,buyer_id,amount\nA,1,500\nB,1,600\n", "--amounts dollars or --amounts cents"),
    "doubtful.csv": (b'order_id,buyer_id,amount\nA,1,"1,234"\n', "--decimal point or --decimal comma"),
    "currency.csv": (b"order_id,buyer_id,amount,currency\nA,1,5.00,USD\n", "--currency USD"),
    "status.csv": (b"order_id,buyer_id,amount,Financial Status\nA,1,5.00,paid\n", "--only-status paid"),
    "test.csv": (b"order_id,buyer_id,amount,isTest\nA,1,5.00,paid\n", '--ignore-column "istest"'),
    "quantity.csv": (b"order_id,buyer_id,amount,qty\nA,1,5.00,2\n", '--ignore-column "qty"'),
    "cancelled.csv": (b"order_id,buyer_id,amount,cancelled_at\nA,1,5.00,\n", '--ignore-column "cancelled_at"'),
    "nul.csv": (b"order_id,buyer_id,amount\nA,1,5\nB,1,\x005\n", "line 3 holds a NUL byte"),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("strict", [[], ["--strict"]])
def test_unreadable_file_changes_nothing(
    cashback: Cashback, files: tuple[Path, Path], name: str, strict: list[str]
) -> None:
    content, reason = BAD_FILES[name]
    if content is not None:
        Path(name).write_bytes(content)
    cashback("migrate")
    before = everything()
    answer = cashback("import", name, "--referrals", files[1], *strict)
    assert (answer.code, answer.out) == (1, "")
    assert name in answer.error
    assert reason in answer.error
    assert everything() == before


def test_folder_or_no_file_is_refused(cashback: Cashback, folder: Path) -> None:
    (folder / "sub").mkdir()
    answer = cashback("import", "sub")
    assert (answer.code, "is a folder" in answer.error) == (1, True)
    answer = cashback("import")
    assert (answer.code, "nothing to import" in answer.error) == (2, True)
