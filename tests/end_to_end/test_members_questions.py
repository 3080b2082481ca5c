"""The questions that members ask: which purchase earned what, why one did not count, and how to get the money."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cashback.cogs.texts.history_embeds import STATES
from cashback.database.queries.earnings import PurchaseState
from cashback.database.referral_program.purchases import Purchase, record_purchases
from sandbox import Member
from tests.conftest import ALL_OF_IT_PPM
from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture, field
from tests.end_to_end.test_help import press
from tests.end_to_end.test_members import WHY, ask, turn, turning
from tests.end_to_end.test_withdrawals import configure

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


async def buys(guild: DiscordFixture, who: Member, order_id: str, cents: int, *, holding_days: int = 0) -> None:
    """Record a purchase of a member."""
    bought = Purchase(order_id=order_id, buyer_id=who.id, amount_cents=cents)
    await guild.ledger.database.write(
        record_purchases, [bought], ALL_OF_IT_PPM, guild.clock(), holding_days=holding_days
    )


def test_every_state_of_a_purchase_has_a_text() -> None:
    assert STATES.keys() == set(PurchaseState)


async def test_history_says_which_purchase_earned_what_and_when(guild: DiscordFixture) -> None:
    bob, eve = guild.sandbox.add_member("Bob"), guild.sandbox.add_member("Eve")
    await guild.ledger.database.create_referral(bob.id, eve.id)
    await buys(guild, eve, "1", 100)
    await guild.ledger.pay()
    bought_at = int(guild.clock().timestamp())
    guild.clock.advance(86_400)
    await buys(guild, eve, "2", 250, holding_days=7)
    held_until = int((guild.clock() + timedelta(days=7)).timestamp())
    async with guild.bot():
        lines = (await ask(guild, bob, "cashback history")).embed["description"].splitlines()
    assert f"<@{eve.id}>: **$2.50** in the holding period until <t:{held_until}:D>" in lines[0]
    assert lines[1] == f"<t:{bought_at}:d> <@{eve.id}>: **$1.00** paid into the wallet"


@pytest.mark.parametrize("sees", [False, True])
async def test_history_shows_spending_only_if_the_setting_allows_it(guild: DiscordFixture, *, sees: bool) -> None:
    bob = await guild.referrer("Bob", 1234)
    await guild.ledger.database.log_referral_refund("order-1", 234)
    guild.adjust(referrers_see_spending=sees)
    async with guild.bot():
        shown = (await ask(guild, bob, "cashback history")).text
    assert ("$12.34" in shown) is sees
    assert "$10.00" in shown


async def test_history_turns_pages_and_is_reached_by_a_button(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", *range(100, 112))
    async with guild.bot():
        page = await press(guild, bob, await ask(guild, bob, "cashback show"), "My History")
        assert "Page 1 of 2" in page.text
        await turn(guild, bob, page, "Next", "Page 2 of 2")
        assert turning(page) == [("Previous", False), ("Next", True)]
        assert len(page.embed["description"].splitlines()) == 2


async def test_history_without_purchases_says_what_to_do(guild: DiscordFixture) -> None:
    bob = guild.sandbox.add_member("Bob")
    async with guild.bot():
        assert "`/invite` shows your code" in (await ask(guild, bob, "cashback history")).text


async def test_order_is_explained_to_its_buyer_and_to_the_referrer_alone(guild: DiscordFixture) -> None:
    bob, eve, zoe = (guild.sandbox.add_member(name) for name in ("Bob", "Eve", "Zoe"))
    await buys(guild, eve, "1001", 500)
    guild.clock.advance(60)
    async with guild.bot():
        before = (await ask(guild, eve, "cashback order", number="#1001")).text
        assert "not counted, because the buyer entered no referral code" in before
        await ask(guild, eve, "setref", code=str(bob.id))
        for who in (bob, eve):
            shown = (await ask(guild, who, "cashback order", number=" 1001 ")).text
            assert "before the referral code was entered" in shown
        for number in ("1001", "9999", "**x**"):
            shown = (await ask(guild, zoe, "cashback order", number=number)).text
            assert "was reported" in shown
            assert "$" not in shown
            assert "**x**" not in shown
        await buys(guild, eve, "1002", 500)
        assert "earned you $5.00: pending" in (await ask(guild, bob, "cashback order", number="1002")).text
        own = (await ask(guild, eve, "cashback order", number="1002")).text
        assert "what it earns your referrer is pending" in own
        assert "$" not in own


async def test_show_has_the_totals_and_how_to_get_the_money(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    await guild.ledger.pay()
    await guild.ledger.earn(bob.id, 100)
    async with guild.bot():
        shown = await ask(guild, bob, "cashback show")
        assert [field(shown, name) for name in ("Earned So Far", "Paid So Far")] == ["$26.00", "$25.00"]
        assert "Ask an admin" in field(shown, "How to Get the Money")
        assert "switched off here" in field(await ask(guild, bob, "wallet"), "Withdraw")
    configure(guild)
    async with guild.bot():
        assert "`/withdraw` gets it out" in field(await ask(guild, bob, "cashback show"), "How to Get the Money")


async def test_member_that_earned_nothing_learns_why(guild: DiscordFixture) -> None:
    bob, eve = guild.sandbox.add_member("Bob"), guild.sandbox.add_member("Eve")
    async with guild.bot():
        assert "Nobody has entered your code" in field(await ask(guild, bob, "cashback show"), WHY)
        await ask(guild, eve, "setref", code=str(bob.id))
        assert "have not bought anything that counts" in field(await ask(guild, bob, "cashback show"), WHY)
