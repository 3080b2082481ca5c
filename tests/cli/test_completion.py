"""The shell's completion, as a shell asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def completed(shell: str, *words: str) -> list[str]:
    """Return what the shell would offer for the last word."""
    line = " ".join(("cashback", *words))
    asked = {
        "_CASHBACK_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words)),
        "_TYPER_COMPLETE_ARGS": line,
    }
    done = subprocess.run(
        [sys.executable, "-m", "cli"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **asked},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.split("\n")


@pytest.mark.parametrize("words", [("pend",), ("withdrawals", "decl"), ("pay", "--dry")], ids=" ".join)
def test_bash_completes_commands_and_options(words: tuple[str, ...]) -> None:
    offered = [word for word in completed("bash", *words) if word]
    assert {"pend": "pending", "decl": "decline", "--dry": "--dry-run"}[words[-1]] in offered
    assert all(word.startswith(words[-1]) for word in offered)


def test_zsh_describes_what_it_offers() -> None:
    assert any("pending" in line and "would be paid" in line for line in completed("zsh", "pend"))
