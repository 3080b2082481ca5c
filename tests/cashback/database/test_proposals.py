"""A proposal to the last word: what is stored, what the summary shows of it, and what stands in the audit log."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from cashback.database.payouts import absences, approvals, proposals
from cashback.database.tables import payout_batches
from cashback.domain.errors import NothingPendingError, StaleBatchError
from cashback.domain.model import (
    Absence,
    BatchLimits,
    BatchMode,
    BatchStatus,
    BatchSummary,
    PendingPreview,
    PlannedPayout,
    ReasonCount,
    Selection,
)
from tests.conftest import FRIDAY, Clock, LedgerFixture, raw

pytestmark = pytest.mark.anyio

DEADLINE = FRIDAY + timedelta(minutes=2)


async def propose(ledger: LedgerFixture, **wishes: Any) -> BatchSummary:  # noqa: ANN401 -- arguments of several types
    """Plan a batch as another admin than usual."""
    asked: dict[str, Any] = {"actor": "discord:7", "now": ledger.clock(), "expires_at": DEADLINE, **wishes}
    return await ledger.database.write(proposals.propose, **asked)


def stored(ledger: LedgerFixture, number: int) -> dict[str, Any]:
    """Read a batch's row, without what was left empty."""
    columns = payout_batches.c.keys()
    [row] = ledger.rows(f"SELECT {', '.join(columns)} FROM cashback_payout_batches WHERE number = ?", number)
    return {name: value for name, value in zip(columns, row, strict=True) if value is not None}


def told(ledger: LedgerFixture) -> list[tuple[Any, ...]]:
    """Read the audit entries of proposals: when, who, which batch, details."""
    found = ledger.rows(
        "SELECT at, actor, batch_number, details FROM cashback_audit_log WHERE action = 'batch_proposed'"
    )
    entries = [(*rest, json.loads(details)) for *rest, details in found]
    for *_, number, details in entries:
        assert (details.pop("token"), details.pop("plan")) == token_and_plan(ledger, number)
    return entries


def token_and_plan(ledger: LedgerFixture, number: int) -> tuple[str, str]:
    """Return a batch's token, and the fingerprint of its plan, digested from its rows."""
    [(token,)] = ledger.rows("SELECT token FROM cashback_payout_batches WHERE number = ?", number)
    queries = (
        "SELECT referrer_id, approved_cents FROM cashback_payouts WHERE batch_number = ? ORDER BY 1",
        (
            "SELECT referrer_id, referral_id, payable_cents, refunded_cents FROM cashback_payout_shares"
            " WHERE batch_number = ? ORDER BY 1, 2"
        ),
    )
    columns = [column for query in queries for column in zip(*ledger.rows(query, number), strict=True)]
    told_columns = "".join(",".join(map(str, column)) + ";" for column in columns)
    assert len(token) == 16
    return token, hashlib.sha256(told_columns.encode()).hexdigest()


def text(moment: datetime) -> str:
    """Write a moment as it is stored."""
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"


async def test_a_batch_for_everyone(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 300), (2, 500), (2, 50), (3, 300)])
    summary = await propose(ledger)
    assert summary == BatchSummary(
        batch_number=1,
        mode=BatchMode.BATCH,
        status=BatchStatus.PROPOSED,
        target_user_id=None,
        users=3,
        total_cents=1150,
        top=(
            PlannedPayout(referrer_id=2, approved_cents=550, referral_count=2),
            PlannedPayout(referrer_id=1, approved_cents=300, referral_count=1),
            PlannedPayout(referrer_id=3, approved_cents=300, referral_count=1),
        ),
        proposed_at=FRIDAY,
        expires_at=DEADLINE,
        proposed_by="discord:7",
        token=token_and_plan(ledger, 1)[0],
        plan=token_and_plan(ledger, 1)[1][:16],
    )
    assert stored(ledger, 1) == {
        "token": summary.token,
        "number": 1,
        "mode": "batch",
        "status": "proposed",
        "proposed_by": "discord:7",
        "proposed_at": text(FRIDAY),
        "expires_at": text(DEADLINE),
        "planned_count": 3,
        "planned_cents": 1150,
        "credited_count": 0,
        "credited_cents": 0,
        "failed_count": 0,
        "skipped_count": 0,
        "left_out_count": 0,
    }
    details = {"mode": "batch", "users": 3, "total_cents": 1150, "target_user_id": None}
    assert told(ledger) == [(text(FRIDAY), "discord:7", 1, details)]


