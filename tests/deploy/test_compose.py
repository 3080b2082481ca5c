"""deploy/compose.yml and what it mounts fit together and fit the program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from cashback import settings
from cli.app import COMMANDS

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
