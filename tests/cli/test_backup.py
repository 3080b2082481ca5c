"""`cashback backup`, and `cashback verify` on a damaged file and with a head that was kept elsewhere."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile

import pytest

from tests.cli.conftest import Cashback
from tests.conftest import drop_guards, lose_index_rows, put_guards_back, raw, rows


def test_backup_is_reported_and_can_be_restored(seeded: Cashback, folder: Path) -> None:
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


def test_backup_refuses_to_replace_a_file(seeded: Cashback, folder: Path) -> None:
    (folder / "letter").write_text("precious")
    answer = seeded("backup", "letter")
    assert (answer.code, answer.out) == (1, "")
    assert answer.error == "letter already exists and was not changed; name another file or --overwrite."
    assert (folder / "letter").read_text() == "precious"
    assert seeded("backup", "letter", "--overwrite").code == 0
    assert "backup_made" in str(rows(folder / "cashback.db", "SELECT action FROM cashback_audit_log"))


def test_backup_of_unbalanced_books_exits_with_3(seeded: Cashback, folder: Path) -> None:
    with raw(folder / "cashback.db") as connection:
        connection.execute("UPDATE users SET wallet_balance_cents = 1 WHERE id = 1")
    answer = seeded("backup", "copy.db")
    assert answer.code == 3
    assert answer.error.startswith("the books that were copied do not balance: 1 breach")
    assert seeded("backup", "second.db", "--json").json["balanced"] is False


def test_file_of_another_bot_is_backed_up_before_adoption(cashback: Cashback, folder: Path) -> None:
    with raw(folder / "cashback.db") as connection:
        connection.execute("CREATE TABLE users (discord_id INTEGER)")
    answer = cashback("backup", "copy.db", "--json")
    assert answer.code == 0
    assert answer.json["balanced"] is None
    assert rows(folder / "cashback.db", "SELECT name FROM sqlite_master") == [("users",)]


def test_backup_of_an_absent_ledger_creates_nothing(cashback: Cashback, folder: Path) -> None:
    assert "does not exist; there is nothing to back up" in cashback("backup", "copy.db").error
    assert list(folder.iterdir()) == []


def test_verify_refuses_a_file_with_a_damaged_index(seeded: Cashback, folder: Path) -> None:
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


def test_verify_misses_the_head_of_removed_entries(seeded: Cashback, folder: Path) -> None:
    """The chain that is left is whole: only a copy of the head outside of the file proves that there was more."""
    seeded("pay", "--yes")
    assert seeded("schedule", "pause", "--reason", "a holiday").code == 0
    head = seeded("verify", "--json").json["audit_head"]
    drop_guards(folder / "cashback.db")
    with raw(folder / "cashback.db") as connection:
        connection.execute("DELETE FROM cashback_audit_log WHERE action = 'schedule_paused'")
    put_guards_back(folder / "cashback.db")
    assert seeded("verify").code == 0
    answer = seeded("verify", "--head", head)
    assert answer.code == 1
    assert answer.error == f"the audit log has no entry with the head {head}: entries were changed or removed."
    assert seeded("verify", "--head", head, "--json").json["head_entry"] is None


@pytest.mark.parametrize("text", ["", "abc", "g" * 64, "0" * 65])
def test_invalid_audit_head_is_refused(seeded: Cashback, text: str) -> None:
    answer = seeded("verify", "--head", text)
    assert (answer.code, answer.out) == (1, "")
    assert answer.error == f"{text!r} is not a valid audit head: expected 64 hexadecimal digits."
