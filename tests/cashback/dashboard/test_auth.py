"""Sign-in, sessions and authorization of the dashboard, and their audit entries."""

from __future__ import annotations

import re

import anyio
import pytest

from tests.cashback.dashboard.conftest import ADA, ADMIN_ROLE, STRANGER, VERA, VIEWER_ROLE, DashboardFixture
from tests.conftest import Clock

pytestmark = pytest.mark.anyio

PAGES = [
    "/",
    "/batches",
    "/batches/1",
    "/referrers",
    "/referrers/5",
    "/schedule",
    "/withdrawals",
    "/deliveries",
    "/wallets",
    "/webhooks",
    "/audit",
    "/settings",
]
OPEN_TO_ALL = ("/sign-in", "/static", "/api/", "/metrics", "/healthz", "/readyz")
ACTIONS = [
    "/batches",
    "/batches/1/confirm",
    "/batches/1/cancel",
    "/batches/1/stop",
    "/batches/1/resume",
    "/batches/1/retry",
    "/batches/1/give-up",
    "/batches/1/retry-notifications",
    "/orders/1",
    "/referrers/1/blacklist",
    "/referrers/1/unblacklist",
    "/referrers/1/retry-notifications",
    "/schedule/pause",
    "/schedule/resume",
    "/schedule/skip",
    "/webhooks/1/retry",
    "/schedule/unskip",
    "/settings/reload-schedule",
    "/withdrawals/1/approve",
    "/withdrawals/1/paid",
    "/withdrawals/1/decline",
    "/audit/verify",
]


def routes(site: DashboardFixture, method: str) -> set[str]:
    """List the paths that need a session, with 1 for every parameter."""
    found = set()
    for route in site.dashboard.application().router.routes():
        path = route.resource.canonical if route.resource else ""
        if route.method == method and not path.startswith(
            ("/sign-in", "/static", "/api/", "/metrics", "/healthz", "/readyz")
        ):
            found.add(re.sub(r"\{\w+\}", "1", path))
    return found


async def test_request_without_session_is_refused_on_every_page_and_action(site: DashboardFixture) -> None:
    async with site.stranger() as browser:
        for path in routes(site, "GET"):
            assert (await browser.get(path))[0] == 302, path
        for path in routes(site, "POST"):
            assert (await browser.post(path, csrf="guess"))[0] == 401, path
        assert (await browser.get("/live", Accept="text/event-stream"))[0] == 401
    assert set(ACTIONS) | {"/sign-out"} == routes(site, "POST")


