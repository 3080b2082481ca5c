"""`seed`: a made-up community never gets among members who are owed money."""

from __future__ import annotations

from pathlib import Path

import anyio
import discord
import pytest

from cashback.database import Database
from cashback.domain.errors import CashbackError
from cashback.extension.hosted import refuse_sample
from tests.cashback.database import apex_core
from tests.cli.conftest import Cashback
from tests.conftest import raw


@pytest.mark.parametrize("of_environment", [None, "real.db"])
def test_seed_leaves_the_default_ledger_alone(
    cashback: Cashback, folder: Path, monkeypatch: pytest.MonkeyPatch, of_environment: str | None
) -> None:
    if of_environment is not None:
        monkeypatch.setenv("CASHBACK_DATABASE", of_environment)
    answer = cashback("seed")
    assert (answer.code, answer.err) == (0, "")
    assert "is pending in sample.db" in answer.out
    assert [path.name for path in folder.iterdir()] == ["sample.db"]
    assert cashback("pending", "--database", "sample.db", "--json").json["total_cents"] == 12_750


def test_seed_writes_the_ledger_that_is_named(cashback: Cashback, folder: Path) -> None:
    assert cashback("seed", "--database", "other.db", "--json").json["database"] == "other.db"
    assert [path.name for path in folder.iterdir()] == ["other.db"]
    cashback("migrate")
    assert cashback("seed", "--database", "cashback.db").code == 0


def test_second_seed_is_refused(cashback: Cashback) -> None:
    assert cashback("seed").code == 0
    answer = cashback("seed")
    assert (answer.code, answer.out) == (1, "")
    assert "sample.db is not empty" in answer.error
    assert cashback("pending", "--database", "sample.db", "--json").json["total_cents"] == 12_750


@pytest.mark.parametrize(
    "command", [["purchase", "A-1", "100000000000000007", "5.00"], ["blacklist", "7"]], ids=" ".join
)
def test_seed_refuses_a_ledger_that_is_not_empty(cashback: Cashback, folder: Path, command: list[str]) -> None:
    assert cashback(*command).code == 0
    before = (folder / "cashback.db").read_bytes()
    answer = cashback("seed", "--database", "cashback.db")
    assert (answer.code, answer.out) == (1, "")
    assert "cashback.db is not empty" in answer.error
    assert (folder / "cashback.db").read_bytes() == before


@pytest.mark.parametrize("is_apex_core", [True, False])
def test_seed_does_not_adopt_another_bots_file(
    cashback: Cashback,
    folder: Path,
    is_apex_core: bool,
) -> None:
    path = folder / "apex.db"
    if is_apex_core:
        apex_core.create(path)
    else:
        with raw(path) as connection:
            connection.execute("CREATE TABLE notes (text TEXT)")
    before = path.read_bytes()
    answer = cashback("seed", "--database", "apex.db")
    assert (answer.code, answer.out) == (1, "")
    assert "apex.db is not empty" in answer.error
    assert path.read_bytes() == before


def test_bot_refuses_a_sample_on_the_real_discord_only(
    cashback: Cashback, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cashback("seed").code == 0

    async def refusal(api_url: str) -> str | None:
        monkeypatch.setattr(discord.http.Route, "BASE", api_url)
        async with Database(folder / "sample.db") as database:
            try:
                await refuse_sample(database)
            except CashbackError as error:
                return str(error)
        return None

    for real in (discord.http.Route.BASE, "https://discord.com/api/v10", "https://canary.discord.com/api/v9"):
        assert "is a sample with invented members" in str(anyio.run(refusal, real))
    assert anyio.run(refusal, "http://127.0.0.1:8931/api/v10") is None


def test_bot_on_a_sample_ends_as_on_a_wrong_configuration(
    cashback: Cashback, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cashback("seed").code == 0
    monkeypatch.setenv("DISCORD_TOKEN", "a-token")
    monkeypatch.setattr("bot.logs.set_up", lambda **_options: None)
    (folder / "config.json").write_text('{"role_ids": {"admin": 5}}')
    answer = cashback("bot", "--database", "sample.db")
    assert answer.code == 78
    assert "sample.db is a sample with invented members" in answer.error
