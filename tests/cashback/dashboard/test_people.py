"""The pages show people by their names, and find what an admin types."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from cashback.dashboard.audit_sentences import SENTENCES, sentence
from cashback.dashboard.search import PNG
from cashback.database.queries import member_names
from tests.cashback.dashboard.conftest import ADA, DashboardFixture

pytestmark = pytest.mark.anyio

BOB, CID = 200_000_000_000_000_001, 1_300_000_000_000_000_002
PICTURE = PNG + b"the rest of a picture"


async def named(site: DashboardFixture, user_id: int, name: str | None, picture: bytes | None = None) -> None:
    """Record a name as the bot does."""
    stored = base64.b64encode(picture).decode() if picture else None
    key = "a" if picture else None
    await site.ledger.database.write(
        member_names.keep, user_id, name, now=site.ledger.clock(), avatar_key=key, avatar_base64=stored
    )


async def test_names_stand_beside_ids_on_every_page(site: DashboardFixture) -> None:
    await named(site, BOB, "Bob.Builder")
    await named(site, ADA, "ada")
    await site.ledger.earn(BOB, 1234)
    await site.ledger.pay()
    await site.ledger.earn(BOB, 500)
    async with site.signed_in() as browser:
        await browser.post("/batches")
        await browser.post(f"/referrers/{BOB}/blacklist", reason="a second account")
        for path in ("/batches/1", "/batches/2", "/referrers?show=all", f"/referrers/{BOB}", "/audit"):
            _, text = await browser.get(path)
            assert "@Bob.Builder" in text, path
            assert f'Signed in as <strong title="{ADA}">@ada</strong>' in text, path
        _, text = await browser.get("/audit")
        assert re.search(r"blacklisted\s+<a [^>]*>@Bob.Builder</a>: a second account", text)


async def test_hostile_name_is_shown_as_text(site: DashboardFixture) -> None:
    await named(site, BOB, "<script>alert(1)</script>\u202e\n")
    await site.ledger.earn(BOB, 1234)
    async with site.signed_in() as browser:
        _, text = await browser.get(f"/referrers/{BOB}")
        assert "<script>alert" not in text
        assert "@&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert "\u202e" not in text


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("bob", f"/referrers/{BOB}"),
        ("@BOB.b", f"/referrers/{BOB}"),
        (str(CID), f"/referrers/{CID}"),
        ("1", "/batches/1"),
    ],
)
async def test_search_with_one_result_leads_to_it(site: DashboardFixture, typed: str, address: str) -> None:
    await named(site, BOB, "Bob.Builder")
    await site.ledger.earn(BOB, 100)
    await site.ledger.earn(CID, 200)
    await site.ledger.pay()
    async with (
        site.signed_in() as browser,
        browser.session.get(f"{site.address}/search", params={"q": typed}, allow_redirects=False) as answer,
    ):
        assert (answer.status, answer.headers.get("Location")) == (302, address)


async def test_search_finds_batches_by_id_and_orders_with_their_people(site: DashboardFixture) -> None:
    [buyer] = await site.ledger.earn(BOB, 100)
    report = await site.ledger.pay()
    async with site.signed_in() as browser:
        _, text = await browser.get(f"/search?q={(report.batch_id or '').lower()}")
        assert "302" in text
        for typed in ("order-1", "%23order-1"):
            status, text = await browser.get(f"/search?q={typed}")
            assert status == 200
            assert all(shown in text for shown in ("order-1", f"/referrers/{BOB}", f"/referrers/{buyer}", "$1.00"))


@pytest.mark.parametrize("typed", ["", "nobody", "%", "'; DROP TABLE users", "9" * 400, "\u0665", "%00", "_", "@"])
async def test_search_without_result_says_what_can_be_typed(site: DashboardFixture, typed: str) -> None:
    async with (
        site.signed_in() as browser,
        browser.session.get(f"{site.address}/search", params={"q": typed}, allow_redirects=False) as answer,
    ):
        assert (answer.status, "Type the beginning of" in await answer.text()) == (200, True)


async def test_picture_is_sent_to_signed_in_visitors_only(site: DashboardFixture) -> None:
    await named(site, BOB, "bob", PICTURE)
    await named(site, CID, "cid", b"<svg>not a picture of ours</svg>")
    async with site.signed_in() as browser, site.stranger() as stranger:
        async with browser.session.get(f"{site.address}/avatars/{BOB}") as answer:
            assert (answer.status, answer.content_type, await answer.read()) == (200, "image/png", PICTURE)
        for unknown in (CID, ADA, 0, "x", 10**40):
            assert (await browser.get(f"/avatars/{unknown}"))[0] == 404
        assert (await stranger.get(f"/avatars/{BOB}"))[0] == 302


async def test_largest_payouts_come_first(site: DashboardFixture) -> None:
    await site.ledger.earn_all((person, person * 10) for person in range(1, 61))
    await site.ledger.pay()
    async with site.signed_in() as browser:
        _, text = await browser.get("/batches/1")
        assert re.findall(r'<th scope="row"><a class="id" href="/referrers/(\d+)">', text) == [
            str(person) for person in range(60, 10, -1)
        ]


def test_every_action_of_the_audit_log_has_a_sentence() -> None:
    """A new action without a sentence is shown by its name, which is no sentence."""
    source = "\n".join(path.read_text() for path in Path("cashback").rglob("*.py") if "dashboard" not in path.parts)
    actions = set(re.findall(r'(?:action=|, action = )f?"([a-z_{}]+)"', source))
    values = dict(re.findall(r'^([A-Z_]+): Final = "([a-z]+(?:_[a-z]+)+)"', source, re.MULTILINE))
    by_name = set(re.findall(r"\baction=(?:\w+\.)?([A-Z_]+)\b", source)) - {"ACTION"}
    actions |= {values[name] for name in by_name if name in values}
    actions |= set(re.findall(r'^[A-Z_]+: Final = "(withdrawal_[a-z_]+)"', source, re.MULTILINE))
    assert len(actions) > 40
    known = set(SENTENCES)
    for action in actions:
        beginning = action.partition("{")[0]
        assert any(each == action or ("{" in action and each.startswith(beginning)) for each in known), action


def test_sentence_names_people_and_amounts_and_leaves_out_a_missing_reason() -> None:
    blacklisted = {"action": "blacklisted", "details": {"user_id": "5", "reason": None}}
    assert sentence(blacklisted) == ["blacklisted ", 5]
    assert "".join(map(str, sentence({"action": "batch_approved", "details": {"users": 2, "total_cents": 150}}))) == (
        "approved $1.50 to 2 referrers"
    )
    assert sentence({"action": "something_new", "details": {}}) == ["something new"]
