"""Every setting does what docs/reference/configuration.md promises: from config.json to what people see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import discord
import pytest
from pydantic import BaseModel

from cashback.settings import _FROM_ENVIRONMENT, Settings
from sandbox import Sandbox
from tests.conftest import Clock, LedgerFixture, OpenDatabase
from tests.settings import (
    batch_cases,
    dashboard_cases,
    discord_cases,
    money_cases,
    process_cases,
    schedule_cases,
    shop_cases,
    withdrawal_cases,
)
from tests.settings.world import CASES, Case, World, file_with, past

pytestmark = pytest.mark.anyio

assert all(
    (
        batch_cases,
        dashboard_cases,
        discord_cases,
        money_cases,
        process_cases,
        schedule_cases,
        shop_cases,
        withdrawal_cases,
    )
)


def keys_of(model: type[BaseModel], prefix: str = "") -> list[str]:
    """List the settings of a model and of its sections."""
    found = []
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            found += keys_of(section, f"{prefix}{name}.")
        elif prefix or name not in _FROM_ENVIRONMENT:
            found.append(f"{prefix}{name}")
    return found


def test_every_setting_has_a_case() -> None:
    assert sorted({case.key for case in CASES}) == sorted(keys_of(Settings))
    for case in CASES:
        assert len({repr(outcome) for _value, outcome in case.expected}) > 1, f"{case.key}: each value does the same"


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    """Serve a local Discord."""
    monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
    monkeypatch.setattr("cashback.cogs.gateway.client.IDENTIFY_SECONDS", 0.01)
    default = discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY
    monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", default)
    async with Sandbox() as server:
        yield server


@pytest.fixture
async def world(
    sandbox: Sandbox, tmp_path: Path, open_database: OpenDatabase, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """Open a ledger that is as old as its clock."""
    async with open_database() as database, AsyncExitStack() as closing:
        yield World(
            folder=tmp_path,
            sandbox=sandbox,
            monkeypatch=monkeypatch,
            settings=Settings(),
            clock=clock,
            ledger=LedgerFixture(database, clock),
            closing=closing,
        )


@pytest.fixture
def clock() -> Clock:
    """Return a clock at the ledger's beginning."""
    return past()


EACH = [(case, value, outcome) for case in CASES for value, outcome in case.expected]


@pytest.mark.parametrize(
    ("case", "value", "outcome"), EACH, ids=[f"{case.key}={value}" for case, value, _outcome in EACH]
)
async def test_setting_does_what_the_docs_say(world: World, case: Case, value: object, outcome: object) -> None:
    world.configure(file_with(case, value, world))
    assert await case.act(world) == outcome
