"""One order on Discord: as on the command line, for admins and viewers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.database.referral_program.unmatched import UnmatchedPurchase, record_unmatched
from cashback.domain.earning import EarningDates, Origin
from cashback.services import Actor, AdminService, Source
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


async def test_people_and_moments_of_an_order_are_names_and_local_times(guild: DiscordFixture) -> None:
    guild.adjust(holding_days=7)
    bob, eve = await guild.referrer("Bob"), guild.sandbox.add_member("Eve")
    await guild.ledger.database.create_referral(bob.id, eve.id)
    bought = guild.clock() - timedelta(days=1)
    order_id = "A-1 Member 284651237461238461"
    reported = [Purchase(order_id, eve.id, 20_000, bought)]
    dates = EarningDates(earn_before_referral_days=9)
    await guild.ledger.database.write(record_purchases, reported, 5_000, guild.clock(), holding_days=7, dates=dates)
    service = AdminService(guild.ledger.database, guild.settings, lambda _: 0)
    by = Actor(source=Source.DISCORD, user_id=guild.admin.id, role_ids=frozenset({guild.admin_role.id}))
    await service.correct_order_amount(by, order_id, 10_000, reason="*half* @everyone")
    async with guild.bot():
        shown = await guild.answer(f"!sendref-cashb order {order_id}")
    assert f"Bought by <@{eve.id}> (referred by <@{bob.id}>) on <t:{int(bought.timestamp())}:f>" in shown.text
    assert f"in the holding period until <t:{int((bought + timedelta(days=7)).timestamp())}:f>" in shown.text
    assert f"by <@{guild.admin.id}>: amount corrected to $100.00: \\*half\\*" in shown.text
    assert "UTC" not in shown.text
    assert "<@284651237461238461>" not in shown.text
