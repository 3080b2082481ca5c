"""Gateway payloads with fields missing or of the wrong type, over the local Discord's socket: no cent moves."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any

import anyio
import pytest

from sandbox import Message
from sandbox.sessions import Intents
from tests.end_to_end.conftest import SUMMARY, DiscordFixture

pytestmark = pytest.mark.anyio

FRAMES = 150
WRONG: list[Any] = [None, "x", -1, 10**30, 1.5, True, [], {}, [None], {"id": None}, "\ud7ff", ""]
"""What stands where something else belongs."""


def _places(payload: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """List every place in a payload, as the way to it."""
    children = payload.items() if isinstance(payload, dict) else enumerate(payload) if isinstance(payload, list) else ()
    for key, value in children:
        yield (*path, key)
        yield from _places(value, (*path, key))


def _spoil(payload: dict[str, Any], chance: Random) -> dict[str, Any]:
    """Take something out of a payload, or put something wrong into it."""
    spoiled = copy.deepcopy(payload)
    *way, last = chance.choice(list(_places(spoiled)))
    inside: Any = spoiled
    for key in way:
        inside = inside[key]
    if chance.random() < 0.5 and isinstance(inside, dict):
        del inside[last]
    else:
        inside[last] = chance.choice(WRONG)
    return spoiled


@pytest.fixture
async def seen(
    guild: DiscordFixture, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[tuple[str, dict[str, Any]]]]:
    """Keep the local Discord's payloads; after a bad frame the bot reconnects at once."""
    monkeypatch.setattr("discord.backoff.ExponentialBackoff.delay", lambda _: 0.01)
    hub, kept = guild.sandbox.gateway._hub, list[tuple[str, dict[str, Any]]]()
    dispatch = hub.dispatch

    def keep(name: str, payload: dict[str, Any], intent: Intents = Intents.NONE) -> None:
        kept.append((name, copy.deepcopy(payload)))
        dispatch(name, payload, intent)

    monkeypatch.setattr(hub, "dispatch", keep)
    yield kept
    guild.sandbox.gateway._hub.dispatch = dispatch  # type: ignore[method-assign]  # so that the end is not kept


async def _make_traffic(guild: DiscordFixture) -> None:
    """Ask and press as a stranger, and read as an admin: no spoiled frame of these may move money."""
    stranger = guild.sandbox.add_member("Eve")
    summary = await guild.ask()
    await guild.press(summary, "Confirm", by=stranger)
    await guild.answer("!sendref-cashb", by=stranger)
    await guild.answer("!sendref-cashb history")
    guild.sandbox.set_roles(stranger, [])


async def _ask_until_answered(guild: DiscordFixture) -> Message:
    """Ask again if the bot was reconnecting: it never receives messages from that time, as on Discord."""
    while True:
        with anyio.move_on_after(1):
            return await guild.ask()


async def test_spoiled_frames_end_nothing_and_move_no_money(
    guild: DiscordFixture, seen: list[tuple[str, dict[str, Any]]]
) -> None:
    bob = await guild.referrer("Bob", 2500)
    chance = Random(5)
    async with guild.bot():
        await _make_traffic(guild)
        templates = [(name, payload) for name, payload in seen if payload]
        assert {"MESSAGE_CREATE", "INTERACTION_CREATE"} <= {name for name, _ in templates}
        money = guild.ledger.rows("SELECT discord_id, wallet_balance_cents FROM users ORDER BY 1")
        for _ in range(FRAMES):
            name, payload = chance.choice(templates)
            guild.sandbox.gateway._hub.dispatch(name, _spoil(payload, chance), Intents.NONE)
            await guild.sandbox.wait_connected()
        summary = await _ask_until_answered(guild)
        assert summary.embed["title"] == SUMMARY
        assert guild.ledger.rows("SELECT discord_id, wallet_balance_cents FROM users ORDER BY 1") == money
        assert guild.ledger.rows("SELECT count(*) FROM cashback_payout_batches WHERE batch_id IS NOT NULL") == [(0,)]
        await guild.press(summary, "Confirm")
        await guild.audit_entry("$25.00")
    assert guild.ledger.balance(bob.id) == 2500
