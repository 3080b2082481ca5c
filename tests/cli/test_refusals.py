"""An error is one line on standard error, without a traceback, and nothing is changed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from cashback.database.schema import NEWEST
from cli import app, history
from tests.cashback.database import apex_core, first_ledger
from tests.cli.conftest import Cashback
from tests.conftest import FRIDAY, raw

ROOT = Path(__file__).parents[2]

WRONG_SETTINGS = [
    {"referral_settings": {"cashback_percent": "half"}},
    {"referral_settings": {"cashback_percent": 101}},
    {"referral_settings": {"min_payout_cents": 0}},
    {"referral_settings": {"chunk_size": True}},
    {"referral_settings": {"dm_per_second": "fast"}},
    {"referral_settings": []},
    {"role_ids": {"admin": "nobody"}},
    {"brand_name": 5},
]
COMMANDS = [["pay", "--yes"], ["pending", "--json"], ["verify"], ["resume"], ["history"], ["migrate"]]


@pytest.mark.parametrize("settings", WRONG_SETTINGS, ids=json.dumps)
def test_wrong_setting_stops_a_command(seeded: Cashback, folder: Path, settings: object) -> None:
    (folder / "config.json").write_text(json.dumps(settings))
    answer = seeded("pay", "--yes")
    assert (answer.code, answer.out) == (1, "")
    assert "config.json" in answer.error
    (folder / "config.json").unlink()
    assert seeded("pending", "--json").json["total_cents"] == 12_750


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1, "a": 2}', "\ufffe"])
def test_config_that_is_not_an_object_stops_a_command(cashback: Cashback, folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    answer = cashback("pending")
    assert (answer.code, answer.out) == (1, "")
    assert "config.json" in answer.error


def test_token_in_the_config_is_one_warning(seeded: Cashback, folder: Path) -> None:
    (folder / "config.json").write_text('{"token": "not-a-real-one"}')
    answer = seeded("pending")
    assert answer.code == 0
    assert answer.err.startswith("warning: ")
    assert "not-a-real-one" not in answer.err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_file_that_is_not_a_database_is_left_unchanged(cashback: Cashback, folder: Path, command: list[str]) -> None:
    text = "This is a letter and not a ledger.\n" * 100
    (folder / "letter.db").write_text(text)
    answer = cashback(*command, "--database", "letter.db")
    assert (answer.code, answer.out) == (1, "")
    assert "is not an SQLite database" in answer.error
    assert (folder / "letter.db").read_text() == text


@pytest.mark.parametrize("command", [*COMMANDS, ["doctor"]], ids=" ".join)
def test_failed_adoption_leaves_every_byte_as_it_was(cashback: Cashback, folder: Path, command: list[str]) -> None:
    """Of another bot's file a column is missing. Its journal mode stays too."""
    apex_core.create(folder / "apex_core.db")
    with raw(folder / "apex_core.db") as connection:
        connection.execute("ALTER TABLE referrals RENAME COLUMN is_blacklisted TO barred")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    answer = cashback(*command, "--database", "apex_core.db")
    assert answer.code == 1
    assert "has a table referrals without is_blacklisted" in answer.out + answer.err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("command", [["migrate"], ["pending"], ["pay", "--yes"]], ids=" ".join)
def test_file_with_all_tables_of_the_other_bot_is_adopted(cashback: Cashback, folder: Path, command: list[str]) -> None:
    apex_core.create(folder / "apex_core.db")
    answer = cashback(*command, "--database", "apex_core.db")
    assert (answer.code, answer.err) == (0, "")
    assert cashback("verify", "--database", "apex_core.db").code == 0


def test_ledger_of_the_first_schema_is_upgraded_once(cashback: Cashback, folder: Path) -> None:
    first_ledger.create(folder / "cashback.db", FRIDAY)
    answer = cashback("migrate", "--json").json
    assert (answer["action"], answer["schema_before"], answer["schema"]) == ("upgraded", "0001", NEWEST)
    assert cashback("migrate", "--json").json["action"] == "none"
    assert cashback("verify").code == 0


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_missing_folder_is_named(cashback: Cashback, command: list[str]) -> None:
    answer = cashback("--database", "nowhere/cashback.db", *command)
    assert (answer.code, answer.out) == (1, "")
    assert "nowhere does not exist" in answer.error


@pytest.mark.parametrize("location", [".", "postgresql://user:secret@host/name"])
def test_location_that_is_not_a_file_is_refused(cashback: Cashback, location: str) -> None:
    answer = cashback("pending", "--database", location)
    assert (answer.code, answer.out) == (1, "")
    assert "secret" not in answer.error


def test_newer_schema_is_left_unchanged(seeded: Cashback, folder: Path) -> None:
    with raw(folder / "cashback.db") as connection:
        connection.execute("UPDATE cashback_alembic_version SET version_num = '9999'")
    answer = seeded("pay", "--yes")
    assert (answer.code, answer.out) == (1, "")
    assert "update this program" in answer.error
    assert seeded("migrate").code == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder_is_named(seeded: Cashback, folder: Path) -> None:
    locked = folder / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    try:
        answer = seeded("pending", "--database", "locked/cashback.db")
        assert answer.code == 1
        assert "locked/cashback.db" in answer.error
    finally:
        locked.chmod(0o700)


