"""Who may withdraw how much, by which method, and how long a destination is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cashback.domain.errors import CashbackError, SecondApproverError
from cashback.services import CLI, AdminService
from tests.settings.world import World, setting

METHODS = {"paypal": "the e-mail address of your account"}
DAY_SECONDS = 86_400
DISCORD_BEGAN = datetime(2015, 1, 1, tzinfo=UTC)
MEMBER = int((datetime.now(UTC) - timedelta(days=100) - DISCORD_BEGAN).total_seconds() * 1000) << 22
"""The id of an account that is a hundred days old."""


async def service_of(world: World) -> AdminService:
    """Return the bot's service on a ledger in which a member has $5.00 in the wallet."""
    await world.ledger.earn(MEMBER, 500)
    await world.ledger.pay()
    world.to_now()
    return (await world.services()).service


@setting("withdrawals.enabled", (False, "refused"), (True, "requested"), beside={"methods": METHODS})
@setting("withdrawals.methods", ({}, "refused"), (METHODS, "requested"), beside={"enabled": True})
@setting(
    "withdrawals.minimum_cents", (200, "requested"), (201, "refused"), beside={"enabled": True, "methods": METHODS}
)
@setting(
    "withdrawals.maximum_cents",
    (None, "requested"),
    (200, "requested"),
    (199, "refused"),
    beside={"enabled": True, "methods": METHODS},
)
@setting(
    "withdrawals.account_age_days",
    (99, "requested"),
    (101, "refused"),
    beside={"enabled": True, "methods": METHODS},
)
async def a_withdrawal_of_two_dollars(world: World) -> object:
    service = await service_of(world)
    try:
        await service.request_withdrawal(MEMBER, 200, "paypal", "bob@example.org")
    except CashbackError:
        return "refused"
    return "requested"


@setting(
    "referral_settings.approval_threshold_cents",
    (None, [False, False]),
    (201, [False, False]),
    (200, [True, True]),
    sections={"withdrawals": {"enabled": True, "methods": METHODS}},
)
async def two_dollars_out_of_a_wallet(world: World) -> object:
    """Return whether a withdrawal and an adjustment of so much need two admins."""
    service = await service_of(world)
    asked: Any = await service.request_withdrawal(MEMBER, 200, "paypal", "bob@example.org")
    try:
        await service.adjust_wallet(CLI, MEMBER, -200, reason="a mistake")
    except SecondApproverError:
        return [bool(asked.needs_second_approver), True]
    return [bool(asked.needs_second_approver), False]


@setting("withdrawals.erase_days", (1, [0, 1]), (5, [0, 0]), beside={"enabled": True, "methods": METHODS})
async def destinations_erased_after_hours_and_days(world: World) -> object:
    service = await service_of(world)
    asked: Any = await service.request_withdrawal(MEMBER, 200, "paypal", "bob@example.org")
    await service.decline_withdrawal(CLI, asked.number, reason="a mistake")
    erased = []
    for seconds in (3_600, 2 * DAY_SECONDS):
        world.clock.advance(seconds)
        erased.append(await service.erase_destinations())
    return erased


@setting("webhooks", ({}, 0), ({"shop": {"url": "https://shop.example.org/events"}}, 1))
async def deliveries_queued_for_a_payout(world: World) -> object:
    await (await world.services()).event_dispatcher.put_in_force()
    await world.ledger.earn(MEMBER, 500)
    await world.ledger.pay()
    return len(world.ledger.rows("SELECT 1 FROM cashback_webhook_deliveries"))
