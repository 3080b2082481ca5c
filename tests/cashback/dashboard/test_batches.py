"""Batches on the dashboard: proposed, confirmed, cancelled and looked through, by the desk's rules."""

from __future__ import annotations

import csv
import io
import re

import anyio
import pytest

from cashback.database.payouts import runs
from cashback.services import Actor, Source
from tests.cashback.dashboard.conftest import ADA, ADMIN_ROLE, STRANGER, DashboardFixture
from tests.conftest import Clock, raw

pytestmark = pytest.mark.anyio

OTHER_ADMIN = STRANGER


def refuse_wallets(office: DashboardFixture, *people: int) -> None:
    """Have the ledger refuse to raise these people's balances: their payouts fail."""
    named = ", ".join(map(str, people))
    with raw(office.till.path) as file:
        file.execute(
            "CREATE TRIGGER refuse_wallets BEFORE UPDATE OF wallet_balance_cents ON users"
            f" WHEN NEW.discord_id IN ({named}) BEGIN SELECT RAISE(ABORT, 'no'); END"
        )


async def finished(office: DashboardFixture, number: int) -> None:
    """Wait until a batch has ended."""
    with anyio.fail_after(10):
        while not (await office.till.report(number)).status.startswith("completed"):  # noqa: ASYNC110 -- no event tells
            await anyio.sleep(0.01)


async def test_what_is_shown_is_proposed_and_what_is_confirmed_is_paid(office: DashboardFixture) -> None:
    await office.till.earn(5, 100, 150)
    await office.till.earn(6, 999)
    async with office.signed_in() as browser:
        _, text = await browser.get("/")
        assert "$12.49" in text
        assert "to 2 referrers" in text
        assert await browser.post("/batches") == (303, "/batches/1")
        _, text = await browser.get("/batches/1")
        assert "Confirm: pay $12.49 to 2 referrers" in text
        assert await browser.post("/batches/1/confirm") == (303, "/batches/1")
        await finished(office, 1)
        _, text = await browser.get("/batches/1")
        assert "completed" in text
    assert (office.till.balance(5), office.till.balance(6)) == (250, 999)
    approved = [actor for actor, action in office.audit() if action == "batch_approved"]
    assert approved == [f"dashboard:{ADA}"]


async def test_one_referrer_is_paid_alone(office: DashboardFixture) -> None:
    await office.till.earn(5, 100)
    await office.till.earn(6, 999)
    async with office.signed_in() as browser:
        assert await browser.post("/batches", referrer_id="6") == (303, "/batches/1")
        await browser.post("/batches/1/confirm")
        await finished(office, 1)
    assert (office.till.balance(5), office.till.balance(6)) == (0, 999)


@pytest.mark.parametrize("typed", ["bob", "-5", "5 6", "٥", "0", "9223372036854775808"])
async def test_what_is_no_id_pays_nobody(office: DashboardFixture, typed: str) -> None:
    await office.till.earn(5, 100)
    async with office.signed_in() as browser:
        status, text = await browser.post("/batches", referrer_id=typed)
        assert (status, "Discord id" in text) == (400, True)
    assert office.till.rows("SELECT 1 FROM cashback_payout_batches") == []


async def test_a_second_confirm_credits_nothing(office: DashboardFixture) -> None:
    await office.till.earn(5, 100)
    async with office.signed_in() as browser, office.signed_in() as other_tab:
        await browser.post("/batches")
        answers: list[tuple[int, str]] = []

        async def confirm(proof: str) -> None:
            answers.append(await browser.post("/batches/1/confirm", proof=proof))

        proof = await browser.proof()
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(confirm, proof)
        await finished(office, 1)
        assert sorted(status for status, _ in answers) == [303, 409, 409, 409, 409]
        status, text = await other_tab.post("/batches/1/confirm")
        assert (status, "confirmed already" in text) == (409, True)
    assert office.till.balance(5) == 100


async def test_a_summary_that_is_over_pays_nothing(office: DashboardFixture, clock: Clock) -> None:
    await office.till.earn(5, 100)
    async with office.signed_in() as browser:
        await browser.post("/batches")
        clock.advance(120)
        status, text = await browser.post("/batches/1/confirm")
        assert (status, "expired" in text) == (409, True)
    assert office.till.balance(5) == 0


async def test_another_admin_may_not_decide_on_a_proposal(office: DashboardFixture) -> None:
    await office.till.earn(5, 100)
    office.guild.roles[OTHER_ADMIN] = office.guild.roles[ADA]
    async with office.signed_in() as browser, office.signed_in(OTHER_ADMIN) as other:
        await browser.post("/batches")
        assert (await other.post("/batches/1/confirm"))[0] == 403
        assert (await other.post("/batches/1/cancel"))[0] == 403
        assert (await browser.post("/batches/1/cancel"))[0] == 303
    assert office.till.rows("SELECT status FROM cashback_payout_batches") == [("cancelled",)]


