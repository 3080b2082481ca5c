"""The whole bot under frozen time: a Friday, an expired summary, paced direct messages and a retry, without waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from database import Database
from sandbox import Sandbox
from tests.bot.conftest import Town, field
from tests.conftest import FRIDAY, Clock, Till
from tests.frozen import FrozenTime

pytestmark = pytest.mark.anyio

WEEK = timedelta(weeks=1)


@pytest.fixture
async def town(frozen_time: FrozenTime, sandbox: Sandbox, database: Database) -> AsyncIterator[Town]:
    """Found a town where it is always the moment that the test says."""
    till = Till(database, frozen_time)
    yield Town(sandbox, till, Clock())
    assert (await till.verify()).breaches == ()


@pytest.fixture
async def database(frozen_time: FrozenTime, tmp_path: Path) -> AsyncIterator[Database]:
    """Open a new ledger that goes by the frozen clock, like the program's own."""
    async with Database(tmp_path / "cashback.db") as opened:
        yield opened


async def test_a_friday_passes_and_pays_once(town: Town, frozen_time: FrozenTime) -> None:
    town.adjust(auto_batch_enabled=True, notice_hours=0)
    bob = await town.referrer("Bob", 2500)
    async with town.bot():
        await frozen_time.run(minutes=1)
        await frozen_time.jump_to(FRIDAY + WEEK - timedelta(seconds=1))
        assert town.batches() == []
        await frozen_time.run(seconds=1)
        assert town.batches() == ["completed"]
        await frozen_time.run(minutes=1)
        entry = await town.audit_entry("$25.00")
        assert field(entry, "Processed By") == "the weekly schedule"
        assert entry.created_at == FRIDAY + WEEK
        assert town.batches() == ["completed"]
    assert town.till.balance(bob.id) == 2500
