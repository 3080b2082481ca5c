"""What the pages show is true at the moment they are loaded."""

from __future__ import annotations

import re

import pytest

from cashback.database.payouts import reversals
from cashback.database.queries import member_names
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.domain.model import BatchLimits
from cashback.services import CLI, Actor, AdminService, Source
from tests.cashback.dashboard.conftest import ADA, ADMIN_ROLE, DashboardFixture, dashboard_settings
from tests.cashback.dashboard.test_withdrawals import request as request_withdrawal
from tests.conftest import raw

pytestmark = pytest.mark.anyio

BEA = 100_000_000_000_000_009
DASHBOARD_ADA = Actor(source=Source.DASHBOARD, user_id=ADA, role_ids=frozenset({ADMIN_ROLE}))


@pytest.mark.parametrize("path", ["/", "/schedule"])
async def test_weekly_batch_is_shown_as_configured_before_the_bot_has_run(site: DashboardFixture, path: str) -> None:
    with raw(site.ledger.path) as file:
        file.execute("DELETE FROM cashback_schedule_state")
    async with site.signed_in() as browser:
        _, text = await browser.get(path)
        assert 'datetime="2026-07-10T15:00:00+00:00"' in text
        assert "is off" not in text
        assert ">off" not in text
        if path == "/schedule":
            assert "Friday 15:00 UTC" in text
            status, _ = await browser.post("/schedule/skip", slot_at="2026-07-10T15:00:00+00:00")
            assert status == 303


async def test_paid_cashback_is_no_longer_among_the_largest_pending(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 1234)
    async with site.signed_in() as browser:
        assert "$12.34" in (await browser.get("/referrers"))[1]
        await site.ledger.pay()
        _, text = await browser.get("/referrers")
        assert "$12.34" not in text
        assert "Largest pending" not in text
        _, overview = await browser.get("/")
        assert "to 0 referrers" in overview


@pytest.mark.parametrize("unknown", ["123", "0", "9223372036854775807", "9223372036854775808", "nobody"])
async def test_page_of_an_unknown_member_says_so(site: DashboardFixture, unknown: str) -> None:
    await site.ledger.earn(5, 100)
    async with site.signed_in() as browser:
        status, text = await browser.get(f"/referrers/{unknown}")
        assert status == 404
        assert ("knows no member" in text) or ("not a Discord id" in text)
        assert (await browser.get("/referrers/5"))[0] == 200


async def test_member_with_an_id_of_nineteen_digits_has_a_page(site: DashboardFixture) -> None:
    newer = 1_300_000_000_000_000_001
    await site.ledger.earn(newer, 100)
    async with site.signed_in() as browser:
        status, text = await browser.get(f"/referrers/{newer}")
        assert (status, "$1.00" in text) == (200, True)
        assert (await browser.get(f"/referrers?id={newer}")) == (302, "302: Found")
        assert (await browser.post(f"/referrers/{newer}/blacklist"))[0] == 303


