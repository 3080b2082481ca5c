"""Shops deliver by themselves: one story for each kind over real sockets, and everything that is refused."""

from __future__ import annotations

import json
import random

import pytest

from cashback.domain.errors import ClaimsExhaustedError
from sandbox.shop import KINDS, Request
from sandbox.shop.orders import Refund
from sandbox.shop.senders import order_id_of
from tests.cashback.dashboard.shop_fixture import (
    MEMBER,
    OTHER,
    SHOP_SECRET,
    WITHOUT_DISPUTES,
    WITHOUT_PARTS,
    WITHOUT_REFUNDS,
    ShopFixture,
    shop_of,
    shop_settings,
)
from tests.conftest import Clock, LedgerFixture
from tests.examples import first_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("shop_kind", KINDS)
async def test_story_of_a_shop(ledger: LedgerFixture, shop_kind: str) -> None:
    """Ten percent of $100.00 are $10.00; by hand, the rest follows from what each system reports."""
    async with shop_of(ledger, shop_kind) as shop:
        order = shop.order(1001, 10_000)
        assert await shop.paid(order) == "counted"
        assert await shop.earned() == 1_000
        assert await shop.paid(order) == "repeated"
        assert await shop.earned() == 1_000

        left = 1_000 if shop_kind in WITHOUT_PARTS else 750
        await shop.refunded(order, 1, 2_500, 2_500)
        assert await shop.earned() == left
        await shop.refunded(order, 1, 2_500, 2_500)
        assert await shop.earned() == left

        await shop.outcome(shop.sender.disputed(order, shop.now))
        assert await shop.earned() == (left if shop_kind in WITHOUT_DISPUTES else 0)
        await shop.outcome(shop.sender.dispute_won(order, shop.now))
        await shop.outcome(shop.sender.dispute_won(order, shop.now))
        assert await shop.earned() == left

        await shop.refunded(order, 2, 7_500, 10_000)
        assert await shop.earned() == (left if shop_kind in WITHOUT_REFUNDS else 0)

        before = await shop.earned()
        guest = shop.order(1002, 5_000, None)
        assert await shop.paid(guest) == "waiting"
        assert await shop.earned() == before
        assert await shop.site.service.claim_order(MEMBER, order_id_of(shop_kind, guest))
        assert await shop.earned() == before + 500
        assert not await shop.site.service.claim_order(OTHER, order_id_of(shop_kind, guest))
        assert await shop.paid(guest) == "repeated"
        assert await shop.earned() == before + 500
        assert (await ledger.verify()).balanced


@pytest.mark.parametrize("shop_kind", KINDS)
async def test_forged_delivery_changes_nothing(ledger: LedgerFixture, shop_kind: str) -> None:
    async with shop_of(ledger, shop_kind) as shop:
        true = shop.sender.paid(shop.order(1, 10_000), shop.now)
        before = ledger.money(), ledger.rows("SELECT * FROM cashback_audit_log ORDER BY id")
        forged = [
            ShopFixture(shop.site, shop.session, shop_kind, "another-secret-0123456789").sender.paid(
                shop.order(1, 10_000), shop.now
            )
        ]
        if shop_kind not in {"ko-fi", "gumroad"}:
            forged += [
                Request(body=true.body[:-1], headers=true.headers, query=true.query),
                Request(body=json.dumps(json.loads(true.body)).encode(), headers=true.headers, query=true.query),
            ]
        forged.append(Request(body=b"", headers={}))
        for request in forged:
            status, said = await shop.send(request)
            assert (status, said["title"]) == (401, "The delivery does not prove that it comes from this shop")
        assert (ledger.money(), ledger.rows("SELECT * FROM cashback_audit_log ORDER BY id")) == before
        assert not shop.deliveries()


@pytest.mark.parametrize("shop_kind", ["stripe", "standard-webhooks", "paddle", "api"])
async def test_stale_delivery_changes_nothing(ledger: LedgerFixture, clock: Clock, shop_kind: str) -> None:
    async with shop_of(ledger, shop_kind) as shop:
        request = shop.sender.paid(shop.order(1, 10_000), shop.now)
        clock.advance(301)
        assert (await shop.send(request))[0] == 401
        assert not shop.deliveries()
        assert await shop.earned() == 0


