"""`retry`, `stop`, `abandon`, `resume` and `failures` on the command line."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from cashback.database import Database
from cashback.services import Actor, AdminService, Source
from cashback.settings import ReferralSettings, RoleIds, Settings
from tests.cli.conftest import Cashback
from tests.cli.test_pay import LARGEST, PAY_KEYS, ROOT, balances
from tests.conftest import raw, rows

pytestmark = pytest.mark.usefixtures("folder")

UNKNOWN = 599287828863678299


def refuse(condition: str) -> None:
    """Let the ledger refuse the wallet transactions for which this holds."""
    with raw(Path("cashback.db")) as connection:
        connection.execute("DROP TRIGGER IF EXISTS broken")
        connection.execute(
            f"CREATE TRIGGER broken BEFORE INSERT ON wallet_transactions WHEN {condition}"
            " BEGIN SELECT RAISE(ABORT, 'broken on purpose'); END"
        )


def failed_batch(seeded: Cashback) -> str:
    """Pay the sample community, but the largest payout fails."""
    refuse(f"NEW.user_discord_id = {LARGEST}")
    return str(seeded("pay", "--yes", "--json").json["batch_id"])


def test_retry_exits_with_3_while_payouts_still_fail(seeded: Cashback) -> None:
    batch_id = failed_batch(seeded)
    again = seeded("retry", batch_id, "--reason", "try", "--json")
    assert (again.code, list(again.json)) == (3, [*PAY_KEYS, "retried"])
    assert (again.json["retried"], again.json["failed"], again.json["users_paid"]) == (1, 1, 14)
    [failure] = seeded("failures", "--json").json["failures"]
    assert (failure["batch_id"], failure["referrer_id"], failure["approved_cents"]) == (batch_id, str(LARGEST), 2_500)
    assert failure["attempts"] == 2
    assert f"{batch_id}  {LARGEST} - $25.00 (2 attempts" in seeded("failures").out

    refuse("0")
    mended = seeded("retry", batch_id)
    assert mended.code == 0
    assert "Retried 1 payout." in mended.out
    assert "Paid:     $127.50 to 15 users" in mended.out
    assert balances() == 12_750
    assert seeded("failures").out == "There are no failed payouts.\n"
    assert seeded("verify").code == 0
    query = "SELECT requested_by, why, outcome FROM cashback_payout_attempts"
    assert rows(Path("cashback.db"), query) == [("cli", "try", "failed"), ("cli", None, "credited")]
    attempts = seeded("show", batch_id, "--json").json["attempts"]
    assert [(each["attempt"], each["why"], each["outcome"]) for each in attempts] == [
        (1, "try", "failed"),
        (2, None, "credited"),
    ]
    assert f"retry 1 of {LARGEST}, " in seeded("show", batch_id).out
    refused = seeded("retry", batch_id)
    assert refused.code == 1
    assert f"Batch {batch_id} is completed; there is no failed payout to retry" in refused.error


def test_failed_payouts_can_be_abandoned(seeded: Cashback) -> None:
    batch_id = failed_batch(seeded)
    abandoned = seeded("abandon", batch_id)
    assert abandoned.code == 0
    assert "Skipped:  1 (abandoned, still pending: 1, $25.00)" in abandoned.out
    assert seeded("pending", "--json").json["total_cents"] == 2_500
    assert seeded("show", batch_id, "--json").json["status"] == "completed"
    assert seeded("verify").code == 0


@pytest.mark.parametrize("command", ["retry", "stop", "abandon", "resume"])
def test_unknown_batch_is_one_line(seeded: Cashback, command: str) -> None:
    for name in ("BATCH-NONE", "77"):
        refused = seeded(command, name)
        assert refused.code == 1
        assert "There is no batch" in refused.error
    assert balances() == 0


def test_stop_in_one_process_ends_the_run_of_another(cashback: Cashback, folder: Path) -> None:
    assert cashback("seed", "--database", "cashback.db", "--referrers", 2_000, "--referrals", 2_000).code == 0
    Path("config.json").write_text('{"referral_settings": {"chunk_size": 1}}')
    with subprocess.Popen(
        [sys.executable, "-m", "cli", "pay", "--yes"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not rows(folder / "cashback.db", "SELECT 1 FROM wallet_transactions LIMIT 1"):
            assert process.poll() is None
        stopped = cashback("stop", 1)
        _, err = process.communicate(timeout=30)
    assert (stopped.code, process.returncode) == (0, 1), err
    assert "is not finished: it was stopped" in err
    assert err.count("\n") == 1
    assert "payouts left: `cashback resume BATCH-" in stopped.out
    paid = len(rows(folder / "cashback.db", "SELECT 1 FROM wallet_transactions"))
    assert 0 < paid < 2_000
    assert cashback("resume").out == "No batch is unfinished; there is nothing to resume.\n"
    assert len(rows(folder / "cashback.db", "SELECT 1 FROM wallet_transactions")) == paid
    Path("config.json").unlink()
    assert cashback("resume", 1, "--json").json["batches"][0]["users_paid"] == 2_000
    assert cashback("verify").code == 0


def two_must_approve() -> None:
    Path("config.json").write_text('{"referral_settings": {"approval_threshold_cents": 12750}}')


def test_at_the_threshold_pay_needs_the_second_admin_and_records_both(seeded: Cashback) -> None:
    two_must_approve()
    refused = seeded("pay", "--yes", "--json")
    assert refused.code == 1
    assert "two admins must approve. Nothing was paid; name the second admin with --approved-by ID." in refused.error
    assert rows(Path("cashback.db"), "SELECT status FROM cashback_payout_batches") == [("cancelled",)]
    assert seeded("pay", "--dry-run").code == 0

    paid = seeded("pay", "--yes", "--approved-by", 7)
    assert paid.code == 0
    assert "By:       cli, and cli:7" in paid.out
    assert balances() == 12_750
    query = (
        "SELECT actor FROM cashback_audit_log WHERE action IN ('batch_first_approved', 'batch_approved') ORDER BY id"
    )
    assert rows(Path("cashback.db"), query) == [("cli",), ("cli:7",)]
    assert seeded("verify").code == 0


def test_approve_needs_a_waiting_batch_and_a_different_admin(seeded: Cashback) -> None:
    two_must_approve()

    async def ask_on_discord() -> None:
        settings = Settings(
            role_ids=RoleIds(admin=1), referral_settings=ReferralSettings(approval_threshold_cents=12_750)
        )
        ada = Actor(source=Source.DISCORD, user_id=7, role_ids=frozenset({1}))
        async with Database("cashback.db") as database:
            service = AdminService(database, settings, lambda number: number)
            await service.approve(ada, (await service.propose(ada)).batch_number)

    anyio.run(ask_on_discord)
    assert seeded("approve", 1).code == 2
    refused = seeded("approve", 1, "--approved-by", 7)
    assert refused.code == 1
    assert "A different admin must approve this batch" in refused.error
    assert seeded("resume", 1).code == 1
    assert balances() == 0
    approved = seeded("approve", 1, "--approved-by", 8, "--json")
    assert (approved.code, approved.json["users_paid"]) == (0, 15)
    shown = seeded("show", 1, "--json").json
    assert (shown["first_approved_by"], shown["approved_by"]) == ("discord:7", "cli:8")
    assert "confirmed already" in seeded("approve", 1, "--approved-by", 9).error
    assert balances() == 12_750


def test_only_and_exclude_choose_the_payees(seeded: Cashback) -> None:
    only = seeded("pay", "--only", LARGEST, "--yes")
    assert "Only:     1 member named" in only.out
    assert balances() == 2_500
    assert f"Member {LARGEST} has no pending cashback" in seeded("pay", "--only", LARGEST, "--yes").error
    for nothing_pending in (LARGEST, UNKNOWN):
        tried = seeded("pay", "--exclude", nothing_pending, "--dry-run", "--json")
        assert (tried.code, tried.json["users_paid"]) == (0, 14)
    assert f"does not know Member {UNKNOWN}" in tried.err
    both = seeded("pay", "--user", LARGEST, "--only", LARGEST, "--yes")
    assert both.code == 1
    assert "not both" in both.error
    [(next_one,)] = rows(
        Path("cashback.db"),
        "SELECT referrer_user_id FROM referrals WHERE cashback_earned_cents > cashback_paid_cents LIMIT 1",
    )
    excluded = seeded("pay", "--exclude", next_one, "--yes", "--json").json
    assert (excluded["users_paid"], excluded["failed"]) == (13, 0)
    assert "Excluded: excluded by the admin: 1, " in seeded("show", excluded["batch_id"]).out
    assert seeded("pending", "--json").json["users"] == 1


def test_reverse_reverses_what_the_wallets_hold(seeded: Cashback) -> None:
    batch_id = seeded("pay", "--yes", "--json").json["batch_id"]
    assert seeded("reverse", batch_id).code == 2
    one = seeded("reverse", batch_id, "--user", LARGEST, "--reason", "a stolen card", "--yes", "--json")
    assert (one.code, one.json["reversed_cents"], one.json["shortfall_cents"]) == (0, 2_500, 0)
    assert balances() == 10_250
    again = seeded("reverse", batch_id, "--user", LARGEST, "--reason", "again", "--yes")
    assert again.code == 1
    assert "left to reverse" in again.error
    Path("config.json").write_text('{"referral_settings": {"approval_threshold_cents": 10250}}')
    refused = seeded("reverse", batch_id, "--reason", "all of it", "--yes")
    assert refused.code == 1
    assert "--approved-by ID" in refused.error
    rest = seeded("reverse", batch_id, "--reason", "all of it", "--yes", "--approved-by", 7)
    assert f"Reversed: $102.50 of {batch_id} from 14 users; the wallets did not hold $0.00." in rest.out
    assert balances() == 0
    shown = seeded("show", batch_id)
    assert "Reversed: $127.50 from 15 users, $0.00 not held" in shown.out
    assert seeded("verify").code == 0
    assert seeded("pending", "--json").json["users"] == 0


def test_nothing_is_reversed_without_a_yes(seeded: Cashback, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = seeded("pay", "--yes", "--json").json["batch_id"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    answer = seeded("reverse", batch_id, "--reason", "perhaps")
    assert answer.code == 0
    assert "Nothing was reversed." in answer.out
    assert balances() == 12_750


def fail_messages() -> list[str]:
    """End all queued direct messages as failed; return the IDs of their batches."""
    with raw(Path("cashback.db")) as connection:
        connection.execute("UPDATE cashback_notifications SET status = 'failed', attempts = 4")
    return [
        name for (name,) in rows(Path("cashback.db"), "SELECT batch_id FROM cashback_payout_batches ORDER BY number")
    ]


def test_failed_direct_messages_are_counted_and_queued_again(seeded: Cashback) -> None:
    seeded("pay", "--yes")
    [batch_id] = fail_messages()
    failed = seeded("notifications", "--json").json["failed"]
    assert failed > 1
    assert seeded("notifications", "retry", "--user", str(LARGEST), "--json").json["retried"] == 1
    assert seeded("notifications", "retry", batch_id, "--json").json == {
        "failed": 0,
        "queued": failed,
        "retried": failed - 1,
    }
    done = seeded("notifications", "retry", "--all")
    assert done.out.splitlines()[0] == "No failed direct messages found."
    assert rows(
        Path("cashback.db"), "SELECT actor, batch_number FROM cashback_audit_log WHERE action = 'notifications_retried'"
    ) == [
        ("cli", None),
        ("cli", 1),
    ]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("retry",), "Name what to retry"),
        (("retry", "1", "--all"), "Name what to retry"),
        (("retry", "--user", "5", "--all"), "Name what to retry"),
        (("--all",), "Without `retry`"),
        (("again",), "again"),
    ],
)
def test_unclear_retry_of_direct_messages_is_wrong_usage(
    seeded: Cashback, words: tuple[str, ...], complaint: str
) -> None:
    done = seeded("notifications", *words)
    assert (done.code, complaint in done.err) == (2, True)
    assert len(done.err.splitlines()) == 1


def test_retry_of_an_unknown_batchs_direct_messages_is_refused(seeded: Cashback) -> None:
    assert "77" in seeded("notifications", "retry", "77").error
