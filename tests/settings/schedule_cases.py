"""The weekly batch's day, hour and minute, and how late it may be paid."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO

import anyio.to_thread

from cli import app
from tests.settings.world import World, setting

TUESDAY = datetime(2026, 7, 7, tzinfo=UTC)


def on_the_command_line(world: World, *words: object) -> str:
    """Run a command; return its output."""
    with redirect_stdout(StringIO()) as written:
        assert app.run(world.arguments(*words)) == 0
    return written.getvalue()


@setting("referral_settings.batch_day", ("friday", ["Fri 15:00"] * 2), ("Sunday", ["Sun 15:00"] * 2))
@setting("referral_settings.batch_hour_utc", (15, ["Fri 15:00"] * 2), (0, ["Fri 00:00"] * 2))
@setting("referral_settings.batch_minute_utc", (0, ["Fri 15:00"] * 2), (59, ["Fri 15:59"] * 2))
@setting("referral_settings.auto_batch_enabled", (True, ["Fri 15:00"] * 2), (False, ["never"] * 2))
async def the_next_slot(world: World) -> object:
    told = json.loads(await anyio.to_thread.run_sync(on_the_command_line, world, "schedule", "--json"))
    service = (await world.services()).service
    await service.open_schedule()
    in_force = (await service.schedule_overview()).next_slot_at
    configured = told["next_run"] and datetime.fromisoformat(told["next_run"])
    return [f"{moment:%a %H:%M}" if moment else "never" for moment in (configured, in_force)]


@setting("referral_settings.misfire_grace_hours", (0, [False, False]), (2, [True, False]), (3, [True, True]))
async def a_late_batch(world: World) -> object:
    world.clock.moment = TUESDAY
    service = (await world.services()).service
    state = await service.open_schedule()
    assert state.schedule.rule is not None
    slot_at = state.schedule.rule.next_slot(TUESDAY)
    payable = []
    for hours in (1, 2.5):
        world.clock.moment = slot_at + timedelta(hours=hours)
        payable.append((await service.due_slots()).payable == slot_at)
    return payable
