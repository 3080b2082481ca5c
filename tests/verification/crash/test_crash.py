"""A payout survives the end of its process at any moment."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random
from shutil import copytree

import pytest

from cashback.background.outbox_dispatcher import MAX_IN_FLIGHT
from tests.conftest import drop_guards, put_guards_back, raw
from verification.crash.crash import Victim, choose_ending, open_pool, raise_victim, run_campaigns
from verification.crash.expected_ledger import Origin
from verification.crash.invariants import Inspection, inspect
from verification.crash.victim import SENDS, Kind
from verification.testbed.databases import LEDGER, Files, Ground
from verification.testbed.findings import Losses

KILLS = 50
# More than there are cores would begin more campaigns than are asked for.
WORKERS = min(4, os.cpu_count() or 1)


def test_fifty_kills_lose_and_double_no_cent(tmp_path: Path, ground: Ground) -> None:
    """A direct message is repeated if the process dies between the send and its mark: the documented window is real.

    The harness sees it, so it would see an undocumented one.
    """
    tally = run_campaigns(tmp_path, kills=KILLS, seed=7, workers=WORKERS, ground=ground)
    assert tally.violations == []
    assert tally.losses == Losses()
    assert tally.kills.total() >= KILLS
    assert set(tally.kills) == set(Kind)
    assert set(tally.batches) == set(Origin)
    assert 0 < tally.repeated_sends <= MAX_IN_FLIGHT * tally.kills.total()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Victim]:
    """Run one undisturbed victim; return its folder's parent and the expected effects."""
    folder = tmp_path_factory.mktemp("victim")
    with open_pool(1) as pool:
        return folder, pool.submit(raise_victim, folder, Files()).result()


def test_endings_depend_only_on_the_seed(undisturbed: tuple[Path, Victim]) -> None:
    _, victim = undisturbed
    assert choose_ending(Random(5), victim) == choose_ending(Random(5), victim)


def _tamper(*statements: str) -> Callable[[Path], None]:
    def tamper(folder: Path) -> None:
        drop_guards(folder / LEDGER)
        with raw(folder / LEDGER) as connection:
            for statement in statements:
                connection.execute(statement)
        put_guards_back(folder / LEDGER)

    return tamper


def _send_again(folder: Path) -> None:
    path = folder / SENDS
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines, lines[0]]) + "\n", encoding="utf-8")


def _forget_a_send(folder: Path) -> None:
    path = folder / SENDS
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[1:]), encoding="utf-8")


def _change_a_nonce(folder: Path) -> None:
    path = folder / SENDS
    lines = path.read_text(encoding="utf-8").splitlines()
    notification, nonce, _ = lines[-1].split()
    path.write_text("\n".join([*lines, f"{notification} other-{nonce} 1"]) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (
            _tamper("UPDATE users SET wallet_balance_cents = 2 * wallet_balance_cents WHERE discord_id = 1001"),
            "balance",
        ),
        (_tamper("DELETE FROM wallet_transactions WHERE user_discord_id = 1001"), "wallet transactions"),
        (
            _tamper(
                "DROP INDEX cashback_wallet_transactions_one_per_payout",
                "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type,"
                " cashback_payout_batch_number) SELECT user_discord_id, amount_cents, 2 * amount_cents,"
                " transaction_type, 1"
                " FROM wallet_transactions WHERE user_discord_id = 1001",
            ),
            "wallet transactions",
        ),
        (
            _tamper("UPDATE cashback_payouts SET status = 'failed', paid_cents = 0 WHERE referrer_id = 1001"),
            "expected was",
        ),
        (_tamper("UPDATE referrals SET cashback_paid_cents = 0 WHERE referrer_user_id = 1001"), "marked as paid"),
        (_tamper("UPDATE cashback_payout_batches SET status = 'running'"), "the batches are"),
        (_tamper("DELETE FROM cashback_audit_log WHERE action = 'batch_finished'"), "the audit log holds"),
        (
            _tamper(
                "INSERT INTO cashback_audit_log (at, actor, action, details, digest)"
                " SELECT at, actor, action, details, digest FROM cashback_audit_log WHERE action = 'batch_finished'"
            ),
            "has batch_finished 2 times",
        ),
        (_tamper("DELETE FROM cashback_notifications WHERE user_id = 1001"), "direct messages are queued"),
        (_tamper("UPDATE cashback_notifications SET status = 'queued' WHERE user_id = 1001"), "are not marked"),
        (_send_again, "outside the window"),
        (_forget_a_send, "marked as sent and were not"),
        (_change_a_nonce, "another nonce"),
    ],
)
def test_inspection_finds(
    undisturbed: tuple[Path, Victim], tmp_path: Path, harm: Callable[[Path], None], told: str
) -> None:
    folder, victim = undisturbed
    harmed = tmp_path / "harmed"
    copytree(folder / "undisturbed", harmed)
    assert inspect(harmed, victim.expected, Origin.ADMIN, done=True) == Inspection(violations=(), losses=Losses())
    harm(harmed)
    assert told in " | ".join(inspect(harmed, victim.expected, Origin.ADMIN, done=True).violations)


