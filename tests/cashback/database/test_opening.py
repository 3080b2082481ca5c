"""Files that can be opened, and files that cannot: one error line with the problem and the remedy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from cashback.database import Database
from cashback.database.schema import NEWEST
from cashback.domain.errors import CashbackError, DatabaseUnavailableError
from tests.cashback.database import apex_core
from tests.conftest import raw, rows
from tests.postgresql import Server

pytestmark = pytest.mark.anyio

PROJECT = Path(__file__).parents[3]


@pytest.mark.parametrize("adopted", [False, True])
async def test_reopened_file_is_unchanged(tmp_path: Path, *, adopted: bool) -> None:
    path = tmp_path / "cashback.db"
    if adopted:
        apex_core.create(path)
    schemas = []
    for _ in range(2):
        async with Database(path) as database:
            await database.ensure_user(5)
        schemas.append(rows(path, "SELECT type, name, sql FROM sqlite_master ORDER BY name"))
    assert schemas[0] == schemas[1]
    assert rows(path, "SELECT version_num FROM cashback_alembic_version") == [(NEWEST,)]
    assert rows(path, "SELECT count(*) FROM users WHERE discord_id = 5") == [(1,)]
    assert rows(path, "SELECT id, adopted FROM cashback_origin") == [(1, int(adopted))]


@pytest.mark.parametrize("adopted", [False, True])
async def test_new_file_can_be_opened_concurrently(tmp_path: Path, *, adopted: bool) -> None:
    path = tmp_path / "cashback.db"
    if adopted:
        apex_core.create(path)

    async def connect() -> None:
        async with Database(path) as database:
            await database.ensure_user(5)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(connect)
    assert rows(path, "SELECT count(*) FROM cashback_origin") == [(1,)]


async def test_several_new_files_can_be_opened_concurrently(tmp_path: Path) -> None:
    """Alembic keeps its context in a module, one for all threads."""

    async def connect(path: Path) -> None:
        async with Database(path) as database:
            await database.ensure_user(5)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(connect, tmp_path / f"{number}.db")


def test_two_processes_can_open_a_new_file(tmp_path: Path) -> None:
    code = (
        "import sys, anyio\n"
        "from cashback.database import Database\n"
        "async def main():\n"
        "    async with Database(sys.argv[1]) as database:\n"
        "        await database.ensure_user(5)\n"
        "sys.stdin.read()\n"
        "anyio.run(main)\n"
    )
    path = tmp_path / "cashback.db"
    command = [sys.executable, "-c", code, str(path)]
    programs = [
        subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for program in programs:
        assert program.stdin is not None
        program.stdin.close()
        program.stdin = None
    assert [program.communicate(timeout=30)[1] for program in programs] == [""] * 3
    assert [program.returncode for program in programs] == [0] * 3
    assert rows(path, "SELECT count(*) FROM users") == [(1,)]


async def refusal(location: str | Path) -> str:
    """Try to open a ledger and return the error line."""
    with pytest.raises(DatabaseUnavailableError) as caught:
        await Database(location).connect()
    message = str(caught.value)
    assert "\n" not in message
    return message


async def test_text_file_is_refused_and_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("milk, bread, " * 1000)
    assert await refusal(path) == f"Database {path} is not an SQLite database; name another file."
    assert path.read_text() == "milk, bread, " * 1000


async def test_file_of_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cashback.db"
    async with Database(path):
        pass
    with raw(path) as connection:
        connection.execute("UPDATE cashback_alembic_version SET version_num = '9999'")
    assert "schema 9999 of a newer version; update this program" in await refusal(path)


async def test_missing_folder_is_named(tmp_path: Path) -> None:
    assert f"the folder {tmp_path / 'nowhere'} does not exist" in await refusal(tmp_path / "nowhere" / "cashback.db")


async def test_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot be opened" in await refusal(tmp_path)


async def test_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cashback.db"
    async with Database(path):
        pass
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(1000) + b"\xff" * (len(content) - 5096))
    assert str(path) in await refusal(path)


async def test_url_is_accepted_for_a_file(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path / 'cashback.db'}") as database:
        assert database.path == tmp_path / "cashback.db"
        await database.ensure_user(1)


def test_unknown_url_is_refused_without_its_password() -> None:
    with pytest.raises(DatabaseUnavailableError) as caught:
        Database("mysql://admin:secret@host/ledger")
    assert "secret" not in str(caught.value)


async def test_use_before_connect_or_after_close_is_refused(tmp_path: Path) -> None:
    database = Database(tmp_path / "cashback.db")
    with pytest.raises(CashbackError, match="is not open"):
        await database.ensure_user(1)
    await database.connect()
    await database.connect()
    await database.close()
    await database.close()
    with pytest.raises(CashbackError, match="is not open"):
        await database.get_referral_stats(1)


async def test_closed_database_reopens_the_present_file(tmp_path: Path) -> None:
    """While it is open, a file that is replaced is refused; a restore from a backup goes through close and connect."""
    path = tmp_path / "cashback.db"
    async with Database(tmp_path / "backup.db") as backup:
        await backup.ensure_user(7)
    database = Database(path)
    async with database:
        await database.ensure_user(5)
    path.unlink()
    (tmp_path / "backup.db").rename(path)
    async with database:
        await database.ensure_user(6)
    assert rows(path, "SELECT discord_id FROM users ORDER BY 1") == [(6,), (7,)]


async def test_locked_file_is_reported_as_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cashback.database.dialect.BUSY_TIMEOUT_SECONDS", 0.05)
    async with Database(tmp_path / "cashback.db") as database:
        with raw(database.path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseUnavailableError, match="is in use by another program; try again"):
                await database.ensure_user(1)
            assert (await database.get_referral_stats(1))["referral_count"] == 0
            connection.execute("ROLLBACK")
        await database.ensure_user(1)


async def test_ledger_that_must_exist_is_not_created_on_a_server(postgresql: Server) -> None:
    url = postgresql.create()
    with pytest.raises(DatabaseUnavailableError, match="is empty; name the ledger"):
        await Database(url, must_exist=True).connect()
    assert rows(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
    async with Database(url):
        pass
    async with Database(url, must_exist=True) as database:
        await database.ensure_user(5)
    postgresql.drop(url)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ada:hunter2@127.0.0.1:1/books",
        "postgresql://127.0.0.1:1/books?password=hunter2",
        "postgresql+psycopg://127.0.0.1:1/books?sslmode=disable&password=hunter2&connect_timeout=5",
        "postgresql://127.0.0.1:1/books?sslpassword=hunter2",
        "postgresql://127.0.0.1:1/books?pass%77ord=hunter2",
        "postgresql:/127.0.0.1/books?PASSWORD=hunter2",
    ],
)
async def test_password_in_address_is_not_shown(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = Database(address)
    assert "hunter2" not in database.name
    with pytest.raises(DatabaseUnavailableError) as raised:
        await database.connect()
    assert "hunter2" not in str(raised.value)
    assert "***" in database.name
