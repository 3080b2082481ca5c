"""Members who left and deleted accounts: their cashback stays pending, and a batch lists why it excluded them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cashback.database.payouts import absences, exclusions, proposals
from cashback.domain.errors import NothingPendingError
from cashback.domain.model import Absence, BatchSummary
from tests.conftest import LedgerFixture, raw

pytestmark = pytest.mark.anyio


async def note(ledger: LedgerFixture, user_id: int, kind: Absence) -> bool:
    """Note an absence."""
    return await ledger.database.write(absences.note, user_id, kind, ledger.clock())


async def propose(ledger: LedgerFixture, *, hold_leavers: bool, target_user_id: int | None = None) -> BatchSummary:
    """Plan a batch under one of the policies."""
    return await ledger.database.write(
        proposals.propose,
        actor="cli",
        now=ledger.clock(),
        expires_at=ledger.clock() + timedelta(seconds=120),
        target_user_id=target_user_id,
        hold_leavers=hold_leavers,
    )


async def left_out(ledger: LedgerFixture, number: int) -> list[tuple[int, int, str]]:
    """List the exclusions: referrer, cents, reason."""
    rows = await ledger.database.read(exclusions.of_batch, number, limit=100)
    return [(row.referrer_id, row.pending_cents, row.reason) for row in rows]


@pytest.fixture
async def community(ledger: LedgerFixture) -> LedgerFixture:
    """Create members: 1 is present, 2 has left, 3's account is deleted; each is owed something."""
    await ledger.earn_all([(1, 10), (2, 20), (2, 5), (3, 30)])
    await note(ledger, 2, Absence.LEFT)
    await note(ledger, 3, Absence.GONE)
    return ledger


async def test_member_who_left_is_paid_and_deleted_account_is_not(community: LedgerFixture) -> None:
    report = await community.pay()
    assert (report.users_paid, report.total_cents) == (2, 35)
    assert await left_out(community, report.batch_number) == [(3, 30, "account_gone")]
    assert (community.balance(2), community.balance(3), await community.pending(3)) == (25, 0, 30)


async def test_leaver_is_withheld_if_policy_is_hold(community: LedgerFixture) -> None:
    summary = await propose(community, hold_leavers=True)
    assert (summary.users, summary.total_cents) == (1, 10)
    assert await left_out(community, summary.batch_number) == [(2, 25, "left_server"), (3, 30, "account_gone")]
    assert await community.pending(2) == 25


async def test_returning_member_is_paid_the_withheld_cashback(community: LedgerFixture) -> None:
    assert await community.database.write(absences.note_return, 3)
    assert not await community.database.write(absences.note_return, 3)
    assert (await community.pay()).total_cents == 65


@pytest.mark.parametrize(("user_id", "reason"), [(2, "left the server"), (3, "the Discord account is gone")])
async def test_payout_for_one_withheld_member_gives_the_reason(
    community: LedgerFixture, user_id: int, reason: str
) -> None:
    with pytest.raises(NothingPendingError, match=f"Member {user_id} is excluded: {reason}"):
        await propose(community, hold_leavers=True, target_user_id=user_id)
    assert community.rows("SELECT * FROM cashback_payout_exclusions") == []


async def test_payout_for_one_lists_no_other_exclusions(community: LedgerFixture) -> None:
    summary = await propose(community, hold_leavers=True, target_user_id=1)
    assert await left_out(community, summary.batch_number) == []


async def test_all_excluded_proposes_nothing(ledger: LedgerFixture) -> None:
    await ledger.earn(3, 30)
    await note(ledger, 3, Absence.GONE)
    with pytest.raises(NothingPendingError, match="except for excluded members"):
        await ledger.propose()


async def test_deleted_account_overrides_left_and_is_recorded_once(ledger: LedgerFixture) -> None:
    assert await note(ledger, 2, Absence.LEFT)
    assert not await note(ledger, 2, Absence.LEFT)
    assert await note(ledger, 2, Absence.GONE)
    assert not await note(ledger, 2, Absence.LEFT)
    assert await ledger.database.read(absences.absence_of, 2) is Absence.GONE
    assert await ledger.database.read(absences.absence_of, 1) is None


async def test_gone_member_without_pending_cashback_is_not_excluded(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 10), (2, 20), (3, 30)])
    await ledger.database.blacklist_referral_user(2)
    await ledger.pay(target_user_id=3)
    await note(ledger, 2, Absence.GONE)
    await note(ledger, 3, Absence.GONE)
    assert await left_out(ledger, (await ledger.propose()).batch_number) == []


async def test_exclusions_are_append_only(community: LedgerFixture) -> None:
    await community.propose()
    with raw(community.location) as connection, pytest.raises(Exception, match="only ever added to"):
        connection.execute("DELETE FROM cashback_payout_exclusions")
