"""Without a ledger, a command that does not create one reports it in a line, and leaves the folder as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from cli import app
from tests.cli.conftest import Cashback

CREATE_THE_LEDGER = {"migrate", "import", "purchase", "blacklist", "seed", "setup", "bot", "worker"}
HAVE_NO_LEDGER = {"demo"}
NAME_THEIR_OWN = {"move", "restore"}
WHAT_ELSE_IT_NEEDS = {"pay": ["--yes"], "reverse": ["--yes"], "export": ["1"]}
ACTIONS = {"shop": "deliveries"}
"""Commands whose first word is one of a few."""
OTHER_FORMS = [
    ["pay", "--dry-run"],
    ["pending", "--user", "5"],
    ["resume", "1"],
    ["schedule", "pause"],
    ["schedule", "resume"],
    ["schedule", "skip"],
    ["verify", "--batch", "1"],
    ["verify", "--head", "a" * 64],
]


def commands() -> Iterator[list[str]]:
    """Make a command line of each of the program's commands: "1" is an id, a name and a reason."""
    for name, command in typer.main.get_group(app.app).commands.items():
        if name in CREATE_THE_LEDGER | HAVE_NO_LEDGER | NAME_THEIR_OWN:
            continue
        line = [name, *WHAT_ELSE_IT_NEEDS.get(name, [])]
        for parameter in command.params:
            if parameter.required:
                line += (
                    [ACTIONS.get(name, "1")] if parameter.param_type_name == "argument" else [parameter.opts[0], "1"]
                )
        yield line
        if any("--json" in parameter.opts for parameter in command.params):
            yield [*line, "--json"]


def state_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("content", [None, b""], ids=["missing", "empty"])
@pytest.mark.parametrize("command", [*commands(), *OTHER_FORMS], ids=" ".join)
def test_command_on_an_absent_ledger_says_so_and_creates_nothing(
    cashback: Cashback, folder: Path, command: list[str], content: bytes | None
) -> None:
    if content is not None:
        (folder / "cashback.db").write_bytes(content)
    before = state_of(folder)
    answer = cashback(*command)
    assert answer.code == 1
    assert answer.error
    said = answer.out if command[0] == "doctor" else answer.error
    assert "cashback.db does not exist" in said or (content is not None and "cashback.db is empty" in said)
    if command[0] != "doctor":
        assert answer.out == ""
    assert state_of(folder) == before


def test_doctor_without_a_ledger_examines_the_rest(cashback: Cashback) -> None:
    checks = cashback("doctor", "--json").json["checks"]
    assert [check["name"] for check in checks] == ["database", "token"]


@pytest.mark.parametrize(
    "command",
    [
        ["migrate"],
        ["purchase", "A-1", "100000000000000005", "1.00"],
        ["blacklist", "5"],
        ["schedule", "--reload"],
    ],
    ids=" ".join,
)
def test_command_that_creates_the_ledger_still_does(cashback: Cashback, folder: Path, command: list[str]) -> None:
    assert cashback(*command).code == 0
    assert (folder / "cashback.db").exists()
    assert cashback("verify").code == 0


@pytest.mark.parametrize("content", [None, b""], ids=["missing", "empty"])
def test_move_from_an_absent_ledger_creates_nothing(cashback: Cashback, folder: Path, content: bytes | None) -> None:
    if content is not None:
        (folder / "old.db").write_bytes(content)
    before = state_of(folder)
    answer = cashback("move", "--from", "old.db", "--to", "new.db")
    assert (answer.code, answer.out) == (1, "")
    assert answer.error.startswith("Database old.db ")
    assert state_of(folder) == before