async def test_a_batch_for_one_member(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 300), (2, 500)])
    summary = await propose(ledger, target_user_id=1)
    assert (summary.mode, summary.target_user_id, summary.users, summary.total_cents) == ("individual", 1, 1, 300)
    assert summary.selected_count is None
    kept = stored(ledger, 1)
    assert (kept["mode"], kept["target_user_id"], kept["planned_cents"]) == ("individual", 1, 300)
    details = {"mode": "individual", "users": 1, "total_cents": 300, "target_user_id": 1}
    assert told(ledger) == [(text(FRIDAY), "discord:7", 1, details)]


async def test_a_batch_of_a_slot_names_it(ledger: LedgerFixture) -> None:
    """A slot's batch has no deadline: it is approved in the same transaction."""
    await ledger.earn(1, 100)
    await propose(ledger, slot_at=FRIDAY, expires_at=None)
    kept = stored(ledger, 1)
    assert kept["slot_at"] == text(FRIDAY)
    assert "expires_at" not in kept


async def test_a_selection_is_on_record_with_who_was_left_out_and_why(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 300), (2, 500), (3, 40), (4, 100)])
    await ledger.database.write(absences.note, 4, Absence.LEFT, FRIDAY)
    summary = await propose(
        ledger,
        selection=Selection(only=frozenset({4, 3, 2, 1}), exclude=frozenset()),
        min_payout_cents=50,
        hold_leavers=True,
        terms=BatchLimits(max_users=1),
    )
    reasons = {"below_minimum": 40, "left_server": 100, "over_user_limit": 300}
    assert {each.reason: each.cents for each in summary.left_out} == reasons
    assert (summary.users, summary.total_cents, summary.selected_count) == (1, 500, 4)
    assert summary == await ledger.database.read(proposals.summary, 1)
    kept = stored(ledger, 1)
    assert (kept["left_out_count"], kept["selected_count"]) == (3, 4)
    [(*_, details)] = told(ledger)
    assert details == {
        "mode": "batch",
        "users": 1,
        "total_cents": 500,
        "target_user_id": None,
        "only": [1, 2, 3, 4],
        "exclude": [],
        "left_out": dict.fromkeys(reasons, 1),
    }


async def test_who_is_excluded_is_on_record(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 300), (2, 500), (3, 40)])
    summary = await propose(ledger, selection=Selection(exclude=frozenset({3, 2})))
    assert [one.referrer_id for one in summary.top] == [1]
    assert summary.selected_count is None
    [(*_, details)] = told(ledger)
    assert (details["only"], details["exclude"], details["left_out"]) == ([], [2, 3], {"excluded": 2})


async def test_of_those_left_out_only_who_is_named_is_on_record(ledger: LedgerFixture) -> None:
    """The others are in no batch either, but not for what is wrong with them: nobody asked for them."""
    await ledger.earn_all([(1, 40), (2, 500), (3, 40), (4, 700), (5, 900), (6, 600), (7, 650)])
    for gone in (4, 5):
        await ledger.database.write(absences.note, gone, Absence.GONE, ledger.clock())
    named = Selection(only=frozenset({1, 2, 4, 6}))
    summary = await propose(ledger, selection=named, min_payout_cents=50, terms=BatchLimits(max_users=1))
    assert [one.referrer_id for one in summary.top] == [6]
    reasons = {1: "below_minimum", 2: "over_user_limit", 4: "account_gone"}
    assert dict(ledger.rows("SELECT referrer_id, reason FROM cashback_payout_exclusions")) == reasons
    assert stored(ledger, summary.batch_number)["left_out_count"] == 3


async def test_who_is_gone_and_who_is_excluded_are_counted_together(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 100), (2, 500), (3, 40)])
    await ledger.database.write(absences.note, 1, Absence.GONE, ledger.clock())
    summary = await propose(ledger, selection=Selection(exclude=frozenset({2})))
    assert stored(ledger, summary.batch_number)["left_out_count"] == 2


async def test_the_summary_shows_the_ten_largest(ledger: LedgerFixture) -> None:
    await ledger.earn_all((person, 10 * person) for person in range(1, 13))
    summary = await propose(ledger)
    assert [one.referrer_id for one in summary.top] == list(range(12, 2, -1))
    assert summary.users == 12


