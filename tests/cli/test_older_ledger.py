"""A ledger of an older version: `migrate`, `setup` and the bot upgrade it, after a backup; the others refuse it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

import bot
from cashback.background.lease import holder_name
from cashback.database.schema import NEWEST
from cashback.settings import Settings
from tests.cashback.database import first_ledger
from tests.cashback.database.test_released_schemas import make
from tests.cli.conftest import Cashback
from tests.conftest import FRIDAY, raw, rows

ME = 599287828863678298
SCHEMA = "SELECT name, sql FROM sqlite_master ORDER BY name"


@pytest.fixture
def older(folder: Path) -> Path:
    """Create a ledger of the first schema."""
    path = folder / "cashback.db"
    first_ledger.create(path, FRIDAY)
    return path


def backups(folder: Path) -> list[Path]:
    return sorted(folder.glob("cashback.schema-0001-*.db"))


@pytest.mark.parametrize(
    "words",
    [
        ["pending"],
        ["history"],
        ["stats"],
        ["verify"],
        ["pay", "--yes"],
        ["pay", "--dry-run"],
        ["blacklist", ME],
        ["schedule", "pause"],
        ["resume"],
        ["purchase", "A", ME, "5"],
    ],
    ids=lambda words: " ".join(map(str, words)),
)
def test_other_commands_refuse_it_in_one_line_and_upgrade_nothing(
    cashback: Cashback, older: Path, words: list[object]
) -> None:
    before = rows(older, SCHEMA)
    answer = cashback(*words)
    assert (answer.code, answer.out) == (1, "")
    assert answer.error == (
        f"Database cashback.db has the schema 0001 of an older version (this program needs {NEWEST});"
        " `cashback migrate` backs it up and upgrades it."
    )
    assert rows(older, SCHEMA) == before
    assert rows(older, "SELECT version_num FROM alembic_version") == [("0001",)]
    assert backups(older.parent) == []


def test_doctor_names_the_remedy(cashback: Cashback, older: Path) -> None:
    answer = cashback("doctor")
    assert answer.code == 1
    assert "`cashback migrate` backs it up and upgrades it" in answer.out


def test_migrate_backs_it_up_and_upgrades_it(cashback: Cashback, older: Path) -> None:
    before = rows(older, "SELECT name, sql FROM sqlite_master ORDER BY name")
    answer = cashback("migrate", "--json")
    [copy] = backups(older.parent)
    assert answer.code == 0
    assert (answer.json["action"], answer.json["schema_before"], answer.json["backup"]) == (
        *("upgraded", "0001"),
        str(copy),
    )
    assert rows(copy, "SELECT name, sql FROM sqlite_master ORDER BY name") == before
    assert cashback("verify").code == 0
    assert cashback("migrate", "--json").json["backup"] is None
    assert backups(older.parent) == [copy]


def test_bot_backs_it_up_at_its_start(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class _StartedError(Exception):
        """Ends the bot once its ledger is open."""

    async def started(*_arguments: object, **_options: object) -> None:
        raise _StartedError

    monkeypatch.setattr(bot, "serve", started)
    with pytest.raises(_StartedError):
        anyio.run(bot.serve_until_signal, Settings(database=str(older)))
    [copy] = backups(older.parent)
    assert rows(copy, "SELECT version_num FROM alembic_version") == [("0001",)]
    assert rows(older, "SELECT version_num FROM cashback_alembic_version") == [(NEWEST,)]


def test_migrate_shows_what_it_will_change_before_it_does(cashback: Cashback, older: Path) -> None:
    before = rows(older, SCHEMA)
    dry = cashback("migrate", "--dry-run")
    assert dry.code == 0
    assert f"has schema 0001. The upgrade to {NEWEST} brings:" in dry.out
    assert "0006: Withdrawals from wallets" in dry.out
    assert "Nothing was changed" in dry.out
    assert cashback("migrate", "--dry-run", "--json").json["planned"] == "upgraded"
    assert rows(older, SCHEMA) == before
    assert backups(older.parent) == []
    answer = cashback("migrate")
    lines = answer.out.splitlines()
    assert [line[:4] for line in lines if line[:4].isdigit()] == [
        f"{number:04}" for number in range(2, int(NEWEST) + 1)
    ]
    assert "was upgraded from schema 0001" in lines[-1]


def test_dry_run_of_migrate_creates_nothing(cashback: Cashback, folder: Path) -> None:
    assert "would be created" in cashback("migrate", "--dry-run").out
    assert list(folder.iterdir()) == []


@contextmanager
def paying(path: Path, holder: str) -> Iterator[None]:
    """Renew the lease as a bot of the older version does, inside the block."""
    with raw(path) as connection:
        connection.execute("INSERT INTO cashback_leases VALUES ('paying', ?, 1, 0, 5000)", [holder])
    ended = threading.Event()

    def renew() -> None:
        with raw(path) as connection:
            while not ended.wait(0.02):
                connection.execute("UPDATE cashback_leases SET beat = beat + 1")

    with ThreadPoolExecutor() as threads:
        renewing = threads.submit(renew)
        try:
            yield
        finally:
            ended.set()
    renewing.result()


@pytest.mark.parametrize("words", [["migrate"], ["bot"], ["restore", "copy.db", "--yes"]], ids=lambda words: words[0])
def test_ledger_that_an_older_bot_pays_from_is_neither_upgraded_nor_replaced(
    cashback: Cashback, folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """That bot would go on in a schema that it does not know, and the backup would lack what it pays in between."""
    path = make(folder / "cashback.db", "0014")
    shutil.copyfile(path, folder / "copy.db")
    (folder / "config.json").write_text('{"role_ids": {"admin": 5}}')
    monkeypatch.setenv("DISCORD_TOKEN", "a.token.of.a.test")
    monkeypatch.setenv("DISCORD_API_URL", "http://127.0.0.1:1/api/v10")
    monkeypatch.setattr("bot.logs.set_up", lambda **_options: None)
    with paying(path, "another machine process 7 of elsewhere"):
        answer = cashback(*words)
    assert answer.code == 1
    assert "A bot is running on cashback.db; stop it" in answer.err
    assert rows(path, "SELECT version_num FROM cashback_alembic_version") == [("0014",)]
    assert list(folder.glob("cashback.*-*.db")) == []


def test_ledger_of_an_older_bot_that_was_killed_on_this_machine_is_upgraded_at_once(
    cashback: Cashback, folder: Path
) -> None:
    path = make(folder / "cashback.db", "0014")
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    holder = holder_name().replace(f" process {os.getpid()} ", f" process {ended.pid} ")
    with raw(path) as connection:
        connection.execute("INSERT INTO cashback_leases VALUES ('paying', ?, 1, 0, 3600000)", [holder])
    assert cashback("migrate").code == 0


def test_ledger_of_an_older_bot_that_ended_elsewhere_is_upgraded_when_its_lease_has_run_out(
    cashback: Cashback, folder: Path
) -> None:
    path = make(folder / "cashback.db", "0014")
    with raw(path) as connection:
        connection.execute("INSERT INTO cashback_leases VALUES ('paying', 'a container that is gone', 1, 0, 200)")
    assert cashback("migrate").code == 0
    assert rows(path, "SELECT version_num FROM cashback_alembic_version") == [(NEWEST,)]
