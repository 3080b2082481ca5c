"""The page of withdrawals: the queue, the decisions of admins, and nothing for others."""

from __future__ import annotations

import re

import pytest

from cashback.database import events
from cashback.database.wallets import withdrawals
from cashback.domain.events import Event
from tests.cashback.dashboard.conftest import ADA, VERA, DashboardFixture

pytestmark = pytest.mark.anyio

SECRET = "gAAAA-an-encrypted-address"  # noqa: S105 -- no secret, it stands for an encrypted text


async def request(site: DashboardFixture, user_id: int, *, method: str = "paypal", threshold: int | None = None) -> int:
    """Pay a member five dollars, of which two are requested; return the request's number."""
    await site.ledger.earn(user_id, 500)
    await site.ledger.pay()
    asked = await site.ledger.database.write(
        withdrawals.request,
        user_id=user_id,
        cents=200,
        method=method,
        destination=SECRET,
        actor="discord:5",
        now=site.ledger.clock(),
        approval_threshold_cents=threshold,
    )
    return asked.number


async def test_queue_is_shown_and_decided(site: DashboardFixture) -> None:
    one, other = await request(site, 5), await request(site, 6)
    async with site.signed_in() as browser:
        status, text = await browser.get("/withdrawals")
        assert (status, SECRET in text) == (200, False)
        assert "2 open withdrawals, $4.00" in text
        shown = await browser.withdrawal_version(one)
        assert (await browser.post(f"/withdrawals/{one}/paid", reference="TX-1", version=""))[0] == 409
        assert await browser.post(f"/withdrawals/{one}/paid", reference="TX-1") == (303, "/withdrawals")
        assert await browser.post(f"/withdrawals/{other}/decline", reason="no <b>such</b> account") == (
            303,
            "/withdrawals",
        )
        again, said = await browser.post(f"/withdrawals/{one}/decline", reason="late", version=shown)
        assert again in {400, 409}
        assert "is paid already" in said
        _, text = await browser.get("/withdrawals")
        assert "TX-1" in text
        assert "no &lt;b&gt;such&lt;/b&gt; account" in text
        _, of_member = await browser.get("/referrers/6")
        assert "Withdrawal 2 declined" in of_member
        assert "no &lt;b&gt;such&lt;/b&gt; account" in of_member
    assert [site.ledger.balance(each) for each in (5, 6)] == [300, 500]
    assert [action for _, action in site.audit()][-2:] == ["withdrawal_paid", "withdrawal_declined"]


async def test_page_that_shows_another_version_decides_nothing(site: DashboardFixture) -> None:
    number = await request(site, 5)
    async with site.signed_in() as browser:
        _, text = await browser.get("/withdrawals")
        [version] = set(re.findall(r'name="version" value="([^"]+)"', text))
        for what in ("approve", "paid", "decline"):
            fields = {"version": f"9{version}", "reference": "TX-1", "reason": "x"}
            status, said = await browser.post(f"/withdrawals/{number}/{what}", **fields)
            assert (status >= 400, "is not as it was shown" in said) == (True, True)
        assert (await browser.post(f"/withdrawals/{number}/paid", version=version, reference="TX-1"))[0] == 303


async def test_all_wallets_are_shown_by_page_with_their_transactions_in_words(site: DashboardFixture) -> None:
    await request(site, 5)
    await site.ledger.earn_all([(n, 100) for n in range(1_000, 1_060)])
    await site.ledger.pay()
    async with site.signed_in() as browser:
        _, first = await browser.get("/wallets")
        assert '$3.00</td><td class="number">$2.00' in first
        assert re.search(r'Cashback of <a class="batch-id" href="/batches/(BATCH-\d{8}-\d{6})">\1</a>', first)
        assert SECRET not in first
        [after] = re.findall(r'href="\?after=([0-9]+)"', first)
        _, second = await browser.get(f"/wallets?after={after}")
        assert ("/referrers/1059" in second, 'rel="next"' in second, '/referrers/5"' in second) == (True, False, False)


@pytest.mark.parametrize("fields", [{}, {"reference": " "}, {"reference": "x" * 101}])
async def test_payment_without_a_reference_is_refused(site: DashboardFixture, fields: dict[str, str]) -> None:
    number = await request(site, 5)
    async with site.signed_in() as browser:
        status, text = await browser.post(f"/withdrawals/{number}/paid", **fields)
        assert status == 400
        assert "reference" in text
        assert (await browser.post("/withdrawals/99/paid", reference="x"))[0] in {400, 404}
    assert site.ledger.rows("SELECT status FROM cashback_withdrawals") == [("requested",)]


async def test_viewer_sees_the_queue_and_decides_nothing(site: DashboardFixture) -> None:
    number = await request(site, 5, threshold=100)
    async with site.signed_in(VERA) as browser:
        _, text = await browser.get("/withdrawals")
        assert "needs two admins" in text
        assert '<button class="primary"' not in text
        for action in ("approve", "paid", "decline"):
            status, _ = await browser.post(f"/withdrawals/{number}/{action}", reference="x", reason="y")
            assert status == 403
    assert site.ledger.balance(5) == 300


async def test_admin_approves_and_does_not_pay_alone(site: DashboardFixture) -> None:
    number, own = await request(site, 5, threshold=100), await request(site, ADA)
    async with site.signed_in() as browser:
        assert await browser.post(f"/withdrawals/{number}/approve") == (303, "/withdrawals")
        for mine, expected in ((number, "A different admin must mark"), (own, "is your own")):
            status, text = await browser.post(f"/withdrawals/{mine}/paid", reference="x")
            assert (status >= 400, expected in text) == (True, True), text
    assert site.ledger.rows("SELECT DISTINCT status FROM cashback_withdrawals") == [("requested",)]


async def test_deliveries_are_shown_and_a_failed_one_is_sent_again_by_an_admin(site: DashboardFixture) -> None:
    database, clock = site.ledger.database, site.ledger.clock
    await database.write(events.put_in_force, {"shop": list(Event)}, now=clock())
    await request(site, 5)
    await database.write(events.settle, 1, error="it answered <410>", now=clock(), is_final=True)
    async with site.signed_in(VERA) as browser:
        _, text = await browser.get("/webhooks")
        assert "payout.credited" in text
        assert "it answered &lt;410&gt;" in text
        assert (SECRET in text, "Send again" in text) == (False, False)
        assert (await browser.post("/webhooks/1/retry"))[0] == 403
    async with site.signed_in() as browser:
        assert await browser.post("/webhooks/1/retry") == (303, "/webhooks")
        assert (await browser.post("/webhooks/1/retry"))[0] >= 400
    assert [row.status for row in await database.read(events.newest, limit=9)] == ["queued", "queued"]
