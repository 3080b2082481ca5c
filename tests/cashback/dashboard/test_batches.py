"""Batches on the dashboard: proposing, confirming, cancelling and browsing."""

from __future__ import annotations

import csv
import io
import re

import anyio
import openpyxl
import pytest

from cashback.dashboard.payout_file import CONTENT_TYPES
from cashback.database.payouts import runs
from cashback.services import Actor, Source
from tests.cashback.dashboard.conftest import ADA, ADMIN_ROLE, STRANGER, DashboardFixture
from tests.conftest import Clock, raw

pytestmark = pytest.mark.anyio

OTHER_ADMIN = STRANGER


def refuse_wallets(site: DashboardFixture, *people: int) -> None:
    """Make the payouts of these members fail in the ledger."""
    named = ", ".join(map(str, people))
    with raw(site.ledger.path) as file:
        file.execute(
            "CREATE TRIGGER refuse_wallets BEFORE UPDATE OF wallet_balance_cents ON users"
            f" WHEN NEW.discord_id IN ({named}) BEGIN SELECT RAISE(ABORT, 'no'); END"
        )


async def finished(site: DashboardFixture, number: int) -> None:
    """Wait until a batch has ended."""
    with anyio.fail_after(10):
        while not (await site.ledger.report(number)).status.startswith("completed"):  # noqa: ASYNC110 -- there is no event to wait for
            await anyio.sleep(0.01)


async def test_confirmed_batch_pays_the_shown_amounts(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100, 150)
    await site.ledger.earn(6, 999)
    async with site.signed_in() as browser:
        _, text = await browser.get("/")
        assert "$12.49" in text
        assert "to 2 referrers" in text
        assert await browser.post("/batches") == (303, "/batches/1")
        _, text = await browser.get("/batches/1")
        assert "Confirm: pay $12.49 to 2 referrers" in text
        assert await browser.post("/batches/1/confirm") == (303, "/batches/1")
        await finished(site, 1)
        _, text = await browser.get("/batches/1")
        assert "completed" in text
    assert (site.ledger.balance(5), site.ledger.balance(6)) == (250, 999)
    approved = [actor for actor, action in site.audit() if action == "batch_approved"]
    assert approved == [f"dashboard:{ADA}"]


