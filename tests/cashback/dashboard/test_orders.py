"""The pages of orders: what waits, one order, and corrections by admins only."""

from __future__ import annotations

import pytest

from cashback.database.referral_program import unmatched
from cashback.database.referral_program.unmatched import UnmatchedPurchase
from tests.cashback.dashboard.conftest import VERA, DashboardFixture

pytestmark = pytest.mark.anyio

BUYER = 900_000


async def test_order_is_assigned_corrected_and_shown(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    order = UnmatchedPurchase("a/b #7", 20_000)
    await site.ledger.database.write(unmatched.record_unmatched, [order], 5_000, site.ledger.clock())
    address = "/orders/a%2Fb%20%237"
    async with site.signed_in() as browser:
        status, text = await browser.get("/orders")
        assert (status, address in text) == (200, True)
        assert "waits for its member" in (await browser.get(address))[1]
        assert await browser.post(address, what="assign", value=str(BUYER), shop="main") == (303, address)
        assert await browser.post(address, what="amount", value="100.00", shop="main", reason="<typo>") == (
            303,
            address,
        )
        _, text = await browser.get(address)
        assert "&lt;typo&gt;" in text
        assert "$0.50 are pending" in text
        for wrong in (
            {"what": "amount", "value": "5"},
            {"what": "nonsense", "value": "5"},
            {"what": "assign", "value": "x"},
        ):
            assert (await browser.post(address, shop="main", **wrong))[0] in {400, 409}
        assert (await browser.get("/orders/nowhere"))[0] == 404
    async with site.signed_in(VERA) as browser:
        status, text = await browser.get(address)
        assert (status, '<form class="row" method="post"' in text) == (200, False)
        assert (await browser.post(address, what="amount", value="1.00", shop="main", reason="x"))[0] == 403
    assert await site.ledger.pending(5) == 150
