"""A worker's metrics and health: what it credited itself, and nothing of the ledger's sums."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import aiohttp
import anyio
import pytest

from cashback.settings import Settings
from cli.worker import work_until_signal
from tests.cashback.dashboard.conftest import free_port
from tests.conftest import Clock, LedgerFixture

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Serve on asyncio: the server is aiohttp's."""
    return "asyncio"


async def get(session: aiohttp.ClientSession, address: str) -> tuple[int, str]:
    """Read an address, as soon as it answers."""
    with anyio.fail_after(20):
        while True:
            try:
                async with session.get(address, allow_redirects=False) as answer:
                    return answer.status, await answer.text()
            except aiohttp.ClientConnectionError:
                await anyio.sleep(0.05)


@pytest.mark.about_a_file("the worker opens the ledger by its own settings")
async def test_worker_counts_what_it_credits_and_reports_its_health(ledger: LedgerFixture, clock: Clock) -> None:
    clock.moment = datetime.now(UTC)
    await ledger.earn_all((member, 100) for member in range(1, 41))
    number = await ledger.approved()
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    settings = Settings.model_validate({"database": str(ledger.path)})
    async with aiohttp.ClientSession() as session, anyio.create_task_group() as tasks:
        tasks.start_soon(work_until_signal, settings, port)
        assert await get(session, f"{address}/healthz") == (200, '{"status": "ok"}')
        with anyio.fail_after(20):
            while (await ledger.report(number)).finished_at is None:  # noqa: ASYNC110 -- another process's rows
                await anyio.sleep(0.05)
            text = ""
            while 'runs_total{outcome="completed"} 1.0' not in text:
                text = (await get(session, f"{address}/metrics"))[1]
        assert 'cashback_payouts_settled_total{outcome="credited"} 40.0' in text
        assert 'cashback_healthy{part="Ledger"} 1.0' in text
        assert "cashback_lease_held NaN" in text
        assert "cashback_pending_cents" not in text
        status, ready = await get(session, f"{address}/readyz")
        assert (status, json.loads(ready)["status"]) == (200, "ok")
        for page in ("/batches", "/sign-in", "/api/v1/purchases"):
            assert (await get(session, address + page))[0] in {302, 404}
        tasks.cancel_scope.cancel()