async def test_refused_form_keeps_what_was_typed(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    async with site.signed_in() as browser:
        status, text = await browser.post("/batches", referrer_id='12"34')
        assert status == 400
        assert 'action="/batches"' in text
        assert 'name="referrer_id" value="12&#34;34"' in text
        status, text = await browser.post("/orders/1001", what="assign", shop="main", value="nobody", reason="a friend")
        assert status == 400
        assert all(f'value="{typed}"' in text for typed in ("nobody", "a friend", "assign", "main"))
        status, text = await browser.post("/batches/1/confirm")
        assert (status, "Send again" in text) == (404, False)


async def test_reversed_payout_is_shown_with_what_is_left(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    await site.ledger.earn(6, 50)
    number = (await site.ledger.pay()).batch_number
    now = site.ledger.clock()
    write = site.ledger.database.write
    asked = await write(
        reversals.propose,
        batch_number=number,
        referrer_id=5,
        reason="a stolen card",
        actor="cli",
        now=now,
        expires_at=now.replace(year=2027),
        terms=BatchLimits(),
    )
    await write(reversals.approve, asked.number, actor="cli", now=now)
    async with site.signed_in() as browser:
        for path in ("/", "/batches", f"/batches/{number}"):
            _, text = await browser.get(path)
            assert all(amount in text for amount in ("$1.50", "$1.00", "$0.50")), path


async def test_wallets_on_one_page_are_listed_largest_first(site: DashboardFixture) -> None:
    await site.ledger.earn_all([(5, 100), (6, 900), (7, 500)])
    await site.ledger.pay()
    async with site.signed_in() as browser:
        _, text = await browser.get("/wallets")
        members = text.partition("Newest transactions")[0]
        assert [members.index(f"/referrers/{each}") for each in (6, 7, 5)] == sorted(
            members.index(f"/referrers/{each}") for each in (5, 6, 7)
        )


async def test_member_page_links_to_the_purchases_that_earned(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    async with site.signed_in() as browser:
        _, text = await browser.get("/referrers/5")
        purchases = text.partition("Purchases of the referrals")[2].partition("</section>")[0]
        assert 'href="/orders/order-1"' in purchases
        assert "$1.00" in purchases
        assert ">pending<" in purchases
        [buyer] = re.findall(r'href="(/referrers/\d+)"', purchases)
        assert "No referral has bought anything yet." in (await browser.get(buyer))[1]


async def test_form_of_an_order_takes_the_buyers_name(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    await site.ledger.earn(6, 100)
    await site.ledger.database.write(member_names.keep, 6, "cid", now=site.ledger.clock())
    async with site.signed_in() as browser:
        order = "/orders/order-1"
        status, text = await browser.post(order, what="reassign", value="@nobody", reason="typed wrongly")
        assert (status, "No member is called" in text) == (400, True)
        assert await browser.post(order, what="reassign", value="@cid", reason="it was theirs") == (303, order)
        assert "@cid" in (await browser.get(order))[1]


async def test_described_words_of_the_intake_are_code_without_backticks(site: DashboardFixture) -> None:
    async with site.signed_in() as browser:
        _, text = await browser.get("/api/docs")
        assert "<code>v1=</code>" in text
        assert "`" not in text
        assert "string or null" in text


async def test_search_keeps_what_was_typed(site: DashboardFixture) -> None:
    async with site.signed_in() as browser:
        assert 'value="no&#34;body"' in (await browser.get("/search?q=no%22body"))[1]


async def test_member_page_names_who_blacklisted_and_when(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    await site.ledger.database.write(member_names.keep, ADA, "ada", now=site.ledger.clock())
    async with site.signed_in() as browser:
        assert (await browser.post("/referrers/5/blacklist", reason="own account"))[0] == 303
        _, text = await browser.get("/referrers/5")
        why = text.partition("Why is it not paid?")[2].partition("</section>")[0]
        assert ">@ada</a>" in why
        assert "<time " in why
        assert ": own account." in why
        assert "dashboard:" not in why


async def test_plan_names_flagged_members_and_reasons_in_words(site: DashboardFixture) -> None:
    await site.ledger.earn_all([(5, 900), (6, 5), *((each, 10) for each in range(11, 20))])
    await site.ledger.database.write(member_names.keep, 5, "bob", now=site.ledger.clock())
    strict = dashboard_settings(site.ledger.path, max_users_per_batch=10, unusual_share_percent=50)
    await AdminService(site.ledger.database, strict, lambda _number: 0).propose(CLI)
    async with site.signed_in() as browser:
        _, text = await browser.get("/batches/1")
        plan = text.partition("Plan</h2>")[2].partition("</section>")[0]
        assert re.search(r"Flagged: <a [^>]+>@bob</a> takes 90% of it", plan)
        assert "Excluded, over the limit of members in a batch: 1 member, $0.05" in plan


async def test_first_of_two_admins_is_not_offered_the_second_approval(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 900)
    strict = dashboard_settings(site.ledger.path, approval_threshold_cents=1)
    service = AdminService(site.ledger.database, strict, lambda _number: 0)
    await service.propose(DASHBOARD_ADA)
    async with site.signed_in() as browser:
        assert "Confirm: pay $9.00" in (await browser.get("/batches/1"))[1]
        await service.approve(DASHBOARD_ADA, 1)
        _, text = await browser.get("/batches/1")
        assert "/confirm" not in text
        assert "Another admin approves it" in text
    site.guild.roles[BEA] = site.guild.roles[ADA]
    async with site.signed_in(BEA) as browser:
        assert "Approve: pay $9.00" in (await browser.get("/batches/1"))[1]


async def test_skipped_slot_ahead_is_not_among_the_past_ones(site: DashboardFixture) -> None:
    await site.service.skip_next(CLI)
    async with site.signed_in() as browser:
        _, text = await browser.get("/schedule")
        coming, _, past = text.partition("Past slots")
        assert "Undo" in coming
        assert "There are no past slots yet" in past


async def test_reasons_and_errors_show_moments_and_people_as_the_rest_of_the_page_does(
    site: DashboardFixture,
) -> None:
    """A browser's script shows each <time> in the reader's own zone."""
    [buyer] = await site.ledger.earn(ADA, 100)
    await site.ledger.database.write(
        record_purchases, [Purchase("H", buyer, 20_000)], 5_000, site.ledger.clock(), holding_days=7
    )
    await site.ledger.database.write(member_names.keep, ADA, "ada", now=site.ledger.clock())
    until = '<time datetime="2026-07-10T15:00:00+00:00">2026-07-10 15:00{} UTC</time>'
    async with site.signed_in() as browser:
        assert until.format("") in (await browser.get("/orders/H"))[1]
        assert until.format(":00") in (await browser.get(f"/referrers/{ADA}"))[1]
        await request_withdrawal(site, 7)
        version = await browser.withdrawal_version(1)
        assert (await browser.post("/withdrawals/1/paid", reference="TX-1"))[0] == 303
        _, shown = await browser.post("/withdrawals/1/paid", reference="TX-1", version=version)
        assert re.search(rf'is paid already by <a href="/referrers/{ADA}"[^>]*>@ada</a>', shown)
        await site.ledger.database.blacklist_referral_user(ADA)
        _, page = await browser.get("/orders/H")
        assert re.search(rf'The referrer <a href="/referrers/{ADA}"[^>]*>@ada</a> is blacklisted', page)


async def test_refund_without_an_id_of_the_shop_shows_none(site: DashboardFixture) -> None:
    [buyer] = await site.ledger.earn(5, 100)
    await site.ledger.database.log_referral_purchase(buyer, "N-1", 20_000)
    await site.ledger.database.log_referral_refund("N-1", 5_000)
    await site.ledger.database.log_referral_refund("N-1", 1_000, refund_id="R-7")
    async with site.signed_in() as browser:
        _, page = await browser.get("/orders/N-1")
    assert re.findall(r'<th scope="row" class="order-id">([^<]*)</th><td class="number">([^<]*)', page) == [
        ("–", "$50.00"),
        ("R-7", "$10.00"),
    ]
