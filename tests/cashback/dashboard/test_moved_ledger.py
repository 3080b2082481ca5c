"""Each form of the dashboard and each delivery of a shop on a moved ledger: refused in one line, nothing changed.

The list of addresses is the dashboard's own: a new one without a case here fails.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from cashback.database import closed_ledger, events
from cashback.database.payouts import runs
from cashback.database.referral_program import reports
from cashback.database.referral_program.unmatched import UnmatchedPurchase
from cashback.domain.events import Event
from cashback.services import Actor, Source
from sandbox.shop import KINDS
from sandbox.shop.orders import Refund
from tests.cashback.dashboard.conftest import ADA, ADMIN_ROLE, DashboardFixture
from tests.cashback.dashboard.shop_fixture import shop_of
from tests.cashback.dashboard.test_withdrawals import request
from tests.conftest import LedgerFixture, everything_in, raw

pytestmark = pytest.mark.anyio

NEW = Path("/srv/new.db")
FORMS: dict[str, list[tuple[str, dict[str, str]]]] = {
    "/audit/verify": [("/audit/verify", {})],
    "/batches": [("/batches", {}), ("/batches", {"referrer_id": "7"})],
    "/batches/{number}/confirm": [("/batches/4/confirm", {})],
    "/batches/{number}/cancel": [("/batches/4/cancel", {})],
    "/batches/{number}/stop": [("/batches/5/stop", {})],
    "/batches/{number}/resume": [("/batches/6/resume", {})],
    "/batches/{number}/retry": [("/batches/3/retry", {})],
    "/batches/{number}/give-up": [("/batches/3/give-up", {}), ("/batches/6/give-up", {})],
    "/batches/{number}/retry-notifications": [("/batches/1/retry-notifications", {})],
    "/orders/{id}": [
        ("/orders/guest", {"what": "assign", "value": "900000"}),
        ("/orders/order-1", {"what": "reassign", "value": "900001", "reason": "a ticket"}),
        ("/orders/order-1", {"what": "amount", "value": "1.00", "reason": "a ticket"}),
    ],
    "/referrers/{id}/blacklist": [("/referrers/5/blacklist", {})],
    "/referrers/{id}/unblacklist": [("/referrers/9/unblacklist", {})],
    "/referrers/{id}/retry-notifications": [("/referrers/5/retry-notifications", {})],
    "/schedule/pause": [("/schedule/pause", {})],
    # Nothing is paused: a test of the command line resumes.
    "/schedule/resume": [],
    "/schedule/skip": [("/schedule/skip", {"slot_at": "2026-07-17T15:00:00+00:00"})],
    "/schedule/unskip": [("/schedule/unskip", {"slot_at": "2026-07-10T15:00:00+00:00"})],
    "/settings/reload-schedule": [("/settings/reload-schedule", {})],
    "/webhooks/{number}/retry": [("/webhooks/1/retry", {})],
    "/withdrawals/{number}/approve": [("/withdrawals/2/approve", {})],
    "/withdrawals/{number}/paid": [("/withdrawals/1/paid", {"reference": "T"})],
    "/withdrawals/{number}/decline": [("/withdrawals/1/decline", {"reason": "mistaken"})],
    "/sign-out": [("/sign-out", {})],
}
OTHERS = {"/sign-in/{token}", "/api/v1/purchases", "/api/v1/refunds", "/api/v1/shops/{shop}"}
"""The first has a test below, the last too; `test_intake.py` has the others."""


def addresses(application: web.Application) -> set[str]:
    """List the addresses that take something."""
    routes = application.router.routes()
    return {each.resource.canonical for each in routes if each.method == "POST" and each.resource}


async def close(ledger: LedgerFixture) -> None:
    """Close the ledger as `cashback move` does."""
    await ledger.database.write(closed_ledger.close, NEW, ledger.clock())


async def test_every_address_has_a_case(site: DashboardFixture) -> None:
    assert addresses(site.dashboard.application()) == FORMS.keys() | OTHERS


async def fill(site: DashboardFixture) -> None:
    """Leave something of everything: 1 and 2 are paid, 3 failed, 4 is proposed, 5 runs, 6 is stopped."""
    ledger = site.ledger
    await ledger.database.write(events.put_in_force, {"shop": tuple(Event)}, now=ledger.clock())
    await request(site, 5)
    await request(site, 6, threshold=100)
    with raw(ledger.location) as connection:
        connection.execute("UPDATE cashback_schedule_state SET notice_hours = 7")
        connection.execute("UPDATE cashback_notifications SET status = 'failed', attempts = 4")
        connection.execute("UPDATE cashback_webhook_deliveries SET status = 'failed', settled_at = happened_at")
        connection.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON wallet_transactions"
            " BEGIN SELECT RAISE(ABORT, 'the bank is closed'); END"
        )
        await ledger.earn(1, 100)
        await ledger.pay()
        connection.execute("DROP TRIGGER refused")
    await ledger.earn_all([(7, 100), (8, 100), (11, 100), (9, 100)])
    await ledger.propose(target_user_id=7)
    running = await ledger.approved(target_user_id=8)
    await ledger.database.write(runs.start, running, now=ledger.clock())
    stopped = await ledger.approved(target_user_id=11)
    actor = Actor(source=Source.DISCORD, user_id=ADA, role_ids=frozenset({ADMIN_ROLE}))
    await site.service.stop(actor, stopped)
    await site.service.blacklist(actor, 9)
    await site.service.skip_next(actor)
    await ledger.database.write(
        reports.report_purchases,
        [UnmatchedPurchase("guest", 700)],
        1_000_000,
        ledger.clock(),
        actor="cli",
        kind=reports.COMMAND,
        digest="0" * 64,
    )


async def test_every_form_is_refused_by_a_moved_ledger(site: DashboardFixture, subtests: pytest.Subtests) -> None:
    await fill(site)
    async with site.signed_in() as browser:
        link = (await site.link(ADA)).removeprefix(site.address)
        await close(site.ledger)
        before = everything_in(site.ledger.path)
        for path, fields in [(link, {}), *(form for forms in FORMS.values() for form in forms)]:
            with subtests.test(f"{path} {fields}"):
                status, text = await browser.post(path, csrf="" if path == link else None, **fields)
                assert (status, f"his ledger was moved to {NEW} on " in text) == (503, True)
                assert everything_in(site.ledger.path) == before


@pytest.mark.parametrize("shop_kind", KINDS)
async def test_every_delivery_is_refused_by_a_moved_ledger(ledger: LedgerFixture, shop_kind: str) -> None:
    """So the shop tries again, until its address is that of the new ledger."""
    async with shop_of(ledger, shop_kind) as shop:
        known, new = shop.order(1, 10_000), shop.order(2, 10_000)
        assert await shop.paid(known) == "counted"
        await close(ledger)
        before = everything_in(ledger.path)
        refund = Refund(number=1, cents=2_500, in_all_cents=2_500)
        requests = [
            shop.sender.paid(new, shop.now),
            shop.sender.paid(shop.order(3, 5_000, None), shop.now),
            shop.sender.refunded(known, refund, shop.now),
            shop.sender.refunded(new, refund, shop.now),
            shop.sender.disputed(known, shop.now),
            shop.sender.dispute_won(known, shop.now),
        ]
        for request in filter(None, requests):
            status, said = await shop.send(request)
            assert status == 503
            assert said["detail"].startswith(f"This ledger was moved to {NEW} on ")
        assert everything_in(ledger.path) == before
