"""One order on Discord: as on the command line, for admins and viewers."""

from __future__ import annotations

import pytest

from cashback.database.referral_program.unmatched import UnmatchedPurchase, record_unmatched
from cashback.domain.earning import Origin
from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture, until

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


async def test_order_is_shown_to_admins(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob")
    await guild.ledger.database.create_referral(bob.id, 900_000)
    await guild.ledger.database.log_referral_purchase(900_000, "A-1 *x*", 20_000)
    async with guild.bot():
        shown = await guild.answer("!sendref-cashb order A-1 *x*")
        assert "$1.00 are pending" in shown.text
        assert "is not known" in (await guild.answer("!sendref-cashb order Z-9")).text
        asked = await guild.sandbox.slash(
            guild.channel.id, guild.admin.id, "sendref-cashb order", {"order": "#A-1 *x*"}
        )
        answer = await asked.replied()
        assert answer is not None
        assert "$1.00 are pending" in answer.text


async def test_order_of_two_shops_is_shown_of_each(guild: DiscordFixture) -> None:
    for source, cents in (("main", 20_000), ("second", 30_000)):
        order = UnmatchedPurchase("A-1", cents)
        await guild.ledger.database.write(
            record_unmatched, [order], 5_000, guild.clock(), days=30, origin=Origin(source=source)
        )
    async with guild.bot():
        said = await guild.say("!sendref-cashb order A-1")

        def shown() -> list[str]:
            messages = guild.sandbox.messages(guild.channel.id)
            return [each.text for each in messages if each.id > said.id and each.author_id != said.author_id]

        await until(lambda: len(shown()) == 2)
        await until(lambda: ["$200.00" in shown()[0], "$300.00" in shown()[1]] == [True, True])
