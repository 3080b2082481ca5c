"""The command line on real files: `cashback(...)` runs a command in this process, in a folder of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cashback.domain.money import money_style, use_money_style
from cli import app


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 -- whatever JSON holds
        """Read the standard output as JSON."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """Return the one line on standard error that a refused command leaves, and nothing else."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: ")
        assert "Traceback" not in self.err
        return lines[0].removeprefix("error: ")


Cashback = Callable[..., Answer]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty folder, with no variable of ours in the environment."""
    for name in ("CASHBACK_CONFIG", "CASHBACK_DATABASE", "DISCORD_TOKEN", "DISCORD_API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cashback(folder: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Cashback]:
    """Run `cashback` with arguments; the ledger is cashback.db in the test's folder.

    A command sets the currency of its process; other tests have their own.
    """
    before = money_style()

    def run(*arguments: object) -> Answer:
        capfd.readouterr()
        code = app.run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Answer(code, out, err)

    yield run
    use_money_style(before)


@pytest.fixture(scope="session")
def sample_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seed the sample community once."""
    path = tmp_path_factory.mktemp("sample") / "sample.db"
    assert app.run(["--database", str(path), "seed"]) == 0
    return path


@pytest.fixture
def seeded(cashback: Cashback, folder: Path, sample_ledger: Path) -> Cashback:
    """Run `cashback` on a copy of the sample community."""
    shutil.copyfile(sample_ledger, folder / "cashback.db")
    return cashback
