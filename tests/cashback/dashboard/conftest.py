"""A dashboard on a real port with the real service, runner and stages, and browsers for it."""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import aiohttp
import anyio
import pytest

from cashback.background.wakeup import WakeUp
from cashback.dashboard import CountingObserver, Dashboard, Dependencies, Metrics
from cashback.database import Database
from cashback.domain.errors import RolesUnknownError
from cashback.domain.ports import NullObserver
from cashback.services import Actor, AdminService, Source
from cashback.settings import Settings
from pipeline.runner import Runner
from stages import make_pipeline
from tests.conftest import LedgerFixture

ADMIN_ROLE = 700
VIEWER_ROLE = 701
ADA = 100_000_000_000_000_001
VERA = 100_000_000_000_000_002
STRANGER = 100_000_000_000_000_003
SECRET = "a-secret-of-the-shop-that-is-long-enough"  # noqa: S105 -- a test's own
DECISIONS = r"/batches/\d+/(confirm|cancel|stop|resume|retry|give-up)"
WITHDRAWALS = r"/withdrawals/(\d+)/(?:approve|paid|decline)"
OLD_SECRET = "the-secret-that-the-shop-had-before-that"  # noqa: S105 -- a test's own


def free_port() -> int:
    """Find a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Guild:
    """The members' roles, which tests change. If `is_away` is set, Discord does not answer."""

    roles: dict[int, frozenset[int]] = field(
        default_factory=lambda: {ADA: frozenset({ADMIN_ROLE}), VERA: frozenset({VIEWER_ROLE})}
    )
    is_away: bool = False

    async def of(self, user_id: int | None) -> frozenset[int]:
        """Return a member's roles."""
        if self.is_away:
            raise RolesUnknownError
        return frozenset() if user_id is None else self.roles.get(user_id, frozenset())


def signed(body: bytes, *, at: datetime, key: str = "shop", secret: str = SECRET) -> dict[str, str]:
    """Make the headers of a request to the intake, as a shop does."""
    timestamp = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "Cashback-Key": key,
        "Cashback-Timestamp": timestamp,
        "Cashback-Signature": f"v1={digest}",
    }


class Browser:
    """An HTTP client with a cookie jar that does not follow redirects."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self.session = session
        self.address = address

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Load a page."""
        async with self.session.get(self.address + path, allow_redirects=False, headers=headers) as answer:
            return answer.status, await answer.text()

    async def form_token(self) -> str:
        """Read the token of the session's forms."""
        _, text = await self.get("/")
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', text)
        return found[1] if found else ""

    async def batch_token(self, path: str) -> str:
        """Read the batch's token from the forms of its page."""
        _, text = await self.get(path)
        found = re.search(r'name="batch_token" value="([0-9a-f]+)"', text)
        return found[1] if found else ""

    async def withdrawal_version(self, number: int) -> str:
        """Read the version of an open withdrawal from its forms, or return an empty text."""
        _, text = await self.get("/withdrawals")
        found = re.search(rf'action="/withdrawals/{number}/.*?name="version" value="([^"]+)"', text)
        return found[1] if found else ""

    async def post(self, path: str, *, csrf: str | None = None, **fields: str) -> tuple[int, str]:
        """Send a form, with the session's token or another; return the status, and the location or the text.

        A decision on a batch or a withdrawal carries the token of what its page shows.
        """
        if found := re.fullmatch(WITHDRAWALS, path):
            fields.setdefault("version", await self.withdrawal_version(int(found[1])))
        if re.fullmatch(DECISIONS, path):
            fields.setdefault("batch_token", await self.batch_token(path.rpartition("/")[0]))
        fields["form_token"] = await self.form_token() if csrf is None else csrf
        async with self.session.post(self.address + path, data=fields, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location") or await answer.text()


@dataclass
class DashboardFixture:
    """A served dashboard and the parts behind it."""

    dashboard: Dashboard
    service: AdminService
    runner: Runner
    settings: Settings
    guild: Guild
    ledger: LedgerFixture

    @property
    def address(self) -> str:
        """Return its address."""
        return self.settings.dashboard.address

    async def link(self, user_id: int) -> str:
        """Issue a link as the bot does when a member asks."""
        actor = Actor(source=Source.DISCORD, user_id=user_id, role_ids=self.guild.roles[user_id])
        return await self.service.issue_link(actor)

    @asynccontextmanager
    async def stranger(self) -> AsyncIterator[Browser]:
        """Open a browser that is not signed in."""
        # By default a cookie jar ignores servers that are addressed by IP.
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            yield Browser(session, self.address)

    @asynccontextmanager
    async def signed_in(self, user_id: int = ADA) -> AsyncIterator[Browser]:
        """Open a browser and sign in."""
        async with self.stranger() as browser:
            link = await self.link(user_id)
            assert await browser.post(link.removeprefix(self.address), csrf="") == (303, "/")
            yield browser

    def audit(self) -> list[tuple[str, str]]:
        """List the actors and actions of the audit log."""
        return [
            (actor, action)
            for actor, action in self.ledger.rows("SELECT actor, action FROM cashback_audit_log ORDER BY id")
        ]


def dashboard_settings(path: Path, **referral: object) -> Settings:
    """Configure a dashboard on a free port with a shop's key."""
    return Settings.model_validate(
        {
            "role_ids": {"admin": ADMIN_ROLE, "dashboard_viewer": VIEWER_ROLE},
            "referral_settings": referral,
            "dashboard": {"enabled": True, "port": free_port()},
            "intake_keys": {"shop": (SECRET, OLD_SECRET)},
            "database": str(path),
        }
    )


@asynccontextmanager
async def serving(
    database: Database, settings: Settings, guild: Guild, ledger: LedgerFixture
) -> AsyncIterator[DashboardFixture]:
    """Serve a dashboard inside the block."""
    metrics = Metrics(settings.intake_keys)
    observer = CountingObserver(metrics, NullObserver())
    make = partial(
        make_pipeline,
        database=database,
        observer=observer,
        outbox_changed=WakeUp(),
        chunk_size=settings.referral_settings.chunk_size,
    )
    runner = Runner(make, observer)
    service = AdminService(database, settings, runner.submit)
    await service.open_schedule()
    dependencies = Dependencies(
        roles_of=guild.of,
        is_online=lambda: not guild.is_away,
        waiting=lambda: runner.unsettled,
        metrics=metrics,
    )
    dashboard = Dashboard(database, service, settings, dependencies)
    async with runner, anyio.create_task_group() as tasks:
        tasks.start_soon(runner.run, name="runner")
        tasks.start_soon(dashboard.run, name="dashboard")
        with anyio.fail_after(10):
            await dashboard.listening.wait()
        yield DashboardFixture(dashboard, service, runner, settings, guild, ledger)
        tasks.cancel_scope.cancel()


@pytest.fixture
def guild() -> Guild:
    """Return a guild with an admin and a viewer."""
    return Guild()


@pytest.fixture
async def site(ledger: LedgerFixture, guild: Guild) -> AsyncIterator[DashboardFixture]:
    """Serve a dashboard on a new ledger."""
    async with serving(ledger.database, dashboard_settings(ledger.path), guild, ledger) as served:
        yield served
