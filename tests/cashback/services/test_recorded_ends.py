"""The complete record of what follows a run: lapses and retries, each with actor and moment."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cashback.database.payouts import crediting, lapsing, retries, runs
from cashback.database.referral_program import blacklist
from cashback.domain.errors import StaleBatchError
from tests.cashback.services.test_recorded_effects import break_wallet, entries, moments
from tests.conftest import FRIDAY, Clock, LedgerFixture, raw
from verification.testbed import databases

pytestmark = pytest.mark.anyio

TOKEN = "fedcba9876543210"  # noqa: S105 -- of no proposal
BROKEN = "The ledger refused a row: this wallet is broken."
VALID = timedelta(days=14)


async def fail(ledger: LedgerFixture, member: int, cents: int) -> int:
    """Have a batch with one payout fail; return its number."""
    await ledger.earn(member, cents)
    number = await ledger.approved(target_user_id=member)
    with databases.connect(ledger.location) as connection:
        databases.break_wallet(connection, member)
        await ledger.run(number)
        databases.mend_wallet(connection)
    return number


async def test_lapsed_batches_are_closed_by_the_program_oldest_first(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn_all([(1, 100), (2, 200), (3, 300)])
    numbers = [await ledger.approved(target_user_id=member) for member in (2, 1)]
    await ledger.database.write(runs.stop, numbers[0], actor="cli", now=clock())
    others = await ledger.approved(target_user_id=3, valid=VALID + timedelta(seconds=1))
    assert await ledger.database.write(lapsing.lapse_due, now=clock.advance(VALID.total_seconds())) == numbers
    assert [ledger.payouts(number) for number in numbers] == [
        [(2, "skipped", 0, "lapsed")],
        [(1, "skipped", 0, "lapsed")],
    ]
    assert ledger.payouts(others) == [(3, "planned", 0, None)]
    assert ledger.rows("SELECT DISTINCT settled_at FROM cashback_payouts WHERE status = 'skipped'") == [
        ("2026-07-17 15:00:00.000000",)
    ]
    assert [moments(ledger, number)[3] for number in numbers] == [VALID.total_seconds()] * 2
    since = {"users": 1, "approved_at": FRIDAY.isoformat()}
    assert entries(ledger, "batch_lapsed") == [("system", number, since) for number in numbers]
    finished = entries(ledger, "batch_finished")
    assert [(actor, number) for actor, number, _ in finished] == [("system", number) for number in numbers]
    assert [
        (told["batch_id"], told["status"], told["users_paid"], told["total_cents"], told["failed"], told["skipped"])
        for _, _, told in finished
    ] == [("BATCH-20260703-150000", "lapsed", 0, 0, 0, 1), ("BATCH-20260703-150001", "lapsed", 0, 0, 0, 1)]


async def test_finished_batch_has_its_totals_in_the_audit_log(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 100), (2, 200), (3, 300)])
    number = await ledger.approved()
    await ledger.database.blacklist_referral_user(3)
    with databases.connect(ledger.location) as connection:
        databases.break_wallet(connection, 2)
        await ledger.run(number)
        databases.mend_wallet(connection)
    [(actor, of_batch, told)] = entries(ledger, "batch_finished")
    assert (actor, of_batch, told.pop("payouts") != "") == ("cli", number, True)
    assert told == {
        "batch_id": "BATCH-20260703-150000",
        "status": "completed_with_failures",
        "users_paid": 1,
        "total_cents": 100,
        "failed": 1,
        "skipped": 1,
    }


async def test_batch_lapses_at_the_moment_and_says_what_to_do(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn(1, 300)
    number = await ledger.approved()
    await ledger.database.write(runs.stop, number, actor="cli", now=clock())
    with pytest.raises(StaleBatchError) as refused:
        await ledger.database.write(runs.resume, number, actor="cli", now=clock() + VALID)
    assert str(refused.value) == (
        "The approval of batch BATCH-20260703-150000 lapsed at 2026-07-17 15:00:00 UTC; what is left is pending again."
        " Ask for a new summary."
    )
    await ledger.database.write(runs.resume, number, actor="cli", now=clock() + VALID - timedelta(seconds=1))


async def test_failed_payout_of_a_lapsed_approval_is_refused_from_that_moment_on(
    ledger: LedgerFixture, clock: Clock
) -> None:
    number = await fail(ledger, 1, 300)
    with pytest.raises(StaleBatchError) as refused:
        await ledger.database.write(retries.begin, number, actor="cli", why=None, now=clock() + VALID)
    assert str(refused.value) == (
        "The approval of batch BATCH-20260703-150000 has lapsed; its failed payouts are pending again."
        " Ask for a new summary."
    )
    last = clock() + VALID - timedelta(seconds=1)
    assert await ledger.database.write(retries.begin, number, actor="cli", why=None, now=last) == 1


async def test_retry_is_recorded_with_its_admin_moment_and_reason(ledger: LedgerFixture, clock: Clock) -> None:
    number, other = await fail(ledger, 2, 300), await fail(ledger, 1, 100)
    clock.advance(60)
    assert await ledger.database.write(retries.begin, number, actor="discord:7", why="mended", now=clock()) == 1
    assert entries(ledger, "retry_started") == [("discord:7", number, {"users": 1, "why": "mended"})]
    assert moments(ledger, number) == (None, 0, 0, None)
    assert ledger.payouts(number) == [(2, "planned", 0, None)]
    assert ledger.rows("SELECT settled_at FROM cashback_payouts WHERE batch_number = ?", number) == [(None,)]
    assert ledger.payouts(other) == [(1, "failed", 0, BROKEN)], "another batch is not retried"
    clock.advance(5)
    await ledger.run(number)
    [attempt] = await ledger.database.read(retries.attempts_of, number, limit=9)
    assert attempt == {
        "batch_number": number,
        "referrer_id": 2,
        "attempt": 1,
        "requested_by": "discord:7",
        "requested_at": FRIDAY + timedelta(seconds=60),
        "why": "mended",
        "failed_before": BROKEN,
        "outcome": "credited",
        "reason": None,
        "settled_at": FRIDAY + timedelta(seconds=65),
    }
    assert await ledger.database.read(retries.attempts_of, other, limit=9) == []


async def test_each_attempt_keeps_its_own_end(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn_all([(1, 100), (2, 200), (3, 300)])
    number = await ledger.approved()
    with databases.connect(ledger.location) as connection:
        databases.break_wallet(connection, 2)
        await ledger.run(number)
        clock.advance(60)
        assert await ledger.database.write(retries.begin, number, actor="cli", why=None, now=clock()) == 1
        await ledger.run(number)
        databases.mend_wallet(connection)
    [failure] = await ledger.database.read(retries.open_failures, limit=9)
    assert (failure.referrer_id, failure.attempts) == (2, 2), "the others were paid"
    clock.advance(60)
    await ledger.database.write(retries.begin, number, actor="cli", why=None, now=clock())
    await ledger.run(number)
    attempts = await ledger.database.read(retries.attempts_of, number, limit=9)
    assert [(one["referrer_id"], one["attempt"], one["outcome"], one["reason"]) for one in attempts] == [
        (2, 1, "failed", BROKEN),
        (2, 2, "credited", None),
    ]
    assert [one["settled_at"] for one in attempts] == [FRIDAY + timedelta(seconds=after) for after in (60, 120)]
    assert await ledger.database.read(retries.attempts_of, number, limit=1) == attempts[:1]


async def test_retry_pays_nothing_of_a_payout_that_was_skipped(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 100), (2, 200), (3, 300)])
    number = await ledger.approved()
    await ledger.database.blacklist_referral_user(2)
    for member in (1, 3):
        break_wallet(ledger, member)
    await ledger.run(number)
    with raw(ledger.location) as connection:
        for member in (1, 3):
            connection.execute(f"DROP TRIGGER broken_{member}")
    await ledger.database.write(blacklist.unblacklist, 2, actor="cli", now=ledger.clock())
    await ledger.database.write(retries.begin, number, actor="cli", why=None, now=ledger.clock())
    await ledger.run(number)
    assert ledger.payouts(number) == [
        (1, "credited", 100, None),
        (2, "skipped", 0, "blacklisted"),
        (3, "credited", 300, None),
    ]
    assert (ledger.balance(2), await ledger.pending(2)) == (0, 200)


async def test_running_batch_has_no_open_failures(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 100), (2, 200)])
    number = await ledger.approved()
    await ledger.database.write(runs.start, number, now=ledger.clock())
    await ledger.database.write(crediting.fail_payout, number, 1, reason="no", now=ledger.clock())
    assert await ledger.database.read(retries.open_failures, limit=9) == []
    assert await ledger.database.read(retries.count_open_failures) == 0
    later = ledger.clock() + timedelta(days=1)
    assert await ledger.database.read(retries.due, now=later, attempts=9, pause=timedelta(0)) == []


async def test_batch_without_failures_is_not_retried(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 100), (2, 200)])
    paid = (await ledger.pay(target_user_id=1)).batch_number
    proposed = (await ledger.propose()).batch_number
    for number, named in ((paid, "BATCH-20260703-150000 is completed"), (proposed, f"{proposed} is proposed")):
        with pytest.raises(StaleBatchError) as refused:
            await ledger.database.write(retries.begin, number, actor="cli", why=None, now=ledger.clock())
        assert str(refused.value) == f"Batch {named}; there is no failed payout to retry."


async def test_page_of_another_proposal_retries_nothing(ledger: LedgerFixture) -> None:
    number = await fail(ledger, 1, 100)
    with pytest.raises(StaleBatchError, match="shows another proposal"):
        await ledger.database.write(
            retries.begin,
            number,
            actor="cli",
            why=None,
            now=ledger.clock(),
            token=TOKEN,
        )
    assert ledger.payouts(number) == [(1, "failed", 0, BROKEN)]


async def test_open_failures_are_listed_newest_batch_first(ledger: LedgerFixture, clock: Clock) -> None:
    first = await fail(ledger, 2, 300)
    clock.advance(60)
    second = await fail(ledger, 1, 100)
    await ledger.database.write(retries.begin, second, actor="cli", why=None, now=clock())
    with databases.connect(ledger.location) as connection:
        databases.break_wallet(connection, 1)
        await ledger.run(second)
        databases.mend_wallet(connection)
    newest, oldest = await ledger.database.read(retries.open_failures, limit=9)
    assert (newest.batch_number, newest.batch_id, newest.referrer_id) == (second, "BATCH-20260703-150100", 1)
    assert (newest.approved_cents, newest.attempts, newest.reason) == (100, 2, BROKEN)
    assert newest.failed_at == FRIDAY + timedelta(seconds=60)
    assert (oldest.batch_number, oldest.referrer_id, oldest.attempts) == (first, 2, 1)
    assert await ledger.database.read(retries.open_failures, limit=1) == [newest]
    assert await ledger.database.read(retries.open_failures, limit=9, offset=1) == [oldest]
    assert await ledger.database.read(retries.count_open_failures) == 2


async def test_program_retries_batches_with_open_failures_oldest_first(ledger: LedgerFixture, clock: Clock) -> None:
    numbers = [await fail(ledger, 2, 300), await fail(ledger, 1, 100)]
    await ledger.earn(3, 100)
    await ledger.pay(target_user_id=3)
    pause = timedelta(minutes=5)

    async def due(seconds: float, attempts: int = 1) -> list[int]:
        now = clock() + timedelta(seconds=seconds)
        return await ledger.database.read(retries.due, now=now, attempts=attempts, pause=pause)

    assert await due(299) == []
    assert await due(300) == numbers
    assert await due(300, attempts=0) == []
    # A clock that was ahead by more than a minute at the batch's end does not postpone the retry.
    assert await due(-60) == []
    assert await due(-61) == numbers
    # The second pause is twice as long.
    await ledger.database.write(retries.begin, numbers[0], actor="system", why=None, now=clock())
    with databases.connect(ledger.location) as connection:
        databases.break_wallet(connection, 2)
        await ledger.run(numbers[0])
        databases.mend_wallet(connection)
    assert await due(599, attempts=2) == numbers[1:]
    assert await due(600, attempts=2) == numbers
    assert await due(600, attempts=1) == numbers[1:]
