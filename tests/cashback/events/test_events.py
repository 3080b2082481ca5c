"""Events reach other programs signed, at least once and with one id, and no receiver holds up anything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from cashback.database import Database, events
from cashback.database.dialect import Location
from cashback.domain.errors import NotAllowedError, StaleBatchError
from cashback.domain.events import PAUSES, Event
from cashback.events import EventDispatcher, EventSender
from cashback.events.sender import RefusedAddressError, require_allowed
from cashback.services import CLI, Actor, AdminService, Source
from cashback.settings import Settings, WebhookSettings, WithdrawalSettings
from tests.cashback.events.receiver import OTHER_SECRET, SECRET, Receiver, receiving
from tests.conftest import Clock, LedgerFixture

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

BOB = 10**17
ADDRESS = "bob@example.org"


def service_of(ledger: LedgerFixture) -> AdminService:
    """Return the services with withdrawals switched on."""
    terms = WithdrawalSettings(enabled=True, methods={"paypal": "your address"}, minimum_cents=1)
    keys = (SecretStr(Fernet.generate_key().decode()),)
    return AdminService(ledger.database, Settings(withdrawals=terms, withdrawal_keys=keys), lambda _: 0)


async def listen(ledger: LedgerFixture, *wanted: Event, name: str = "shop") -> None:
    """Put a webhook in force."""
    await ledger.database.write(events.put_in_force, {name: wanted or tuple(Event)}, now=ledger.clock())


async def deliver(ledger: LedgerFixture, receiver: Receiver, *secrets: str, private: bool = True) -> None:
    """Send what is due to a receiver."""
    signed = tuple(map(SecretStr, secrets or (SECRET,)))
    target = WebhookSettings(url=receiver.url, private=private, secrets=signed)
    dispatcher = EventDispatcher(ledger.database, {"shop": target})
    async with EventSender(target, ledger.clock) as sender:
        await dispatcher.deliver_due("shop", sender)


def real(clock: Clock) -> None:
    """Set the clock to this moment: the vendor's package compares the timestamp with it."""
    clock.moment = datetime.now(UTC)


async def test_life_of_a_payout_is_told_in_signed_events(ledger: LedgerFixture, clock: Clock) -> None:
    real(clock)
    service = service_of(ledger)
    await listen(ledger)
    await ledger.earn(BOB, 500)
    batch = await ledger.pay()
    asked = await service.request_withdrawal(BOB, 100, "paypal", ADDRESS)
    await service.pay_withdrawal(CLI, asked.number, reference="T-1")
    declined = await service.request_withdrawal(BOB, 200, "paypal", ADDRESS)
    await service.decline_withdrawal(CLI, declined.number, reason="no account")
    cancelled = await service.request_withdrawal(BOB, 300, "paypal", ADDRESS)
    await service.cancel_withdrawal(BOB, cancelled.number)
    async with receiving() as receiver:
        await deliver(ledger, receiver, OTHER_SECRET, SECRET)
        await deliver(ledger, receiver)
    who = {"user_id": str(BOB), "currency": "USD"}
    paypal = {"method": "paypal"}
    assert [(kind, data) for _, kind, data in receiver.seen] == [
        ("payout.credited", {**who, "amount_cents": 500, "batch_id": batch.batch_id}),
        ("withdrawal.requested", {**who, "amount_cents": 100, "withdrawal": 1, **paypal}),
        ("withdrawal.paid", {**who, "amount_cents": 100, "withdrawal": 1, **paypal, "reference": "T-1"}),
        ("withdrawal.requested", {**who, "amount_cents": 200, "withdrawal": 2, **paypal}),
        ("withdrawal.declined", {**who, "amount_cents": 200, "withdrawal": 2, **paypal, "reason": "no account"}),
        ("withdrawal.requested", {**who, "amount_cents": 300, "withdrawal": 3, **paypal}),
        (
            "withdrawal.cancelled",
            {**who, "amount_cents": 300, "withdrawal": 3, **paypal, "reason": "cancelled by the member"},
        ),
    ]
    assert len({each for each, _, _ in receiver.seen}) == 7
    assert ADDRESS not in str(receiver.seen)
    assert (await ledger.verify()).balanced