@pytest.mark.parametrize(("cents", "asked"), [(999, None), (1000, "From $10.00 on, two admins must approve.")])
async def test_from_the_threshold_on_two_must_approve(ledger: LedgerFixture, cents: int, asked: str | None) -> None:
    await ledger.earn(1, cents)
    summary = await propose(ledger, terms=BatchLimits(approval_threshold_cents=1000))
    assert summary.needs_second_approver == asked
    assert stored(ledger, 1).get("needs_second_approver") == asked


@pytest.mark.parametrize("gate", [False, True])
async def test_what_is_unusual_is_said_and_may_need_two(ledger: LedgerFixture, *, gate: bool) -> None:
    await ledger.earn_all([(1, 80), (2, 10), (3, 10)])
    summary = await propose(ledger, terms=BatchLimits(unusual_share_percent=50, gate_unusual=gate))
    sentence = "Member 1 takes 80% of it, $0.80; more than 50% is flagged."
    assert summary.unusual == (sentence,)
    assert stored(ledger, 1)["unusual"] == sentence
    assert summary.needs_second_approver == ("A flagged batch needs two admins." if gate else None)


async def test_several_unusual_things_are_told_apart(ledger: LedgerFixture, clock: Clock) -> None:
    for _ in range(3):
        await ledger.earn_all([(1, 10), (2, 10), (3, 10)])
        await ledger.pay()
        clock.advance(1)
    await ledger.earn_all([(1, 800), (2, 100), (3, 100)])
    summary = await propose(ledger, terms=BatchLimits(unusual_share_percent=50, unusual_factor=2, gate_unusual=True))
    assert [sentence.split()[0] for sentence in summary.unusual] == ["The", "Member"]
    assert stored(ledger, summary.batch_number)["unusual"] == "\n".join(summary.unusual)


async def test_what_is_usual_needs_one_admin_even_where_unusual_needs_two(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 10), (2, 10), (3, 10)])
    summary = await propose(ledger, terms=BatchLimits(unusual_share_percent=50, gate_unusual=True))
    assert (summary.unusual, summary.needs_second_approver) == ((), None)


async def test_the_first_approval_shows_in_the_summary(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 1000)
    number = (await propose(ledger, terms=BatchLimits(approval_threshold_cents=1000))).batch_number
    await ledger.database.write(approvals.approve, number, actor="discord:8", now=FRIDAY, approver_id=8)
    summary = await ledger.database.read(proposals.summary, number)
    assert (summary.first_approved_by, summary.is_waiting, summary.status) == ("discord:8", True, "proposed")
    await ledger.database.write(approvals.approve, number, actor="discord:9", now=FRIDAY, approver_id=9)
    assert (await ledger.database.read(proposals.summary, number)).status is BatchStatus.APPROVED


async def test_a_preview_tells_what_a_proposal_would_and_leaves_nothing(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 300), (2, 500), (3, 40), (4, 100), (5, 200), (6, 400)])
    await ledger.database.write(absences.note, 4, Absence.LEFT, FRIDAY)
    before = ledger.money()
    plan: dict[str, Any] = {"min_payout_cents": 50, "hold_leavers": True, "terms": BatchLimits(max_total_cents=1300)}
    found = await ledger.database.write(proposals.preview, now=FRIDAY, **plan)
    assert found == PendingPreview(
        users=3,
        total_cents=1200,
        top=(
            PlannedPayout(referrer_id=2, approved_cents=500, referral_count=1),
            PlannedPayout(referrer_id=6, approved_cents=400, referral_count=1),
            PlannedPayout(referrer_id=1, approved_cents=300, referral_count=1),
        ),
        left_out=(
            ReasonCount(reason="below_minimum", count=1, cents=40),
            ReasonCount(reason="left_server", count=1, cents=100),
            ReasonCount(reason="over_total_limit", count=1, cents=200),
        ),
    )
    assert ledger.money() == before
    assert (
        ledger.rows("SELECT * FROM cashback_payout_batches")
        == ledger.rows("SELECT * FROM cashback_payout_exclusions")
        == told(ledger)
        == []
    )
    summary = await propose(ledger, **plan)
    assert (summary.users, summary.total_cents, summary.left_out) == (found.users, found.total_cents, found.left_out)
    assert summary.top == found.top


async def test_a_preview_of_nothing_is_empty(ledger: LedgerFixture) -> None:
    found = await ledger.database.write(
        proposals.preview, now=FRIDAY, min_payout_cents=1, hold_leavers=False, terms=BatchLimits()
    )
    assert found == PendingPreview(users=0, total_cents=0, top=())


