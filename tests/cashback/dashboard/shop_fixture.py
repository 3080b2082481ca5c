"""A dashboard with a shop of each kind, and the requests that these shops send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

from cashback.settings import Settings
from sandbox.shop import KINDS, Order, Request, Sender, sender_of
from sandbox.shop.orders import Refund
from tests.cashback.dashboard.conftest import DashboardFixture, Guild, dashboard_settings, serving
from tests.conftest import LedgerFixture

REFERRER = 300000000000000003
MEMBER = 222222222222222222
OTHER = 333333333333333333
SHOP_SECRET = "a-secret-of-this-shop-0123456789"  # noqa: S105 -- a test's own

WITHOUT_PARTS = {"tebex", "ko-fi", "gumroad"}
"""Systems that report no refunds in part."""

WITHOUT_REFUNDS = {"ko-fi"}
WITHOUT_DISPUTES = {"woocommerce", "ko-fi", "standard-webhooks", "lemon-squeezy"}


def shop_settings(ledger: LedgerFixture, *, secrets: tuple[str, ...] = (SHOP_SECRET,), **shop: object) -> Settings:
    """Configure a shop of each kind, named like it; cashback is ten percent."""
    settings = dashboard_settings(ledger.path, cashback_percent=10)
    content = settings.model_dump() | {
        "shops": {kind: {"kind": kind, **shop} for kind in KINDS},
        "shop_secrets": dict.fromkeys(KINDS, secrets),
        "email_key": "k" * 32,
    }
    return Settings.model_validate(content)


@dataclass
class ShopFixture:
    """One shop and the dashboard that it delivers to."""

    site: DashboardFixture
    session: aiohttp.ClientSession
    kind: str
    secret: str = SHOP_SECRET

    @property
    def sender(self) -> Sender:
        """Return what makes the shop's requests."""
        return sender_of(self.kind, self.secret, f"{self.site.address}/api/v1/shops/{self.kind}")

    @property
    def now(self) -> datetime:
        """Return the present moment of the ledger."""
        return self.site.ledger.clock()

    async def send(self, request: Request | None) -> tuple[int, Any]:
        """Send a request; return the status and the answer. A request that the shop does not send is no error."""
        if request is None:
            return 0, None
        url = self.sender.url + request.query
        async with self.session.post(url, data=request.body, headers=request.headers) as answer:
            content = await answer.read()
            return answer.status, (await answer.json(content_type=None)) if content else None

    async def outcome(self, request: Request | None) -> str | None:
        """Send a request that is answered with 200; return its outcome, None for one that the shop does not send."""
        status, said = await self.send(request)
        assert status in {0, 200}, said
        return None if said is None else said["outcome"]

    def order(self, number: int, cents: int, member: int | None = MEMBER, **more: Any) -> Order:  # noqa: ANN401 -- an order's values
        """Return an order of this moment."""
        return Order(number=number, goods_cents=cents, discord_id=member, at=self.now, **more)

    async def paid(self, order: Order) -> str | None:
        """Deliver a paid order."""
        return await self.outcome(self.sender.paid(order, self.now))

    async def refunded(self, order: Order, number: int, cents: int, in_all_cents: int) -> str | None:
        """Deliver a refund."""
        refund = Refund(number=number, cents=cents, in_all_cents=in_all_cents)
        return await self.outcome(self.sender.refunded(order, refund, self.now))

    async def earned(self) -> int:
        """Return what the referrer would be paid now."""
        return await self.site.ledger.pending(REFERRER)

    def deliveries(self) -> list[tuple[Any, ...]]:
        """List the shop's deliveries: outcome and reason."""
        query = "SELECT outcome, reason FROM cashback_shop_deliveries WHERE shop = ? ORDER BY number"
        return self.site.ledger.rows(query, self.kind)


@asynccontextmanager
async def shop_of(
    ledger: LedgerFixture, kind: str, settings: Settings | None = None, *, is_first: bool = True
) -> AsyncIterator[ShopFixture]:
    """Serve a dashboard for a shop, on a ledger in which one member was referred."""
    if is_first:
        await ledger.database.create_referral(REFERRER, MEMBER)
    async with (
        serving(ledger.database, settings or shop_settings(ledger), Guild(), ledger) as site,
        aiohttp.ClientSession() as session,
    ):
        yield ShopFixture(site, session, kind)
