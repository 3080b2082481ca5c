"""The sandbox's shops deliver to the real dashboard: each kind from its page, by a member's own link."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from sandbox.shop import KINDS, Connection, ShopPage
from tests.cashback.dashboard.shop_fixture import (
    MEMBER,
    SHOP_SECRET,
    WITHOUT_DISPUTES,
    WITHOUT_PARTS,
    WITHOUT_REFUNDS,
    ShopFixture,
    shop_of,
)
from tests.conftest import LedgerFixture

pytestmark = pytest.mark.anyio

WITHOUT_TESTS = {"tebex", "standard-webhooks", "paddle", "square"}
"""Systems whose deliveries do not say that an order is a test."""


class Shopper:
    """A member on the page of a shop."""

    def __init__(self, page: ShopPage, session: aiohttp.ClientSession, shop: str) -> None:
        self._page = page
        self._session = session
        self._shop = shop

    async def press(self, path: str, **form: str) -> list[str]:
        """Press a button; return what stands in the list of deliveries then."""
        link = self._page.link_of(self._shop, MEMBER)
        address = link.replace(f"/{self._shop}/", f"/{self._shop}/{path}", 1)
        async with self._session.post(address, data=form) as answer:
            assert answer.status == 200
            text = await answer.text()
        assert f"You came by the link of {MEMBER}" in text
        return re.findall(rf"{self._shop}: (order \d+, [\w ]+: [^<,]+), \d+ sent", text)


@asynccontextmanager
async def shopping(shop: ShopFixture) -> AsyncIterator[Shopper]:
    """Open the page of a shop that delivers to the dashboard."""
    connection = Connection(kind=shop.kind, deliver_to=shop.sender.url, secret=SHOP_SECRET)
    async with ShopPage({shop.kind: connection}, clock=shop.site.ledger.clock) as page:
        yield Shopper(page, shop.session, shop.kind)


@pytest.mark.parametrize("shop_kind", KINDS)
async def test_story_on_the_page_of_each_kind(ledger: LedgerFixture, shop_kind: str) -> None:
    """An order of $40.00 earns $4.00; half of it is refunded, it is disputed and won, and the rest is refunded."""
    half = 400 if shop_kind in WITHOUT_PARTS else 200
    async with shop_of(ledger, shop_kind) as shop, shopping(shop) as shopper:
        assert await shopper.press("buy") == ["order 1001, paid: counted"]
        assert await shop.earned() == 400
        assert (await shopper.press("deliveries/1"))[0] == "order 1001, paid: repeated"
        await shopper.press("orders/1001/part")
        assert await shop.earned() == half
        await shopper.press("orders/1001/disputed")
        assert await shop.earned() == (half if shop_kind in WITHOUT_DISPUTES else 0)
        await shopper.press("orders/1001/won")
        assert await shop.earned() == half
        await shopper.press("orders/1001/rest")
        assert await shop.earned() == (half if shop_kind in WITHOUT_REFUNDS else 0)


@pytest.mark.parametrize("shop_kind", KINDS)
async def test_deliveries_that_are_held_back_are_sent_in_the_wrong_order(ledger: LedgerFixture, shop_kind: str) -> None:
    async with shop_of(ledger, shop_kind) as shop, shopping(shop) as shopper:
        assert await shopper.press("buy", hold="1") == ["order 1001, paid: held back"]
        await shopper.press("orders/1001/rest", hold="1")
        assert not shop.deliveries()
        refunded = (await shopper.press("deliveries/2"))[1]
        unreported = "order 1001, refunded: not reported by this system"
        assert refunded == (unreported if shop_kind in WITHOUT_REFUNDS else "order 1001, refunded: kept")
        await shopper.press("deliveries/1")
        assert await shop.earned() == (400 if shop_kind in WITHOUT_REFUNDS else 0)


@pytest.mark.parametrize("shop_kind", [kind for kind in KINDS if kind not in WITHOUT_TESTS])
async def test_test_order_is_excluded(ledger: LedgerFixture, shop_kind: str) -> None:
    async with shop_of(ledger, shop_kind) as shop, shopping(shop) as shopper:
        assert await shopper.press("buy", test="1") == ["order 1001, paid: excluded"]
        assert await shop.earned() == 0


async def test_what_is_not_there_is_not_found(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "shopify") as shop:
        connection = Connection(kind="shopify", deliver_to=shop.sender.url, secret=SHOP_SECRET)
        async with ShopPage({"store": connection}) as page:
            for path in ("elsewhere/buy", "store/orders/9/rest", "store/deliveries/1", "store/deliveries/0"):
                async with shop.session.post(page.url + path) as answer:
                    assert answer.status == 404
            async with shop.session.get(page.url) as answer:
                assert "You came without a member's link." in await answer.text()
