"""Prometheus itself, with deploy/prometheus.yml and the alert rules, scrapes the dashboard with the token."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from aiohttp import ClientConnectionError, ClientSession

from tests.deploy.ports import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = shutil.which("prometheus")
TOKEN = "a-token-of-the-metrics"  # noqa: S105 -- a test's
PATIENCE_SECONDS = 120

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.proof,
    pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed"),
]


@asynccontextmanager
async def running(*command: str, folder: Path, **variables: str) -> AsyncIterator[None]:
    """Run a process inside the block."""
    environment = {**os.environ, "PYTHONPATH": str(DEPLOY.parent), **variables}
    async with await anyio.open_process(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield
        finally:
            process.terminate()


@asynccontextmanager
async def prometheus(folder: Path, target: int, token: str) -> AsyncIterator[Callable[[str], Any]]:
    """Run Prometheus with our files, on a port of the test; yield the function that asks its API."""
    (folder / "metrics-token").write_text(token)
    described = (DEPLOY / "prometheus.yml").read_text(encoding="utf-8")
    described = described.replace("/etc/prometheus/metrics-token", str(folder / "metrics-token"))
    described = described.replace("bot:8930", f"127.0.0.1:{target}").replace("15s", "5s")
    (folder / "prometheus.yml").write_text(described)
    shutil.copyfile(DEPLOY / "alerts.yml", folder / "alerts.yml")
    address = f"127.0.0.1:{free_port()}"

    async def ask(path: str) -> Any:  # noqa: ANN401 -- whatever JSON holds
        async with ClientSession() as client, client.get(f"http://{address}/api/v1/{path}") as answered:
            return json.loads(await answered.text())["data"]

    options = (f"--web.listen-address={address}", "--config.file=prometheus.yml", "--storage.tsdb.path=data")
    async with running(str(PROMETHEUS), *options, folder=folder):
        yield ask


async def scraped(ask: Callable[[str], Any], health: str, error: str) -> None:
    """Wait until Prometheus has asked its one target with this outcome."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while True:
            with suppress(ClientConnectionError, ValueError):
                targets = (await ask("targets"))["activeTargets"]
                if [(each["health"], error in each["lastError"]) for each in targets] == [(health, True)]:
                    return
            await anyio.sleep(0.1)


async def test_prometheus_scrapes_with_the_token_only_and_loads_every_alert(tmp_path: Path) -> None:
    port = free_port()
    command = (sys.executable, "-m", "cli", "dashboard", "--port", str(port))
    environment = {**os.environ, "PYTHONPATH": str(DEPLOY.parent)}
    await anyio.run_process([*command[:3], "migrate"], cwd=tmp_path, env=environment)
    async with running(*command, folder=tmp_path, CASHBACK_METRICS_TOKEN=TOKEN):
        async with prometheus(tmp_path, port, TOKEN) as ask:
            await scraped(ask, "up", "")
            assert (await ask("query?query=cashback_build_info"))["result"] != []
            rules = [rule for group in (await ask("rules"))["groups"] for rule in group["rules"]]
        ours = yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf-8"))["groups"]
        assert [rule["name"] for rule in rules] == [rule["alert"] for group in ours for rule in group["rules"]]
        async with prometheus(tmp_path, port, "another token") as ask:
            await scraped(ask, "down", "403")
