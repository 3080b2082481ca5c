"""`cashback pay` and `resume`, and the ledger after them."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cashback.database.payouts import crediting
from cashback.domain.errors import DatabaseUnavailableError
from tests.cli.conftest import Cashback
from tests.conftest import raw, rows

LARGEST = 599287828863678298
PAY_KEYS = [
    "batch_id",
    "status",
    "mode",
    "users_paid",
    "total_cents",
    "failed",
    "skipped",
    "approved_cents",
    "failures",
]
ROOT = Path(__file__).parents[2]


def balances(path: Path = Path("cashback.db")) -> int:
    return int(rows(path, "SELECT coalesce(sum(wallet_balance_cents), 0) FROM users")[0][0])


def test_pay_shows_the_summary_and_the_result(seeded: Cashback) -> None:
    answer = seeded("pay", "--yes")
    assert answer.code == 0
    assert "Users:    15" in answer.out
    assert "Total:    $127.50" in answer.out
    assert "Average:  $8.50" in answer.out
    assert f"1. {LARGEST} - $25.00 (50 referrals)" in answer.out
    assert "…and 5 more" in answer.out
    assert "Paid:     $127.50 to 15 users" in answer.out
    assert "15 queued" in answer.out
    assert balances() == 12_750
    assert seeded("verify").code == 0


def test_pay_as_json_has_the_promised_keys(seeded: Cashback) -> None:
    found = seeded("pay", "--yes", "--json").json
    assert list(found) == PAY_KEYS
    assert found["batch_id"].startswith("BATCH-")
    assert {**found, "batch_id": None} == {
        "batch_id": None,
        "status": "completed",
        "mode": "batch",
        "users_paid": 15,
        "total_cents": 12_750,
        "failed": 0,
        "skipped": 0,
        "approved_cents": 12_750,
        "failures": [],
    }


def test_second_batch_has_nothing_to_pay(seeded: Cashback) -> None:
    seeded("pay", "--yes")
    answer = seeded("pay", "--yes")
    assert (answer.code, answer.out) == (0, "No referral cashback is pending.\n")
    found = seeded("pay", "--yes", "--json").json
    assert list(found) == PAY_KEYS
    assert (found["batch_id"], found["status"], found["users_paid"]) == (None, "nothing_pending", 0)
    assert balances() == 12_750


def test_paying_one_member_leaves_the_others_pending(seeded: Cashback) -> None:
    found = seeded("pay", "--user", LARGEST, "--yes", "--json").json
    assert (found["mode"], found["users_paid"], found["total_cents"]) == ("individual", 1, 2_500)
    assert seeded("pending", "--json").json["total_cents"] == 10_250
    assert seeded("pay", "--user", LARGEST, "--yes").error == f"Member {LARGEST} has no pending cashback."


def test_blacklisted_member_is_refused(seeded: Cashback) -> None:
    assert seeded("blacklist", LARGEST, "--reason", "test").code == 0
    answer = seeded("pay", "--user", LARGEST, "--yes", "--json")
    assert answer.code == 1
    assert "blacklisted" in answer.error
    assert balances() == 0


@pytest.mark.parametrize("arguments", [[], ["--user", str(LARGEST)]])
def test_dry_run_leaves_no_trace(seeded: Cashback, arguments: list[str]) -> None:
    answer = seeded("pay", "--dry-run", *arguments)
    assert answer.code == 0
    assert "dry run" in answer.out
    found = seeded("pay", "--dry-run", "--json", *arguments).json
    assert list(found) == PAY_KEYS
    assert (found["batch_id"], found["status"]) == (None, "dry_run")
    assert found["total_cents"] == found["approved_cents"] == (2_500 if arguments else 12_750)
    assert balances() == 0
    assert rows(Path("cashback.db"), "SELECT count(*) FROM cashback_payout_batches") == [(0,)]
    assert rows(Path("cashback.db"), "SELECT count(*) FROM cashback_audit_log") == [(0,)]


def test_json_without_yes_is_wrong_usage(seeded: Cashback) -> None:
    answer = seeded("pay", "--json")
    assert answer.code == 2
    assert "--yes" in answer.error
    assert balances() == 0


@pytest.mark.parametrize(("typed", "paid"), [("y\n", 12_750), ("n\n", 0), ("\n", 0)])
def test_answer_to_the_question_decides(
    seeded: Cashback, monkeypatch: pytest.MonkeyPatch, typed: str, paid: int
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    answer = seeded("pay")
    assert answer.code == 0
    assert "Pay $127.50 to 15 users?" in answer.out
    assert ("cancelled" in answer.out) == (paid == 0)
    assert balances() == paid


def test_missing_answer_pays_nothing(seeded: Cashback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    answer = seeded("pay")
    assert answer.code == 2
    assert "Nobody answered" in answer.error
    assert rows(Path("cashback.db"), "SELECT status FROM cashback_payout_batches") == [("cancelled",)]


# Tests that run in the background ignore Control-C, and children inherit that.
HEARING = "import signal; from cli import app; signal.signal(signal.SIGINT, signal.default_int_handler); "
# Control-C reaches the process that has this as its controlling terminal.
AT_A_TERMINAL = HEARING + "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); app.main()"


def read_until(terminal: int, sign: str) -> str:
    seen = b""
    while sign.encode() not in seen:
        seen += os.read(terminal, 1024)
    return seen.decode(errors="replace")


def press_until(terminal: int, key: str, sign: str) -> str:
    """Press a key until a sign is seen: Python loses a Control-C in the moment between its prompt and its reading."""
    seen = ""
    while sign not in seen:
        os.write(terminal, key.encode())
        while select.select([terminal], [], [], 10)[0] and sign not in seen:
            seen += os.read(terminal, 1024).decode(errors="replace")
    return seen


@pytest.mark.parametrize("key", ["n\n", "\x03"])
def test_no_or_control_c_at_the_terminal_cancels(seeded: Cashback, folder: Path, key: str) -> None:
    terminal, end = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", AT_A_TERMINAL, "pay"],
        stdin=end,
        stdout=end,
        stderr=end,
        cwd=folder,
        env=environment,
        start_new_session=True,
    ) as process:
        os.close(end)
        read_until(terminal, "[y/N]: ")
        assert "The batch was cancelled; nothing was paid." in press_until(terminal, key, "paid.")
        assert process.wait(20) == 0
    os.close(terminal)
    assert rows(folder / "cashback.db", "SELECT status FROM cashback_payout_batches") == [("cancelled",)]
    assert balances(folder / "cashback.db") == 0


def test_one_refused_payout_fails_alone_with_exit_code_3(seeded: Cashback, folder: Path) -> None:
    with raw(folder / "cashback.db") as connection:
        connection.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON wallet_transactions"
            f" WHEN NEW.user_discord_id = {LARGEST} BEGIN SELECT RAISE(ABORT, 'broken on purpose'); END"
        )
    answer = seeded("pay", "--yes", "--json")
    assert answer.code == 3
    found = answer.json
    assert (found["status"], found["users_paid"], found["failed"]) == ("completed_with_failures", 14, 1)
    assert found["failures"][0]["referrer_id"] == str(LARGEST)
    assert "broken on purpose" in found["failures"][0]["reason"]
    shown = seeded("show", found["batch_id"])
    assert f"failed: {LARGEST} - $25.00" in shown.out
    assert seeded("verify").code == 0


def test_interrupted_run_names_resume_which_finishes_it(seeded: Cashback, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_space(*_arguments: object, **_options: object) -> None:
        raise DatabaseUnavailableError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(crediting, "credit_chunk", out_of_space)
        answer = seeded("pay", "--yes", "--json")
    assert answer.code == 1
    assert answer.out == ""
    assert "The disk is full." in answer.error
    assert "cashback resume BATCH-" in answer.error
    batch_id = answer.error.split("cashback resume ")[1].split("`")[0]
    assert seeded("history", "--json").json["batches"][0]["status"] == "running"

    resumed = seeded("resume", batch_id, "--json")
    assert resumed.code == 0
    assert [list(batch) for batch in resumed.json["batches"]] == [PAY_KEYS]
    assert resumed.json["batches"][0]["total_cents"] == balances() == 12_750
    assert seeded("resume").out == "No batch is unfinished; there is nothing to resume.\n"
    again = seeded("resume", batch_id)
    assert again.code == 1
    assert "nothing to resume" in again.error


def test_control_c_during_a_run_keeps_the_books_balanced(folder: Path, cashback: Cashback) -> None:
    assert cashback("seed", "--database", "cashback.db", "--referrers", 3_000, "--referrals", 3_000).code == 0
    Path("config.json").write_text('{"referral_settings": {"chunk_size": 1}}')
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", HEARING + "app.main()", "pay", "--yes"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None:
            with raw(folder / "cashback.db") as connection:
                if connection.execute("SELECT count(*) FROM wallet_transactions").fetchone()[0] > 5:
                    break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1, err
    assert err.startswith("error: Batch BATCH-")
    assert "interrupted" in err
    assert len(err.splitlines()) == 1
    assert cashback("verify").code == 0
    Path("config.json").unlink()
    assert cashback("resume").code == 0
    assert cashback("pending", "--json").json["users"] == 0
    assert cashback("verify").code == 0
