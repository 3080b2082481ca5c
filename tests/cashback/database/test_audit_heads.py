"""The audit log's daily head: due once a day, if there is something new."""

from __future__ import annotations

import pytest

from cashback.database import audit_heads, audit_log
from tests.conftest import Clock, LedgerFixture

pytestmark = pytest.mark.anyio

DAY = 24 * 3600


async def note(till: LedgerFixture, action: str) -> None:
    """Add an entry."""
    await till.database.write(audit_log.add_entry, at=till.clock(), actor="cli", action=action)


async def due(till: LedgerFixture) -> audit_heads.Head | None:
    """Return the head that is due now."""
    return await till.database.read(audit_heads.due, now=till.clock())


async def test_head_is_due_once_a_day_if_there_is_something_new(till: LedgerFixture, clock: Clock) -> None:
    assert await due(till) is None
    await note(till, "first")
    assert await due(till) is None
    clock.advance(DAY)
    head = await due(till)
    assert head is not None
    assert head.digest == await till.database.read(audit_log.chain_head)
    await till.database.write(audit_heads.note_posted, head, now=till.clock())
    await note(till, "second")
    assert await due(till) is None
    clock.advance(DAY)
    again = await due(till)
    assert again is not None
    assert again.entry == head.entry + 2
    await till.database.write(audit_heads.note_posted, again, now=till.clock())
    clock.advance(DAY)
    assert await due(till) is None


async def test_head_posted_by_a_clock_that_was_ahead_does_not_hold_it_up(till: LedgerFixture, clock: Clock) -> None:
    await note(till, "first")
    clock.advance(60 * DAY)
    head = await due(till)
    assert head is not None
    await till.database.write(audit_heads.note_posted, head, now=till.clock())
    await note(till, "second")
    clock.advance(-59 * DAY)
    assert await due(till) is not None


async def test_posted_head_is_found_later(till: LedgerFixture, clock: Clock) -> None:
    await note(till, "first")
    clock.advance(DAY)
    head = await due(till)
    assert head is not None
    await till.database.write(audit_heads.note_posted, head, now=till.clock())
    await note(till, "second")
    assert await till.database.read(audit_log.find_head, head.digest) == head.entry
