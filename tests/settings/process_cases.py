"""How a process pays and sends: the lease, chunks, pace and attempts; and what a purchase earns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import anyio
import anyio.to_thread
from trio.testing import MockClock

import bot
from cashback.database import Database
from cashback.database.referral_program.purchases import Purchase
from cashback.domain.errors import CashbackError
from cashback.domain.ports import NullObserver
from cashback.extension.wiring import Services
from cashback.services import CLI
from cli.context import ledger
from cli.payment_session import open_payment_session
from tests.settings.schedule_cases import on_the_command_line
from tests.settings.world import World, setting

BUYER = 10**17
PURCHASES = f"order_id,buyer_id,amount\nimported,{BUYER},100.00\n"


async def earned(world: World) -> list[tuple[int, int | None]]:
    """Record a purchase of $100 by each way; return what each earned, and for how many days it is held."""
    await world.database.create_referral(BUYER + 1, BUYER)
    world.to_now()
    (world.folder / "purchases.csv").write_text(PURCHASES)
    commands = (["purchase", "typed", BUYER, "100.00"], ["import", world.folder / "purchases.csv"])
    for words in commands:
        await anyio.to_thread.run_sync(partial(on_the_command_line, world, *words))

    async def serve(_settings: object, database: Database, stop: anyio.Event, **_options: object) -> None:
        await database.record_purchases([Purchase(order_id="reported", buyer_id=BUYER, amount_cents=10_000)])
        stop.set()

    world.monkeypatch.setattr(bot, "serve", serve)
    at_the_bot = world.settings.model_copy(update={"database": str(world.ledger.path)})
    await bot.serve_until_signal(at_the_bot)
    found = world.ledger.rows(
        "SELECT earned_cents, recorded_at, payable_at FROM cashback_referral_purchases ORDER BY order_id"
    )
    return [(cents, _days(since, until)) for cents, since, until in found]


def _days(since: str, until: str | None) -> int | None:
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).days if until else None


@setting("referral_settings.cashback_percent", (0.5, [(50, None)] * 3), (1.25, [(125, None)] * 3))
@setting("referral_settings.holding_days", (0, [(50, None)] * 3), (14, [(50, 14)] * 3))
async def a_purchase(world: World) -> object:
    return await earned(world)


@setting("referral_settings.chunk_size", (1, [5, 5]), (2, [3, 3]), (500, [1, 1]))
async def payouts_in_a_transaction(world: World) -> object:
    """By the bot's runner, and by the command line's. Chunks differ in the moment at which they are settled."""
    world.to_now()
    world.monkeypatch.setattr(type(world.clock), "__call__", lambda clock: clock.advance(1))
    services = await world.services()
    await services.lease.take()
    numbers = []
    for _way in range(2):
        await world.ledger.earn_all((member, 100) for member in range(1, 6))
        numbers.append((await services.service.propose(CLI)).batch_number)
        if not numbers[1:]:
            await services.service.approve(CLI, numbers[0])
            services.runner.close()
            await services.runner.run()
    async with open_payment_session(world.place.settings(), NullObserver()) as session:
        await session.service.approve(CLI, numbers[1])
        await session.run()
    query = "SELECT COUNT(DISTINCT settled_at) FROM cashback_payouts WHERE batch_number = ? AND status = 'credited'"
    return [world.ledger.rows(query, number)[0][0] for number in numbers]


@setting("referral_settings.lease_seconds", (1, 1_000), (3_600, 3_600_000))
async def the_announced_term(world: World) -> object:
    services = await world.services()
    await services.lease.take()
    return world.ledger.rows("SELECT milliseconds FROM cashback_leases")[0][0]


@setting("referral_settings.verify_hour_utc", (None, []), (0, [0]), (23, [23]))
async def the_hour_of_the_daily_verification(world: World) -> object:
    midnight = world.clock().replace(hour=0, minute=0, second=0, microsecond=0)
    world.clock.moment = midnight - timedelta(seconds=1)
    daily = (await world.services()).daily_verify
    hours = []
    for hour in range(24):
        world.clock.moment = midnight + timedelta(hours=hour)
        if daily is not None and await daily.is_due():
            await daily.verify()
            hours.append(hour)
    return hours


@setting("referral_settings.dm_per_second", (0.5, 20.0), (2, 5.0))
async def seconds_for_ten_messages(world: World) -> object:
    return await anyio.to_thread.run_sync(_on_a_clock_that_jumps, partial(_ten_turns, world))


async def _ten_turns(world: World) -> float:
    async with Database(world.ledger.path, inline=True) as database:
        services = Services.build(bot.make_client(world.settings), world.settings, database)
        async with services.runner:
            began_at = anyio.current_time()
            for _message in range(11):
                await services.outbox_dispatcher.rate_limiter.acquire()
            return round(anyio.current_time() - began_at, 3)


def _on_a_clock_that_jumps(act: Callable[[], Awaitable[float]]) -> float:
    options = {"clock": MockClock(autojump_threshold=0)}
    return anyio.run(act, backend="trio", backend_options=options)


async def earned_by_date(world: World, day: datetime) -> list[int]:
    """Record a purchase of a past day on the command line's ledger and on the bot's; return what each earned."""
    await world.database.create_referral(BUYER + 1, BUYER)
    earned_cents = []

    async def record(database: Database, order_id: str) -> None:
        bought = Purchase(order_id=order_id, buyer_id=BUYER, amount_cents=10_000, purchased_at=day)
        [recorded] = await database.record_purchases([bought])
        earned_cents.append(recorded.earned_cents)

    async def serve(_settings: object, database: Database, stop: anyio.Event, **_options: object) -> None:
        await record(database, "at the bot")
        stop.set()

    async with ledger(world.place.settings()) as database:
        await record(database, "at the command line")
    world.monkeypatch.setattr(bot, "serve", serve)
    await bot.serve_until_signal(world.settings.model_copy(update={"database": str(world.ledger.path)}))
    return earned_cents


@setting("referral_settings.earn_before_referral_days", (0, [0, 0]), (9, [0, 0]), (11, [50, 50]))
async def a_purchase_ten_days_before_the_referral(world: World) -> object:
    return await earned_by_date(world, world.clock() - timedelta(days=10))


@setting("referral_settings.earns_for_days", (None, [50, 50]), (9, [0, 0]), (11, [50, 50]))
async def a_purchase_ten_days_after_the_referral(world: World) -> object:
    return await earned_by_date(world, world.clock() + timedelta(days=10))


@setting("referral_settings.monthly_cap_cents", (None, [50, 50]), (80, [50, 30]))
@setting("referral_settings.program_starts_on", (None, [50, 50]), ("2020-01-01", [50, 50]), ("2100-01-01", [0, 0]))
async def a_purchase_of_today(world: World) -> object:
    return await earned_by_date(world, datetime.now(UTC))


@setting("referral_settings.only_new_members_days", (0, "linked"), (29, "refused"), (31, "linked"))
async def a_code_of_a_member_since_thirty_days(world: World) -> object:
    service = (await world.services()).service
    joined_at = world.clock() - timedelta(days=30)
    try:
        await service.enter_code(BUYER, BUYER + 1, in_server=True, is_bot=False, joined_at=joined_at)
    except CashbackError:
        return "refused"
    return "linked"


@setting("referral_settings.unmatched_days", (30, 30), (7, 7))
async def days_that_a_guest_s_order_waits(world: World) -> object:
    file = world.folder / "guests.csv"
    file.write_text("order_id,buyer_id,amount\nA,,5.00\n")

    await anyio.to_thread.run_sync(partial(on_the_command_line, world, "import", file))
    [(recorded, until)] = world.ledger.rows("SELECT recorded_at, waits_until FROM cashback_unmatched_purchases")
    return (datetime.fromisoformat(str(until)) - datetime.fromisoformat(str(recorded))).days


@setting("log_level", ("info", "info"), ("ERROR", "error"))
async def the_least_that_is_logged(world: World) -> object:
    levels: list[str] = []
    world.monkeypatch.setattr("bot.logs.set_up", lambda *, level: levels.append(level))
    world.monkeypatch.setattr("bot.open_missing", lambda: None)
    world.monkeypatch.setattr("bot.anyio.run", lambda *_arguments, **_options: None)
    assert bot.main(world.settings) == 0
    return levels[0]
