"""Claims on commands: one of two claims on the same message wins, and old ones are removed."""

from __future__ import annotations

import anyio
import pytest

from cashback.database import Database, claims
from tests.conftest import LedgerFixture, OpenDatabase

pytestmark = pytest.mark.anyio

MESSAGES = 20


async def test_second_claim_on_a_message_loses(ledger: LedgerFixture) -> None:
    now = ledger.clock()
    won = [await ledger.database.write(claims.claim, event_id, now=now) for event_id in (7, 7, 8, 7, 8)]
    assert won == [True, False, True, False, False]


async def test_two_processes_that_claim_at_once_win_each_message_once(
    ledger: LedgerFixture, open_database: OpenDatabase
) -> None:
    won: dict[int, list[bool]] = {event_id: [] for event_id in range(MESSAGES)}

    async def claim_all(database: Database) -> None:
        for event_id in range(MESSAGES):
            won[event_id].append(await database.write(claims.claim, event_id, now=ledger.clock()))

    async with open_database() as other, anyio.create_task_group() as tasks:
        tasks.start_soon(claim_all, ledger.database)
        tasks.start_soon(claim_all, other)
    assert [sorted(each) for each in won.values()] == [[False, True]] * MESSAGES


async def test_claims_beyond_the_newest_are_removed(ledger: LedgerFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "KEPT", 3)
    for event_id in (5, 1, 9, 3, 7):
        assert await ledger.database.write(claims.claim, event_id, now=ledger.clock())
    assert ledger.rows("SELECT id FROM cashback_command_claims ORDER BY id") == [(5,), (7,), (9,)]