async def test_nothing_pending_is_said(office: DashboardFixture) -> None:
    async with office.signed_in() as browser:
        status, text = await browser.post("/batches")
        assert (status, "No referral cashback is pending" in text) == (409, True)
        assert (await browser.get("/batches/7"))[0] == 404
        assert (await browser.get("/batches/seven"))[0] == 404


async def test_payouts_are_gone_through_page_by_page_by_state_and_by_referrer(office: DashboardFixture) -> None:
    await office.till.earn_all((person, 100) for person in range(1, 121))
    refuse_wallets(office, 7, 90)
    number = (await office.till.pay()).batch_number
    async with office.signed_in() as browser:
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

        _, text = await browser.get(f"/batches/{number}/payouts.csv")
        lines = list(csv.DictReader(io.StringIO(text)))
        assert [line["referrer_id"] for line in lines] == [str(person) for person in range(1, 121)]
        assert sum(int(line["paid_cents"]) for line in lines) == 11_800
        assert {line["state"] for line in lines if line["referrer_id"] in {"7", "90"}} == {"failed"}


async def test_foreign_text_is_shown_and_never_run(office: DashboardFixture) -> None:
    await office.till.earn(5, 100)
    async with office.signed_in() as browser:
        await browser.post("/schedule/pause", reason="<script>alert(1)</script>")
        for path in ("/schedule", "/audit"):
            _, text = await browser.get(path)
            assert "<script>alert" not in text
            assert "&lt;script&gt;alert(1)" in text


async def test_the_schedule_is_paused_resumed_and_skipped_from_here(office: DashboardFixture) -> None:
    async with office.signed_in() as browser:
        _, text = await browser.get("/schedule")
        slot_at = re.findall(r'name="slot_at" value="([^"]+)"', text)[0]
        assert await browser.post("/schedule/skip", slot_at=slot_at, reason="holiday") == (303, "/schedule")
        assert (await browser.post("/schedule/skip", slot_at=slot_at))[0] == 400
        assert await browser.post("/schedule/pause", reason="stock-taking") == (303, "/schedule")
        _, text = await browser.get("/schedule")
        assert "stock-taking" in text
        assert await browser.post("/schedule/resume") == (303, "/schedule")
    assert office.till.rows("SELECT status, reason FROM cashback_schedule_slots") == [("skipped", "holiday")]
    actions = [action for actor, action in office.audit() if actor == f"dashboard:{ADA}"]
    assert actions[1:] == ["slot_skipped", "schedule_paused", "schedule_resumed"]


async def test_the_books_are_proved_from_here_and_a_breach_is_shown(office: DashboardFixture) -> None:
    await office.till.earn(5, 100)
    await office.till.pay()
    async with office.signed_in() as browser:
        assert await browser.post("/audit/verify") == (303, "/audit")
        _, text = await browser.get("/audit")
        assert "balanced" in text
        with raw(office.till.path) as file:
            file.execute("UPDATE users SET wallet_balance_cents = 5000 WHERE discord_id = 5")
        office.till.honest = False
        await browser.post("/audit/verify")
        _, text = await browser.get("/audit")
        assert "not balanced" in text
        assert "wallet of 5 holds 5000 cents" in text
    assert (f"dashboard:{ADA}", "verified") in office.audit()


async def test_a_referrer_learns_why_nothing_is_paid(office: DashboardFixture) -> None:
    await office.till.earn(5, 100)
    await office.till.database.blacklist_referral_user(5, reason="fraud")
    async with office.signed_in() as browser:
        _, text = await browser.get("/referrers/5")
        assert "Blacklisted by bot since 2026-07-03 15:00:00 UTC: fraud." in text
        _, text = await browser.get("/referrers/6")
        assert "Nothing is pending" in text
        _, text = await browser.get("/referrers?show=blacklisted")
        assert "fraud" in text
        assert (await browser.post("/referrers/5/unblacklist"))[0] == 303
        _, text = await browser.get("/referrers/5")
        assert "The next batch pays what is pending" in text
        assert (await browser.post("/referrers/5/blacklist", reason="again"))[0] == 303
        _, text = await browser.get("/referrers/5")
        assert f"Blacklisted by dashboard:{ADA} since" in text