async def test_batch_for_one_referrer_pays_only_that_referrer(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    await site.ledger.earn(6, 999)
    async with site.signed_in() as browser:
        assert await browser.post("/batches", referrer_id="6") == (303, "/batches/1")
        await browser.post("/batches/1/confirm")
        await finished(site, 1)
    assert (site.ledger.balance(5), site.ledger.balance(6)) == (0, 999)


@pytest.mark.parametrize("typed", ["bob", "-5", "5 6", "٥", "0", "9223372036854775808"])
async def test_invalid_referrer_id_is_refused(site: DashboardFixture, typed: str) -> None:
    await site.ledger.earn(5, 100)
    async with site.signed_in() as browser:
        status, text = await browser.post("/batches", referrer_id=typed)
        assert (status, "Discord id" in text) == (400, True)
    assert site.ledger.rows("SELECT 1 FROM cashback_payout_batches") == []


async def test_second_confirm_credits_nothing(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    async with site.signed_in() as browser, site.signed_in() as other_tab:
        await browser.post("/batches")
        answers: list[tuple[int, str]] = []

        async def confirm(token: str) -> None:
            answers.append(await browser.post("/batches/1/confirm", csrf=token))

        token, batch_token = await browser.form_token(), await browser.batch_token("/batches/1")
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(confirm, token)
        await finished(site, 1)
        assert sorted(status for status, _ in answers) == [303, 409, 409, 409, 409]
        status, text = await other_tab.post("/batches/1/confirm", batch_token=batch_token)
        assert (status, "confirmed already" in text) == (409, True)
    assert site.ledger.balance(5) == 100


async def test_expired_summary_pays_nothing(site: DashboardFixture, clock: Clock) -> None:
    await site.ledger.earn(5, 100)
    async with site.signed_in() as browser:
        await browser.post("/batches")
        clock.advance(120)
        status, text = await browser.post("/batches/1/confirm")
        assert (status, "expired" in text) == (409, True)
    assert site.ledger.balance(5) == 0


async def test_other_admin_cannot_decide_on_a_proposal(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    site.guild.roles[OTHER_ADMIN] = site.guild.roles[ADA]
    async with site.signed_in() as browser, site.signed_in(OTHER_ADMIN) as other:
        await browser.post("/batches")
        assert (await other.post("/batches/1/confirm"))[0] == 403
        assert (await other.post("/batches/1/cancel"))[0] == 403
        assert (await browser.post("/batches/1/cancel"))[0] == 303
    assert site.ledger.rows("SELECT status FROM cashback_payout_batches") == [("cancelled",)]


async def test_proposal_without_pending_cashback_is_refused(site: DashboardFixture) -> None:
    async with site.signed_in() as browser:
        status, text = await browser.post("/batches")
        assert (status, "No referral cashback is pending" in text) == (409, True)
        assert (await browser.get("/batches/7"))[0] == 404
        assert (await browser.get("/batches/seven"))[0] == 404


async def test_payouts_are_paged_and_filtered_by_state_and_referrer(site: DashboardFixture) -> None:
    await site.ledger.earn_all((person, 100) for person in range(1, 121))
    refuse_wallets(site, 7, 90)
    number = (await site.ledger.pay()).batch_number
    async with site.signed_in() as browser:
        seen: list[str] = []
        path = f"/batches/{number}"
        while path:
            _, text = await browser.get(path)
            seen += re.findall(r'<th scope="row"><a class="id" href="/referrers/(\d+)">', text)
            following = re.findall(r'rel="next" href="([^"]+)"', text)
            path = following[0].replace("&amp;", "&") if following else ""
        assert seen == [str(person) for person in range(1, 121)]
        _, text = await browser.get(f"/batches/{number}?status=failed")
        assert re.findall(r'href="/referrers/(\d+)">', text) == ["7", "90"]
        _, text = await browser.get(f"/batches/{number}?referrer=90")
        assert re.findall(r'href="/referrers/(\d+)">', text) == ["90"]
        _, text = await browser.get(f"/batches/{number}?referrer=9000")
        assert "No payout matches" in text

        async with browser.session.get(f"{browser.address}/batches/{number}/payouts.xlsx") as answer:
            sheet = openpyxl.load_workbook(io.BytesIO(await answer.read())).active
        assert sheet is not None
        assert (sheet.max_row, answer.content_type) == (121, CONTENT_TYPES["xlsx"])
        _, text = await browser.get(f"/batches/{number}/payouts.csv")
        lines = list(csv.DictReader(io.StringIO(text)))
        assert [line["referrer_id"] for line in lines] == [str(person) for person in range(1, 121)]
        assert sum(int(line["paid_cents"]) for line in lines) == 11_800
        assert {line["state"] for line in lines if line["referrer_id"] in {"7", "90"}} == {"failed"}


async def test_markup_in_reasons_is_escaped(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    async with site.signed_in() as browser:
        await browser.post("/schedule/pause", reason="<script>alert(1)</script>")
        for path in ("/schedule", "/audit"):
            _, text = await browser.get(path)
            assert "<script>alert" not in text
            assert "&lt;script&gt;alert(1)" in text


async def test_schedule_is_paused_resumed_and_skipped(site: DashboardFixture) -> None:
    async with site.signed_in() as browser:
        _, text = await browser.get("/schedule")
        slot_at = re.findall(r'name="slot_at" value="([^"]+)"', text)[0]
        assert await browser.post("/schedule/skip", slot_at=slot_at, reason="holiday") == (303, "/schedule")
        assert (await browser.post("/schedule/skip", slot_at=slot_at))[0] == 400
        assert slot_at in (await browser.get("/schedule"))[1]
        assert await browser.post("/schedule/unskip", slot_at=slot_at) == (303, "/schedule")
        assert (await browser.post("/schedule/unskip", slot_at=slot_at))[0] == 400
        assert await browser.post("/schedule/skip", slot_at=slot_at, reason="holiday") == (303, "/schedule")
        assert await browser.post("/schedule/pause", reason="stock-taking") == (303, "/schedule")
        _, text = await browser.get("/schedule")
        assert "stock-taking" in text
        assert await browser.post("/schedule/resume") == (303, "/schedule")
    assert site.ledger.rows("SELECT status, reason FROM cashback_schedule_slots") == [("skipped", "holiday")]
    actions = [action for actor, action in site.audit() if actor == f"dashboard:{ADA}"]
    unskipped = ["slot_skipped", "slot_unskipped", "slot_skipped"]
    assert actions[1:] == [*unskipped, "schedule_paused", "schedule_resumed"]


async def test_verification_shows_breaches(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    await site.ledger.pay()
    async with site.signed_in() as browser:
        assert await browser.post("/audit/verify") == (303, "/audit")
        _, text = await browser.get("/audit")
        assert "balanced" in text
        with raw(site.ledger.path) as file:
            file.execute("UPDATE users SET wallet_balance_cents = 5000 WHERE discord_id = 5")
        site.ledger.honest = False
        await browser.post("/audit/verify")
        _, text = await browser.get("/audit")
        assert "not balanced" in text
        assert "wallet of 5 holds 5000 cents" in text
    assert (f"dashboard:{ADA}", "verified") in site.audit()


async def test_referrer_page_shows_reasons_without_payout(site: DashboardFixture) -> None:
    [buyer] = await site.ledger.earn(5, 100)
    await site.ledger.database.blacklist_referral_user(5, reason="fraud")
    async with site.signed_in() as browser:
        _, text = await browser.get("/referrers/5")
        assert "Blacklisted by bot since 2026-07-03 15:00:00 UTC: fraud." in re.sub(r"<[^>]+>", "", text)
        _, text = await browser.get(f"/referrers/{buyer}")
        assert "No cashback is pending" in text
        _, text = await browser.get("/referrers?show=blacklisted")
        assert "fraud" in text
        assert (await browser.post("/referrers/5/unblacklist"))[0] == 303
        _, text = await browser.get("/referrers/5")
        assert "The next batch pays all pending cashback" in text
        assert (await browser.post("/referrers/5/blacklist", reason="again"))[0] == 303
        _, text = await browser.get("/referrers/5")
        assert f"Blacklisted by {ADA} on the dashboard since" in re.sub(r"<[^>]+>", "", text)


def referrer_rows(text: str) -> dict[str, list[str]]:
    """Parse the list of referrers: referrals, then cents spent, earned, paid, held and pending."""
    shown = {}
    for row in re.findall(r'<tr><td class="number">.*?</tr>', text):
        [person] = re.findall(r'<th scope="row"><a class="id" href="/referrers/(\d+)">', row)
        pending, held, earned, paid, spent, count = re.findall(r'<td class="number">(.*?)</td>', row)
        shown[person] = [count, spent, earned, paid, held, pending]
    return shown


async def test_filter_for_pending_referrers_shows_sums_of_all_their_referrals(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100, 150)
    await site.ledger.earn(6, 999)
    await site.ledger.pay()
    await site.ledger.earn(5, 70)
    async with site.signed_in() as browser:
        _, pending = await browser.get("/referrers")
        _, everyone = await browser.get("/referrers?show=all")
    shown = referrer_rows(pending)
    assert list(shown) == ["5"]
    assert [shown["5"][0], *shown["5"][2:]] == ["3", "$3.20", "$2.50", "$0.00", "$0.70"]
    assert list(referrer_rows(everyone)) == ["5", "6"]
    assert referrer_rows(everyone)["5"] == shown["5"]


async def test_pages_of_pending_referrers_show_each_once(site: DashboardFixture) -> None:
    people = range(1, 103)
    await site.ledger.earn_all((person, 100) for person in people)
    await site.ledger.pay()
    pending = [person for person in people if person % 2]
    await site.ledger.earn_all((person, 7) for person in pending)
    seen: list[str] = []
    async with site.signed_in() as browser:
        path = "/referrers?show=pending"
        while path:
            _, text = await browser.get(path)
            rows = referrer_rows(text)
            assert {row[0] for row in rows.values()} == {"2"}
            seen += rows
            found = re.search(r'rel="next" href="([^"]+)"', text)
            path = "/referrers" + found[1].replace("&amp;", "&") if found else ""
    assert seen == [str(person) for person in pending]


async def test_failed_payout_is_retried_and_paid_once(site: DashboardFixture) -> None:
    await site.ledger.earn_all((person, 100) for person in range(1, 6))
    refuse_wallets(site, 3)
    number = (await site.ledger.pay()).batch_number
    async with site.signed_in() as browser:
        _, text = await browser.get(f"/batches/{number}")
        assert "Retry 1 failed payout" in text
        with raw(site.ledger.path) as file:
            file.execute("DROP TRIGGER refuse_wallets")
        assert (await browser.post(f"/batches/{number}/retry"))[0] == 303
        await finished(site, number)
        assert (await browser.post(f"/batches/{number}/retry"))[0] == 409
    assert [site.ledger.balance(person) for person in range(1, 6)] == [100] * 5
    assert (f"dashboard:{ADA}", "retry_started") in site.audit()


def fail_messages(site: DashboardFixture, *people: int, status: str = "failed") -> None:
    """End the direct messages to these members without success."""
    for person in people:
        with raw(site.ledger.path) as file:
            file.execute(
                f"UPDATE cashback_notifications SET status = '{status}', attempts = 4 WHERE user_id = {person}"
            )


def message_states(site: DashboardFixture) -> list[tuple[object, ...]]:
    """List the direct messages: member, state, attempts."""
    return site.ledger.rows("SELECT user_id, status, attempts FROM cashback_notifications ORDER BY user_id")


async def test_failed_direct_messages_of_a_batch_are_queued_again(site: DashboardFixture) -> None:
    await site.ledger.earn_all((person, 100) for person in (1, 2, 3))
    number = (await site.ledger.pay()).batch_number
    fail_messages(site, 1, 2)
    fail_messages(site, 3, status="undeliverable")
    async with site.signed_in() as browser:
        assert "Send 2 failed messages again" in (await browser.get(f"/batches/{number}"))[1]
        assert (await browser.post(f"/batches/{number}/retry-notifications"))[0] == 303
        assert message_states(site) == [(1, "queued", 0), (2, "queued", 0), (3, "undeliverable", 4)]
        assert (await browser.post("/batches/77/retry-notifications"))[0] == 404
    assert (f"dashboard:{ADA}", "notifications_retried") in site.audit()


async def test_a_members_direct_messages_that_did_not_arrive_are_queued_again(site: DashboardFixture) -> None:
    await site.ledger.earn_all((person, 100) for person in (1, 2))
    await site.ledger.pay()
    fail_messages(site, 1, 2, status="undeliverable")
    async with site.signed_in() as browser:
        assert "Send 1 message that did not arrive again" in (await browser.get("/referrers/1"))[1]
        assert (await browser.post("/referrers/1/retry-notifications"))[0] == 303
        assert "did not arrive" not in (await browser.get("/referrers/1"))[1]
    assert message_states(site) == [(1, "queued", 0), (2, "undeliverable", 4)]


async def test_reversal_is_shown_on_batch_and_referrer_pages(
    site: DashboardFixture,
) -> None:
    await site.ledger.earn(1, 2500)
    report = await site.ledger.pay()
    async with site.signed_in() as browser:
        for path in (f"/batches/{report.batch_number}", "/referrers/1"):
            assert "Reversed" not in (await browser.get(path))[1]
        actor = Actor(source=Source.DISCORD, user_id=ADA, role_ids=frozenset({ADMIN_ROLE}))
        wanted = await site.service.propose_reversal(actor, report.batch_number, reason="a <b>stolen</b> card")
        assert "Reversed" not in (await browser.get(f"/batches/{report.batch_number}"))[1], "not approved yet"
        await site.service.approve_reversal(actor, wanted.number)
        for path in (f"/batches/{report.batch_number}", "/referrers/1"):
            _, text = await browser.get(path)
            assert "Reversed" in text
            assert "a &lt;b&gt;stolen&lt;/b&gt; card" in text
            assert "$25.00" in text


async def test_batch_is_stopped_and_abandoned(site: DashboardFixture) -> None:
    await site.ledger.earn_all((person, 100) for person in range(1, 6))
    number = await site.ledger.approved()
    await site.ledger.database.write(runs.start, number, now=site.ledger.clock())
    async with site.signed_in() as browser:
        _, text = await browser.get(f"/batches/{number}")
        assert "Stop after the current chunk" in text
        assert (await browser.post(f"/batches/{number}/stop"))[0] == 303
        assert (await site.ledger.report(number)).status == "stopped"
        _, text = await browser.get(f"/batches/{number}")
        assert "Resume" in text
        assert (await browser.post(f"/batches/{number}/give-up"))[0] == 303
        _, text = await browser.get(f"/batches/{number}")
        assert "abandoned, still pending: 5, $5.00" in text
        assert (await browser.post(f"/batches/{number}/resume"))[0] == 409
    assert site.ledger.balance(1) == 0
