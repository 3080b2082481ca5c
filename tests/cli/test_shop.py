"""`cashback shop`: what is configured, how to connect one, and what was delivered."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from anyio import to_thread

from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.services import AdminService
from cashback.settings import load
from cashback.shops.webhooks import KINDS
from cli.app import run
from cli.context import ledger

pytestmark = pytest.mark.anyio


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a configuration with one shop, and a ledger next to it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CASHBACK_SHOP_STORE", "a-secret-of-the-store")
    path = tmp_path / "config.json"
    shops = {"store": {"kind": "stripe"}, "second": {"kind": "shopify"}}
    path.write_text(json.dumps({"role_ids": {"admin": 1}, "shops": shops}))
    assert run(["migrate"]) == 0
    return path


async def deliver(config: Path) -> None:
    """Record a test order of the store."""
    settings = load(config)
    async with ledger(settings) as database:
        service = AdminService(database, settings, lambda _number: 0)
        event = ShopEvent(
            kind=EventKind.PAID,
            order_id="pi_1",
            amount_cents=10_000,
            currency="USD",
            is_test=True,
            buyer_id=222222222222222222,
            at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        await service.record_delivery("store", body=b"1", topic="checkout", event_id="e1", events=[event])


def test_list_says_which_shop_has_no_secret(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["shop", "list"]) == 0
    store, second = [line for line in capsys.readouterr().out.splitlines() if "/api/v1/shops/" in line]
    assert "not set" not in store
    assert "CASHBACK_SHOP_SECOND is not set" in second


@pytest.mark.parametrize("kind", KINDS)
def test_add_shows_address_secret_and_steps_of_each_kind(
    config: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["shop", "add", "my-store", kind]) == 0
    said = capsys.readouterr().out
    assert "/api/v1/shops/my-store" in said
    assert "CASHBACK_SHOP_MY_STORE=" in said
    assert all(step in said for step in KINDS[kind].steps)


async def test_deliveries_and_trial(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await deliver(config)
    settings = load(config)
    capsys.readouterr()

    assert await to_thread.run_sync(run, ["shop", "deliveries", "store", "--json"]) == 0
    [listed] = json.loads(capsys.readouterr().out)["deliveries"]
    assert (listed["outcome"], listed["reason"]) == ("excluded", "It is a test, not an order.")
    assert await to_thread.run_sync(run, ["shop", "test", "store"]) == 0
    assert "order pi_1 paid of 222222222222222222, $100.00, earns $0.00" in capsys.readouterr().out
    async with ledger(settings) as database:
        assert await database.get_referrer_for_user(222222222222222222) is None


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["add", "store", "shopfy"], 1, "is not a kind of shop"),
        (["add", "My Store", "shopify"], 1, "is not a shop's name"),
        (["deliveries", "nowhere"], 1, "is not a shop of the configuration; the shops: second, store"),
        (["test", "store"], 1, "has delivered nothing yet"),
        (["remove", "store"], 2, "Say `shop list`"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    config: Path, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(["shop", *words]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


async def test_refund_that_a_shop_does_not_report_is_recorded_for_it(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load(config)
    async with ledger(settings) as database:
        service = AdminService(database, settings, lambda _number: 0)
        event = ShopEvent(
            kind=EventKind.PAID, order_id="7", amount_cents=500, currency="USD", buyer_id=222222222222222222
        )
        await service.record_delivery("store", body=b"7", topic="paid", events=[event])
    assert await to_thread.run_sync(run, ["refund", "7", "2.00"]) == 1
    assert await to_thread.run_sync(run, ["refund", "7", "2.00", "--shop", "store"]) == 0
    assert "$2.00 of order 7" in capsys.readouterr().out
