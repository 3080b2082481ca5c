"""`wallet` and `withdrawals` on the command line: what an admin sees and decides, and the files of a mass payment."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from cryptography.fernet import Fernet
from openpyxl import load_workbook

from cashback import settings as configuration
from cashback.database import Database
from cashback.domain.errors import CashbackError
from cashback.domain.withdrawals import Withdrawal
from cashback.services import AdminService
from tests.cli.conftest import Cashback
from tests.conftest import rows

BOB, CID, ADMIN = 10**17 + 1, 10**17 + 2, 10**17 + 7
SECRET = "bob@example.org"  # noqa: S105 -- an address
METHODS = {"paypal": "the e-mail address of your account", "gift-card": None}

Ask = Callable[..., Withdrawal]


@pytest.fixture
def shop(cashback: Cashback, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Cashback:
    """Open a shop in which Bob has $5.00 in the wallet and Cid $3.00."""
    configure(folder)
    monkeypatch.setenv("CASHBACK_WITHDRAWAL_KEYS", Fernet.generate_key().decode())
    lines = "".join(f"{referrer},{referrer + 100}\n" for referrer in (BOB, CID))
    (folder / "r.csv").write_text(f"referrer_id,referred_id\n{lines}")
    (folder / "p.csv").write_text(f"order_id,buyer_id,amount\nA,{BOB + 100},1000.00\nB,{CID + 100},600.00\n")
    assert cashback("import", "p.csv", "--referrals", "r.csv").code == 0
    assert cashback("pay", "--yes").code == 0
    return cashback


def configure(folder: Path, threshold: int | None = None, currency: str = "USD", **terms: object) -> None:
    """Write a config.json with withdrawals."""
    content = {
        "currency": currency,
        "withdrawals": {"enabled": True, "methods": METHODS, **terms},
        "referral_settings": {"approval_threshold_cents": threshold},
    }
    (folder / "config.json").write_text(json.dumps(content))


def ask(member: int, cents: int, method: str = "paypal", to: str | None = SECRET) -> Withdrawal:
    """Ask for a withdrawal, as the bot does for a member."""

    async def request() -> Withdrawal:
        settings = configuration.load()
        async with Database("cashback.db") as database:
            return await AdminService(database, settings, lambda _: 0).request_withdrawal(member, cents, method, to)

    return anyio.run(request)


def balance(cashback: Cashback, member: int) -> int:
    """Return a wallet's balance."""
    return int(cashback("wallet", member, "--json").json["balance_cents"])


def test_wallet_shows_the_balance_and_each_transaction_in_words(shop: Cashback) -> None:
    ask(BOB, 200)
    shown = shop("wallet", BOB)
    assert (shown.code, shown.err) == (0, "")
    assert f"Wallet of {BOB}: $3.00" in shown.out
    assert "Requested: $2.00 by paypal (withdrawal 1)" in shown.out
    assert "Withdrawal 1 - paypal" in shown.out
    assert "Cashback of BATCH-" in shown.out
    told = shop("wallet", BOB, "--json").json
    assert (told["user_id"], told["requested_cents"]) == (str(BOB), 200)
    assert [each["amount_cents"] for each in told["transactions"]] == [-200, 500]
    assert SECRET not in shown.out + json.dumps(told)


def test_wallet_is_adjusted_with_a_reason_and_never_below_zero(shop: Cashback) -> None:
    assert "holds $7.50 now" in shop("wallet", "adjust", BOB, "2.50", "--reason", "a gift").out
    assert shop("wallet", "adjust", BOB, "-7.00", "--reason", "an error", "--json").json["balance_cents"] == 50
    refused = shop("wallet", "adjust", BOB, "-0.51", "--reason", "more")
    assert (refused.code, balance(shop, BOB)) == (1, 50)
    assert "holds $0.50, which is less than $0.51" in refused.error
    assert shop("wallet", "adjust", BOB, "1.00").code == 2
    assert shop("wallet", "adjust", BOB, "1.00", "--reason", " ").code == 1
    assert "no wallet" in shop("wallet", "adjust", BOB + 5, "1.00", "--reason", "x").error
    assert shop("verify").code == 0


