"""A member's own links to the shops, claims and linked e-mails, on Discord."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from cashback.database.shops.deliveries import DeliveryOutcome
from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.services import AdminService
from cashback.settings import Settings
from sandbox import Member
from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture
from tests.end_to_end.test_members import ask

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


@pytest.fixture(autouse=True)
def connected_shops(guild: DiscordFixture) -> None:
    """Configure a shop with a link that takes an id, one that takes none, and one without a link."""
    shops = {
        "store": {"kind": "stripe", "link": "https://buy.example.com/x"},
        "tips": {"kind": "ko-fi", "link": "https://tips.example.com/"},
        "till": {"kind": "square"},
    }
    content: dict[str, Any] = {"shops": shops}
    guild.settings = guild.settings.model_copy(
        update={"shops": Settings.model_validate(content).shops, "email_key": SecretStr("k" * 32)}
    )


async def guest_order(guild: DiscordFixture, number: str, email: str = "guest@example.com") -> None:
    """Deliver an order without a member."""
    service = AdminService(guild.ledger.database, guild.settings, lambda _number: 0)
    event = ShopEvent(
        kind=EventKind.PAID,
        order_id=f"sq-{number}",
        number=number,
        amount_cents=10_000,
        currency="USD",
        email=email,
        at=guild.clock(),
    )
    recorded = await service.record_delivery("till", body=number.encode(), topic="paid", events=[event])
    assert recorded.outcome is DeliveryOutcome.WAITING


async def invited(guild: DiscordFixture) -> tuple[Member, Member]:
    """Add a member and a friend that the member invited."""
    referrer, friend = guild.sandbox.add_member("Bob"), guild.sandbox.add_member("Eve")
    await guild.ledger.database.create_referral(referrer.id, friend.id)
    return referrer, friend


async def earned(guild: DiscordFixture, referrer: Member) -> int:
    """Return what a member's cashback is."""
    return await guild.ledger.pending(referrer.id)


async def test_links_carry_the_members_id_where_the_shop_takes_it(guild: DiscordFixture) -> None:
    _bob, eve = await invited(guild)
    async with guild.bot():
        shown = (await ask(guild, eve, "shop show")).text
    assert f"https://buy.example.com/x?client_reference_id={eve.id}" in shown
    assert "https://tips.example.com/ (then `/claim` your order)" in shown
    assert "till" not in shown


async def test_right_and_wrong_claims_have_the_same_answer(guild: DiscordFixture) -> None:
    bob, eve = await invited(guild)
    await guest_order(guild, "1001")
    async with guild.bot():
        wrong = await ask(guild, eve, "claim", order="999")
        assert await earned(guild, bob) == 0
        right = await ask(guild, eve, "claim", order="1001")
        assert await earned(guild, bob) == 50
        again = await ask(guild, eve, "claim", order="1001")
    assert wrong.text == right.text == again.text
    assert await earned(guild, bob) == 50


async def test_linked_email_brings_its_orders(guild: DiscordFixture) -> None:
    bob, eve = await invited(guild)
    await guest_order(guild, "1", "eve@example.com")
    await guest_order(guild, "2", "eve@example.com")
    async with guild.bot():
        wrong = await ask(guild, eve, "shop link", email="other@example.com", order="1")
        assert await earned(guild, bob) == 0
        right = await ask(guild, eve, "shop link", email="Eve@Example.com", order="2")
    assert wrong.text == right.text
    assert await earned(guild, bob) == 100


async def test_without_a_key_emails_are_not_linked(guild: DiscordFixture) -> None:
    _bob, eve = await invited(guild)
    guild.settings = guild.settings.model_copy(update={"email_key": None})
    async with guild.bot():
        assert "CASHBACK_EMAIL_KEY" in (await ask(guild, eve, "shop link", email="e@example.com", order="1")).text
