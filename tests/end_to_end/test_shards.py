"""A bot with two connections: the events of its one server come over the second."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.end_to_end.conftest import COMPLETE, DiscordFixture, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def shards() -> int:
    """Return the number of connections that the local Discord asks for."""
    return 2


def shards_connected(town: DiscordFixture) -> set[int]:
    """List the shards whose connection has a session."""
    connections = town.sandbox.gateway._connections
    return {each.session.shard[0] for each in connections if each.session is not None}


@asynccontextmanager
async def connected_twice(town: DiscordFixture) -> AsyncIterator[None]:
    """Run the bot, with both connections inside the block."""
    async with town.bot(connected=False):
        await until(lambda: shards_connected(town) == {0, 1})
        yield


async def test_a_bot_with_two_connections_is_asked_and_pays_once(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    async with connected_twice(town):
        summary = await town.ask()
        await town.press(summary, "Confirm")
        await town.shows(summary, COMPLETE)
        await until(lambda: town.sandbox.direct_messages(bob.id))
    assert town.till.balance(bob.id) == 2500
    assert len(town.batches()) == 1
    assert len(town.sandbox.direct_messages(bob.id)) == 1


@pytest.mark.parametrize("lost", [0, 1])
async def test_a_connection_that_carries_nonsense_is_made_anew_and_the_other_stays(
    town: DiscordFixture, lost: int
) -> None:
    bob = await town.referrer("Bob", 2500)
    async with connected_twice(town):
        before = {each.session.shard[0]: each for each in town.sandbox.gateway._connections if each.session}
        # Events without a server come over the first.
        nonsense = {"nonsense": 1, "guild_id": "1"} if lost else {"nonsense": 1}
        town.sandbox.gateway._hub.dispatch("MESSAGE_CREATE", nonsense)
        await until(lambda: before[lost] not in town.sandbox.gateway._connections)
        await until(lambda: shards_connected(town) == {0, 1})
        assert before[1 - lost] in town.sandbox.gateway._connections
        summary = await town.ask()
        await town.press(summary, "Confirm")
        await town.shows(summary, COMPLETE)
    assert town.till.balance(bob.id) == 2500


async def test_all_connections_lost_at_once_are_taken_up_again(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    async with connected_twice(town):
        summary = await town.ask()
        await town.sandbox.gateway.disconnect(how="drop")
        await until(lambda: shards_connected(town) == {0, 1})
        await town.press(summary, "Confirm")
        await town.shows(summary, COMPLETE)
    assert town.till.balance(bob.id) == 2500
