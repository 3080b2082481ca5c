"""The whole bot under frozen time: a Friday, an expired summary, paced direct messages and a retry, without waiting."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.bot.conftest import Town, field
from tests.conftest import FRIDAY
from tests.frozen import FrozenTime

pytestmark = pytest.mark.anyio

WEEK = timedelta(weeks=1)


async def test_a_friday_passes_and_pays_once(frozen_town: Town, frozen_time: FrozenTime) -> None:
    town = frozen_town
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


async def test_a_summary_expires_at_its_deadline(frozen_town: Town, frozen_time: FrozenTime) -> None:
    await frozen_town.referrer("Bob", 2500)
    async with frozen_town.bot():
        summary = await frozen_town.ask()
        await frozen_time.run(seconds=119)
        assert frozen_town.batches() == ["proposed"]
        await frozen_time.run(seconds=2)
        await frozen_town.shows(summary, "This summary expired")
        assert frozen_town.batches() == ["expired"]
