"""deploy/compose.yml and what it mounts fit together and fit the program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from aiohttp import ClientSession

from cashback import settings
from cashback.cogs.gateway.setup_assistant import INVITED_WITH
from cli.app import COMMANDS
from sandbox import Sandbox
from tests.deploy.ports import free_port
from tests.postgresql import Server

PATIENCE_SECONDS = 60
DOCKER_COMPOSE = shutil.which("docker-compose")

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yml").read_text(encoding="utf-8"))
GIVEN = {"metrics-token"}
"""Files that whoever installs it writes."""


def test_every_mounted_file_exists() -> None:
    mounts = [volume.split(":")[0] for service in COMPOSE["services"].values() for volume in service.get("volumes", [])]
    files = {mount.removeprefix("./") for mount in mounts if mount.startswith("./")}
    assert files
    assert {name for name in files - GIVEN if not (DEPLOY / name).exists()} == set()
    assert {mount for mount in mounts if not mount.startswith("./")} == set(COMPOSE["volumes"])


def test_services_run_commands_of_the_program_read_only_and_without_rights() -> None:
    ours = [service for service in COMPOSE["services"].values() if service["image"] == "cashback"]
    assert len(ours) == 2
    for service in ours:
        assert set(service.get("command", ["bot"])) <= {name for group in COMMANDS.values() for name in group}
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_configuration_is_one_that_the_program_accepts() -> None:
    path = DEPLOY / "compose-config.json"
    found = settings.load(path, environ={"CASHBACK_DATABASE": "x.db"})
    assert found.dashboard.enabled
    assert found.dashboard.proxies == 1
    ports = {COMPOSE["services"]["proxy"]["environment"]["CASHBACK_UPSTREAM"]}
    assert ports == {f"bot:{found.dashboard.port}"}
    assert json.loads(path.read_text(encoding="utf-8"))["role_ids"] == {"admin": None}


def test_prometheus_reads_the_alerts_and_the_bot() -> None:
    prometheus = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
    assert [(DEPLOY / name).exists() for name in prometheus["rule_files"]] == [True]
    [job] = prometheus["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["bot:8930"]}]


def test_secrets_of_the_example_are_empty_and_known() -> None:
    lines = (DEPLOY / "compose.env.example").read_text(encoding="utf-8").splitlines()
    names = [line.removesuffix("=") for line in lines if not line.startswith("#")]
    assert all(line.startswith("#") or line.endswith("=") for line in lines)
    assert set(names) <= set(settings.SECRETS)


@pytest.mark.skipif(DOCKER_COMPOSE is None, reason="docker-compose is not installed")
def test_docker_compose_accepts_the_file_and_asks_for_the_password(tmp_path: Path) -> None:
    """It checks the file by its schema and needs no Docker for it. Version 1 does not know the project's `name`."""
    described = {key: value for key, value in COMPOSE.items() if key != "name"}
    (tmp_path / "compose.yml").write_text(yaml.safe_dump(described))
    (tmp_path / "compose.env").touch()
    asked = [str(DOCKER_COMPOSE), "--file", "compose.yml", "config"]
    variables = {name: value for name, value in os.environ.items() if name != "POSTGRES_PASSWORD"}
    refused = subprocess.run(asked, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "set it in the environment" in refused.stderr
    accepted = subprocess.run(
        asked,
        cwd=tmp_path,
        env=variables | {"POSTGRES_PASSWORD": "secret"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert accepted.returncode == 0, accepted.stderr
    assert set(yaml.safe_load(accepted.stdout)["services"]) == set(COMPOSE["services"])


@pytest.mark.anyio
async def test_commands_of_the_services_run_together_on_postgresql(tmp_path: Path, postgresql: Server) -> None:
    """The setup, the bot, the worker and the health check by hand, with the volume's folder and PostgreSQL."""
    url = postgresql.create()
    shutil.copyfile(DEPLOY / "compose-config.json", tmp_path / "config.json")
    port = free_port()
    (tmp_path / "config.local.json").write_text(json.dumps({"dashboard": {"port": port}}))
    async with Sandbox(guild_name="Our Town") as sandbox:
        ada = sandbox.add_member("Ada")
        sandbox.invite_bot(INVITED_WITH.value)
        (tmp_path / "token").write_text(sandbox.token)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("CASHBACK_", "DISCORD_"))},
            "PYTHONPATH": str(DEPLOY.parent),
            "DISCORD_API_URL": sandbox.api_url,
            "CASHBACK_DATABASE": url.set(drivername="postgresql").render_as_string(hide_password=False),
        }

        def command(*words: str) -> list[str]:
            return [sys.executable, "-m", "cli", *words]

        await anyio.run_process(command("setup", "--yes", "--token-file", "token"), cwd=tmp_path, env=environment)
        started = []
        async with AsyncExitStack() as stack:
            for name in ("bot", "worker"):
                words = COMPOSE["services"][name].get("command", ["bot"])
                process = await stack.enter_async_context(
                    await anyio.open_process(command(*words), cwd=tmp_path, env=environment, stderr=None, stdout=None)
                )
                stack.callback(process.terminate)
                started.append(process)
            await sandbox.wait_connected(1, PATIENCE_SECONDS)
            [channel] = [each for each in sandbox.state.guild_channels() if each.name == "cashback-audit"]
            said = await sandbox.say(channel.id, ada.id, "!sendref-cashb status")
            await sandbox.wait_for(lambda each: "All Is Well" in each.text, PATIENCE_SECONDS, after=said)
            async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/healthz") as answer:
                assert answer.status == 200
            await anyio.run_process(command("doctor"), cwd=tmp_path, env=environment)
            assert [process.returncode for process in started] == [None, None]
    postgresql.drop(url)
