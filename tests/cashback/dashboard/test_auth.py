"""The door: who is let in, who is not, and what is written down about it."""

from __future__ import annotations

import re

import anyio
import pytest

from tests.cashback.dashboard.conftest import ADA, ADMIN_ROLE, STRANGER, VERA, VIEWER_ROLE, DashboardFixture
from tests.conftest import Clock

pytestmark = pytest.mark.anyio

PAGES = ["/", "/batches", "/batches/1", "/referrers", "/referrers/5", "/schedule", "/audit"]
OPEN_TO_ALL = ("/sign-in", "/static", "/api/", "/metrics", "/healthz", "/readyz")
ACTIONS = [
    "/batches",
    "/batches/1/confirm",
    "/batches/1/cancel",
    "/batches/1/stop",
    "/batches/1/resume",
    "/batches/1/retry",
    "/batches/1/give-up",
    "/referrers/1/blacklist",
    "/referrers/1/unblacklist",
    "/schedule/pause",
    "/schedule/resume",
    "/schedule/skip",
    "/audit/verify",
]


def routes(office: DashboardFixture, method: str) -> set[str]:
    """List the addresses that need a session, with 1 for every number in them."""
    found = set()
    for route in office.dashboard.application().router.routes():
        path = route.resource.canonical if route.resource else ""
        if route.method == method and not path.startswith(
            ("/sign-in", "/static", "/api/", "/metrics", "/healthz", "/readyz")
        ):
            found.add(re.sub(r"\{\w+\}", "1", path))
    return found


async def test_without_a_session_every_page_and_action_is_turned_away(office: DashboardFixture) -> None:
    async with office.stranger() as browser:
        for path in routes(office, "GET"):
            assert (await browser.get(path))[0] == 302, path
        for path in routes(office, "POST"):
            assert (await browser.post(path, proof="guess"))[0] == 401, path
        assert (await browser.get("/live", Accept="text/event-stream"))[0] == 401
    assert set(ACTIONS) | {"/sign-out"} == routes(office, "POST")


async def test_a_viewer_sees_every_page_and_may_do_nothing(office: DashboardFixture) -> None:
    await office.till.earn(5, 100)
    number = (await office.till.propose()).batch_number
    before = office.till.money()
    async with office.signed_in(VERA) as browser:
        for path in PAGES:
            status, text = await browser.get(path)
            assert status == 200, path
            assert "<button" not in text.replace('<button class="quiet">Sign out</button>', "").replace(
                '<button id="find-button">Find</button>', ""
            ), path
        for path in ACTIONS:
            assert (await browser.post(path, referrer_id="5"))[0] == 403, path
    assert office.till.money() == before
    assert (await office.till.report(number)).status == "proposed"
    refusals = [actor for actor, action in office.audit() if action == "refused"]
    assert refusals == [f"dashboard:{VERA}"] * len(ACTIONS)


async def test_a_link_that_was_used_lets_nobody_in(office: DashboardFixture) -> None:
    link = (await office.link(ADA)).removeprefix(office.address)
    async with office.stranger() as browser, office.stranger() as thief:
        status, text = await browser.get(link)
        assert status == 200
        assert "Sign in" in text
        assert (await browser.post(link, proof=""))[0] == 303
        assert (await browser.get("/"))[0] == 200
        status, text = await thief.post(link, proof="")
        assert status == 403
        assert "was already used" in text
        assert (await thief.get("/"))[0] == 302
    assert office.audit()[-1] == ("dashboard", "refused")


async def test_a_link_is_over_after_five_minutes(office: DashboardFixture, clock: Clock) -> None:
    link = (await office.link(ADA)).removeprefix(office.address)
    clock.advance(300)
    async with office.stranger() as browser:
        assert (await browser.post(link, proof=""))[0] == 403


async def test_what_the_database_keeps_opens_no_door(office: DashboardFixture) -> None:
    link = await office.link(ADA)
    async with office.signed_in() as browser:
        cookies = {cookie.value for cookie in browser.session.cookie_jar}
        kept = str(
            office.till.rows("SELECT * FROM cashback_dashboard_links")
            + office.till.rows("SELECT * FROM cashback_dashboard_sessions")
        )
    assert link.rpartition("/")[2] not in kept
    assert len(cookies) == 1
    assert not any(cookie in kept for cookie in cookies)


async def test_a_session_ends_after_twelve_hours(office: DashboardFixture, clock: Clock) -> None:
    async with office.signed_in() as browser:
        clock.advance(12 * 3600 - 1)
        assert (await browser.get("/"))[0] == 200
        clock.advance(1)
        assert (await browser.get("/"))[0] == 302