@pytest.mark.parametrize("shop_kind", KINDS)
async def test_old_secret_is_good_during_a_rotation(ledger: LedgerFixture, shop_kind: str) -> None:
    both = shop_settings(ledger, secrets=(SHOP_SECRET, "another-secret-0123456789"))
    async with shop_of(ledger, shop_kind, both) as shop:
        assert await shop.paid(shop.order(1, 1_000)) == "counted"
        shop.secret = "another-secret-0123456789"  # noqa: S105 -- a test's own
        assert await shop.paid(shop.order(2, 1_000)) == "counted"


async def test_foreign_currency_and_tests_are_excluded(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "stripe") as shop:
        assert await shop.paid(shop.order(1, 10_000, currency="EUR")) == "excluded"
        assert await shop.paid(shop.order(2, 10_000, is_test=True)) == "excluded"
        assert await shop.paid(shop.order(3, 0)) == "excluded"
        assert await shop.earned() == 0
        reasons = [reason for _outcome, reason in shop.deliveries()]
        assert reasons == [
            "It is in EUR, the ledger is in USD.",
            "It is a test, not an order.",
            "Nothing was paid.",
        ]


async def test_excluded_delivery_counts_when_it_is_resent_after_a_correction(ledger: LedgerFixture) -> None:
    euros = shop_settings(ledger).model_copy(update={"currency": "EUR"})
    async with shop_of(ledger, "stripe", euros) as shop:
        order = shop.order(1, 10_000)
        assert await shop.paid(order) == "excluded"
        assert await shop.paid(order) == "excluded"
        assert len(shop.deliveries()) == 1
    async with shop_of(ledger, "stripe", is_first=False) as shop:
        assert await shop.paid(order) == "counted"


async def test_unknown_event_is_answered_with_200(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "stripe") as shop:
        body = json.dumps(
            {"id": "evt_1", "type": "customer.created", "livemode": True, "data": {"object": {}}}
        ).encode()
        assert await shop.outcome(shop.sender.request(body, shop.now, "d1")) == "ignored"
        assert [outcome for outcome, _reason in shop.deliveries()] == ["ignored"]


async def test_unreadable_delivery_is_said_and_can_come_again(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "stripe") as shop:
        event = json.loads(shop.sender.paid(shop.order(1, 10_000), shop.now).body)
        amount = event["data"]["object"].pop("amount_total")
        status, said = await shop.send(shop.sender.request(json.dumps(event).encode(), shop.now, "d1"))
        assert (status, "amount_total" in said["detail"]) == (422, True)
        event["data"]["object"]["amount_total"] = amount
        assert await shop.outcome(shop.sender.request(json.dumps(event).encode(), shop.now, "d1")) == "counted"


async def test_shop_that_is_not_configured_is_not_found(ledger: LedgerFixture) -> None:
    async with (
        shop_of(ledger, "stripe") as shop,
        shop.session.post(f"{shop.site.address}/api/v1/shops/elsewhere", data=b"{}") as answer,
    ):
        assert answer.status == 404


async def test_shop_without_a_secret_takes_nothing(ledger: LedgerFixture) -> None:
    bare = shop_settings(ledger).model_copy(update={"shop_secrets": {}})
    async with shop_of(ledger, "stripe", bare) as shop:
        status, said = await shop.send(shop.sender.paid(shop.order(1, 10_000), shop.now))
        assert (status, "CASHBACK_SHOP_STRIPE" in said["detail"]) == (401, True)


async def test_woocommerce_ping_is_answered_and_not_recorded(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "woocommerce") as shop:
        assert (await shop.send(Request(body=b"webhook_id=7", headers={})))[0] == 200
        assert not shop.deliveries()


async def test_tebex_validation_is_echoed(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "tebex") as shop:
        body = json.dumps({"id": "abc", "type": "validation.webhook", "subject": {}}).encode()
        assert await shop.send(shop.sender.request(body, shop.now, "d")) == (200, {"id": "abc"})


async def test_guessing_secrets_is_limited(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "ko-fi") as shop:
        guess = Request(body=b"data=%7B%22verification_token%22%3A%22x%22%7D", headers={})
        statuses = {(await shop.send(guess))[0] for _ in range(61)}
        assert statuses == {401, 429}


