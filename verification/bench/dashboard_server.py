"""The dashboard as the bot serves it, on a port of its own, with the runner behind it; and its clients."""

import hashlib
import hmac
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
import anyio

from cashback.background.wakeup import WakeUp
from cashback.dashboard import CountingObserver, Dashboard, Dependencies, Metrics
from cashback.database import Database
from cashback.domain.ports import NullObserver
from cashback.services import Actor, AdminService, Source
from cashback.settings import Settings
from pipeline.runner import Runner
from stages import make_pipeline

ADMIN_ROLE: Final = 700
ADMIN_ID: Final = 10**17 - 1
KEY: Final = "shop"
SHOP: Final = "store"
SHOP_KIND: Final = "shopify"
SECRET: Final = "a-secret-of-the-benchmark-that-is-long-enough"  # noqa: S105 -- nobody else's
ADMIN: Final = Actor(source=Source.DISCORD, user_id=ADMIN_ID, role_ids=frozenset({ADMIN_ROLE}))


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardServer:
    """The open server."""

    service: AdminService
    runner: Runner
    address: str

    async def sign_in(self, client: aiohttp.ClientSession) -> None:
        """Open a session for an admin."""
        async with client.post(await self.service.issue_link(ADMIN), allow_redirects=True) as answer:
            answer.raise_for_status()


async def _roles_of(_user_id: int | None) -> frozenset[int]:
    return frozenset({ADMIN_ROLE})


def free_port() -> int:
    """Find a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _settings(path: Path) -> Settings:
    port = free_port()
    return Settings.model_validate(
        {
            "role_ids": {"admin": ADMIN_ROLE},
            "dashboard": {"enabled": True, "port": port},
            "intake_keys": {KEY: (SECRET,)},
            "shops": {SHOP: {"kind": SHOP_KIND}},
            "shop_secrets": {SHOP: (SECRET,)},
            "email_key": SECRET,
            "database": str(path),
        }
    )


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[DashboardServer]:
    """Serve the dashboard of a ledger inside the block."""
    settings, metrics = _settings(path), Metrics()
    observer = CountingObserver(metrics, NullObserver())
    async with Database(path) as database:
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
            roles_of=_roles_of, is_online=lambda: True, waiting=lambda: runner.unsettled, metrics=metrics
        )
        dashboard = Dashboard(database, service, settings, dependencies)
        async with runner, anyio.create_task_group() as tasks:
            tasks.start_soon(runner.run, name="runner")
            tasks.start_soon(dashboard.run, name="dashboard")
            await dashboard.listening.wait()
            yield DashboardServer(service=service, runner=runner, address=settings.dashboard.address)
            tasks.cancel_scope.cancel()


def signed(value: object) -> tuple[bytes, dict[str, str]]:
    """Build a request to the intake: the body, and the headers that sign it."""
    body, timestamp = json.dumps(value).encode(), str(int(time.time()))
    digest = hmac.new(SECRET.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return body, {
        "Content-Type": "application/json",
        "Cashback-Key": KEY,
        "Cashback-Timestamp": timestamp,
        "Cashback-Signature": f"v1={digest}",
    }