async def test_signing_out_ends_the_session_also_for_who_kept_the_cookie(office: DashboardFixture) -> None:
    async with office.signed_in() as browser, office.stranger() as thief:
        cookies = {cookie.key: cookie.value for cookie in browser.session.cookie_jar}
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        assert (await thief.get("/", Cookie=header))[0] == 200
        assert await browser.post("/sign-out") == (303, "/sign-in")
        assert (await thief.get("/", Cookie=header))[0] == 302
    assert (f"dashboard:{ADA}", "signed_out") in office.audit()


async def test_an_act_after_the_role_is_lost_ends_the_session(office: DashboardFixture) -> None:
    await office.till.earn(5, 100)
    async with office.signed_in() as browser:
        assert (await browser.get("/"))[0] == 200
        office.guild.roles[ADA] = frozenset()
        assert (await browser.post("/batches"))[0] == 401
        assert (await browser.get("/"))[0] == 302
    assert office.till.rows("SELECT 1 FROM cashback_payout_batches") == []
    assert office.audit()[-1] == (f"dashboard:{ADA}", "session_ended")


async def test_an_admin_who_becomes_a_viewer_may_only_look(office: DashboardFixture) -> None:
    await office.till.earn(5, 100)
    async with office.signed_in() as browser:
        office.guild.roles[ADA] = frozenset({VIEWER_ROLE})
        assert (await browser.post("/batches"))[0] == 403
        assert (await browser.get("/"))[0] == 200


async def test_the_sessions_of_who_lost_the_role_end_although_nobody_comes(office: DashboardFixture) -> None:
    async with office.signed_in() as browser:
        office.guild.roles[ADA] = frozenset()
        await office.dashboard._doorman.end_lost_sessions()
        office.guild.roles[ADA] = frozenset({ADMIN_ROLE})
        assert (await browser.get("/"))[0] == 302


async def test_nobody_acts_while_discord_cannot_be_asked_but_who_was_in_may_look(office: DashboardFixture) -> None:
    await office.till.earn(5, 100)
    async with office.signed_in() as browser:
        proof = await browser.proof()
        office.guild.is_away = True
        assert (await browser.get("/"))[0] == 200
        status, text = await browser.post("/batches", proof=proof)
        assert (status, "cannot be read from Discord" in text) == (503, True)
    assert office.till.rows("SELECT 1 FROM cashback_payout_batches") == []


async def test_a_form_of_another_site_does_nothing(office: DashboardFixture) -> None:
    await office.till.earn(5, 100)
    async with office.signed_in() as browser, office.signed_in(VERA) as other:
        foreign = await other.proof()
        for token in ("", "0" * 64, foreign):
            assert (await browser.post("/batches", proof=token))[0] == 403
    assert office.till.rows("SELECT 1 FROM cashback_payout_batches") == []


async def test_the_door_is_knocked_at_twenty_times_a_minute(office: DashboardFixture) -> None:
    async with office.stranger() as browser:
        answers = [(await browser.post(f"/sign-in/guess-{n}", proof=""))[0] for n in range(25)]
    assert answers == [403] * 20 + [429] * 5
    assert office.audit()[1:] == []


async def test_only_who_may_look_gets_a_link(office: DashboardFixture) -> None:
    office.guild.roles[STRANGER] = frozenset({5})
    with pytest.raises(RuntimeError, match="Only an admin or a viewer"):
        await office.link(STRANGER)
    assert office.audit()[-1] == (f"discord:{STRANGER}", "refused")


async def test_every_answer_forbids_what_no_page_needs(office: DashboardFixture) -> None:
    async with office.signed_in() as browser:
        for path in ("/", "/sign-in", "/static/style.css", "/nowhere"):
            async with browser.session.get(office.address + path) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert "http" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Referrer-Policy"] == "no-referrer"
        async with browser.session.get(office.address + "/") as answer:
            assert answer.headers["Cache-Control"] == "no-store"


async def test_the_cookie_is_kept_from_scripts_and_other_sites(office: DashboardFixture) -> None:
    link = (await office.link(ADA)).removeprefix(office.address)
    async with (
        office.stranger() as browser,
        browser.session.post(office.address + link, allow_redirects=False) as answer,
    ):
        [cookie] = answer.headers.getall("Set-Cookie")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie


async def test_a_port_that_is_taken_ends_nothing(office: DashboardFixture, caplog: pytest.LogCaptureFixture) -> None:
    with anyio.move_on_after(0.3):
        await office.dashboard.run()
    assert "cannot listen" in caplog.text
