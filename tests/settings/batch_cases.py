"""What a batch may hold, and when it needs a second admin: by each way that plans one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

from cashback.database.payouts import absences
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.domain.model import Absence
from cashback.services import CLI, AdminService
from cli import pay
from tests.conftest import ALL_OF_IT_PPM, raw
from tests.settings.world import World, setting
from verification.testbed import databases

WAYS = 4
Facts = tuple[int, int]


async def planned(world: World) -> list[Facts]:
    """Plan a batch by each way: dry run, command, preview and schedule; return each one's members and cents."""
    service = (await world.services()).service
    dry = await pay._preview(world.place.settings(), pay.Order())
    summary = await service.propose(CLI)
    preview = await service.preview()
    slot = await by_slot(world, service)
    return [(each.users, each.total_cents) for each in (dry, summary, preview)] + [(slot[0], slot[1])]


async def by_slot(world: World, service: AdminService) -> tuple[int, int, str, str | None]:
    """Let the weekly batch plan; return its members, cents, flags, and whether two admins must approve it."""
    now = world.clock.moment
    world.clock.moment = now - timedelta(days=8)
    state = await service.open_schedule()
    world.clock.moment = now
    world.monkeypatch.setattr(service, "_submit", lambda _number: 0)
    assert state.schedule.rule is not None
    number = await service.pay_slot(state.schedule.rule.latest_slot(now))
    columns = "planned_count, planned_cents, unusual, needs_second_approver"
    [row] = world.ledger.rows(f"SELECT {columns} FROM cashback_payout_batches WHERE number = ?", number)
    return (row[0], row[1], row[2] or "", row[3])


async def flagged(world: World) -> list[tuple[bool, bool]]:
    """Plan a batch by each way that asks somebody; return whether it is flagged, and whether it needs two admins."""
    service = (await world.services()).service
    dry = await pay._preview(world.place.settings(), pay.Order())
    summary = await service.propose(CLI)
    slot = await by_slot(world, service)
    found = [(bool(each.unusual), bool(each.needs_second_approver)) for each in (dry, summary)]
    return [*found, (bool(slot[2]), bool(slot[3]))]


@setting("referral_settings.min_payout_cents", (1, [(3, 600)] * WAYS), (200, [(2, 500)] * WAYS))
@setting("referral_settings.max_users_per_batch", (None, [(3, 600)] * WAYS), (1, [(1, 300)] * WAYS))
@setting("referral_settings.max_total_cents_per_batch", (None, [(3, 600)] * WAYS), (500, [(2, 500)] * WAYS))
async def three_members(world: World) -> object:
    await world.ledger.earn_all([(1, 300), (2, 200), (3, 100)])
    world.to_now()
    return await planned(world)


@setting("referral_settings.earn_before_referral_days", (0, [(2, 340)] * WAYS), (7, [(3, 440)] * WAYS))
@setting("referral_settings.earns_for_days", (7, [(2, 340)] * WAYS), (5, [(1, 300)] * WAYS))
@setting("referral_settings.monthly_cap_cents", (None, [(2, 340)] * WAYS), (25, [(2, 325)] * WAYS))
async def referrals_that_another_bot_recorded(world: World) -> object:
    """Plan after another bot has recorded the referrals of two members who had bought something before."""
    await world.ledger.earn(1, 300)
    world.to_now()
    now, day = world.clock(), timedelta(days=1)
    bought = [Purchase("A", 20, 40, now - day), Purchase("B", 30, 100, now - 10 * day)]
    await world.database.write(record_purchases, bought, ALL_OF_IT_PPM, now)
    with raw(world.ledger.location) as connection:
        for referrer, buyer in ((2, 20), (3, 30)):
            await world.database.ensure_user(referrer)
            connection.execute(
                "INSERT INTO referrals (referrer_user_id, referred_user_id, created_at) VALUES (?, ?, ?)",
                (referrer, buyer, f"{now - 6 * day:%Y-%m-%d %H:%M:%S}"),
            )
    return await planned(world)


@setting("referral_settings.leaver_policy", ("pay", [(2, 300)] * WAYS), ("hold", [(1, 100)] * WAYS))
async def a_member_who_left(world: World) -> object:
    await world.ledger.earn_all([(1, 200), (2, 100)])
    world.to_now()
    await world.database.write(absences.note, 1, Absence.LEFT, world.clock())
    return await planned(world)


@setting("referral_settings.approval_threshold_cents", (None, [(False, False)] * 3), (600, [(False, True)] * 3))
async def a_large_total(world: World) -> object:
    await world.ledger.earn_all([(1, 300), (2, 300)])
    world.to_now()
    return await flagged(world)


