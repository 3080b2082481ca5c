"""The intake: reports are recorded once; unsigned, stale or invalid requests are refused."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import anyio.to_thread
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cashback.dashboard import intake_schema, problems
from cashback.dashboard.openapi import EXPLAINED
from cashback.dashboard.problems import ProblemError
from cashback.database import Database
from cashback.database.integrity import moving
from tests.cashback.dashboard.conftest import (
    OLD_SECRET,
    SECRET,
    DashboardFixture,
    Guild,
    dashboard_settings,
    serving,
    signed,
)
from tests.conftest import FRIDAY, Clock
from tests.examples import examples

pytestmark = pytest.mark.anyio

BUYER = 900_000
MANY = 1_000


class Shop:
    """A shop that sends signed reports."""

    def __init__(self, session: aiohttp.ClientSession, site: DashboardFixture, clock: Clock) -> None:
        self.session = session
        self.site = site
        self.clock = clock

    async def send(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        """Send a body with these headers."""
        async with self.session.post(self.site.address + path, data=body, headers=headers) as answer:
            assert answer.content_type == ("application/json" if answer.status == 200 else "application/problem+json")
            return answer.status, await answer.json(content_type=None)

    async def report(self, value: object, *, path: str = "/api/v1/purchases", **by: str) -> tuple[int, Any]:
        """Send a value, signed now."""
        body = json.dumps(value).encode()
        return await self.send(path, body, signed(body, at=self.clock(), **by))


@pytest.fixture
async def shop(site: DashboardFixture, clock: Clock) -> AsyncIterator[Shop]:
    """Return a shop for a ledger with one referral."""
    await site.ledger.earn(5, 100)
    async with aiohttp.ClientSession() as session:
        yield Shop(session, site, clock)


def purchase(order_id: str = "o-1", amount_cents: int = 100_000, **more: object) -> dict[str, object]:
    """Return a purchase by the buyer that 5 referred."""
    return {"order_id": order_id, "buyer_id": str(BUYER), "amount_cents": amount_cents, **more}


async def test_purchase_earns_cashback_for_referrer(shop: Shop) -> None:
    assert await shop.report(purchase()) == (200, {"order_id": "o-1", "outcome": "earned", "earned_cents": 500})
    stranger = {**purchase("o-2"), "buyer_id": "123456789012345678"}
    assert (await shop.report(stranger))[1]["outcome"] == "nobody_earns"
    assert await shop.site.ledger.pending(5) == 600


@pytest.mark.parametrize("number", ["42", "5000000001", "8999999999999999999"])
async def test_number_that_is_no_account_is_refused(shop: Shop, number: str) -> None:
    stranger = {**purchase("o-2"), "buyer_id": number}
    status, said = await shop.report(stranger)
    assert (status, said["pointer"]) == (422, "/buyer_id")
    assert "Discord account" in said["detail"]
    status, said = await shop.report({"purchases": [purchase("o-1"), stranger]})
    assert (status, said["pointer"]) == (422, "/purchases/1/buyer_id")
    assert await shop.site.ledger.pending(5) == 100


async def test_id_as_a_number_is_refused(shop: Shop) -> None:
    status, said = await shop.report({**purchase(), "buyer_id": 123456789012345678})
    assert (status, said["pointer"]) == (422, "/buyer_id")
    assert "as text" in said["detail"]


async def test_member_that_stands_twice_is_refused(shop: Shop) -> None:
    body = b'{"order_id": "o-1", "buyer_id": "900000", "amount_cents": 5, "amount_cents": 500000}'
    status, said = await shop.send("/api/v1/purchases", body, signed(body, at=shop.clock()))
    assert status == 400
    assert "'amount_cents' twice" in said["detail"]


async def test_order_of_any_letters_is_recorded_and_refunded(shop: Shop) -> None:
    assert (await shop.report(purchase("Ä-№7")))[0] == 200
    refund = {"order_id": "Ä-№7", "refund_id": "Rückgabe-1"}
    assert (await shop.report(refund, path="/api/v1/refunds"))[1]["taken_cents"] == 500


async def test_list_of_purchases_is_recorded_atomically(shop: Shop) -> None:
    status, said = await shop.report({"purchases": [purchase(f"o-{n}", 1_000) for n in range(500)]})
    assert status == 200
    assert [each["earned_cents"] for each in said["results"]] == [5] * 500
    assert await shop.site.ledger.pending(5) == 2_600
    status, said = await shop.report({"purchases": [purchase("o-900"), purchase("o-901", -1)]})
    assert (status, said["pointer"]) == (422, "/purchases/1/amount_cents")
    assert await shop.site.ledger.pending(5) == 2_600


async def test_repeated_report_within_a_week_changes_nothing(shop: Shop) -> None:
    batch = {"purchases": [purchase("o-1"), purchase("o-2")]}
    await shop.report(batch)
    before = shop.site.ledger.money()
    for _ in range(7):
        shop.clock.advance(24 * 3600)
        status, said = await shop.report(batch)
        assert (status, [each["outcome"] for each in said["results"]]) == (200, ["repeated", "repeated"])
        assert (await shop.report(purchase("o-1")))[1]["outcome"] == "repeated"
    assert shop.site.ledger.money() == before


async def test_order_with_other_contents_is_a_conflict(shop: Shop) -> None:
    await shop.report(purchase())
    status, said = await shop.report(purchase(amount_cents=5))
    assert (status, said["type"]) == (409, "/api/docs#conflicting")
    status, said = await shop.report({"purchases": [purchase(amount_cents=5), purchase("o-2")]})
    assert [each["outcome"] for each in said["results"]] == ["conflicting", "earned"]
    assert await shop.site.ledger.pending(5) == 1_100


async def test_refund_reduces_cashback_once(shop: Shop) -> None:
    await shop.report(purchase())
    refund = {"order_id": "o-1", "refund_id": "r-1", "amount_cents": 40_000, "reason": "damaged"}
    for outcome in ("taken_back", "repeated", "repeated"):
        shop.clock.advance(1)
        status, said = await shop.report(refund, path="/api/v1/refunds")
        assert (status, said["outcome"], said["taken_cents"]) == (200, outcome, 200)
    assert await shop.site.ledger.pending(5) == 400
    rest = {"refunds": [{"order_id": "o-1", "refund_id": "r-2"}, {"order_id": "o-1", "refund_id": "r-3"}]}
    _, said = await shop.report(rest, path="/api/v1/refunds")
    assert [each["outcome"] for each in said["results"]] == ["taken_back", "refused"]
    assert await shop.site.ledger.pending(5) == 100
    unknown = {"order_id": "nowhere", "refund_id": "r-9"}
    status, said = await shop.report(unknown, path="/api/v1/refunds")
    assert (status, "not known" in said["detail"]) == (409, True)
    assert ("shop:shop", "purchase_refunded") in shop.site.audit()


async def test_order_without_buyer_waits_and_fails_nothing(shop: Shop) -> None:
    buyers: list[dict[str, object]] = [{}, {"buyer_id": None}, {"buyer_id": ""}]
    guests = [{"order_id": f"g-{n}", "amount_cents": 100_000, **buyer} for n, buyer in enumerate(buyers)]
    status, said = await shop.report({"purchases": [*guests, purchase()]})
    assert (status, [each["outcome"] for each in said["results"]]) == (200, ["waiting"] * 3 + ["earned"])
    assert await shop.report({**purchase("g-1")}) == (
        200,
        {"order_id": "g-1", "outcome": "earned", "earned_cents": 500},
    )
    assert (await shop.report(guests[0]))[1]["outcome"] == "repeated"


async def test_refunds_too_early_too_large_and_too_late_are_told_apart(shop: Shop) -> None:
    async def refund(**facts: object) -> tuple[int, Any]:
        shop.clock.advance(1)
        return await shop.report({"order_id": "o-1", **facts}, path="/api/v1/refunds")

    status, said = await refund(refund_id="r-1", amount_cents=40_000)
    assert (status, said["type"]) == (409, "/api/docs#not-known-yet")
    await shop.report(purchase())
    assert await shop.site.ledger.pending(5) == 400
    assert (await refund(refund_id="r-1", amount_cents=40_000))[1]["outcome"] == "repeated"
    status, said = await refund(refunded_in_all_cents=50_000)
    assert (status, said["outcome"], said["amount_cents"]) == (200, "taken_back", 10_000)
    assert (await refund(refunded_in_all_cents=50_000))[1]["outcome"] == "repeated"
    status, said = await refund(refund_id="r-2", amount_cents=60_000)
    assert (status, said["type"], said["amount_cents"]) == (200, "/api/docs#too-much", 50_000)
    assert "60000 cents are more than was left" in said["detail"]
    status, said = await refund(refund_id="r-3")
    assert (status, said["type"]) == (409, "/api/docs#nothing-left")
    status, said = await refund(refund_id="r-1", amount_cents=1)
    assert (status, said["type"]) == (409, "/api/docs#conflicting")
    assert await shop.site.ledger.pending(5) == 100
    status, said = await refund(refund_id="r-2", given_back=True)
    assert (status, said["outcome"], said["amount_cents"]) == (200, "given_back", 50_000)
    assert await shop.site.ledger.pending(5) == 350
    for wrong in (
        {"refund_id": "r", "refunded_in_all_cents": 5},
        {"refund_id": "r", "given_back": 1},
        {"refunded_in_all_cents": 0},
    ):
        assert (await refund(**wrong))[0] == 422


async def test_each_delivery_is_one_entry_of_the_audit_log(shop: Shop) -> None:
    before = len(shop.site.audit())
    for _ in range(2):
        await shop.report({"purchases": [purchase("o-1"), purchase("o-2")]})
        shop.clock.advance(1)
    refunds = [{"order_id": f"o-{n}", "refund_id": f"r-{n}", "amount_cents": 10_000} for n in (1, 2)]
    for _ in range(2):
        await shop.report({"refunds": refunds}, path="/api/v1/refunds")
        shop.clock.advance(1)
    assert shop.site.audit()[before:] == [("shop:shop", "intake_recorded")] * 2
    for _ in range(2):
        await shop.report({"order_id": "early", "refund_id": "r-9"}, path="/api/v1/refunds")
        shop.clock.advance(1)
    assert shop.site.audit()[before:] == [("shop:shop", "intake_recorded")] * 3
    kept = ("delivery", "shop:shop", 1, 0, 64)
    found = shop.site.ledger.rows(
        "SELECT kind, actor, rows, cents, length(digest) FROM cashback_intakes ORDER BY number"
    )
    assert found == [("delivery", "shop:shop", 2, 200_000, 64), ("delivery", "shop:shop", 2, 20_000, 64), kept]


async def test_both_secrets_of_a_key_are_good_and_no_other(shop: Shop) -> None:
    assert (await shop.report(purchase("o-1"), secret=OLD_SECRET))[0] == 200
    assert (await shop.report(purchase("o-2"), secret=SECRET))[0] == 200
    assert (await shop.report(purchase("o-3"), secret="x" * 40))[0] == 401
    assert (await shop.report(purchase("o-4"), key="nobody"))[0] == 401
    assert (await shop.report(purchase("o-5"), key="nobody", secret=""))[0] == 401


async def test_unsigned_stale_and_invalid_requests_change_nothing(shop: Shop) -> None:
    good = json.dumps(purchase()).encode()
    headers = signed(good, at=shop.clock())
    before = shop.site.ledger.money()
    cases: list[tuple[str, bytes, dict[str, str]]] = [
        *(
            ("unsigned", good, {name: text for name, text in headers.items() if name != left})
            for left in headers
            if left != "Content-Type"
        ),
        ("unsigned", good + b" ", headers),
        ("unsigned", good, {**headers, "Cashback-Signature": headers["Cashback-Signature"][3:]}),
        ("unsigned", good, {**headers, "Cashback-Signature": "v1=" + "é" * 64}),
        ("unsigned", good, {**headers, "Cashback-Timestamp": "soon"}),
        ("unsigned", good, {**headers, "Cashback-Timestamp": str(int(shop.clock().timestamp()) + 1)}),
        ("stale", good, signed(good, at=shop.clock() - timedelta(seconds=301))),
        ("stale", good, signed(good, at=shop.clock() + timedelta(seconds=301))),
        ("media-type", good, {**headers, "Content-Type": "text/plain"}),
        ("too-large", b" " * 500_001, signed(b" " * 500_001, at=shop.clock())),
        *(
            ("malformed", body, signed(body, at=shop.clock()))
            for body in (b"", b"{", b"\xff", b"[" * 100_000, b"NaN", b"1" * 5_000)
        ),
        *(
            ("invalid", body, signed(body, at=shop.clock()))
            for body in (
                b"[]",
                b"5",
                b"{}",
                b'{"purchases": []}',
                b'{"purchases": [1]}',
                b'{"purchases": [], "more": 1}',
                json.dumps({"purchases": [purchase(f"{n}") for n in range(1_001)]}).encode(),
                json.dumps(purchase(coupon="x")).encode(),
                json.dumps(purchase(amount_cents=1.5)).encode(),  # type: ignore[arg-type]
                json.dumps(purchase(amount_cents=True)).encode(),
                json.dumps(purchase(amount_cents=10**12 + 1)).encode(),
                json.dumps(purchase("")).encode(),
                json.dumps(purchase("o\n1")).encode(),
                json.dumps(purchase("\ud800")).encode(),
                json.dumps({**purchase(), "buyer_id": "0"}).encode(),
                json.dumps({**purchase(), "buyer_id": 2**63}).encode(),
                json.dumps(purchase(purchased_at="yesterday")).encode(),
                json.dumps(purchase(purchased_at="2026-07-03T15:00:00")).encode(),
                json.dumps(purchase(purchased_at="2026-07-03T15:06:00Z")).encode(),
            )
        ),
    ]
    for kind, body, sent in cases:
        status, said = await shop.send("/api/v1/purchases", body, sent)
        assert (said["type"], said["status"]) == (f"/api/docs#{kind}", status), (body[:80], said)
        assert 400 <= status < 500
        assert said["detail"]
    assert shop.site.ledger.money() == before
    assert shop.site.ledger.rows("SELECT 1 FROM cashback_referral_purchases WHERE order_id NOT LIKE 'order-%'") == []


async def test_replayed_request_is_refused(shop: Shop) -> None:
    body = json.dumps(purchase()).encode()
    headers = signed(body, at=shop.clock())
    assert (await shop.send("/api/v1/purchases", body, headers))[0] == 200
    status, said = await shop.send("/api/v1/purchases", body, headers)
    assert (status, said["type"]) == (409, "/api/docs#replayed")
    shop.clock.advance(301)
    assert (await shop.send("/api/v1/purchases", body, headers))[0] == 401


async def test_body_of_the_other_endpoint_is_refused(shop: Shop) -> None:
    status, _ = await shop.report(purchase(), path="/api/v1/refunds")
    assert status == 422
    status, _ = await shop.report({"order_id": "o-1", "refund_id": "r-1"})
    assert status == 422


async def test_address_with_sixty_refusals_is_blocked(shop: Shop) -> None:
    refused = 0
    while (answer := await shop.report(purchase(), secret="x" * 40))[0] == 401 and refused < MANY:
        refused += 1
    assert 60 <= refused < MANY
    assert (answer[0], answer[1]["type"]) == (429, "/api/docs#too-many")
    # The right signature does not help. Each second gives back one of the sixty, so one of two may pass.
    assert 429 in [(await shop.report(purchase(order_id=order)))[0] for order in ("o-1", "o-2")]


async def test_unknown_paths_and_methods_answer_with_problems(shop: Shop) -> None:
    for method, path, status in (("GET", "/api/v1/purchases", 405), ("POST", "/api/v1/nothing", 404)):
        async with shop.session.request(method, shop.site.address + path) as answer:
            assert (answer.status, answer.content_type) == (status, "application/problem+json")


async def test_slow_body_is_refused_with_408(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cashback.dashboard.intake.BODY_SECONDS", 0.1)
    body = json.dumps(purchase()).encode()
    port = shop.site.settings.dashboard.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with closing(writer):
        lines = [f"{name}: {text}" for name, text in signed(body, at=shop.clock()).items()]
        writer.write(
            "\r\n".join(
                ["POST /api/v1/purchases HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *lines, "", "{"]
            ).encode()
        )
        with anyio.fail_after(5):
            assert b"408" in await reader.readline()


async def test_example_client_reports_a_purchase(shop: Shop) -> None:
    path = Path(__file__).parents[3] / "docs" / "examples" / "report_purchases.py"
    specification = importlib.util.spec_from_file_location("report_purchases", path)
    assert specification is not None
    assert specification.loader is not None
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    shop.clock.moment = shop.site.ledger.database.now().now(FRIDAY.tzinfo)
    results = await anyio.to_thread.run_sync(example.report, shop.site.address, "shop", SECRET, [purchase()])
    assert results == [{"order_id": "o-1", "outcome": "earned", "earned_cents": 500}]


async def test_page_and_document_describe_every_problem(site: DashboardFixture) -> None:
    assert set(EXPLAINED) == set(problems.KINDS)
    async with site.stranger() as browser:
        status, text = await browser.get("/api/docs")
        assert status == 200
        for kind in problems.KINDS:
            assert f'id="{kind.name}"' in text
        status, text = await browser.get("/api/openapi.json")
    described = json.loads(text)["paths"]["/api/v1/purchases"]["post"]["responses"]
    assert {int(status) for status in described} >= {kind.status for kind in problems.KINDS} - {404, 405}


async def test_intake_without_keys_refuses_every_request(ledger: Any, guild: Guild, clock: Clock) -> None:  # noqa: ANN401 -- a fixture
    alone = dashboard_settings(ledger.path).model_copy(update={"intake_keys": {}})
    async with serving(ledger.database, alone, guild, ledger) as site, aiohttp.ClientSession() as session:
        assert (await Shop(session, site, clock).report(purchase(), secret=""))[0] == 401


@settings(max_examples=examples(80), deadline=None)
@given(
    body=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "purchases",
                        "refunds",
                        "order_id",
                        "buyer_id",
                        "amount_cents",
                        "purchased_at",
                        "reason",
                        "refund_id",
                        "x",
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode())
)
def test_arbitrary_body_is_parsed_or_refused(body: bytes) -> None:
    """Parsing raises ProblemError only, and parsed entries can be stored."""
    for read in (lambda value: intake_schema.purchases_in(value, FRIDAY), intake_schema.refunds_in):
        try:
            reported = read(intake_schema.read_json(body))
        except ProblemError:
            continue
        for entry in reported.entries:
            assert 1 <= len(entry.order_id) <= 200
            assert entry.order_id.isascii()


async def test_moved_ledger_answers_that_shops_try_again(shop: Shop, tmp_path: Path) -> None:
    """So nothing is lost until the shop's address names the new ledger."""
    before = shop.site.ledger.money()
    async with Database(tmp_path / "new.db") as new:
        await moving.move(shop.site.ledger.database, new, lambda _rows: None)
    for path, value in (
        ("purchases", purchase()),
        ("refunds", {"order_id": "order-1", "refund_id": "r-1"}),
        ("refunds", {"order_id": "recorded-in-the-new-one", "refund_id": "r-1"}),
    ):
        status, answer = await shop.report(value, path=f"/api/v1/{path}")
        assert status == 503
        assert answer["detail"].startswith(f"This ledger was moved to {tmp_path / 'new.db'} on ")
    assert shop.site.ledger.money() == before