async def test_who_is_below_the_minimum_alone_is_told_so(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 40), (2, 45)])
    with pytest.raises(NothingPendingError) as refused:
        await propose(ledger, target_user_id=2, min_payout_cents=50)
    assert str(refused.value) == "Member 2 is excluded: below the minimum payout."
    with pytest.raises(NothingPendingError, match="except for excluded members"):
        await propose(ledger, min_payout_cents=50)
    assert (
        ledger.rows("SELECT * FROM cashback_payout_batches")
        == ledger.rows("SELECT * FROM cashback_payout_exclusions")
        == told(ledger)
        == []
    )


def lose_wallets(ledger: LedgerFixture, *people: int) -> None:
    """Take rows away as a bot does that looks at no foreign keys."""
    with raw(ledger.path) as connection:
        for person in people:
            connection.execute("DELETE FROM users WHERE discord_id = ?", [person])


def wallets(ledger: LedgerFixture) -> list[tuple[Any, ...]]:
    """Read the wallets of referrers: whose, how much, since when."""
    return ledger.rows(
        "SELECT discord_id, wallet_balance_cents, created_at, updated_at FROM users WHERE discord_id < 10"
    )


@pytest.mark.about_a_file("a server does not let go of a wallet that a referral names")
async def test_who_is_to_be_paid_and_has_no_wallet_gets_one(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn_all([(1, 300), (2, 500), (3, 40), (4, 100), (5, 70)])
    await ledger.pay(target_user_id=5)
    lose_wallets(ledger, 2, 3, 5)
    since = text(clock.advance(60))
    plan = {"min_payout_cents": 50, "selection": Selection(exclude=frozenset({4}))}
    summary = await propose(ledger, expires_at=None, **plan)
    assert [(one.referrer_id, one.approved_cents) for one in summary.top] == [(2, 500), (1, 300)]
    assert {each.reason: each.cents for each in summary.left_out} == {"below_minimum": 40, "excluded": 100}
    begin = text(FRIDAY)
    kept = [(1, 0, begin, begin), (4, 0, begin, begin)]
    assert wallets(ledger) == sorted([*kept, (2, 0, since, since), (3, 0, since, since)])
    ledger.honest = False  # Who was paid before has lost the wallet for good.


@pytest.mark.about_a_file("a server does not let go of a wallet that a referral names")
async def test_of_those_without_a_wallet_only_who_is_named_gets_one(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 300), (2, 500), (3, 40)])
    lose_wallets(ledger, 2, 3)
    summary = await propose(ledger, target_user_id=3)
    assert (summary.users, summary.total_cents) == (1, 40)
    assert [person for person, *_ in wallets(ledger)] == [1, 3]


async def test_only_what_waits_for_an_answer_expires_and_at_its_last_moment(
    ledger: LedgerFixture, clock: Clock
) -> None:
    await ledger.earn(1, 100)
    approved, cancelled, early, late, never = [
        (await propose(ledger, expires_at=expires_at)).batch_number
        for expires_at in (DEADLINE, DEADLINE, DEADLINE, DEADLINE + timedelta(seconds=1), None)
    ]
    await ledger.approve(approved)
    await ledger.database.write(proposals.cancel, cancelled, actor="cli", now=clock())
    assert await ledger.database.write(proposals.expire, now=DEADLINE - timedelta(seconds=1)) == []
    assert await ledger.database.write(proposals.expire, now=DEADLINE) == [early]
    assert await ledger.database.write(proposals.expire, now=DEADLINE + timedelta(days=1)) == [late]
    assert ledger.rows("SELECT number, status FROM cashback_payout_batches ORDER BY 1") == [
        (approved, "approved"),
        (cancelled, "cancelled"),
        (early, "expired"),
        (late, "expired"),
        (never, "proposed"),
    ]
    assert stored(ledger, early)["finished_at"] == text(DEADLINE)


async def test_what_was_decided_is_not_cancelled(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn(1, 100)
    first, second = [(await propose(ledger)).batch_number for _ in range(2)]
    await ledger.database.write(proposals.cancel, first, actor="discord:8", now=clock.advance(3))
    row = stored(ledger, first)
    assert (row["status"], row["finished_at"]) == ("cancelled", text(clock()))
    with pytest.raises(StaleBatchError) as refused:
        await ledger.database.write(proposals.cancel, first, actor="discord:8", now=clock.advance(3))
    assert "cancelled" in str(refused.value)
    assert stored(ledger, first) == row
    assert stored(ledger, second)["status"] == "proposed"
