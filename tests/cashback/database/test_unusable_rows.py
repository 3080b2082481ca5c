"""Rows of another bot that nobody can be paid by are named and excluded; everybody else is paid."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cashback.database import Database
from cashback.database.payouts import crediting, exclusions, runs
from cashback.database.referral_program import unusable_rows
from cashback.database.referral_program.people import BEFORE_ALL
from cashback.domain.errors import NothingPendingError
from cashback.domain.model import BatchStatus, ExclusionReason
from tests.cashback.database import apex_core
from tests.conftest import Clock, LedgerFixture, raw
from tests.examples import first_of

pytestmark = pytest.mark.anyio

ODD, SOUND = 666, 10
HUGE = 2**63 - 1
ON_BOTH = {
    "earned is huge": f"UPDATE referrals SET cashback_earned_cents = {HUGE} WHERE referrer_user_id = {ODD}",
    "paid is negative": (
        f"UPDATE referrals SET cashback_paid_cents = -5, cashback_earned_cents = 5 WHERE referrer_user_id = {ODD}"
    ),
    "id is zero": f"UPDATE referrals SET referrer_user_id = 0 WHERE referrer_user_id = {ODD}",
    "id is below zero": f"UPDATE referrals SET referrer_user_id = -7 WHERE referrer_user_id = {ODD}",
    "id is far below zero": f"UPDATE referrals SET referrer_user_id = {1 - 2**63} WHERE referrer_user_id = {ODD}",
}
IN_A_FILE = {
    "earned is a fraction": f"UPDATE referrals SET cashback_earned_cents = 100.5 WHERE referrer_user_id = {ODD}",
    "earned is text": f"UPDATE referrals SET cashback_earned_cents = '500 cents' WHERE referrer_user_id = {ODD}",
    "earned is infinite": f"UPDATE referrals SET cashback_earned_cents = 9e999 WHERE referrer_user_id = {ODD}",
    "earned is bytes": f"UPDATE referrals SET cashback_earned_cents = x'31' WHERE referrer_user_id = {ODD}",
}
HIDDEN_LATER = {
    "earned is NULL": "cashback_earned_cents = NULL",
    "paid is NULL": "cashback_paid_cents = NULL",
    "paid is a fraction": "cashback_paid_cents = 0.5",
    "both are text": "cashback_paid_cents = 'none', cashback_earned_cents = 'none'",
}
HIDDEN_BEFORE = {
    "paid is text": "cashback_paid_cents = 'none'",
    "both are text": "cashback_paid_cents = 'none', cashback_earned_cents = 'none'",
    "paid is bytes": "cashback_paid_cents = x'31'",
    "paid is a fraction": "cashback_paid_cents = 0.5",
    "paid is a fraction above earned": "cashback_paid_cents = 1000.5",
    "paid is huge": f"cashback_paid_cents = {HUGE}",
}


async def _require_others_paid(ledger: LedgerFixture, *, sound_cents: int) -> None:
    """Pay a batch; the odd row's referrer is excluded with the reason, and the row is listed for an admin."""
    number = await ledger.approved()
    await ledger.run(number)
    report = await ledger.report(number)
    assert (report.status, report.total_cents) == (BatchStatus.COMPLETED, sound_cents)
    excluded = await ledger.database.read(exclusions.of_batch, number, limit=9)
    assert [row.reason for row in excluded] == [ExclusionReason.UNUSABLE_ROW]
    assert all(isinstance(row.pending_cents, int) for row in excluded)
    assert excluded[0].pending_cents in {0, 50}
    assert (await ledger.report(number)).left_out[0].reason == ExclusionReason.UNUSABLE_ROW
    count, lines = await ledger.database.read(unusable_rows.listed)
    assert count == 1
    assert lines[0].startswith("referral ")
    types = {type(cents) for (cents,) in ledger.rows("SELECT wallet_balance_cents FROM users")}
    assert types == {int}
    await ledger.earn(SOUND + 1, 30)
    assert (await ledger.pay()).total_cents == 30


