"""The audit log's daily head: due once a day, if there is something new."""

from __future__ import annotations

import pytest

from cashback.database import audit_heads, audit_log
from tests.conftest import Clock, LedgerFixture

pytestmark = pytest.mark.anyio

DAY = 24 * 3600


async def note(ledger: LedgerFixture, action: str) -> None:
    """Add an entry."""
    await ledger.database.write(audit_log.add_entry, at=ledger.clock(), actor="cli", action=action)


async def due(ledger: LedgerFixture) -> audit_heads.Head | None:
    """Return the head that is due now."""
    return await ledger.database.read(audit_heads.due, now=ledger.clock())


async def test_head_is_due_once_a_day_if_there_is_something_new(ledger: LedgerFixture, clock: Clock) -> None:
    assert await due(ledger) is None
    await note(ledger, "first")
    assert await due(ledger) is None
    clock.advance(DAY)
    head = await due(ledger)
    assert head is not None
    assert head.digest == await ledger.database.read(audit_log.chain_head)
    await ledger.database.write(audit_heads.note_posted, head, now=ledger.clock())
    await note(ledger, "second")
    assert await due(ledger) is None
    clock.advance(DAY)
    again = await due(ledger)
    assert again is not None
    assert again.entry == head.entry + 2
    await ledger.database.write(audit_heads.note_posted, again, now=ledger.clock())
    clock.advance(DAY)
    assert await due(ledger) is None


async def test_head_posted_by_a_clock_that_was_ahead_does_not_hold_it_up(ledger: LedgerFixture, clock: Clock) -> None:
    await note(ledger, "first")
    clock.advance(60 * DAY)
    head = await due(ledger)
    assert head is not None
    await ledger.database.write(audit_heads.note_posted, head, now=ledger.clock())
    await note(ledger, "second")
    clock.advance(-59 * DAY)
    assert await due(ledger) is not None


async def test_posted_head_is_found_later(ledger: LedgerFixture, clock: Clock) -> None:
    await note(ledger, "first")
    clock.advance(DAY)
    head = await due(ledger)
    assert head is not None
    await ledger.database.write(audit_heads.note_posted, head, now=ledger.clock())
    await note(ledger, "second")
    assert await ledger.database.read(audit_log.find_head, head.digest) == head.entry
