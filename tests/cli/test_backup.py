"""`cashback backup`, and what `cashback verify` says of a damaged file and of a head that was kept elsewhere."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile

import pytest

from tests.cli.conftest import Cashback
from tests.conftest import drop_guards, lose_index_rows, raw, rows


def test_a_backup_is_made_told_and_restored(seeded: Cashback, folder: Path) -> None:
    seeded("pay", "--yes")
    made = seeded("backup", "copy.db", "--json").json
    assert made["file"] == str(folder / "copy.db")
    assert made["size_bytes"] == (folder / "copy.db").stat().st_size
    assert (made["balanced"], made["breaches"]) == (True, [])
    assert seeded("verify", "--head", made["audit_head"]).code == 0

    (folder / "cashback.db").unlink()
    copyfile(folder / "copy.db", folder / "cashback.db")
    buyer = rows(folder / "cashback.db", "SELECT referred_user_id FROM referrals")[0][0]
    seeded("purchase", "new-order", buyer, "2000")
    assert seeded("pay", "--yes", "--json").json["users_paid"] == 1
    assert seeded("verify").code == 0


def test_a_backup_is_refused_in_one_line_where_something_is_there(seeded: Cashback, folder: Path) -> None:
    (folder / "letter").write_text("precious")
    answer = seeded("backup", "letter")
    assert (answer.code, answer.out) == (1, "")
    assert answer.error == "letter already exists and was not changed; name another file or --overwrite."
    assert (folder / "letter").read_text() == "precious"
    assert seeded("backup", "letter", "--overwrite").code == 0
    assert "backup_made" in str(rows(folder / "cashback.db", "SELECT action FROM cashback_audit_log"))


def test_a_backup_of_books_that_do_not_balance_says_so(seeded: Cashback, folder: Path) -> None:
    with raw(folder / "cashback.db") as connection:
        connection.execute("UPDATE users SET wallet_balance_cents = 1 WHERE id = 1")
    answer = seeded("backup", "copy.db")
    assert answer.code == 3
    assert answer.error.startswith("the books that were copied do not balance: 1 breach")
    assert seeded("backup", "second.db", "--json").json["balanced"] is False


def test_another_bots_file_is_backed_up_before_it_is_adopted(cashback: Cashback, folder: Path) -> None:
    with raw(folder / "cashback.db") as connection:
        connection.execute("CREATE TABLE users (discord_id INTEGER)")
    answer = cashback("backup", "copy.db", "--json")
    assert answer.code == 0
    assert answer.json["balanced"] is None
    assert rows(folder / "cashback.db", "SELECT name FROM sqlite_master") == [("users",)]


def test_a_ledger_that_is_not_there_is_not_made_by_backing_it_up(cashback: Cashback, folder: Path) -> None:
    assert "does not exist; there is nothing to back up" in cashback("backup", "copy.db").error
    assert list(folder.iterdir()) == []


def test_verify_refuses_a_file_that_is_damaged_where_no_query_looks(seeded: Cashback, folder: Path) -> None:
    seeded("pay", "--yes")
    lose_index_rows(folder / "cashback.db")
    answer = seeded("verify")
    assert (answer.code, answer.out) == (1, "")
    assert "is damaged" in answer.error
    assert answer.error.endswith("stop the bot and restore the last backup.")


def test_verify_finds_a_head_that_was_kept_elsewhere(seeded: Cashback) -> None:
    seeded("pay", "--yes")
    head = seeded("verify", "--json").json["audit_head"]
    seeded("blacklist", 5)
    found = seeded("verify", "--head", head.upper(), "--json")
    assert (found.code, found.json["head_entry"]) == (0, 3)
    assert f"Head {head} is entry 3 of the audit log" in seeded("verify", "--head", head).out


def test_verify_misses_the_head_of_a_tail_that_was_cut_off(seeded: Cashback, folder: Path) -> None:
    """The chain that is left is whole: only a copy of the head outside of the file tells that there was more."""
    seeded("pay", "--yes")
    seeded("blacklist", 5)
    head = seeded("verify", "--json").json["audit_head"]
    drop_guards(folder / "cashback.db")
    with raw(folder / "cashback.db") as connection:
        connection.execute("DELETE FROM cashback_audit_log WHERE id = 4")
    assert seeded("verify").code == 0
    answer = seeded("verify", "--head", head)
    assert answer.code == 1
    assert answer.error == f"no entry of the audit log has the head {head}: what it told of was changed or removed."
    assert seeded("verify", "--head", head, "--json").json["head_entry"] is None


@pytest.mark.parametrize("text", ["", "abc", "g" * 64, "0" * 65])
def test_a_head_that_is_none_is_refused(seeded: Cashback, text: str) -> None:
    answer = seeded("verify", "--head", text)
    assert (answer.code, answer.out) == (1, "")
    assert "has 64 hexadecimal digits" in answer.error
