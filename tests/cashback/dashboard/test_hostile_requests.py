"""Forged addresses, foreign origins and hosts, and inputs that are not what a browser sends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import anyio
import pytest
from multidict import CIMultiDict
from pydantic import SecretStr

from cashback.dashboard.client_address import limit_key
from cashback.settings import DashboardSettings
from tests.cashback.dashboard.conftest import ADA, Browser, DashboardFixture, Guild, dashboard_settings, serving, signed
from tests.conftest import Clock, LedgerFixture

pytestmark = pytest.mark.anyio

ABSURD = [
    "10" * 15,
    str(2**63 - 1),
    "9" * 18,
    "9" * 5_000,
    "²",
    "٣",
    "-1",
    "1.5",
    "1e3",
    "NaN",
    "%00",
    "a%00b",
    "%FF",
    "%F0",
]


@asynccontextmanager
async def proxied(ledger: LedgerFixture, guild: Guild, proxies: int | None) -> AsyncIterator[DashboardFixture]:
    """Serve a dashboard behind so many proxies."""
    settings = dashboard_settings(ledger.path)
    served = settings.dashboard.model_copy(update={"trusted_proxies": proxies})
    async with serving(ledger.database, settings.model_copy(update={"dashboard": served}), guild, ledger) as site:
        yield site


async def attempts(site: DashboardFixture, *chains: list[str]) -> list[int]:
    """Try to sign in once for each list of X-Forwarded-For lines; return the statuses."""
    statuses = []
    async with aiohttp.ClientSession() as session:
        for lines in chains:
            headers = CIMultiDict([("X-Forwarded-For", line) for line in lines])
            async with session.post(f"{site.address}/sign-in/guess", headers=headers) as answer:
                statuses.append(answer.status)
    return statuses


BLOCKED = [403] * 20 + [429] * 5


@pytest.mark.parametrize(
    ("proxies", "chain"),
    [
        (0, ["203.0.113.{n}"]),
        (1, ["203.0.113.{n}, 198.51.100.7"]),
        (1, ["203.0.113.{n}", "198.51.100.7"]),
        (1, ["198.51.100.7", "203.0.113.{n}, 198.51.100.7:4{n}"]),
        (2, ["203.0.113.{n}", "198.51.100.7", "192.0.2.1"]),
        (2, ["203.0.113.{n}, 198.51.100.7, 192.0.2.{n}"]),
        (1, ["2001:db8::{n}"]),
        (1, ["203.0.113.{n}, guess-{n}"]),
    ],
)
async def test_client_cannot_escape_the_limit_with_forged_addresses(
    ledger: LedgerFixture, guild: Guild, proxies: int, chain: list[str]
) -> None:
    async with proxied(ledger, guild, proxies) as site:
        assert await attempts(site, *([line.format(n=n) for line in chain] for n in range(25))) == BLOCKED


@pytest.mark.parametrize(
    ("proxies", "chain"),
    [(1, ["198.51.100.{n}"]), (1, ["203.0.113.1", "198.51.100.{n}"]), (2, ["198.51.100.{n}, 192.0.2.1"])],
)
async def test_clients_behind_proxies_have_limits_of_their_own(
    ledger: LedgerFixture, guild: Guild, proxies: int, chain: list[str]
) -> None:
    async with proxied(ledger, guild, proxies) as site:
        assert await attempts(site, *([line.format(n=n) for line in chain] for n in range(25))) == [403] * 25


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:443", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("[2001:db8::2]:443", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("x" * 10_000, "unknown"),
    ],
)
def test_address_is_counted_by_network(address: str, key: str) -> None:
    assert limit_key(address) == key


def test_public_url_means_one_proxy_unless_set() -> None:
    assert DashboardSettings().proxies == 0
    assert DashboardSettings(public_url="https://pay.example.org").proxies == 1
    assert DashboardSettings(public_url="https://pay.example.org", trusted_proxies=0).proxies == 0
    assert DashboardSettings(trusted_proxies=3).proxies == 3


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_sign_in_from_another_site_is_refused_and_keeps_the_link(
    site: DashboardFixture, headers: dict[str, str]
) -> None:
    link = await site.link(ADA)
    async with aiohttp.ClientSession() as session:
        async with session.post(link, headers=headers, allow_redirects=False) as answer:
            assert answer.status == 403
            assert "Set-Cookie" not in answer.headers
        own = {"Origin": site.address, "Sec-Fetch-Site": "same-origin"}
        async with session.post(link, headers=own, allow_redirects=False) as answer:
            assert answer.status == 303


async def test_link_page_lets_the_browser_send_its_origin_and_not_its_token(site: DashboardFixture) -> None:
    async with aiohttp.ClientSession() as session, session.get(await site.link(ADA)) as answer:
        assert answer.headers["Referrer-Policy"] == "strict-origin"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:8930", 200),
        ("LOCALHOST", 200),
        ("[::1]:8930", 200),
        ("127.0.0.1:8930", 200),
        ("evil.example", 403),
        ("evil.example:8930", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("192.0.2.1", 403),
        ("", 403),
    ],
)
async def test_metrics_without_token_answer_only_to_loopback_hosts(
    site: DashboardFixture, host: str, status: int
) -> None:
    async with site.stranger() as browser:
        assert (await browser.get("/metrics", Host=host))[0] == status


@pytest.mark.parametrize("name", ["X-Forwarded-For", "x-forwarded-for", "Forwarded", "X-Real-IP", "Via"])
async def test_metrics_without_token_are_refused_through_a_proxy(site: DashboardFixture, name: str) -> None:
    async with site.stranger() as browser:
        assert (await browser.get("/metrics", **{name: "127.0.0.1"}))[0] == 403


async def exchange(site: DashboardFixture, head: bytes, body: bytes = b"") -> bytes:
    """Send a request as bytes; return the status line."""
    async with await anyio.connect_tcp("127.0.0.1", site.settings.dashboard.port) as stream:
        await stream.send(head + b"\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        with anyio.fail_after(10):
            return (await stream.receive()).partition(b"\r\n")[0]


def cookies_of(browser: Browser) -> bytes:
    """Return the session's cookie header."""
    return "; ".join(f"{cookie.key}={cookie.value}" for cookie in browser.session.cookie_jar).encode()