async def test_viewer_sees_every_page_and_every_action_is_refused(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    number = (await site.ledger.propose()).batch_number
    before = site.ledger.money()
    async with site.signed_in(VERA) as browser:
        for path in PAGES:
            status, text = await browser.get(path)
            assert status == 200, path
            assert "<button" not in text.replace('<button class="quiet">Sign out</button>', "").replace(
                '<button id="find-button">Find</button>', ""
            ), path
        for path in ACTIONS:
            assert (await browser.post(path, referrer_id="5"))[0] == 403, path
    assert site.ledger.money() == before
    assert (await site.ledger.report(number)).status == "proposed"
    refusals = [actor for actor, action in site.audit() if action == "refused"]
    assert refusals == [f"dashboard:{VERA}"] * len(ACTIONS)


async def test_used_link_is_refused(site: DashboardFixture) -> None:
    link = (await site.link(ADA)).removeprefix(site.address)
    async with site.stranger() as browser, site.stranger() as thief:
        status, text = await browser.get(link)
        assert status == 200
        assert "Sign in" in text
        assert (await browser.post(link, csrf=""))[0] == 303
        assert (await browser.get("/"))[0] == 200
        status, text = await thief.post(link, csrf="")
        assert status == 403
        assert "was already used" in text
        assert (await thief.get("/"))[0] == 302
    assert site.audit()[-1] == ("dashboard", "refused")


async def test_link_expires_after_five_minutes(site: DashboardFixture, clock: Clock) -> None:
    link = (await site.link(ADA)).removeprefix(site.address)
    clock.advance(300)
    async with site.stranger() as browser:
        assert (await browser.post(link, csrf=""))[0] == 403


async def test_stored_digests_contain_no_token(site: DashboardFixture) -> None:
    link = await site.link(ADA)
    async with site.signed_in() as browser:
        cookies = {cookie.value for cookie in browser.session.cookie_jar}
        kept = str(
            site.ledger.rows("SELECT * FROM cashback_dashboard_links")
            + site.ledger.rows("SELECT * FROM cashback_dashboard_sessions")
        )
    assert link.rpartition("/")[2] not in kept
    assert len(cookies) == 1
    assert not any(cookie in kept for cookie in cookies)


async def test_session_expires_after_twelve_hours(site: DashboardFixture, clock: Clock) -> None:
    async with site.signed_in() as browser:
        clock.advance(12 * 3600 - 1)
        assert (await browser.get("/"))[0] == 200
        clock.advance(1)
        assert (await browser.get("/"))[0] == 302


async def test_sign_out_ends_session_for_copied_cookie(site: DashboardFixture) -> None:
    async with site.signed_in() as browser, site.stranger() as thief:
        cookies = {cookie.key: cookie.value for cookie in browser.session.cookie_jar}
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        assert (await thief.get("/", Cookie=header))[0] == 200
        assert await browser.post("/sign-out") == (303, "/sign-in")
        assert (await thief.get("/", Cookie=header))[0] == 302
    assert (f"dashboard:{ADA}", "signed_out") in site.audit()


async def test_action_after_lost_role_ends_session(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    async with site.signed_in() as browser:
        assert (await browser.get("/"))[0] == 200
        site.guild.roles[ADA] = frozenset()
        assert (await browser.post("/batches"))[0] == 401
        assert (await browser.get("/"))[0] == 302
    assert site.ledger.rows("SELECT 1 FROM cashback_payout_batches") == []
    assert site.audit()[-1] == (f"dashboard:{ADA}", "session_ended")


async def test_admin_demoted_to_viewer_may_only_view(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    async with site.signed_in() as browser:
        site.guild.roles[ADA] = frozenset({VIEWER_ROLE})
        assert (await browser.post("/batches"))[0] == 403
        assert (await browser.get("/"))[0] == 200


async def test_session_of_member_without_role_ends_without_request(site: DashboardFixture) -> None:
    async with site.signed_in() as browser:
        site.guild.roles[ADA] = frozenset()
        await site.dashboard._session_auth.end_lost_sessions()
        site.guild.roles[ADA] = frozenset({ADMIN_ROLE})
        assert (await browser.get("/"))[0] == 302


async def test_discord_outage_refuses_actions_and_allows_viewing(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    async with site.signed_in() as browser:
        token = await browser.form_token()
        site.guild.is_away = True
        assert (await browser.get("/"))[0] == 200
        status, text = await browser.post("/batches", csrf=token)
        assert (status, "cannot be read from Discord" in text) == (503, True)
    assert site.ledger.rows("SELECT 1 FROM cashback_payout_batches") == []


async def test_form_with_foreign_token_is_refused(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    async with site.signed_in() as browser, site.signed_in(VERA) as other:
        foreign = await other.form_token()
        for token in ("", "0" * 64, foreign):
            assert (await browser.post("/batches", csrf=token))[0] == 403
    assert site.ledger.rows("SELECT 1 FROM cashback_payout_batches") == []


async def test_every_action_with_a_foreign_form_is_refused_and_changes_nothing(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    await site.ledger.propose()
    async with site.signed_in() as browser, site.signed_in() as other_session:
        foreign, before = await other_session.form_token(), site.ledger.money()
        entries = len(site.audit())
        for path in routes(site, "POST"):
            for token in ("", foreign):
                status, text = await browser.post(path, csrf=token, referrer_id="5", reason="x", reference="x")
                assert (status, "does not belong to your session" in text) == (403, True), path
        own = {"form_token": await browser.form_token()}
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            async with browser.session.post(f"{site.address}/batches", data=own, headers=headers) as answer:
                assert answer.status == 403
        assert (await browser.get("/"))[0] == 200
    assert (site.ledger.money(), len(site.audit())) == (before, entries)


async def test_decision_on_another_batch_than_shown_is_refused(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    number = (await site.ledger.propose()).batch_number
    approved = await site.ledger.approved()
    before = site.ledger.money()
    async with site.signed_in() as browser:
        await browser.post("/batches")
        own = number + 2
        for path in (f"/batches/{own}/confirm", f"/batches/{own}/cancel", f"/batches/{approved}/stop"):
            for token in ("", "0" * 16, await browser.batch_token(f"/batches/{number}")):
                status, text = await browser.post(path, batch_token=token)
                assert (status, "another proposal" in text) == (409, True), path
        assert (await browser.post(f"/batches/{own}/cancel"))[0] == 303
    assert site.ledger.money()["wallet_transactions"] == before["wallet_transactions"]


async def test_sign_in_is_limited_to_twenty_attempts_a_minute(site: DashboardFixture) -> None:
    async with site.stranger() as browser:
        answers = [(await browser.post(f"/sign-in/guess-{n}", csrf=""))[0] for n in range(25)]
    assert answers == [403] * 20 + [429] * 5
    assert site.audit()[1:] == []


async def test_link_for_member_without_role_is_refused_and_audited(site: DashboardFixture) -> None:
    site.guild.roles[STRANGER] = frozenset({5})
    with pytest.raises(RuntimeError, match="Only an admin or a viewer"):
        await site.link(STRANGER)
    assert site.audit()[-1] == (f"discord:{STRANGER}", "refused")


async def test_every_response_has_restrictive_security_headers(site: DashboardFixture) -> None:
    async with site.signed_in() as browser:
        for path in ("/", "/sign-in", "/static/style.css", "/nowhere"):
            async with browser.session.get(site.address + path) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert "http" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Referrer-Policy"] == "no-referrer"
        async with browser.session.get(site.address + "/") as answer:
            assert answer.headers["Cache-Control"] == "no-store"


async def test_session_cookie_is_http_only_and_same_site(site: DashboardFixture) -> None:
    link = (await site.link(ADA)).removeprefix(site.address)
    async with (
        site.stranger() as browser,
        browser.session.post(site.address + link, allow_redirects=False) as answer,
    ):
        [cookie] = answer.headers.getall("Set-Cookie")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie


async def test_port_in_use_is_logged_without_error(site: DashboardFixture, caplog: pytest.LogCaptureFixture) -> None:
    with anyio.move_on_after(0.3):
        await site.dashboard.run()
    assert "cannot listen" in caplog.text
