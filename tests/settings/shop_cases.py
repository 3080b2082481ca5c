"""Shops that report their orders themselves."""

from __future__ import annotations

from datetime import UTC, datetime

import aiohttp

from sandbox.shop import Order, sender_of
from tests.settings.dashboard_cases import served
from tests.settings.world import World, setting

SECRET = "the-secret-of-this-shop"  # noqa: S105 -- a test's own
REFERRER, MEMBER = 333333333333333333, 222222222222222222
STORE = {"kind": "shopify"}


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