async def test_event_names_the_currency_of_the_ledger(location: Location, clock: Clock) -> None:
    real(clock)
    async with Database(location, clock=clock, currency=("JPY", 0)) as database, receiving() as receiver:
        ledger = LedgerFixture(database, clock)
        await listen(ledger, Event.PAYOUT_CREDITED)
        await ledger.earn(BOB, 500)
        await ledger.pay()
        await deliver(ledger, receiver)
    [(_, _, data)] = receiver.seen
    assert (data["amount_cents"], data["currency"]) == (500, "JPY")


async def test_event_is_tried_again_with_the_same_id_until_it_is_taken(ledger: LedgerFixture, clock: Clock) -> None:
    real(clock)
    await listen(ledger, Event.PAYOUT_CREDITED)
    await ledger.earn_all([(1, 500), (2, 300)])
    await ledger.pay()
    async with receiving() as receiver:
        receiver.answers = [500, 204]
        await deliver(ledger, receiver)
        await deliver(ledger, receiver)
        assert [data["user_id"] for _, _, data in receiver.seen] == ["1", "2"], "the others do not wait for it"
        clock.advance(PAUSES[0].total_seconds())
        await deliver(ledger, receiver)
    assert receiver.seen[0] == receiver.seen[2]
    assert ledger.rows("SELECT status, attempts FROM cashback_webhook_deliveries ORDER BY id") == [
        ("delivered", 2),
        ("delivered", 1),
    ]


async def test_event_that_nobody_takes_has_failed_and_is_sent_again_by_an_admin(
    ledger: LedgerFixture, clock: Clock
) -> None:
    real(clock)
    await listen(ledger, Event.PAYOUT_CREDITED)
    await ledger.earn(1, 500)
    await ledger.pay()
    async with receiving() as receiver:
        receiver.answers = [302, 410]
        await deliver(ledger, receiver)
        clock.advance(PAUSES[0].total_seconds())
        await deliver(ledger, receiver)
        assert ledger.rows("SELECT status, last_error FROM cashback_webhook_deliveries") == [
            ("failed", "it answered 410")
        ]
        service = service_of(ledger)
        with pytest.raises(NotAllowedError):
            await service.retry_delivery(Actor(source=Source.DISCORD, user_id=9), 1)
        await service.retry_delivery(CLI, 1)
        with pytest.raises(StaleBatchError, match="has not failed"):
            await service.retry_delivery(CLI, 1)
        real(clock)
        await deliver(ledger, receiver)
    assert ledger.rows("SELECT status FROM cashback_webhook_deliveries") == [("delivered",)]


@pytest.mark.parametrize("status", [101, 302, 401, 429, 500])
async def test_event_is_delivered_by_no_other_answer_than_success(
    ledger: LedgerFixture, clock: Clock, status: int
) -> None:
    real(clock)
    await listen(ledger, Event.PAYOUT_CREDITED)
    await ledger.earn(1, 500)
    await ledger.pay()
    async with receiving() as receiver:
        receiver.answers = [status]
        await deliver(ledger, receiver)
    assert ledger.rows("SELECT status, last_error FROM cashback_webhook_deliveries") == [
        ("queued", f"it answered {status}")
    ]


async def test_dead_receiver_uses_up_its_attempts(ledger: LedgerFixture, clock: Clock) -> None:
    await listen(ledger, Event.PAYOUT_CREDITED)
    await ledger.earn(1, 500)
    await ledger.pay()
    nobody = Receiver(url="http://127.0.0.1:1/events")
    for pause in (*PAUSES, timedelta(0)):
        await deliver(ledger, nobody)
        clock.advance(pause.total_seconds())
    [(status, attempts, error)] = ledger.rows("SELECT status, attempts, last_error FROM cashback_webhook_deliveries")
    assert (status, attempts) == ("failed", len(PAUSES) + 1)
    assert "127.0.0.1" in error