def _two_rows(path: Path) -> None:
    """Leave two rows in another bot's file: a sound one, and one that is to be made odd."""
    with raw(path) as connection:
        connection.execute("DELETE FROM referrals")
        connection.execute("INSERT INTO users (discord_id) VALUES (1), (2)")
        connection.execute(
            "INSERT INTO referrals (referrer_user_id, referred_user_id, cashback_earned_cents)"
            f" VALUES ({SOUND}, 1, 100), ({ODD}, 2, 50)"
        )


@asynccontextmanager
async def _adopted(
    path: Path, clock: Clock, spoil: Callable[[], None], *, adopted_first: bool
) -> AsyncIterator[LedgerFixture]:
    """Adopt another bot's file, which that bot spoils before the adoption or after it."""
    if not adopted_first:
        spoil()
    async with Database(path, clock=clock) as database:
        if adopted_first:
            spoil()
        yield LedgerFixture(database, clock)


@pytest.mark.parametrize("change", ON_BOTH.values(), ids=ON_BOTH)
async def test_referrer_of_an_unusable_row_is_excluded(ledger: LedgerFixture, change: str) -> None:
    ledger.honest = False
    await ledger.earn_all([(SOUND, 100), (ODD, 50), (SOUND, 25)])
    await ledger.database.ensure_user(1)
    with raw(ledger.location) as connection:
        for user_id in (0, -7, 1 - 2**63):
            connection.execute("INSERT INTO users (discord_id) VALUES (?)", (user_id,))
        connection.execute(change)
    await _require_others_paid(ledger, sound_cents=125)


@pytest.mark.parametrize("change", [*IN_A_FILE.values(), *ON_BOTH.values()], ids=[*IN_A_FILE, *ON_BOTH])
@pytest.mark.parametrize("adopted_first", first_of([True, False]))
async def test_unusable_row_of_an_adopted_file_is_excluded(
    tmp_path: Path, clock: Clock, change: str, *, adopted_first: bool
) -> None:
    """Whether it is there before the adoption or is written by the other bot later."""
    path = apex_core.create(tmp_path / "apex_core.db")
    _two_rows(path)

    def spoil() -> None:
        with raw(path) as connection:
            connection.execute(change)

    async with _adopted(path, clock, spoil, adopted_first=adopted_first) as ledger:
        await _require_others_paid(ledger, sound_cents=100)


@pytest.mark.about_a_file("only SQLite keeps any value in any column")
@pytest.mark.parametrize(
    ("change", "adopted_first"),
    [
        *(pytest.param(change, True, id=f"{name}, later") for name, change in HIDDEN_LATER.items()),
        *(pytest.param(change, False, id=f"{name}, before") for name, change in HIDDEN_BEFORE.items()),
    ],
)
async def test_row_that_hides_from_the_index_is_listed_and_excluded(
    tmp_path: Path, clock: Clock, change: str, *, adopted_first: bool
) -> None:
    """Nothing is paid to its referrer, who has a sound row too; a batch for all, or for some, gives the reason."""
    path = apex_core.create(tmp_path / "apex_core.db")

    def spoil() -> None:
        with raw(path) as connection:
            connection.execute(f"UPDATE referrals SET {change} WHERE id = 4")

    async with _adopted(path, clock, spoil, adopted_first=adopted_first) as ledger:
        with pytest.raises(NothingPendingError, match="10 is excluded: a row of theirs has an unusable"):
            await ledger.propose(target_user_id=10)
        number = await ledger.approved()
        await ledger.run(number)
        assert (await ledger.report(number)).total_cents == 90
        excluded = await ledger.database.read(exclusions.of_batch, number, limit=9)
        reasons = {row.referrer_id: row.reason for row in excluded}
        assert reasons[10] == ExclusionReason.UNUSABLE_ROW
        count, (line,) = await ledger.database.read(unusable_rows.listed)
        assert (count, line.startswith("referral 4 of 10: ")) == (1, True)


