"""What people read stays within Discord's limits, whatever the ledger holds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import discord
import pytest

from cashback.cogs.texts import embeds, schedule_embeds
from cashback.domain.model import (
    BatchMode,
    BatchReport,
    BatchStatus,
    BatchSummary,
    PayoutFailure,
    PlannedPayout,
    SlotRecord,
    SlotStatus,
)

NOW = datetime(2026, 7, 3, 15, tzinfo=UTC)
LARGEST = 2**63 - 1

TERMS = "0.5 % of each purchase, payable at once, minimum payout $0.01, every Friday at 15:00 UTC"


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
    assert_fits(embeds.summary(plan, TERMS))
    assert embeds.summary(plan, TERMS).fields[1].value.splitlines()[-1].startswith("...and 9,2")  # type: ignore[union-attr]


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


MASKED_LINK = re.compile(r"\]\(")
OTHER = 200_000_000_000_000_001


@pytest.mark.parametrize(
    "reason",
    [
        "[click](http://evil.example)",
        "[a](http://evil.example) and [b](http://evil.example)",
        "[**bold**](http://evil.example)",
        "[a](<http://evil.example>)",
        r"https://good.example/\[a](http://evil.example)",
        r"\[a\](http://evil.example)",
        "[a\n](http://evil.example)",
        "[[a]](http://evil.example)",
    ],
)
def test_masked_links_in_reasons_show_their_address(reason: str) -> None:
    for shown in (embeds.escaped(reason), embeds.readable(reason), embeds.readable(embeds.escaped(reason))):
        assert not MASKED_LINK.search(shown)
        assert "evil.example" in shown


@pytest.mark.parametrize("claim", [f"By discord:{OTHER}.", f"Member {OTHER} stole it", f"<@{OTHER}>"])
def test_ids_in_reasons_are_not_shown_as_the_programs_words(claim: str) -> None:
    assert f"<@{OTHER}>" not in embeds.readable(embeds.escaped(claim))
    assert str(OTHER) in embeds.escaped(claim)


def slot(reason: str, decided_by: str) -> SlotRecord:
    """Return a skipped slot."""
    return SlotRecord(slot_at=NOW, status=SlotStatus.SKIPPED, batch_id=None, reason=reason, decided_by=decided_by)


def test_only_the_schedules_own_reason_names_an_admin() -> None:
    reason = f"by discord:{OTHER}: by discord:{OTHER}: holiday"
    assert schedule_embeds.outcome(slot(reason, "schedule")).count(f"<@{OTHER}>") == 1
    assert f"<@{OTHER}>" not in schedule_embeds.outcome(slot(reason, "cli"))
