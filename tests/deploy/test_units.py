"""The units of deploy/systemd/, as systemd reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cli.setup_service import UNIT

SYSTEMD = Path(__file__).parents[2] / "deploy" / "systemd"
PROGRAM = "/opt/cashback/bin/cashback"
ONE_WORD_COMMANDS = {"bot", "backup", "verify"}


def test_units_are_those_that_the_page_names() -> None:
    services = {path.stem for path in SYSTEMD.glob("*.service")}
    timers = {path.stem for path in SYSTEMD.glob("*.timer")}
    assert services == {"cashback", "cashback-backup", "cashback-verify"}
    assert timers == services - {"cashback"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("path", sorted(SYSTEMD.iterdir()), ids=lambda path: path.name)
def test_systemd_finds_nothing_wrong(path: Path, tmp_path: Path) -> None:
    for each in SYSTEMD.iterdir():
        (tmp_path / each.name).write_text(each.read_text(encoding="utf-8").replace(PROGRAM, "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / path.name)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "cashback" in line]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.parametrize("unit", [*sorted(SYSTEMD.glob("*.service")), None], ids=str)
def test_unit_runs_a_command_of_ours_without_rights(unit: Path | None) -> None:
    text = UNIT if unit is None else unit.read_text(encoding="utf-8")
    settings = dict(line.split("=", 1) for line in text.splitlines() if re.match(r"[A-Za-z]+=", line))
    assert settings["ProtectSystem"] == "strict"
    assert settings["NoNewPrivileges"] == "yes"
    assert settings["UMask"] == "0077"
    command = re.search(r"(?:bin/cashback|-m cli) (\w+)", settings["ExecStart"])
    assert command is not None
    assert command[1] in ONE_WORD_COMMANDS


def test_both_units_of_the_bot_restart_in_the_same_cases() -> None:
    names = ("Restart", "RestartPreventExitStatus")
    ours = (SYSTEMD / "cashback.service").read_text(encoding="utf-8")
    for name in names:
        assert re.findall(f"^{name}=.*$", ours, re.MULTILINE) == re.findall(f"^{name}=.*$", UNIT, re.MULTILINE) != []