def test_adjustment_from_the_threshold_on_needs_a_second_admin(shop: Cashback, folder: Path) -> None:
    configure(folder, threshold=100)
    refused = shop("wallet", "adjust", BOB, "1.00", "--reason", "x")
    assert (refused.code, "two admins" in refused.error) == (1, True)
    assert "your own" in shop("wallet", "adjust", BOB, "1.00", "--reason", "x", "--approved-by", BOB).error
    assert shop("wallet", "adjust", BOB, "1.00", "--reason", "x", "--approved-by", ADMIN).code == 0
    assert balance(shop, BOB) == 600


def test_request_is_listed_paid_once_and_stays_on_record(shop: Cashback) -> None:
    ask(BOB, 200)
    listed = shop("withdrawals")
    assert "1 open withdrawal, $2.00." in listed.out
    assert SECRET not in listed.out
    paid = shop("withdrawals", "paid", 1, "--reference", "TX-1", "--json").json
    assert (paid["status"], paid["reference"], paid["decided_by"]) == ("paid", "TX-1", "cli")
    again = shop("withdrawals", "paid", 1, "--reference", "TX-1")
    assert again.error == "Withdrawal 1 is paid already by cli; nothing was done twice."
    assert shop("withdrawals", "decline", 1, "--reason", "late").code == 1
    assert (balance(shop, BOB), shop("withdrawals", "--json").json["open"]) == (300, 0)
    assert shop("withdrawals", "--all", "--json").json["withdrawals"][0]["status"] == "paid"
    assert shop("verify").code == 0


def test_declined_request_returns_to_the_wallet(shop: Cashback) -> None:
    ask(BOB, 500)
    assert balance(shop, BOB) == 0
    assert "declined (no such account)" in shop("withdrawals", "decline", 1, "--reason", "no such account").out
    assert balance(shop, BOB) == 500


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("paid", "7", "--reference", "x"), 1),
        (("paid", "one", "--reference", "x"), 1),
        (("paid", "1"), 2),
        (("paid",), 2),
        (("decline", "1"), 2),
        (("list", "1"), 2),
        (("decline", "1", "--reason", "x", "--reference", "y"), 2),
        (("import", "absent.csv"), 1),
        (("erase", "1"), 2),
    ],
)
def test_wrong_usage_is_one_line(shop: Cashback, words: tuple[str, ...], code: int) -> None:
    answer = shop("withdrawals", *words)
    assert (answer.code, bool(answer.error)) == (code, True)


def test_request_outside_the_terms_is_refused(shop: Cashback, folder: Path) -> None:
    configure(folder, minimum_cents=150, maximum_cents=400)
    for cents, method, to, expected in (
        (149, "paypal", SECRET, "below the minimum of \\$1.50"),
        (401, "paypal", SECRET, "above the maximum of \\$4.00"),
        (200, "bank", SECRET, "not a method"),
        (200, "paypal", None, "needs a destination: the e-mail address"),
        (200, "paypal", "  ", "needs a destination"),
        (200, "paypal", "x" * 201, "at most 200"),
        (200, "gift-card", SECRET, "needs no destination"),
    ):
        with pytest.raises(CashbackError, match=expected):
            ask(BOB, cents, method, to)
    configure(folder, account_age_days=3_650)
    young = 10**18 * 9
    with pytest.raises(CashbackError, match="must be 3,650 days old"):
        ask(young, 200)
    configure(folder, enabled=False)
    with pytest.raises(CashbackError, match="switched off"):
        ask(BOB, 200)
    assert balance(shop, BOB) == 500