@pytest.mark.about_a_file("only SQLite keeps any value in any column")
@pytest.mark.parametrize(
    ("change", "adopted_first"),
    [
        ("cashback_paid_cents = NULL", True),
        ("cashback_earned_cents = NULL", True),
        ("cashback_earned_cents = NULL, cashback_paid_cents = NULL", True),
        ("cashback_paid_cents = 'none', cashback_earned_cents = 'none'", False),
        (f"cashback_paid_cents = {HUGE}, cashback_earned_cents = {HUGE}", False),
    ],
)
async def test_referrer_whose_only_row_is_unusable_is_excluded_with_the_reason(
    tmp_path: Path, clock: Clock, change: str, *, adopted_first: bool
) -> None:
    """The row is in no index of what is to be paid or was overpaid."""
    path = apex_core.create(tmp_path / "apex_core.db")

    def spoil() -> None:
        _two_rows(path)
        with raw(path) as connection:
            connection.execute(f"UPDATE referrals SET {change} WHERE referrer_user_id = {ODD}")

    async with _adopted(path, clock, spoil, adopted_first=adopted_first) as ledger:
        await _require_others_paid(ledger, sound_cents=100)


async def test_named_referrer_of_an_unusable_row_is_refused_with_the_reason(ledger: LedgerFixture) -> None:
    ledger.honest = False
    await ledger.earn(ODD, 50)
    with raw(ledger.location) as connection:
        connection.execute(ON_BOTH["earned is huge"])
    with pytest.raises(NothingPendingError, match="666 is excluded: a row of theirs has an unusable id or amount"):
        await ledger.propose(target_user_id=ODD)


async def test_planned_payout_with_an_id_below_one_is_settled(ledger: LedgerFixture) -> None:
    """An earlier version planned it, and it kept its batch, and all later ones, running."""
    ledger.honest = False
    await ledger.earn(SOUND, 100)
    number = await ledger.approved()
    await ledger.database.write(runs.start, number, now=ledger.clock())
    with raw(ledger.location) as connection:
        connection.execute("INSERT INTO users (discord_id) VALUES (-7)")
        connection.execute(
            "INSERT INTO cashback_payouts (batch_number, referrer_id, approved_cents, referral_count)"
            " VALUES (?, -7, 5, 1)",
            (number,),
        )
    chunk = await ledger.database.read(crediting.next_chunk, number, after_referrer_id=BEFORE_ALL, size=9)
    assert chunk is not None
    settled = await ledger.database.write(crediting.credit_chunk, chunk, now=ledger.clock())
    assert (settled.credited_cents, settled.skipped) == (100, 1)


@pytest.mark.parametrize("balance", [HUGE - 10, HUGE])
async def test_wallet_that_would_overflow_fails_alone(ledger: LedgerFixture, balance: int) -> None:
    ledger.honest = False
    await ledger.earn_all([(SOUND, 100), (ODD, 50)])
    with raw(ledger.location) as connection:
        connection.execute("UPDATE users SET wallet_balance_cents = ? WHERE discord_id = ?", (balance, ODD))
    report = await ledger.pay()
    assert (report.status, report.total_cents) == (BatchStatus.COMPLETED_WITH_FAILURES, 100)
    assert ledger.balance(ODD) == balance
    _, lines = await ledger.database.read(unusable_rows.listed)
    assert lines == [f"wallet of {ODD}: the balance is {balance}"]


@pytest.mark.about_a_file("only SQLite keeps any value in any column")
@pytest.mark.parametrize("balance", ["'a lot'", "10.5", "x'31'"])
async def test_wallet_without_whole_cents_fails_alone(ledger: LedgerFixture, balance: str) -> None:
    ledger.honest = False
    await ledger.earn_all([(SOUND, 100), (ODD, 50)])
    with raw(ledger.location) as connection:
        connection.execute(f"UPDATE users SET wallet_balance_cents = {balance} WHERE discord_id = {ODD}")
    report = await ledger.pay()
    assert (report.status, report.total_cents) == (BatchStatus.COMPLETED_WITH_FAILURES, 100)
    assert await ledger.pending(ODD) == 50
