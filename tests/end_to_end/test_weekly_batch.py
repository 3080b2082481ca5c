"""The weekly batch in the running bot: paid without a press, and posted in the audit channel."""

from __future__ import annotations

import pytest

from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture, field, saying

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

HOUR = 3600
WEEK = 7 * 24 * HOUR


async def start_the_calendar(guild: DiscordFixture) -> None:
    """Run the bot once with the weekly batch on, so that the ledger records its start."""
    guild.adjust(auto_batch_enabled=True)
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        await guild.ask()


async def test_a_slot_that_passed_while_the_bot_was_away_is_caught_up_and_announced(guild: DiscordFixture) -> None:
    await start_the_calendar(guild)
    guild.clock.advance(WEEK + HOUR)
    async with guild.bot():
        entry = await guild.audit_entry("$25.00")
        assert field(entry, "Processed By") == "the weekly schedule"
        await guild.sandbox.wait_for(lambda message: message.embed.get("title") == "💰 Referral Cashback Received!")
    assert guild.batches() == ["expired", "completed"]


async def test_missed_slot_is_reported_in_the_audit_channel(guild: DiscordFixture) -> None:
    await start_the_calendar(guild)
    guild.clock.advance(WEEK + 48 * HOUR)
    async with guild.bot():
        line = await guild.sandbox.wait_for(saying("No Weekly Cashback Batch", "missed", "grace time"))
        assert line.channel_id == guild.audit.id
    assert guild.batches() == ["expired"]
