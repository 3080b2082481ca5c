"""The whole bot under frozen time: a Friday, an expired summary, paced direct messages and a retry, without waiting."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sandbox import Member
from tests.conftest import FRIDAY
from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture, field
from tests.frozen import FrozenTime

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

WEEK = timedelta(weeks=1)


async def test_a_friday_passes_and_pays_once(frozen_guild: DiscordFixture, frozen_time: FrozenTime) -> None:
    guild = frozen_guild
    guild.adjust(auto_batch_enabled=True, notice_hours=0)
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        await frozen_time.run(minutes=1)
        await frozen_time.jump_to(FRIDAY + WEEK - timedelta(seconds=1))
        assert guild.batches() == []
        await frozen_time.run(seconds=1)
        assert guild.batches() == ["completed"]
        await frozen_time.run(minutes=1)
        entry = await guild.audit_entry("$25.00")
        assert field(entry, "Processed By") == "the weekly schedule"
        assert entry.created_at == FRIDAY + WEEK
        assert guild.batches() == ["completed"]
    assert guild.ledger.balance(bob.id) == 2500


async def test_a_summary_expires_at_its_deadline(frozen_guild: DiscordFixture, frozen_time: FrozenTime) -> None:
    await frozen_guild.referrer("Bob", 2500)
    async with frozen_guild.bot():
        summary = await frozen_guild.ask()
        await frozen_time.run(seconds=119)
        assert frozen_guild.batches() == ["proposed"]
        await frozen_time.run(seconds=2)
        await frozen_guild.shows(summary, "This summary expired")
        assert frozen_guild.batches() == ["expired"]


async def test_direct_messages_keep_their_pace_and_a_refused_one_is_tried_again(
    frozen_guild: DiscordFixture, frozen_time: FrozenTime
) -> None:
    guild = frozen_guild
    guild.adjust(dm_per_second=1)
    payees = [await guild.referrer(f"Member {number}", 100) for number in range(10)]
    unlucky = guild.sandbox.open_direct_channel(payees[4].id)
    guild.sandbox.faults.fail("POST", f"/channels/{unlucky.id}/messages$", status=503)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await frozen_time.run(seconds=5)
        assert 3 <= len(sent_at(guild, payees)) <= 6
        await frozen_time.run(minutes=1)
    sent = sent_at(guild, payees)
    assert len(sent) == 10
    assert sent[8] - sent[0] <= timedelta(seconds=12)
    assert sent[9] - sent[0] >= timedelta(seconds=30)


def sent_at(guild: DiscordFixture, payees: list[Member]) -> list[datetime]:
    """List when direct messages arrived."""
    return sorted(message.created_at for payee in payees for message in guild.sandbox.direct_messages(payee.id))
