"""The commands of docs/tutorial/first-payout.md work as the page shows them, from the empty folder to the proof."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Cashback

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial" / "first-payout.md").read_text(encoding="utf-8")
NEEDS_DISCORD = {"bot", "withdrawals"}


def _blocks() -> list[list[str]]:
    """Return the page's blocks of code, each as its lines."""
    return [
        re.findall(r"^ {4}(.+)$", block, re.MULTILINE) for block in re.findall(r"(?:^ {4}\S.*\n)+", PAGE, re.MULTILINE)
    ]


def _files() -> Iterator[tuple[str, str]]:
    """Yield the name and the content of each CSV file that the page shows; a sentence before it names the file."""
    for name, content in re.findall(r"`(\w+\.csv)`:\n\n((?:^ {4}\S.*\n)+)", PAGE, re.MULTILINE):
        yield name, re.sub(r"^ {4}", "", content, flags=re.MULTILINE)


def _commands() -> list[list[str]]:
    lines = [line for block in _blocks() for line in block if line.startswith("cashback ")]
    words = [shlex.split(line, comments=True)[1:] for line in lines]
    return [each for each in words if each[0] not in NEEDS_DISCORD]


def test_tutorial_pays_what_its_purchases_earned(
    cashback: Cashback, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in _files():
        (folder / name).write_text(content, encoding="utf-8")
    assert {"referrals.csv", "purchases.csv"} == {path.name for path in folder.iterdir()}
    commands = _commands()
    assert [each[0] for each in commands] == [
        *("--version", "migrate", "import", "purchase", "import", "refund", "pending", "pay", "verify")
    ]
    for words in commands:
        monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
        answer = cashback(*words)
        assert answer.code == 0, f"{words}: {answer.err}"
    paid = cashback("history", "--json").json["batches"][0]
    # 0.5 % of 19.90, 250.00 and what is left of 80.00 after a refund of 30.00, by one referrer: 9.95 + 125 + 25 cents.
    assert (paid["users_paid"], paid["total_cents"], paid["status"]) == (1, 159, "completed")
