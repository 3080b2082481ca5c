"""Shops that report their orders themselves."""

from __future__ import annotations

from datetime import UTC, datetime

import aiohttp

from cashback.services import CLI
from sandbox.shop import Order, sender_of
from tests.settings.dashboard_cases import served
from tests.settings.world import World, setting

SECRET = "the-secret-of-this-shop"  # noqa: S105 -- a test's own
REFERRER, MEMBER = 333333333333333333, 222222222222222222
STORE = {"kind": "shopify"}
STORES = {"shops": {"store": STORE}}


@setting(
    "shops",
    ({}, [404, 404, 0]),
    ({"store": STORE}, [200, 200, 50]),
    ({"store": {**STORE, "amount": "total"}}, [200, 200, 60]),
    ({"store": {**STORE, "one_buyer_per_member": True}}, [200, 200, 25]),
    ({"store": {"kind": "stripe"}}, [401, 401, 0]),
)
async def two_orders_of_a_shopify_shop(world: World) -> object:
    """Each is $50.00 of goods and $10.00 of taxes; the second comes from another e-mail. Cashback is half a percent."""
    await world.database.create_referral(REFERRER, MEMBER)
    world.to_now()
    statuses = []
    async with served(world) as address, aiohttp.ClientSession() as session:
        url = f"{address}/api/v1/shops/store"
        sender = sender_of("shopify", SECRET, url)
        for number, email in ((1, "one@example.com"), (2, "two@example.com")):
            order = Order(
                number=number,
                goods_cents=5_000,
                tax_cents=1_000,
                discord_id=MEMBER,
                email=email,
                at=datetime.now(UTC),
            )
            request = sender.paid(order, datetime.now(UTC))
            async with session.post(url, data=request.body, headers=request.headers) as answer:
                statuses.append(answer.status)
    return [*statuses, await world.ledger.pending(REFERRER)]


@setting("referral_settings.cashback_percent", (0.5, [50, 0, 50, 0, 30]), (1.25, [125, 0, 125, 0, 30]), sections=STORES)
@setting("referral_settings.holding_days", (0, [50, 0, 50, 0, 30]), (14, [50, 14, 50, 14, 30]), sections=STORES)
@setting("referral_settings.unmatched_days", (30, [50, 0, 50, 0, 30]), (7, [50, 0, 50, 0, 7]), sections=STORES)
async def what_a_shop_delivers(world: World) -> object:
    """Of a member's order, and of a guest's that an admin assigns: its cents, and for how many days these are held.

    Then for how many days the guest's order waits.
    """
    await world.database.create_referral(REFERRER, MEMBER)
    world.to_now()
    async with served(world) as address, aiohttp.ClientSession() as session:
        url = f"{address}/api/v1/shops/store"
        sender = sender_of("shopify", SECRET, url)
        for number, member in ((1, MEMBER), (2, None)):
            order = Order(number=number, goods_cents=10_000, discord_id=member, at=datetime.now(UTC))
            request = sender.paid(order, datetime.now(UTC))
            async with session.post(url, data=request.body, headers=request.headers) as answer:
                assert answer.status == 200
    [(order_id, recorded, until)] = world.ledger.rows(
        "SELECT order_id, recorded_at, waits_until FROM cashback_unmatched_purchases"
    )
    await (await world.services()).service.assign_order(CLI, order_id, MEMBER, source="store")
    query = "SELECT earned_cents, purchased_at, payable_at FROM cashback_referral_purchases ORDER BY recorded_at"
    facts: list[int] = []
    for cents, bought, payable in world.ledger.rows(query):
        facts += [cents, days_between(bought, payable or bought)]
    return [*facts, days_between(recorded, until)]


def days_between(since: str, until: str) -> int:
    """Count the days between two moments of the ledger."""
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).days
