"""What the bot imports at its start: what only some configurations need stays out of its memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cashback.early_start import starts_bot

ONLY_IF_NEEDED = {
    "babel",
    "cashback.dashboard",
    "jinja2",
    "matplotlib",
    "prometheus_client",
    "rich",
    "sqlalchemy.dialects.postgresql",
}


COLLECTOR = """
import sys
sys.argv = ["cashback", "bot"]
import bot, gc
from cashback.settings import Settings
is_on = gc.isenabled()
code = bot.main(Settings())
print(is_on, code == bot.CONFIGURATION_WRONG, gc.isenabled(), gc.get_freeze_count() > 10 * len(gc.get_objects()))
"""


def test_garbage_collector_rests_during_imports_and_then_leaves_them_out() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DISCORD_TOKEN")}
    done = subprocess.run(
        [sys.executable, "-c", COLLECTOR],
        check=True,
        capture_output=True,
        text=True,
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert done.stdout.split() == ["False", "True", "True", "True"]


@pytest.mark.parametrize(
    ("typed", "starts"),
    [
        ("bot.py", True),
        ("/usr/bin/cashback bot", True),
        ("-m --config x --debug --database=bot bot", True),
        ("cashback import bot", False),
        ("cashback --database bot history", False),
        ("cashback", False),
    ],
)
def test_bot_is_started_by_the_command_alone(typed: str, starts: bool) -> None:
    """A word further on is another command's: an import without a garbage collector would take all memory."""
    assert starts_bot(typed.split()) is starts


def test_bot_imports_nothing_that_only_some_configurations_need() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, bot; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    imported = set(done.stdout.split())
    assert "cashback.extension.wiring" in imported
    assert imported & ONLY_IF_NEEDED == set()
