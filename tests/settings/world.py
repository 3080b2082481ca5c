"""What a case of a setting works with: a config.json, a ledger whose past is written first, and a local Discord."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from cryptography.fernet import Fernet

import bot
from cashback.database import Database
from cashback.extension.wiring import Services
from cashback.services import Actor, Source
from cashback.settings import Settings
from cli.context import Place
from sandbox import Channel, Role, Sandbox
from tests.cashback.dashboard.conftest import free_port
from tests.conftest import Clock, LedgerFixture

DAYS_BEFORE = 30


@dataclass
class World:
    """One case with one value: `settings` are those of the file, `ledger` one that is 30 days old."""

    folder: Path
    sandbox: Sandbox
    monkeypatch: pytest.MonkeyPatch
    settings: Settings
    clock: Clock
    ledger: LedgerFixture
    closing: AsyncExitStack
    roles: dict[str, Role] = field(default_factory=dict)
    ports: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        """Add what a file of settings may name."""
        self.roles = {name: self.sandbox.add_role(name) for name in ("admins", "viewers", "others")}
        self.audit: Channel = self.sandbox.add_channel("audit")
        self.ports = (free_port(), free_port())

    @property
    def admin(self) -> Actor:
        """Return an admin."""
        return Actor(source=Source.DISCORD, user_id=7, role_ids=frozenset({self.roles["admins"].id}))

    @property
    def config(self) -> Path:
        """Return the file with the settings."""
        return self.folder / "config.json"

    @property
    def database(self) -> Database:
        """Return the ledger."""
        return self.ledger.database

    @property
    def place(self) -> Place:
        """Return what the command line makes of its options."""
        return Place(config=self.config, database=str(self.ledger.path))

    def arguments(self, *words: object) -> list[str]:
        """Return a command of the command line on this ledger, with this file."""
        return ["--config", str(self.config), "--database", str(self.ledger.path), *map(str, words)]

    def configure(self, content: dict[str, Any]) -> None:
        """Write the file, and load it as every program does."""
        self.config.write_text(json.dumps(content))
        self.monkeypatch.setenv("DISCORD_TOKEN", self.sandbox.token)
        self.monkeypatch.setenv("DISCORD_API_URL", self.sandbox.api_url)
        self.monkeypatch.setenv("CASHBACK_WITHDRAWAL_KEYS", Fernet.generate_key().decode())
        self.monkeypatch.setenv("CASHBACK_SHOP_STORE", "the-secret-of-this-shop")
        self.monkeypatch.setenv("CASHBACK_EMAIL_KEY", "k" * 32)
        self.settings = self.place.settings()

    async def services(self) -> Services:
        """Wire the bot, without its connection."""
        services = Services.build(bot.make_client(self.settings), self.settings, self.database)
        return await self.closing.enter_async_context(closed_at_the_end(services))

    def to_now(self) -> None:
        """Move the ledger's clock to the present, as the command line sees it."""
        self.clock.moment = datetime.now(UTC)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the bot inside the block."""
        stop = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bot.serve, self.settings, self.database, stop, name="bot")
            await self.sandbox.wait_connected()
            yield
            stop.set()


@asynccontextmanager
async def closed_at_the_end(services: Services) -> AsyncIterator[Services]:
    """Close the services' runner and client after the block."""
    async with services.runner, services.client:
        yield services


Act = Callable[[World], Awaitable[object]]


@dataclass(frozen=True)
class Case:
    """A setting at two values or more, and what is seen with each."""

    key: str
    expected: tuple[tuple[Any, object], ...]
    act: Act
    given: dict[str, Any]
    beside: dict[str, Any]
    sections: dict[str, Any]


CASES: list[Case] = []


def setting(
    key: str,
    *expected: tuple[Any, object],
    beside: dict[str, Any] | None = None,
    sections: dict[str, Any] | None = None,
    **given: Any,  # noqa: ANN401 -- as in JSON
) -> Callable[[Act], Act]:
    """Register a case.

    `given` are other settings of `referral_settings`, `beside` those of the key's section, `sections` further ones.
    """

    def register(act: Act) -> Act:
        CASES.append(
            Case(key=key, expected=expected, act=act, given=given, beside=beside or {}, sections=sections or {})
        )
        return act

    return register


def file_with(case: Case, value: Any, world: World) -> dict[str, Any]:  # noqa: ANN401 -- as in JSON
    """Return the content of a file with one setting at this value. What has an id only now is named in the case."""
    named: dict[Any, int] = {
        "guild": world.sandbox.guild_id,
        "audit": world.audit.id,
        "first port": world.ports[0],
        "second port": world.ports[1],
        **{name: role.id for name, role in world.roles.items()},
    }
    content: dict[str, Any] = {
        "guild_ids": [world.sandbox.guild_id],
        "role_ids": {"admin": world.roles["admins"].id},
        "logging_channels": {},
        "referral_settings": {"dm_per_second": 50, "notice_hours": 0, **case.given},
        "dashboard": {"port": world.ports[0]},
        **case.sections,
    }
    *sections, name = case.key.split(".")
    part = content
    for section in sections:
        part = part.setdefault(section, {})
    part.update(case.beside)
    part[name] = [named.get(each, each) for each in value] if isinstance(value, list) else value
    if isinstance(value, str):
        part[name] = named.get(value, value)
    return content


def past() -> Clock:
    """Return a clock at the ledger's beginning."""
    return Clock(datetime.now(UTC) - timedelta(days=DAYS_BEFORE))