def referrer_rows(text: str) -> dict[str, list[str]]:
    """Read the list of referrers: of each the referrals, then the cents spent, earned, paid, held and pending."""
    rows = re.findall(r'<tr><th scope="row"><a class="id" href="/referrers/(\d+)">(.*?)</tr>', text)
    return {person: re.findall(r'<td class="number">(.*?)</td>', cells) for person, cells in rows}


async def test_filter_for_pending_referrers_shows_sums_of_all_their_referrals(office: DashboardFixture) -> None:
    await office.till.earn(5, 100, 150)
    await office.till.earn(6, 999)
    await office.till.pay()
    await office.till.earn(5, 70)
    async with office.signed_in() as browser:
        _, pending = await browser.get("/referrers")
        _, everyone = await browser.get("/referrers?show=all")
    shown = referrer_rows(pending)
    assert list(shown) == ["5"]
    assert [shown["5"][0], *shown["5"][2:]] == ["3", "$3.20", "$2.50", "$0.00", "$0.70"]
    assert list(referrer_rows(everyone)) == ["5", "6"]
    assert referrer_rows(everyone)["5"] == shown["5"]


async def test_pages_of_pending_referrers_show_each_once(office: DashboardFixture) -> None:
    people = range(1, 103)
    await office.till.earn_all((person, 100) for person in people)
    await office.till.pay()
    pending = [person for person in people if person % 2]
    await office.till.earn_all((person, 7) for person in pending)
    seen: list[str] = []
    async with office.signed_in() as browser:
        path = "/referrers?show=pending"
        while path:
            _, text = await browser.get(path)
            rows = referrer_rows(text)
            assert {row[0] for row in rows.values()} == {"2"}
            seen += rows
            found = re.search(r'rel="next" href="([^"]+)"', text)
            path = "/referrers" + found[1].replace("&amp;", "&") if found else ""
    assert seen == [str(person) for person in pending]


async def test_what_failed_is_retried_from_here_and_paid_once(office: DashboardFixture) -> None:
    await office.till.earn_all((person, 100) for person in range(1, 6))
    refuse_wallets(office, 3)
    number = (await office.till.pay()).batch_number
    async with office.signed_in() as browser:
        _, text = await browser.get(f"/batches/{number}")
        assert "Retry 1 failed payout" in text
        with raw(office.till.path) as file:
            file.execute("DROP TRIGGER refuse_wallets")
        assert (await browser.post(f"/batches/{number}/retry"))[0] == 303
        await finished(office, number)
        assert (await browser.post(f"/batches/{number}/retry"))[0] == 409
    assert [office.till.balance(person) for person in range(1, 6)] == [100] * 5
    assert (f"dashboard:{ADA}", "retry_started") in office.audit()


async def test_what_was_taken_back_stands_on_the_page_of_the_batch_and_of_the_referrer(
    office: DashboardFixture,
) -> None:
    await office.till.earn(1, 2500)
    report = await office.till.pay()
    async with office.signed_in() as browser:
        for path in (f"/batches/{report.batch_number}", "/referrers/1"):
            assert "Taken back" not in (await browser.get(path))[1]
        actor = Actor(source=Source.DISCORD, user_id=ADA, role_ids=frozenset({ADMIN_ROLE}))
        wanted = await office.service.propose_reversal(actor, report.batch_number, reason="a <b>stolen</b> card")
        assert "Taken back" not in (await browser.get(f"/batches/{report.batch_number}"))[1], "nothing was, so far"
        await office.service.approve_reversal(actor, wanted.number)
        for path in (f"/batches/{report.batch_number}", "/referrers/1"):
            _, text = await browser.get(path)
            assert "Taken back" in text
            assert "a &lt;b&gt;stolen&lt;/b&gt; card" in text
            assert "$25.00" in text


async def test_a_batch_is_stopped_resumed_and_given_up_from_here(office: DashboardFixture) -> None:
    await office.till.earn_all((person, 100) for person in range(1, 6))
    number = await office.till.approved()
    await office.till.database.write(runs.start, number, now=office.till.clock())
    async with office.signed_in() as browser:
        _, text = await browser.get(f"/batches/{number}")
        assert "Stop after the chunk in hand" in text
        assert (await browser.post(f"/batches/{number}/stop"))[0] == 303
        assert (await office.till.report(number)).status == "stopped"
        _, text = await browser.get(f"/batches/{number}")
        assert "Resume" in text
        assert (await browser.post(f"/batches/{number}/give-up"))[0] == 303
        _, text = await browser.get(f"/batches/{number}")
        assert "abandoned, still pending: 5, $5.00" in text
        assert (await browser.post(f"/batches/{number}/resume"))[0] == 409
    assert office.till.balance(1) == 0