def test_request_without_a_key_is_refused_and_takes_nothing(shop: Cashback, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("", "short"):
        monkeypatch.setenv("CASHBACK_WITHDRAWAL_KEYS", key)
        with pytest.raises(CashbackError, match="CASHBACK_WITHDRAWAL_KEYS"):
            ask(BOB, 200)
    assert balance(shop, BOB) == 500
    assert ask(BOB, 200, "gift-card", None).destination is None


def test_destination_is_nowhere_in_clear_text(shop: Cashback, folder: Path) -> None:
    ask(BOB, 200)
    shop("withdrawals", "paid", 1, "--reference", "TX-1")
    shop("export", "--from", "2020-01-01", "--output", "all.csv")
    found = [path.name for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert found == []


def test_list_goes_to_the_bank_and_its_result_marks_each_once(shop: Cashback, folder: Path) -> None:
    ask(BOB, 200)
    ask(CID, 300, to="=cid@example.org")
    assert "2 withdrawals, $5.00" in shop("withdrawals", "export", "list.csv").out
    assert stat.S_IMODE((folder / "list.csv").stat().st_mode) == 0o600
    lines = (folder / "list.csv").read_text().splitlines()
    assert lines[0] == "withdrawal,member,method,to,amount,currency,requested_at,ledger"
    assert lines[1].startswith(f"1,{BOB},paypal,{SECRET},2.00,USD,")
    assert ",'=cid@example.org,3.00,USD," in lines[2]
    assert "exists already" in shop("withdrawals", "export", "list.csv").error
    result = "withdrawal,member,amount,reference,status\n"
    result += f"1,{BOB},2.00,TX-1,Completed\n2,{CID},3.00,,failed\n9,,,TX-9,paid\n2,{CID},3.01,TX-2,paid\nx,,,TX,paid\n"
    (folder / "result.csv").write_text(result)
    answer = shop("withdrawals", "import", "result.csv", "--json")
    assert (answer.code, answer.json["paid"], answer.json["refused"]) == (3, 1, 3)
    assert [each["line"] for each in answer.json["errors"]] == [4, 5, 6]
    again = shop("withdrawals", "import", "result.csv", "--json").json
    assert (again["paid"], again["already_paid"]) == (0, 1)
    (folder / "late.csv").write_text("withdrawal;reference\n2;TX-2\n")
    assert shop("withdrawals", "import", "late.csv").out.startswith("1 withdrawal marked as paid, $3.00")
    assert rows(Path("cashback.db"), "SELECT reference FROM cashback_withdrawals ORDER BY number") == [
        ("TX-1",),
        ("TX-2",),
    ]
    assert shop("verify").code == 0
    log = str(rows(Path("cashback.db"), "SELECT details FROM cashback_audit_log"))
    assert SECRET not in log


def result_of(path: Path, reference: str = "TX-1") -> str:
    """Make a bank's result of a list: each row with a reference."""
    header, *lines = path.read_text().splitlines()
    return "\n".join([f"{header},reference", *(f"{line},{reference}" for line in lines)]) + "\n"


def test_result_of_another_ledgers_list_is_refused_in_one_line(shop: Cashback, folder: Path) -> None:
    """The trial copy's request has the same number, member and amount."""
    ask(BOB, 200)
    shutil.copyfile("cashback.db", "trial.db")
    assert shop("withdrawals", "export", "list.csv").code == 0
    assert shop("withdrawals", "export", "trial.csv", "--database", "trial.db").code == 0
    (folder / "result.csv").write_text(result_of(folder / "list.csv"))
    (folder / "trial-result.csv").write_text(result_of(folder / "trial.csv"))
    refused = shop("withdrawals", "import", "trial-result.csv")
    assert (refused.code, "a list that this ledger did not export" in refused.error) == (1, True)
    assert rows(Path("cashback.db"), "SELECT status FROM cashback_withdrawals") == [("requested",)]
    assert shop("withdrawals", "import", "result.csv", "--database", "trial.db").code == 1
    assert shop("withdrawals", "import", "result.csv").code == 0
    assert shop("withdrawals", "import", "result.csv", "--json").json["already_paid"] == 1


def test_result_of_a_list_from_before_a_restore_is_refused(shop: Cashback, folder: Path) -> None:
    ask(BOB, 200)
    assert shop("backup", "copy.db").code == 0
    assert shop("withdrawals", "export", "list.csv").code == 0
    assert shop("restore", "copy.db", "--yes").code == 0
    (folder / "result.csv").write_text(result_of(folder / "list.csv"))
    assert "After a restore" in shop("withdrawals", "import", "result.csv").error
    compared = (folder / "result.csv").read_text().replace(",ledger,", ",list,")
    (folder / "compared.csv").write_text(compared)
    assert shop("withdrawals", "import", "compared.csv").code == 0


def test_row_in_another_currency_or_with_a_number_that_is_too_long_is_refused(shop: Cashback, folder: Path) -> None:
    ask(BOB, 200)
    text = "withdrawal,amount,currency,reference\n1,2.00,EUR,TX-1\n0000000000000000001,2.00,USD,TX-1\n"
    (folder / "result.csv").write_text(text)
    answer = shop("withdrawals", "import", "result.csv", "--json").json
    assert [each["line"] for each in answer["errors"]] == [2, 3]
    assert "the currency EUR is not USD" in answer["errors"][0]["reason"]


def test_rows_of_transfers_that_were_not_made_are_counted_with_their_states(shop: Cashback, folder: Path) -> None:
    """A bank's own word for paid would be skipped in silence."""
    ask(BOB, 200)
    (folder / "result.csv").write_text("withdrawal,reference,status\n1,TX-1,Bezahlt\n1,TX-1,failed\n")
    answer = shop("withdrawals", "import", "result.csv")
    assert answer.out.startswith("0 withdrawals marked as paid, $0.00")
    assert "2 rows skipped" in answer.err
    assert "'Bezahlt', 'failed'" in answer.err
    assert shop("withdrawals", "import", "result.csv", "--json").json["skipped"] == 2


@pytest.mark.parametrize(
    ("to", "written"),
    [
        ("=1+1", "'=1+1"),
        ("＝1+1", "'＝1+1"),
        ("a;=1+1", "a;'=1+1"),
        ("a; @SUM(1)", "a; '@SUM(1)"),
        ("bob+tag@example.org; DE-1", "bob+tag@example.org; DE-1"),
    ],
)
def test_destination_is_no_formula_in_any_spreadsheet(shop: Cashback, folder: Path, to: str, written: str) -> None:
    """Where amounts have a decimal comma, a spreadsheet splits lines at semicolons."""
    ask(BOB, 200, to=to)
    assert shop("withdrawals", "export", "list.csv").code == 0
    assert f",paypal,{written},2.00,USD," in (folder / "list.csv").read_text()


@pytest.mark.parametrize(
    ("currency", "spent", "written"), [("JPY", "1000", "5"), ("KWD", "1000.000", "5.000"), ("EUR", "1000.00", "5.00")]
)
def test_list_has_amounts_with_the_decimals_of_the_currency(
    cashback: Cashback, folder: Path, monkeypatch: pytest.MonkeyPatch, currency: str, spent: str, written: str
) -> None:
    """A bank reads the 500 fils of half a dinar as 5.00 otherwise."""
    configure(folder, minimum_cents=1, currency=currency)
    monkeypatch.setenv("CASHBACK_WITHDRAWAL_KEYS", Fernet.generate_key().decode())
    (folder / "r.csv").write_text(f"referrer_id,referred_id\n{BOB},{BOB + 100}\n")
    (folder / "p.csv").write_text(f"order_id,buyer_id,amount\nA,{BOB + 100},{spent}\n")
    assert cashback("import", "p.csv", "--referrals", "r.csv", "--amounts", "dollars").code == 0
    assert cashback("pay", "--yes").code == 0
    ask(BOB, balance(cashback, BOB))
    assert cashback("withdrawals", "export", "list.csv").code == 0
    [_, line] = (folder / "list.csv").read_text().splitlines()
    assert f",{written},{currency}," in line
    (folder / "result.csv").write_text(f"withdrawal,amount,reference\n1,{written},TX-1\n")
    assert cashback("withdrawals", "import", "result.csv").code == 0


def test_destination_that_claims_to_be_unreadable_holds_up_no_list(shop: Cashback, folder: Path) -> None:
    said = "(not readable: encrypted with another key)"
    ask(BOB, 200, to=said)
    ask(CID, 300)
    assert shop("withdrawals", "export", "list.csv").code == 0
    assert said in (folder / "list.csv").read_text()


def test_result_may_have_ids_that_a_spreadsheet_rounded(shop: Cashback, folder: Path) -> None:
    for user in (BOB, CID):
        ask(user, 200)
    text = "withdrawal,member,reference\n1,{},TX-1\n2,{},TX-2\n"
    (folder / "result.csv").write_text(text.format(f"{BOB:.5E}", f"{10**18 + 5:.5E}"))
    answer = shop("withdrawals", "import", "result.csv", "--json").json
    assert (answer["paid"], answer["refused"]) == (1, 1)
    (folder / "result.csv").write_text(text.format(BOB, CID // 1000 * 1000))
    assert shop("withdrawals", "import", "result.csv", "--json").json["paid"] == 1


def test_failed_export_leaves_no_file(shop: Cashback, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(BOB, 200)
    monkeypatch.setenv("CASHBACK_WITHDRAWAL_KEYS", Fernet.generate_key().decode())
    for name in ("list.csv", "list.xlsx"):
        answer = shop("withdrawals", "export", name)
        assert (answer.code, (folder / name).exists()) == (1, False)
        assert "withdrawal 1 is encrypted with another key" in answer.error
    assert "cannot be written" in shop("withdrawals", "export", "no-such-folder/list.csv").error
    assert rows(Path("cashback.db"), "SELECT 1 FROM cashback_audit_log WHERE action = 'withdrawals_exported'") == []


def test_withdrawal_in_an_earlier_list_is_named(shop: Cashback, folder: Path) -> None:
    ask(BOB, 200)
    assert shop("withdrawals", "export", "first.csv").err == ""
    ask(CID, 200)
    second = shop("withdrawals", "export", "second.csv")
    assert (second.code, "Withdrawal 1 was in an earlier list" in second.err) == (0, True)


def test_list_may_be_a_workbook(shop: Cashback, folder: Path) -> None:
    ask(BOB, 200)
    assert shop("withdrawals", "export", "list.xlsx").code == 0
    sheet = load_workbook(folder / "list.xlsx").active
    assert sheet is not None
    assert [cell.value for cell in list(sheet.rows)[1]][:5] == ["1", str(BOB), "paypal", SECRET, "2.00"]


def test_withdrawal_from_the_threshold_on_needs_two_admins(shop: Cashback, folder: Path) -> None:
    configure(folder, threshold=200)
    ask(BOB, 200)
    assert "needs two admins" in shop("withdrawals").out
    assert shop("withdrawals", "export", "list.csv", "--json").json["withdrawals"] == 0
    assert "needs two admins" in shop("withdrawals", "paid", 1, "--reference", "TX").error
    assert "your own" in shop("withdrawals", "paid", 1, "--reference", "TX", "--approved-by", BOB).error
    assert shop("withdrawals", "paid", 1, "--reference", "TX", "--approved-by", ADMIN).code == 0
    assert shop("verify").code == 0


@pytest.mark.parametrize(
    "methods", [["paypal"], {"PayPal": None}, {"": None}, {"paypal": ""}, {"paypal": 5}, {"a b": None}, 7]
)
def test_wrong_methods_are_refused_by_name(cashback: Cashback, folder: Path, methods: object) -> None:
    (folder / "config.json").write_text(json.dumps({"withdrawals": {"methods": methods}}))
    answer = cashback("migrate")
    assert answer.code == 1
    assert "withdrawals.methods" in answer.error
