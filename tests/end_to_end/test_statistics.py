"""The statistics on Discord: the numbers, and a chart with its content as alternative text."""

from __future__ import annotations

import pytest

from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture, field
from tests.missing_libraries import without

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


async def test_statistics_have_the_ledgers_numbers_and_a_chart_with_a_description(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    await guild.referrer("Eve", 1000)
    await guild.ledger.pay()
    await guild.ledger.earn(bob.id, 500)
    guild.clock.advance(60)
    await guild.ledger.pay()
    async with guild.bot():
        shown = await guild.answer("!sendref-cashb stats")
        assert (field(shown, "Distributed"), field(shown, "Users Paid")) == ("$40.00", "2")
        assert (field(shown, "Average Per User"), field(shown, "Payouts")) == ("$20.00", "3")
        assert field(shown, "🏆 Top Referrers").splitlines()[0] == f"1. <@{bob.id}> - $30.00 (2 payouts)"
        (chart,) = shown.attachments
        assert chart.data.startswith(b"\x89PNG")
        assert "week of 2026-06-29 $40.00" in (chart.description or "")
        stranger = await guild.answer("!sendref-cashb stats", by=bob)
        assert "Your attempt was recorded." in stranger.text
        assert stranger.attachments == []


async def test_statistics_come_without_a_chart_if_its_library_is_not_installed(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    await guild.ledger.pay()
    async with guild.bot():
        with without("matplotlib"):
            shown = await guild.answer("!sendref-cashb stats")
        assert (field(shown, "Distributed"), shown.attachments) == ("$25.00", [])
        assert "Charts need the library matplotlib, which is not installed" in shown.text