async def test_id_that_is_no_account_waits(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "stripe") as shop:
        assert await shop.paid(shop.order(1, 10_000, 8999999999999999999)) == "waiting"
        assert "created in the future" in shop.deliveries()[0][1]


async def test_order_with_other_contents_conflicts(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "shopify") as shop:
        assert await shop.paid(shop.order(1, 10_000)) == "counted"
        assert await shop.paid(shop.order(1, 20_000)) == "conflicting"
        assert await shop.earned() == 1_000


async def test_personal_data_is_not_stored(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "shopify") as shop:
        await shop.paid(shop.order(1, 10_000, None, email="Somebody.Private@example.com"))
        await shop.paid(shop.order(2, 10_000, email="Somebody.Private@example.com"))
        for table in (
            "shop_deliveries",
            "unmatched_purchases",
            "unmatched_hints",
            "buyer_emails",
            "intakes",
            "audit_log",
        ):
            assert "private" not in str(ledger.rows(f"SELECT * FROM cashback_{table}")).lower()


async def test_events_are_erased_after_thirty_days(ledger: LedgerFixture, clock: Clock) -> None:
    async with shop_of(ledger, "shopify") as shop:
        await shop.paid(shop.order(1, 10_000))
        clock.advance(31 * 86_400)
        await shop.paid(shop.order(2, 10_000))
        kept = ledger.rows("SELECT events IS NULL FROM cashback_shop_deliveries ORDER BY number")
        assert [bool(erased) for (erased,) in kept] == [True, False]
        assert (await ledger.verify()).balanced


async def test_linked_email_brings_waiting_and_later_orders(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "shopify") as shop:
        for number in (1, 2):
            await shop.paid(shop.order(number, 10_000, None, email="me@example.com"))
        await shop.paid(shop.order(3, 10_000, None, email="another@example.com"))
        assert await shop.site.service.link_email(MEMBER, " ME@Example.com ", "#2")
        assert await shop.earned() == 2_000
        assert await shop.paid(shop.order(4, 10_000, None, email="me@example.com")) == "counted"
        assert await shop.earned() == 3_000


async def test_email_that_is_not_ones_own_cannot_be_linked(ledger: LedgerFixture) -> None:
    """Neither with a number of another e-mail, nor with one that is counted, nor once it is another member's."""
    async with shop_of(ledger, "shopify") as shop:
        service = shop.site.service
        await shop.paid(shop.order(1, 10_000, None, email="victim@example.com"))
        await shop.paid(shop.order(2, 10_000, None, email="mine@example.com"))
        assert not await service.link_email(OTHER, "victim@example.com", "2")
        assert not await service.link_email(OTHER, "victim@example.com", "99")
        assert await service.link_email(MEMBER, "victim@example.com", "1")
        await shop.paid(shop.order(5, 10_000, None, email="another@example.com"))
        assert not await service.link_email(OTHER, "victim@example.com", "1")
        assert await shop.earned() == 1_000


async def test_claim_is_limited_and_noted(ledger: LedgerFixture, clock: Clock) -> None:
    async with shop_of(ledger, "shopify") as shop:
        await shop.paid(shop.order(9, 10_000, None))
        for number in range(5):
            assert not await shop.site.service.claim_order(OTHER, str(number))
        with pytest.raises(ClaimsExhaustedError):
            await shop.site.service.claim_order(OTHER, "9")
        tries = [entry for entry in shop.site.audit() if entry[1] == "claim_tried"]
        assert tries == [(f"discord:{OTHER}", "claim_tried")] * 5
        assert await shop.site.service.claim_order(MEMBER, "#9")
        clock.advance(86_401)
        assert not await shop.site.service.claim_order(OTHER, "9")


async def test_number_of_two_shops_is_not_claimed(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "shopify") as shop:
        await shop.paid(shop.order(9, 10_000, None))
        await ShopFixture(shop.site, shop.session, "woocommerce").paid(shop.order(9, 20_000, None))
        assert not await shop.site.service.claim_order(MEMBER, "9")


