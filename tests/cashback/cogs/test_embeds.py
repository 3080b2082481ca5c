"""What people read stays within Discord's limits, whatever the ledger holds."""

from __future__ import annotations

from datetime import UTC, datetime

import discord
import pytest

from cashback.cogs.texts import embeds
from cashback.domain.model import BatchMode, BatchReport, BatchStatus, BatchSummary, PayoutFailure, PlannedPayout

NOW = datetime(2026, 7, 3, 15, tzinfo=UTC)
LARGEST = 2**63 - 1


def report(failures: tuple[PayoutFailure, ...] = ()) -> BatchReport:
    """Make the largest report there can be."""
    return BatchReport(
        batch_number=LARGEST,
        batch_id="BATCH-20260703-150000",
        status=BatchStatus.COMPLETED_WITH_FAILURES,
        mode=BatchMode.INDIVIDUAL,
        target_user_id=LARGEST,
        proposed_by=f"discord:{LARGEST}",
        approved_by=f"discord:{LARGEST}",
        proposed_at=NOW,
        finished_at=NOW,
        users_planned=LARGEST,
        approved_cents=LARGEST,
        users_paid=LARGEST,
        total_cents=LARGEST,
        failed=len(failures),
        skipped=LARGEST,
        failures=failures,
        dm_queued=LARGEST,
        dm_sent=LARGEST,
        dm_undeliverable=LARGEST,
        dm_failed=LARGEST,
        dm_muted=LARGEST,
    )


def assert_fits(embed: discord.Embed) -> None:
    """Hold an embed against the limits that the library does not check."""
    assert len(embed.title or "") <= 256
    assert len(embed.description or "") <= 4096
    assert all(0 < len(each.value or "") <= 1024 for each in embed.fields)
    assert len(embed) <= 6000


def test_the_largest_summary_fits() -> None:
    top = tuple(PlannedPayout(referrer_id=LARGEST, approved_cents=LARGEST, referral_count=LARGEST) for _ in range(10))
    plan = BatchSummary(
        batch_number=1,
        mode=BatchMode.BATCH,
        target_user_id=None,
        users=LARGEST,
        total_cents=LARGEST,
        top=top,
        proposed_at=NOW,
        expires_at=NOW,
    )
    assert_fits(embeds.summary(plan))
    assert embeds.summary(plan).fields[1].value.splitlines()[-1].startswith("...and 9,2")  # type: ignore[union-attr]


@pytest.mark.parametrize("count", [1, 25, 1000])
def test_long_list_of_failures_is_shortened_and_marked_as_shortened(count: int) -> None:
    failure = PayoutFailure(referrer_id=LARGEST, approved_cents=LARGEST, reason="*`_~|" * 200)
    embed, is_clipped = embeds.result(report((failure,) * count))
    assert_fits(embed)
    assert is_clipped == (count > 1)


def test_the_other_embeds_fit() -> None:
    assert_fits(embeds.progress(report(), "why " * 5000))
    assert_fits(embeds.audit(report(), "f" * 64))
    assert_fits(embeds.error("no " * 5000))
    assert_fits(embeds.notice("so " * 5000))


def test_people_and_programs_are_named() -> None:
    person = 123456789012345678
    assert embeds.named(f"discord:{person}") == f"<@{person}>"
    assert embeds.named("cli") == "the command line"
    assert embeds.named(None) == "nobody"
    assert embeds.readable(f"Only discord:{person} may.") == f"Only <@{person}> may."
    assert embeds.readable(f"Member {person} is blacklisted.") == f"<@{person}> is blacklisted."
    assert "@everyone" not in embeds.readable("@everyone look")