def test_message_in_flight_may_stay_unmarked_over_several_deaths(
    undisturbed: tuple[Path, Victim], tmp_path: Path
) -> None:
    """A life dies with four messages in flight; the next ones send two of them again, and die before the other two."""
    folder, victim = undisturbed
    later = tmp_path / "later"
    copytree(folder / "undisturbed", later)
    sends = [line.split() for line in (later / SENDS).read_text(encoding="utf-8").splitlines()]
    first, *others = sends[:5]
    again = [(*others[0][:2], "1"), (*others[0][:2], "2"), (*others[1][:2], "2")]
    unmarked = ", ".join(notification for notification, _, _ in [*sends[5:], *others])
    (later / SENDS).write_text("".join(f"{' '.join(line)}\n" for line in [*sends[:5], *again]), encoding="utf-8")
    _tamper(f"UPDATE cashback_notifications SET status = 'queued' WHERE id IN ({unmarked})")(later)
    assert inspect(later, victim.expected, Origin.ADMIN, done=False).violations == ()
    _tamper(f"UPDATE cashback_notifications SET status = 'queued' WHERE id = {first[0]}")(later)
    [told] = inspect(later, victim.expected, Origin.ADMIN, done=False).violations
    assert told.startswith(f"the direct messages {{{first[0]}}} were sent and are not marked")


@pytest.mark.parametrize(
    ("harm", "losses"),
    [
        (
            _tamper("UPDATE users SET wallet_balance_cents = 2 * wallet_balance_cents WHERE discord_id = 1001"),
            Losses(double_payments=1),
        ),
        (
            _tamper("UPDATE users SET wallet_balance_cents = wallet_balance_cents - 3 WHERE discord_id < 1003"),
            Losses(lost_cents=6),
        ),
        (_tamper("UPDATE referrals SET cashback_paid_cents = 0 WHERE id = 1"), Losses(double_payments=1)),
        (_forget_a_send, Losses(lost_messages=1)),
    ],
    ids=["paid twice", "lost", "to be paid again", "not sent and marked as sent"],
)
def test_inspection_counts(
    undisturbed: tuple[Path, Victim], tmp_path: Path, harm: Callable[[Path], None], losses: Losses
) -> None:
    folder, victim = undisturbed
    harmed = tmp_path / "harmed"
    copytree(folder / "undisturbed", harmed)
    harm(harmed)
    assert inspect(harmed, victim.expected, Origin.ADMIN, done=True).losses == losses


def test_victim_ledger_has_a_refusing_wallet(undisturbed: tuple[Path, Victim]) -> None:
    """So that the replay of a chunk, payee by payee, is killed as well."""
    folder, victim = undisturbed
    with raw(folder / "undisturbed" / LEDGER) as connection, pytest.raises(sqlite3.IntegrityError, match="broken"):
        connection.execute("UPDATE users SET wallet_balance_cents = 1 WHERE discord_id = ?", (victim.expected.failed,))
