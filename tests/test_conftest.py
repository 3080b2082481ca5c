"""What the suite runs where, and what a test leaves behind in its process."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import bot
from cashback.settings import Settings
from tests.conftest import NEVER_WAIT, ON_BOTH

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("prefix", [*ON_BOTH, *NEVER_WAIT])
def test_each_prefix_names_tests_that_are_there(prefix: str) -> None:
    assert list(ROOT.glob(f"{prefix}test_*.py" if prefix.endswith("/") else f"{prefix}*.py"))


def test_bot_that_ran_in_this_process_leaves_no_signal_blocked_to_the_programs_of_later_tests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.logs.set_up", lambda **_options: None)
    assert bot.main(Settings()) == bot.CONFIGURATION_WRONG
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