def test_locked_ledger_is_one_line(seeded: Cashback, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cashback.database.dialect.BUSY_TIMEOUT_SECONDS", 0.1)
    with raw(folder / "cashback.db") as connection:
        connection.execute("BEGIN IMMEDIATE")
        answer = seeded("pay", "--yes")
    assert (answer.code, answer.out) == (1, "")
    assert "in use by another program" in answer.error


BAD_VALUES = [
    (["pay", "--yes", "--user", "abc"], 1),
    (["pay", "--yes", "--user", "0"], 1),
    (["pay", "--yes", "--user", "-1"], 1),
    (["pay", "--yes", "--user", "9223372036854775808"], 1),
    (["pending", "--user", "1.5"], 1),
    (["blacklist", "１２"], 1),
    (["blacklist", ""], 1),
    (["purchase", "A", "5", "12.345"], 1),
    (["purchase", "A", "5", "-5"], 1),
    (["purchase", "A", "5", "1e9"], 1),
    (["purchase", "A", "5", "10000000000.01"], 1),
    (["purchase", "A", "zero", "5"], 1),
    (["purchase", " ", "5", "5"], 1),
    (["refund", "UNKNOWN"], 1),
    (["refund", "UNKNOWN", "5"], 1),
    (["refund", "SEED-0000001", "-5"], 1),
    (["refund", "SEED-0000001", "0"], 1),
    (["refund", "SEED-0000001", "0.001"], 1),
    (["refund", "SEED-0000001", "1", "--refund-id", ""], 1),
    (["refund", " ", "5"], 1),
    (["purchase", "a\nb", "5", "5"], 1),
    (["purchase", "a\udcffb", "5", "5"], 1),
    (["show", "BATCH-1"], 1),
    (["show", "77"], 1),
    (["show", "9" * 30], 1),
    (["resume", "BATCH-1"], 1),
    (["resume", "77"], 1),
    (["pending", "--config", "nowhere.json"], 1),
    (["history", "--limit", "0"], 2),
    (["history", "--page", "x"], 2),
    (["seed", "--referrers", "0"], 2),
    (["purchase", "A", "5"], 2),
    (["pay", "now"], 2),
    (["pay", "--nope"], 2),
    (["nope"], 2),
]


@pytest.mark.parametrize(("arguments", "code"), BAD_VALUES, ids=[" ".join(a)[:40] or "nothing" for a, _ in BAD_VALUES])
def test_invalid_value_is_one_line(seeded: Cashback, arguments: list[str], code: int) -> None:
    answer = seeded(*arguments)
    assert (answer.code, answer.out) == (code, "")
    assert answer.error
    assert seeded("pending", "--json").json["total_cents"] == 12_750


@pytest.mark.parametrize("command", [["purchase", "A", "5", "5"], ["refund", "SEED-0000001"], ["blacklist", "5"]])
def test_unknown_option_is_named(seeded: Cashback, command: list[str]) -> None:
    [name, *values] = command
    answer = seeded(name, "--nope", *values)
    assert (answer.code, answer.out) == (2, "")
    assert "--nope" in answer.error


@pytest.mark.parametrize("amount", ["-5", "-0.50", "-.5", "-$5"])
@pytest.mark.parametrize("command", [["purchase", "A", "5"], ["refund", "SEED-0000001"]], ids=" ".join)
def test_negative_amount_is_refused_as_an_amount(seeded: Cashback, command: list[str], amount: str) -> None:
    answer = seeded(*command, amount)
    assert (answer.code, answer.out) == (1, "")
    assert f"amount '{amount}' is not an amount" in answer.error


def test_unexpected_error_is_one_line_and_debug_shows_the_traceback(
    seeded: Cashback, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_options: object) -> None:
        message = "a thing\nthat nobody expected"
        raise ZeroDivisionError(message)

    monkeypatch.setattr(history, "_read", broken)
    answer = seeded("history")
    assert answer.code == 1
    assert answer.error == (
        "unexpected ZeroDivisionError: a thing that nobody expected (`cashback --debug …` shows where)."
    )
    with pytest.raises(ZeroDivisionError):
        app.run(["--debug", "history"])


def process(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", command.replace("cashback", f"'{sys.executable}' -m cli")],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_closed_output_ends_the_command_quietly(seeded: Cashback, folder: Path) -> None:
    seeded("seed", "--database", "large.db", "--referrers", 5_000, "--referrals", 5_000)
    done = process(folder, "cashback pending --json --database large.db | head -1")
    assert (done.stdout, done.stderr) == ("{\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_full_disk_behind_the_output_is_one_line(seeded: Cashback, folder: Path) -> None:
    done = process(folder, "cashback pending > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "error: the output: No space left on device.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_full_disk_behind_the_output_of_what_was_done_says_that_it_stays(seeded: Cashback, folder: Path) -> None:
    """A script that believes the exit code alone would do it a second time."""
    done = process(folder, "cashback blacklist 77777777777777777 > /dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: the output: No space left on device; what was recorded before stays, so look before you repeat it."
    )
    assert "is no longer blacklisted" in seeded("blacklist", "77777777777777777", "--remove").out


@pytest.mark.parametrize("stream", ["2>/dev/full", "2>&-"])
def test_remark_that_cannot_be_written_fails_no_command(seeded: Cashback, folder: Path, stream: str) -> None:
    (folder / "config.json").write_text('{"bot_prefx": "?"}')
    assert "warning: " in seeded("pending").err
    done = process(folder, f"cashback blacklist 77777777777777777 {stream}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "77777777777777777" in done.stdout


def test_terminal_without_the_characters_gets_replacements(seeded: Cashback, folder: Path) -> None:
    done = process(folder, "PYTHONIOENCODING=latin-1 cashback pending")
    assert done.returncode == 0
    assert "?and 5 more" in done.stdout


def test_closed_standard_input_pays_nothing(seeded: Cashback, folder: Path) -> None:
    done = process(folder, "cashback pay <&-")
    assert done.returncode == 2
    assert done.stderr.startswith("error: Nobody answered")
    with sqlite3.connect(folder / "cashback.db") as connection:
        assert connection.execute("SELECT count(*) FROM wallet_transactions").fetchone() == (0,)
    connection.close()