async def test_metrics_token_with_other_characters_is_refused(ledger: LedgerFixture, guild: Guild) -> None:
    settings = dashboard_settings(ledger.path).model_copy(update={"metrics_token": SecretStr("a-metrics-token")})
    async with serving(ledger.database, settings, guild, ledger) as site:
        for token in (b"\xff", b"\xc3\xa9", b"a-metrics-token\xff", b""):
            answered = await exchange(site, b"GET /metrics HTTP/1.1\r\nAuthorization: Bearer " + token)
            assert b" 403 " in answered, token
        async with site.stranger() as browser:
            assert (await browser.get("/metrics", Authorization="Bearer a-metrics-token"))[0] == 200


@pytest.mark.parametrize("raw", [b"\xff", b"\xc3\xa9", b"%FF", b"%ED%A0%80", b"%00"])
async def test_bytes_beyond_ascii_never_cause_a_500(site: DashboardFixture, clock: Clock, raw: bytes) -> None:
    async with site.signed_in() as browser:
        cookie = cookies_of(browser)
    name = cookie.partition(b"=")[0]
    targets = [
        (path + raw, cookie)
        for path in (
            *(b"/", b"/batches/", b"/referrers/", b"/sign-in/", b"/static/", b"/api/v1/"),
            *(b"/referrers?show=", b"/referrers?id=", b"/batches?before=", b"/audit?before=", b"/?"),
        )
    ]
    for target, sent in [*targets, (b"/", name + b"=" + raw)]:
        answered = await exchange(site, b"GET " + target + b" HTTP/1.1\r\nCookie: " + sent)
        assert answered.split()[1][:1] in {b"2", b"3", b"4"}, target
    answered = await exchange(site, b"POST /sign-in/" + raw + b" HTTP/1.1")
    assert answered.split()[1][:1] == b"4"
    headers = signed(b"{}", at=clock())
    for header in headers:
        lines = [f"{each}: ".encode() + (raw if each == header else value.encode()) for each, value in headers.items()]
        answered = await exchange(site, b"\r\n".join([b"POST /api/v1/purchases HTTP/1.1", *lines]), b"{}")
        assert answered.split()[1][:1] == b"4", header


async def test_absurd_numbers_never_cause_a_500(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    await site.ledger.pay()
    places = [
        "/referrers/5?page={}",
        "/referrers/{}",
        "/referrers?id={}",
        "/referrers?after={}",
        "/referrers?show=all&after={}",
        "/batches/{}",
        "/batches/{}/payouts.csv",
        "/batches?before={}",
        "/batches/1?after={}",
        "/batches/1?referrer={}",
        "/batches/1?status={}",
        "/audit?before={}",
    ]
    async with site.signed_in() as browser:
        token = await browser.form_token()
        for number in ABSURD:
            for place in places:
                status, _ = await browser.get(place.format(number))
                assert status < 500, (place, number[:40])
            for path in (
                "/batches/{}/confirm",
                "/batches/{}/retry",
                "/referrers/{}/blacklist",
                "/referrers/{}/unblacklist",
            ):
                status, _ = await browser.post(path.format(number), csrf=token)
                assert status in {303, *range(400, 500)}, (path, number[:40])
            status, _ = await browser.post("/batches", csrf=token, referrer_id=number)
            assert 400 <= status < 500, number[:40]


async def test_page_beyond_the_last_is_empty(site: DashboardFixture) -> None:
    await site.ledger.earn(5, 100)
    async with site.signed_in() as browser:
        status, text = await browser.get(f"/referrers/5?page={10**18 - 1}")
        assert (status, "This member has no referrals." in text) == (200, True)


def part(*lines: bytes) -> bytes:
    """Return a multipart body with one part."""
    return b"\r\n".join([b"--b", *lines, b"", b"x", b"--b--", b""])


FIELD = b'Content-Disposition: form-data; name="form_token"'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded; charset=klingon", b"form_token=1"),
        ("application/x-www-form-urlencoded", b"form_token=%FF&reason=\xff"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", part()),
        ("multipart/form-data; boundary=b", b"--b\r\nbroken"),
        ("multipart/form-data; boundary=b", part(FIELD, b"Content-Type: text/plain; charset=klingon")),
        ("multipart/form-data; boundary=b", part(FIELD + b'; filename="f"')),
        ("multipart/form-data; boundary=b", part(FIELD, b"Content-Transfer-Encoding: klingon")),
        ("application/json", b"{}"),
    ],
)
async def test_unreadable_form_is_refused(site: DashboardFixture, content_type: str, body: bytes) -> None:
    async with site.signed_in() as browser:
        head = (
            b"POST /batches HTTP/1.1\r\nCookie: " + cookies_of(browser) + b"\r\nContent-Type: " + content_type.encode()
        )
        assert (await exchange(site, head, body)).split()[1] in {b"400", b"403"}


async def test_control_characters_in_reasons_become_spaces(site: DashboardFixture) -> None:
    async with site.signed_in() as browser:
        assert (await browser.post("/referrers/5/blacklist", reason="a\0b\nBy discord:1\u202e"))[0] == 303
    assert site.ledger.rows("SELECT reason FROM cashback_referral_blacklist") == [("a b By discord:1",)]