async def test_spread_link_is_flagged(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "shopify") as shop:
        for number in range(3):
            await shop.paid(shop.order(number, 10_000, email=f"stranger{number}@example.com"))
        [spread] = await shop.site.service.spread_links()
        assert (spread.member_id, spread.emails) == (MEMBER, 3)
        assert await shop.earned() == 3_000


async def test_with_one_buyer_per_member_a_second_email_waits(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "shopify", shop_settings(ledger, one_buyer_per_member=True)) as shop:
        assert await shop.paid(shop.order(1, 10_000, email="me@example.com")) == "counted"
        assert await shop.paid(shop.order(2, 10_000, email="ME@example.com")) == "counted"
        assert await shop.paid(shop.order(3, 10_000, email="stranger@example.com")) == "waiting"
        assert await shop.earned() == 2_000
        assert await shop.site.service.claim_order(MEMBER, "3")
        assert await shop.earned() == 3_000


async def test_trial_says_what_a_delivery_would_do_and_does_nothing(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "stripe") as shop:
        await shop.paid(shop.order(1, 10_000, is_test=True))
        before = ledger.money(), ledger.rows("SELECT * FROM cashback_audit_log ORDER BY id")
        delivery, [result] = await shop.site.service.try_delivery("stripe")
        assert (delivery.outcome, result.outcome, result.earned_cents) == ("excluded", "counted", 1_000)
        assert (ledger.money(), ledger.rows("SELECT * FROM cashback_audit_log ORDER BY id")) == before


async def test_each_delivery_that_counts_is_one_entry_of_the_audit_log(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "stripe") as shop:
        order = shop.order(1, 10_000)
        before = len(shop.site.audit())
        await shop.paid(order)
        await shop.refunded(order, 1, 2_500, 2_500)
        assert shop.site.audit()[before:] == [("shop:stripe", "intake_recorded")] * 2


def requests_of(shop: ShopFixture) -> list[Request]:
    """Return the deliveries of two orders: paid, refunded twice in part, disputed; one of the disputes is won."""
    found: list[Request | None] = []
    for number in (1, 2):
        order = shop.order(number, 10_000)
        first = Refund(number=10 * number, cents=2_500, in_all_cents=2_500)
        second = Refund(number=10 * number + 1, cents=1_500, in_all_cents=4_000)
        found += [shop.sender.paid(order, shop.now), shop.sender.disputed(order, shop.now)]
        found += [shop.sender.refunded(order, part, shop.now) for part in (first, second)]
        found += [shop.sender.dispute_won(order, shop.now)] if number == 1 else []
    return [request for request in found if request is not None]


@pytest.mark.parametrize("shop_kind", KINDS)
@pytest.mark.parametrize("seed", first_of(range(3)))
async def test_deliveries_in_any_order_and_repeated_come_to_the_same_cents(
    ledger: LedgerFixture, shop_kind: str, seed: int
) -> None:
    """By hand: $100.00 less $40.00 earn $6.00; the second order is lost to a dispute if the shop reports disputes."""
    chance = random.Random(seed)
    async with shop_of(ledger, shop_kind) as shop:
        requests = requests_of(shop) * 2
        chance.shuffle(requests)
        for request in requests:
            await shop.outcome(request)
        kept = 1_000 if shop_kind in WITHOUT_PARTS else 600
        assert await shop.earned() == kept + (kept if shop_kind in WITHOUT_DISPUTES else 0)
        assert (await ledger.verify()).balanced


async def test_page_lists_deliveries_and_spread_links(ledger: LedgerFixture) -> None:
    async with shop_of(ledger, "shopify") as shop, shop.site.signed_in() as browser:
        assert "Nothing was delivered yet;" in (await browser.get("/deliveries"))[1]
        await shop.paid(shop.order(1, 10_000, email="one@example.com"))
        await shop.paid(shop.order(2, 10_000, email="two@example.com"))
        await shop.paid(shop.order(3, 10_000, is_test=True))
        _, text = await browser.get("/deliveries")
        assert "It is a test, not an order." in text
        assert "Links that may be spread" in text
        assert "example.com" not in text
        _, other = await browser.get("/deliveries?shop=stripe&before=x")
        assert "It is a test" not in other


