"""The pages for operators agree with what they describe: alert rules, dependencies, and the units' restarts."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from importlib import metadata
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[1]
INCIDENTS = PROJECT / "docs" / "howto" / "incidents.md"
DEPENDENCIES = PROJECT / "docs" / "reference" / "dependencies.md"
ALERTS = PROJECT / "deploy" / "alerts.yml"


def rules() -> list[str]:
    """Return the names of the alert rules, in their order."""
    return re.findall(r"- alert: (\w+)", ALERTS.read_text(encoding="utf-8"))


def test_each_alert_has_its_section_with_what_to_look_at_and_what_to_do() -> None:
    text = INCIDENTS.read_text(encoding="utf-8")
    sections = re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    assert sorted(name for name, _ in sections) == sorted(rules())
    for name, section in sections:
        assert "\n- Look: " in section, name
        assert "\n- Do: " in section, name


def normal(name: str) -> str:
    """Write a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def listed() -> dict[str, str]:
    """Return the packages on the page, with their versions."""
    rows = re.findall(r"^\| ([\w.-]+) \| ([\d.]+) \|", DEPENDENCIES.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {normal(name): version for name, version in rows}


def declared() -> set[str]:
    """Return the direct dependencies of the program and of its extras for users."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    users = [extras[name] for name in extras if name not in {"dev", "mutants"}]
    lines = [*project["dependencies"], *(line for extra in users for line in extra)]
    names = {normal(re.split(r"[\[<>=;~! ]", line)[0]) for line in lines}
    return names - {normal(project["name"])}


def test_each_direct_dependency_is_listed_and_no_other() -> None:
    assert set(listed()) == declared()


def test_listed_versions_are_those_of_the_locks() -> None:
    locked: dict[str, str] = {}
    for lock in PROJECT.glob("requirements*.lock"):
        found = re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
        locked |= {normal(name): version for name, version in found}
    assert listed() == {name: locked[name] for name in listed()}


def test_each_listed_version_has_the_day_of_its_release() -> None:
    rows = re.findall(
        r"^\| ([\w.-]+) \| [\d.]+ \| (\d{4}-\d\d-\d\d) \|", DEPENDENCIES.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert {normal(name) for name, _ in rows} == set(listed())
    assert all(date(2000, 1, 1) < date.fromisoformat(day) for _, day in rows)


def test_each_listed_package_states_a_licence() -> None:
    for name in listed():
        stated = metadata.metadata(name)
        classifiers = [line for line in stated.get_all("Classifier") or [] if line.startswith("License")]
        assert stated.get_all("License-Expression") or stated.get_all("License") or classifiers, name


def test_audit_job_names_every_lock() -> None:
    job = yaml.safe_load((PROJECT / "deploy" / "dependency-audit.yml").read_text(encoding="utf-8"))
    locks = job["jobs"]["audit"]["strategy"]["matrix"]["versions"]
    assert sorted(locks) == sorted(path.name for path in PROJECT.glob("requirements*.lock"))


@pytest.mark.parametrize("key", ["Restart", "RestartSec", "RestartPreventExitStatus"])
def test_both_sources_of_a_unit_restart_alike(key: str) -> None:
    sources = (PROJECT / "deploy" / "systemd" / "cashback.service", PROJECT / "cli" / "setup_service.py")
    values = [
        re.findall(rf"^{key}=(.*)$", source.read_text(encoding="utf-8"), flags=re.MULTILINE) for source in sources
    ]
    assert values[0] == values[1] != []
