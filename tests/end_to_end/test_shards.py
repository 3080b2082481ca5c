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


def shards_connected(guild: DiscordFixture) -> set[int]:
    """List the shards whose connection has a session."""
    connections = guild.sandbox.gateway._connections
    return {each.session.shard[0] for each in connections if each.session is not None}


@asynccontextmanager
async def connected_twice(guild: DiscordFixture) -> AsyncIterator[None]:
    """Run the bot, with both connections inside the block."""
    async with guild.bot(connected=False):
        await until(lambda: shards_connected(guild) == {0, 1})
        yield


async def test_a_bot_with_two_connections_is_asked_and_pays_once(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with connected_twice(guild):
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE)
        await until(lambda: guild.sandbox.direct_messages(bob.id))
    assert guild.ledger.balance(bob.id) == 2500
    assert len(guild.batches()) == 1
    assert len(guild.sandbox.direct_messages(bob.id)) == 1


@pytest.mark.parametrize("lost", [0, 1])
async def test_a_connection_that_carries_nonsense_is_made_anew_and_the_other_stays(
    guild: DiscordFixture, lost: int
) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with connected_twice(guild):
        before = {each.session.shard[0]: each for each in guild.sandbox.gateway._connections if each.session}
        # Events without a server come over the first.
        nonsense = {"nonsense": 1, "guild_id": "1"} if lost else {"nonsense": 1}
        guild.sandbox.gateway._hub.dispatch("MESSAGE_CREATE", nonsense)
        await until(lambda: before[lost] not in guild.sandbox.gateway._connections)
        await until(lambda: shards_connected(guild) == {0, 1})
        assert before[1 - lost] in guild.sandbox.gateway._connections
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE)
    assert guild.ledger.balance(bob.id) == 2500


async def test_all_connections_lost_at_once_are_taken_up_again(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with connected_twice(guild):
        summary = await guild.ask()
        await guild.sandbox.gateway.disconnect(how="drop")
        await until(lambda: shards_connected(guild) == {0, 1})
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE)
    assert guild.ledger.balance(bob.id) == 2500