def story_of(shop: ShopFixture) -> list[Request]:
    """Return the deliveries of an order that was disputed and won, refunded in part, and of one that was refunded."""
    kept, refunded = shop.order(1, 10_000), shop.order(2, 10_000)
    part = Refund(number=10, cents=2_500, in_all_cents=2_500)
    whole = Refund(number=20, cents=10_000, in_all_cents=10_000)
    found = [
        shop.sender.paid(kept, shop.now),
        shop.sender.disputed(kept, shop.now),
        shop.sender.dispute_won(kept, shop.now),
        shop.sender.refunded(kept, part, shop.now),
        shop.sender.paid(refunded, shop.now),
        shop.sender.refunded(refunded, whole, shop.now),
        shop.sender.paid(shop.order(3, 10_000, None), shop.now),
    ]
    return [request for request in found if request is not None]


@pytest.mark.parametrize("shop_kind", KINDS)
@pytest.mark.parametrize("seconds", first_of([301, 1, 299, 40 * 86_400]))
async def test_replayed_deliveries_change_nothing(
    ledger: LedgerFixture, clock: Clock, shop_kind: str, seconds: int
) -> None:
    """Byte for byte, at once or after what was read of them is erased: a replay is stale, or an event of before."""
    async with shop_of(ledger, shop_kind) as shop:
        requests = story_of(shop)
        for request in requests:
            await shop.outcome(request)
        before = ledger.money(), ledger.rows("SELECT * FROM cashback_audit_log ORDER BY id")
        clock.advance(seconds)
        for request in reversed(requests):
            status, said = await shop.send(request)
            assert status == 401 or said["outcome"] in {"repeated", "ignored"}, said
        assert (ledger.money(), ledger.rows("SELECT * FROM cashback_audit_log ORDER BY id")) == before


@pytest.mark.parametrize("shop_kind", ["shopify", "woocommerce"])
async def test_replay_with_another_id_in_an_unsigned_header_changes_nothing(
    ledger: LedgerFixture, shop_kind: str
) -> None:
    async with shop_of(ledger, shop_kind) as shop:
        requests = story_of(shop)
        for request in requests:
            await shop.outcome(request)
        before = ledger.money()
        for request in requests:
            headers = {
                name: "another" if name.endswith(("-Id", "-ID", "-Topic")) else value
                for name, value in request.headers.items()
            }
            assert await shop.outcome(Request(body=request.body, headers=headers)) == "repeated"
        assert ledger.money() == before


@pytest.mark.parametrize("shop_kind", KINDS)
async def test_delivery_of_another_shop_with_the_same_numbers_changes_nothing_of_it(
    ledger: LedgerFixture, shop_kind: str
) -> None:
    """Order 1 of one shop is not order 1 of another: a refund there takes nothing here."""
    other = "api" if shop_kind != "api" else "shopify"
    async with shop_of(ledger, shop_kind) as shop:
        assert await shop.paid(shop.order(1, 10_000)) == "counted"
        elsewhere = ShopFixture(shop.site, shop.session, other)
        assert await elsewhere.refunded(elsewhere.order(1, 10_000), 1, 10_000, 10_000) == "kept"
        assert await shop.earned() == 1_000


async def test_another_members_id_in_a_checkout_earns_for_that_members_referrer_alone(ledger: LedgerFixture) -> None:
    """What a stranger gains who writes a member's id into the own checkout: nothing; it is listed with the e-mail."""
    await ledger.database.create_referral(OTHER, MEMBER + 1)
    async with shop_of(ledger, "shopify") as shop:
        await shop.paid(shop.order(1, 10_000, email="member@example.com"))
        assert await shop.paid(shop.order(2, 10_000, email="stranger@example.com")) == "counted"
        assert await shop.earned() == 2_000
        assert await ledger.pending(OTHER) == 0
        assert [spread.member_id for spread in await shop.site.service.spread_links()] == [MEMBER]
        # The stranger cannot have it twice: as a claim it is not waiting, and the order is known with its buyer.
        assert not await shop.site.service.claim_order(MEMBER + 1, "2")
        assert await shop.paid(shop.order(2, 10_000, MEMBER + 1, email="stranger@example.com")) == "conflicting"
        assert await ledger.pending(OTHER) == 0
