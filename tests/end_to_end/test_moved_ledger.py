"""A ledger that was moved while a bot has it open: each command and each press is refused in one line.

The lists of commands and buttons are the bot's own: a new one is tried here without a change.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from cashback.database import closed_ledger
from sandbox import Message
from tests.conftest import Clock, everything_in
from tests.end_to_end.conftest import DiscordFixture, until
from tests.end_to_end.test_each_command_once import (
    ADMINS,
    MEMBERS,
    PRESSES,
    complaints,
    in_the_picker,
    pressed,
    two_bots,
)

pytestmark = pytest.mark.anyio
NEW = Path("/srv/new.db")


async def close(guild: DiscordFixture) -> None:
    """Close the ledger as `cashback move` does."""

    def close_it(connection: Connection) -> None:
        closed_ledger.close(connection, NEW, guild.clock())

    await guild.ledger.database.write(close_it)


def require_refusal(name: str, answers: list[Message]) -> None:
    """Require one line that names the new ledger."""
    assert len(answers) == 1, (name, [each.text for each in answers])
    assert f"his ledger was moved to {NEW} on " in answers[0].text, name
    assert "\n" not in answers[0].text, name


async def test_every_command_and_press_is_refused_by_a_moved_ledger(
    guild: DiscordFixture, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with two_bots(guild, clock) as scene:
        bob = guild.sandbox.add_member("Bob")
        typed = {name: [*map(str, (await prepare(scene)).values())] for name, (prepare, _) in ADMINS.items()}
        chosen = {name: (guild.admin, await prepare(scene)) for name, (prepare, _) in in_the_picker().items()}
        chosen |= {name: (bob, await prepare(scene)) for name, (prepare, _) in MEMBERS.items()}
        items: list[Any] = [await make(scene) for make, _ in PRESSES.values()]
        await close(guild)
        before = everything_in(guild.ledger.path)
        for name, words in typed.items():
            said = await guild.say(f"!{name} {' '.join(words)}")
            await until(partial(scene.answers, said.id))
            require_refusal(name, scene.answers(said.id))
        for name, (who, options) in chosen.items():
            asked = await guild.sandbox.slash(guild.channel.id, who.id, name, options)
            answer = await asked.replied()
            require_refusal(name, [answer] if answer else [])
        for item in items:
            press = await pressed(guild, item)
            answer = await press.replied()
            require_refusal(item.custom_id, [answer] if answer else [])
        assert everything_in(guild.ledger.path) == before
    assert everything_in(guild.ledger.path) == before
    assert complaints(caplog) == []