@setting(
    "referral_settings.unusual_factor",
    (None, [(False, False)] * 3),
    (2, [(True, False)] * 3),
    (3, [(False, False)] * 3),
)
@setting("referral_settings.gate_unusual", (False, [(True, False)] * 3), (True, [(True, True)] * 3), unusual_factor=2)
async def more_than_in_other_weeks(world: World) -> object:
    for cents in (100, 100, 100, 250):
        await world.ledger.earn_all([(1, cents // 2), (2, cents // 2)])
        if cents == 100:
            await world.ledger.pay()
    world.to_now()
    return await flagged(world)


@setting("referral_settings.unusual_share_percent", (50, [(True, False)] * 3), (80, [(False, False)] * 3))
async def most_for_one(world: World) -> object:
    await world.ledger.earn_all([(1, 700), (2, 200), (3, 100)])
    world.to_now()
    return await flagged(world)


@setting(
    "referral_settings.new_account_cents",
    (None, [(False, False)] * 3),
    (250, [(True, False)] * 3),
    (251, [(False, False)] * 3),
)
@setting(
    "referral_settings.new_account_days", (3, [(False, False)] * 3), (10, [(True, False)] * 3), new_account_cents=200
)
async def an_account_of_five_days(world: World) -> object:
    await world.ledger.earn(1, 1000)
    world.to_now()
    world.clock.moment -= timedelta(days=5)
    await world.ledger.earn(2, 250)
    world.to_now()
    return await flagged(world)


@setting("referral_settings.approval_threshold_cents", (None, False), (600, True))
async def a_reversal_of_much(world: World) -> object:
    number = await paid(world)
    service = (await world.services()).service
    reversal = await service.propose_reversal(CLI, number, reason="a stolen card")
    return bool(reversal.needs_second_approver)


def seconds_left(world: World, column: str, table: str = "cashback_payout_batches") -> list[float]:
    """Return in how many seconds each row's moment comes."""
    moments = [moment for (moment,) in world.ledger.rows(f"SELECT {column} FROM {table} ORDER BY number") if moment]
    return [(datetime.fromisoformat(moment).replace(tzinfo=UTC) - world.clock()).total_seconds() for moment in moments]


async def paid(world: World) -> int:
    """Pay two members three dollars each; return the batch's number."""
    await world.ledger.earn_all([(1, 300), (2, 300)])
    number = await world.ledger.approved()
    await world.ledger.run(number)
    await world.ledger.earn_all([(1, 300), (2, 300)])
    world.to_now()
    return number


@setting("referral_settings.approval_hours", (1, [3600.0] * 3), (30, [30 * 3600.0] * 3), approval_threshold_cents=100)
async def time_for_the_second_admin(world: World) -> object:
    first = await paid(world)
    service = (await world.services()).service
    await by_slot(world, service)
    await service.approve(world.admin, (await service.propose(world.admin)).batch_number)
    reversal = await service.propose_reversal(world.admin, first, reason="a stolen card")
    await service.approve_reversal(world.admin, reversal.number)
    return seconds_left(world, "expires_at")[-2:] + seconds_left(world, "expires_at", "cashback_reversals")


@setting("referral_settings.confirm_seconds", (10, [10.0, 10.0]), (900, [900.0, 900.0]))
async def time_for_the_confirmation(world: World) -> object:
    first = await paid(world)
    service = (await world.services()).service
    await service.propose(CLI)
    await service.propose_reversal(CLI, first, reason="a stolen card")
    return seconds_left(world, "expires_at")[-1:] + seconds_left(world, "expires_at", "cashback_reversals")


@setting("referral_settings.approval_valid_days", (1, [1.0, 1.0, "lapsed"]), (20, [20.0, 20.0, "approved"]))
async def the_age_of_an_approval(world: World) -> object:
    await world.ledger.earn_all([(1, 300), (2, 300)])
    world.to_now()
    service = (await world.services()).service
    await by_slot(world, service)
    await service.approve(CLI, (await service.propose(CLI)).batch_number)
    days = [seconds / 86_400 for seconds in seconds_left(world, "lapses_at")]
    world.clock.advance(86_400 * 3)
    await service.expire()
    return [*days, str((await world.ledger.report(1)).status)]


@setting("referral_settings.payout_retry_attempts", (0, [[], [], []]), (1, [[1], [], []]), (2, [[1], [1], []]))
async def failed_payouts_are_tried_again(world: World) -> object:
    return [await retried_after(world, minutes) for minutes in (11, 21, 600)]


@setting("referral_settings.payout_retry_minutes", (10, [[1], [1]]), (15, [[], [1]]))
async def the_pause_before_a_retry(world: World) -> object:
    return [await retried_after(world, minutes) for minutes in (11, 21)]


async def retried_after(world: World, minutes: int) -> list[int]:
    """Fail a payout, or fail it again, wait, and return what the program retries by itself."""
    with closing(sqlite3.connect(world.ledger.path, isolation_level=None)) as connection:
        if not world.ledger.rows("SELECT 1 FROM cashback_payout_batches"):
            await world.ledger.earn_all([(1, 300), (2, 300)])
            world.to_now()
            number = await world.ledger.approved()
            databases.break_wallet(connection, 1)
            await world.ledger.run(number)
        world.clock.advance(60 * minutes)
        service = (await world.services()).service
        world.monkeypatch.setattr(service, "_submit", lambda _number: 0)
        retried = await service.retry_due()
        await world.ledger.run(*retried)
    return retried
