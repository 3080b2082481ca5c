"""Two live bots with one token, of which one cannot reach the ledger: each command still has one answer and one effect.

Both orders are tried: the refusal of the one bot reaches Discord before the answer of the other, and after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Concatenate, ParamSpec, TypeVar

import anyio
import pytest
from sqlalchemy import Connection

from cashback.database.claims import claim
from cashback.domain.errors import DatabaseUnavailableError
from sandbox import Member
from tests.conftest import Clock
from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture, until
from tests.end_to_end.test_each_command_once import (
    ADMINS,
    MEMBERS,
    Case,
    Scene,
    Watched,
    both_deferred,
    complaints,
    in_the_picker,
    two_bots,
)

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

P = ParamSpec("P")
T = TypeVar("T")
GONE = "The ledger is gone."
PATIENCE_SECONDS = 120
"""A chart is drawn by a process of its own, which takes long on a busy machine."""


class Slow(Watched):
    """A ledger that decides a claim once the other bot has refused the command."""

    async def write(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Write; a claim waits."""
        if function is claim:
            await until(lambda: self.scene.answers(int(str(args[0]))), PATIENCE_SECONDS)
        return await super().write(function, *args, **kwargs)


class Gone(Watched):
    """A ledger that cannot be reached for claims."""

    async def write(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Write, but no claim."""
        if function is claim:
            raise DatabaseUnavailableError(GONE)
        return await super().write(function, *args, **kwargs)


class GoneAfterwards(Gone):
    """A ledger that cannot be reached for claims; that is noticed once the other bot has answered."""

    async def write(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Write, but no claim."""
        if function is claim:
            await until(lambda: self.scene.answers(int(str(args[0]))), PATIENCE_SECONDS)
        return await super().write(function, *args, **kwargs)


ORDERS = pytest.mark.parametrize("ledgers", [(Slow, Gone), (Watched, GoneAfterwards)], ids=["before", "after"])


def attempts(scene: Scene) -> int:
    """Count how often the bots have tried to write in the admins' channel."""
    path = f"/channels/{scene.guild.channel.id}/messages"
    return sum(each.method == "POST" and each.path.endswith(path) for each in scene.guild.sandbox.requests)


async def typed(scene: Scene, name: str, case: Case) -> None:
    """Type a command after the prefix: the answer is that of the bot which did it."""
    prepare, expected = case
    words = [name, *map(str, (await prepare(scene)).values())]
    before, attempts_before = scene.effects(), attempts(scene)
    said = await scene.guild.say(f"!{' '.join(words)}")
    await until(lambda: attempts(scene) == attempts_before + 2, PATIENCE_SECONDS)
    await until(lambda: all(GONE not in each.text for each in scene.answers(said.id)))
    assert len(scene.answers(said.id)) == 1, [each.text for each in scene.answers(said.id)]
    assert scene.effects() == before + expected, scene.answers(said.id)[0].text


async def chosen(scene: Scene, name: str, case: Case, who: Member) -> None:
    """Use a slash command: Discord takes the answer that comes first, and a refused command is not done."""
    prepare, expected = case
    options = await prepare(scene)
    before = scene.effects()
    asked = await scene.guild.sandbox.slash(scene.guild.channel.id, who.id, name, options)
    answer = await asked.replied(PATIENCE_SECONDS)
    await until(lambda: asked.refused == 1, PATIENCE_SECONDS)
    assert scene.answers(asked.id) == [answer]
    assert answer is not None
    assert scene.effects() == before + ([] if GONE in answer.text else expected)


@ORDERS
async def test_typed_command_that_one_bot_refuses_has_the_others_answer(
    guild: DiscordFixture, clock: Clock, caplog: pytest.LogCaptureFixture, ledgers: tuple[type[Watched], type[Watched]]
) -> None:
    async with two_bots(guild, clock, ledgers) as scene:
        began_at = (await guild.say("good morning")).id
        for name, case in ADMINS.items():
            await typed(scene, name, case)
        assert len(scene.answers(began_at)) == len(ADMINS)
    assert complaints(caplog) == []


@ORDERS
async def test_slash_command_that_one_bot_refuses_is_either_refused_or_done(
    guild: DiscordFixture, clock: Clock, caplog: pytest.LogCaptureFixture, ledgers: tuple[type[Watched], type[Watched]]
) -> None:
    async with two_bots(guild, clock, ledgers) as scene:
        began_at = (await guild.say("good morning")).id
        for name, case in in_the_picker().items():
            await chosen(scene, name, case, guild.admin)
        bob = guild.sandbox.add_member("Bob")
        for name, case in MEMBERS.items():
            await chosen(scene, name, case, bob)
        assert len(scene.answers(began_at)) == len(in_the_picker()) + len(MEMBERS)
    assert complaints(caplog) == []


class GoneSlowly(Watched):
    """A ledger that cannot be reached for claims; it takes until the test opens the gate to find out."""

    gate: ClassVar[anyio.Event]

    async def write(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Write, but no claim."""
        if function is claim:
            await self.gate.wait()
            self.scene.claims[int(str(args[0]))] += 1
            raise DatabaseUnavailableError(GONE)
        return await super().write(function, *args, **kwargs)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("name", ["sendref-cashb pay", "cashback show"])
async def test_deferred_slash_command_that_both_bots_refuse_has_one_refusal(
    guild: DiscordFixture, clock: Clock, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    GoneSlowly.gate = anyio.Event()
    async with two_bots(guild, clock, (GoneSlowly, GoneSlowly)) as scene:
        asked = await guild.sandbox.slash(guild.channel.id, guild.admin.id, name)
        await both_deferred(asked)
        GoneSlowly.gate.set()
        answer = await asked.replied()
        await scene.decided(asked.id)
    assert answer is not None
    assert GONE in answer.text
    assert (asked.followups, scene.answers(asked.id)) == ([], [answer])
    assert complaints(caplog) == []
