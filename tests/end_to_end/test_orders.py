"""One order on Discord: as on the command line, for admins and viewers."""

from __future__ import annotations

import pytest

from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


async def test_order_is_shown_to_admins(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob")
    await town.till.database.create_referral(bob.id, 900_000)
    await town.till.database.log_referral_purchase(900_000, "A-1 *x*", 20_000)
    async with town.bot():
        shown = await town.answer("!sendref-cashb order A-1 *x*")
        assert "$1.00 are pending" in shown.text
        assert "is not known" in (await town.answer("!sendref-cashb order Z-9")).text
        asked = await town.sandbox.slash(town.channel.id, town.admin.id, "sendref-cashb order", {"order": "#A-1 *x*"})
        answer = await asked.replied()
        assert answer is not None
        assert "$1.00 are pending" in answer.text
