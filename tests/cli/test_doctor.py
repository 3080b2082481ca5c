"""`cashback doctor`: a failed check is explained, and the exit code is 1."""

from __future__ import annotations

from pathlib import Path

from tests.cashback.database import apex_core
from tests.cli.conftest import Cashback
from tests.conftest import raw


def test_missing_token_fails_while_the_ledger_passes(seeded: Cashback) -> None:
    answer = seeded("doctor", "--json")
    checks = {each["name"]: each for each in answer.json["checks"]}
    assert (answer.code, answer.json["ok"]) == (1, False)
    assert (checks["database"]["ok"], checks["schedule"]["ok"]) == (True, True)
    assert (checks["token"]["ok"], checks["token"]["text"]) == (
        False,
        "set DISCORD_TOKEN in the environment or in .env",
    )
    assert "WRONG  token" in seeded("doctor").out


def test_file_that_is_not_a_ledger_fails_the_database_check(cashback: Cashback, folder: Path) -> None:
    (folder / "cashback.db").write_bytes(b"not a database" * 100)
    answer = cashback("doctor")
    assert answer.code == 1
    assert "WRONG  database" in answer.out


def test_unusable_rows_are_listed(cashback: Cashback, folder: Path) -> None:
    apex_core.create(folder / "cashback.db")
    assert cashback("migrate").code == 0
    with raw(folder / "cashback.db") as connection:
        for change, referral in (
            ("cashback_earned_cents = 100.5", 2),
            ("cashback_earned_cents = 'much'", 4),
            ("referrer_user_id = -3", 7),
        ):
            connection.execute(f"UPDATE referrals SET {change} WHERE id = {referral}")
        connection.execute("UPDATE users SET wallet_balance_cents = 9e999 WHERE discord_id = 30")
    [rows] = [each for each in cashback("doctor", "--json").json["checks"] if each["name"] == "rows"]
    assert not rows["ok"]
    for part in (
        "referral 2 of 10: earned is 100.5",
        "earned is 'much'",
        "referral 7 of -3: the referrer's id is -3",
        "wallet of 30: the balance is inf",
        "correct these rows, until then their referrers are excluded",
    ):
        assert part in rows["text"]


def test_moved_ledger_is_named(seeded: Cashback) -> None:
    assert seeded("move", "--from", "cashback.db", "--to", "new.db").code == 0
    [database] = [each for each in seeded("doctor", "--json").json["checks"] if each["name"] == "database"]
    assert not database["ok"]
    assert database["text"].startswith("this ledger was moved to ")