async def test_slow_receiver_holds_up_no_other(ledger: LedgerFixture, clock: Clock) -> None:
    real(clock)
    async with receiving() as slow, receiving() as quick:
        slow.silent = anyio.Event()
        targets = {
            name: WebhookSettings(url=each.url, private=True, secrets=(SecretStr(SECRET),))
            for name, each in (("slow", slow), ("quick", quick))
        }
        dispatcher = EventDispatcher(ledger.database, targets)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dispatcher.run)
            with anyio.fail_after(20):
                while not ledger.rows("SELECT 1 FROM cashback_webhooks"):  # noqa: ASYNC110 -- another task writes it
                    await anyio.sleep(0.01)
                await ledger.earn(1, 500)
                await ledger.pay()
                while not quick.seen:  # noqa: ASYNC110 -- it arrives on a socket
                    await anyio.sleep(0.01)
            assert slow.seen == []
            tasks.cancel_scope.cancel()


async def test_event_is_written_with_what_happened_or_not_at_all(ledger: LedgerFixture) -> None:
    await listen(ledger, Event.WITHDRAWAL_REQUESTED)
    await ledger.earn(BOB, 500)
    await ledger.pay()
    with pytest.raises(Exception, match="holds"):
        await service_of(ledger).request_withdrawal(BOB, 501, "paypal", ADDRESS)
    assert ledger.rows("SELECT * FROM cashback_webhook_deliveries") == []
    await service_of(ledger).request_withdrawal(BOB, 500, "paypal", ADDRESS)
    assert ledger.rows("SELECT event FROM cashback_webhook_deliveries") == [("withdrawal.requested",)]


async def test_webhook_that_is_not_named_any_more_gets_nothing(ledger: LedgerFixture) -> None:
    await listen(ledger)
    await ledger.earn(1, 500)
    await ledger.pay()
    await listen(ledger, name="another")
    await ledger.earn(1, 300)
    await ledger.pay()
    assert ledger.rows("SELECT webhook, status FROM cashback_webhook_deliveries ORDER BY id") == [
        ("shop", "failed"),
        ("another", "queued"),
    ]


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/events", "http://localhost:{port}/events"])
async def test_address_in_a_private_network_is_not_connected_to(ledger: LedgerFixture, clock: Clock, url: str) -> None:
    real(clock)
    await listen(ledger, Event.PAYOUT_CREDITED)
    await ledger.earn(1, 500)
    await ledger.pay()
    async with receiving() as receiver:
        receiver.url = url.format(port=receiver.url.rpartition(":")[2].partition("/")[0])
        await deliver(ledger, receiver, private=False)
        assert receiver.seen == []
    [(error,)] = ledger.rows("SELECT last_error FROM cashback_webhook_deliveries")
    assert "is not a public address" in error


@pytest.mark.parametrize(
    ("address", "private", "public"),
    [
        ("93.184.216.34", True, True),
        ("10.0.0.5", True, False),
        ("127.0.0.1", True, False),
        ("::1", True, False),
        ("::ffff:10.0.0.1", True, False),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("fe80::1%eth0", False, False),
        ("224.0.0.1", False, False),
        ("0.0.0.0", False, False),  # noqa: S104 -- nothing listens
    ],
)
async def test_addresses_by_whether_a_webhook_is_private(address: str, *, private: bool, public: bool) -> None:
    for may_be_private, expected in ((True, private), (False, public)):
        if expected:
            require_allowed(address, may_be_private=may_be_private)
        else:
            with pytest.raises(RefusedAddressError):
                require_allowed(address, may_be_private=may_be_private)
