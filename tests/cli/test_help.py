"""The help of `cashback`, and words that a command does not understand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.app import COMMANDS
from cli.command_group import module_name
from tests.cli.conftest import Cashback
from tests.cli.test_pay import LARGEST, balances

ROOT = Path(__file__).parents[2]
SUMMARIES = {name: summary for commands in COMMANDS.values() for name, summary in commands.items()}
EVERY_COMMAND = sorted(SUMMARIES)


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_command_has_a_file_of_its_own_name(name: str) -> None:
    assert (ROOT / "cli" / f"{module_name(name)}.py").is_file()
    assert module_name(name).removesuffix("_") == name


def test_bare_cashback_shows_the_first_steps_and_every_command(cashback: Cashback) -> None:
    answer = cashback()
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == cashback("--help").out
    first = answer.out.index("cashback demo")
    assert first < answer.out.index("\nOptions:") < answer.out.index("\nStart here:\n  demo ")
    for heading, commands in COMMANDS.items():
        section = answer.out.split(f"\n{heading}:\n")[1].split("\n\n")[0]
        for name in commands:
            assert re.search(rf"^  {name} ", section, re.MULTILINE), name


@pytest.mark.parametrize("columns", [20, 44, 60, 80, 132, 400])
@pytest.mark.parametrize("command", [[], ["pay"], ["export"], ["import"]], ids=["general", "pay", "export", "import"])
def test_help_wraps_and_is_never_cut(
    cashback: Cashback, monkeypatch: pytest.MonkeyPatch, columns: int, command: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    answer = cashback(*command, "--help")
    assert answer.code == 0
    assert max(map(len, answer.out.splitlines())) <= max(columns, 40)
    assert "..." not in answer.out.replace("[ARGS]...", "")
    words = " ".join(answer.out.split())
    for summary in [SUMMARIES[command[0]]] if command else SUMMARIES.values():
        assert summary in words


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_word_that_a_command_does_not_understand_is_refused_by_its_own_help(seeded: Cashback, name: str) -> None:
    answer = seeded(name, "--nonsense")
    assert (answer.code, answer.out) == (2, "")
    assert answer.error.endswith(f"See `cashback {name} --help`.")
    too_many = seeded(name, *["5"] * 4)
    assert (too_many.code in {1, 2}, too_many.out) == (True, "")
    assert too_many.error


@pytest.mark.parametrize(
    "name", ["pending", "history", "failures", "stats", "verify", "doctor", "pay", "migrate", "seed"]
)
def test_extra_word_is_refused_by_commands_that_only_read_too(seeded: Cashback, name: str) -> None:
    answer = seeded(name, "nonsense")
    assert (answer.code, answer.out) == (2, "")
    assert "(nonsense)" in answer.error
    assert answer.error.endswith(f"See `cashback {name} --help`.")


def test_options_that_cannot_be_combined_name_the_commands_help(seeded: Cashback) -> None:
    for command in (["pay", "--json"], ["export"], ["import"], ["seed", "--referrals", "4"]):
        answer = seeded(*command)
        assert answer.code == 2
        assert answer.error.endswith(f"See `cashback {command[0]} --help`.")


def test_unknown_command_suggests_the_nearest(cashback: Cashback) -> None:
    assert cashback("pendng").error == "No such command 'pendng'. Did you mean 'pending'? See `cashback --help`."


@pytest.mark.parametrize("dash", ["—", "–", "―", "−", "-–", "—-"])
def test_dash_of_a_phone_is_read_as_two_hyphens(seeded: Cashback, dash: str) -> None:
    preview = seeded("pay", f"{dash}only", LARGEST, f"{dash}dry-run", f"{dash}json")
    assert (preview.code, preview.json["total_cents"]) == (0, 2_500)
    assert seeded(f"{dash}database=cashback.db", "pending", f"{dash}limit=3", f"{dash}json").code == 0
    assert "Usage: cashback pay" in seeded("pay", f"{dash}help").out
    refused = seeded("pay", f"{dash}onyl", LARGEST, "--yes")
    assert (refused.code, balances()) == (2, 0)


def test_reason_keeps_its_dashes(seeded: Cashback) -> None:
    assert seeded("schedule", "pause", "--reason", "—counting—").code == 0
    assert seeded("schedule", "--json").json["paused_reason"] == "—counting—"


def test_former_name_of_abandon_is_accepted_with_a_warning(seeded: Cashback) -> None:
    answer = seeded("give-up", 77)
    assert answer.code == 1
    warning, error = answer.err.splitlines()
    assert warning == "warning: `cashback give-up` is called `cashback abandon` now."
    assert error.startswith("error: There is no batch")
    assert "give-up" not in seeded("--help").out


@pytest.mark.parametrize(
    ("typed", "cents"),
    [
        ("$12.50", 1_250),
        ("1,250.00", 125_000),
        ("$1,250", 125_000),
        ("$ 7", 700),
        ("12.50 USD", 1_250),
        ("US$12.50", 1_250),
        ("USD 1,250", 125_000),
        (" 12.5 ", 1_250),
        ("10,000,000", 10**9),
    ],
)
def test_amount_may_be_typed_as_people_write_it(seeded: Cashback, typed: str, cents: int) -> None:
    assert seeded("purchase", "A-1", "100000000000000005", typed, "--json").json["amount_cents"] == cents


@pytest.mark.parametrize(
    "typed",
    ["1.250,00", "1,25", "12,5", "1,2,3", "1.250.000", "0,250", "1,2500", "12,345,67", "$1,25", "1,250,00", "1'250.00"],
)
def test_ambiguous_amount_is_refused_in_one_line(seeded: Cashback, typed: str) -> None:
    answer = seeded("purchase", "A-1", "100000000000000005", typed)
    assert (answer.code, answer.out) == (1, "")
    assert answer.error.startswith(f'amount "{typed}" is not' if "'" in typed else f"amount '{typed}' is not")


def test_help_and_version_import_no_library(folder: Path) -> None:
    script = (
        "import sys; from cli import app; code = app.run(sys.argv[1:]);"
        "slow = {'sqlalchemy', 'rich', 'anyio', 'pydantic', 'discord'} & set(sys.modules);"
        "sys.exit(f'imported {slow}' if slow else code)"
    )
    for arguments in ([], ["--help"], ["--version"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "cashback" in done.stdout
