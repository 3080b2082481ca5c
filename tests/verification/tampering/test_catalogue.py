"""Each edit of the catalogue is refused or found, on both databases, also if its editor puts the guards back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from sqlalchemy.engine import URL

from cashback.database import Database
from cashback.database.dialect import Location
from cashback.database.integrity import reconciliation
from tests.conftest import POSTGRESQL, SQLITE
from tests.postgresql import Server
from verification.tampering import story, trial
from verification.tampering.catalogue import EDITS, IN_A_FILE, NOT_FOUND, OF_GUARDS

CASES = [
    *(pytest.param(SQLITE, name, edit, id=f"sqlite-{name}") for name, edit in {**EDITS, **IN_A_FILE}.items()),
    *(pytest.param(POSTGRESQL, name, edit, id=f"postgresql-{name}") for name, edit in EDITS.items()),
]


async def tell(location: Location) -> None:
    """Tell the story in a new ledger, whose books balance."""
    async with Database(location, clock=lambda: story.NOW) as database:
        await story.tell(database)
        assert (await database.read(reconciliation.verify)).breaches == ()


@pytest.fixture(scope="module")
def in_a_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tell the story in a file."""
    path = tmp_path_factory.mktemp("story") / "story.db"
    anyio.run(tell, path)
    return path


@pytest.fixture(scope="module")
def on_a_server(request: pytest.FixtureRequest) -> tuple[Server, URL]:
    """Tell the story on a server."""
    server: Server = request.getfixturevalue("postgresql")
    address = server.create()
    anyio.run(tell, address)
    return server, address


@contextmanager
def copied(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    """Copy the story's ledger."""
    if kind == SQLITE:
        yield Path(shutil.copyfile(request.getfixturevalue("in_a_file"), tmp_path / "copy.db"))
        return
    server, template = request.getfixturevalue("on_a_server")
    address = server.create(template)
    yield address
    server.drop(address)


@pytest.mark.parametrize(("kind", "name", "edit"), CASES)
@pytest.mark.parametrize("attempt", [trial.with_guards, trial.without_guards])
def test_edit_is_refused_or_found(
    attempt: trial.Attempt, kind: str, name: str, edit: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with copied(kind, request, tmp_path) as ledger:
        outcome = anyio.run(attempt, ledger, edit)
    is_missed = outcome is trial.Outcome.NOT_FOUND
    if attempt is trial.without_guards:
        assert is_missed == (name in NOT_FOUND)
    else:
        assert not is_missed or name in NOT_FOUND


@pytest.mark.parametrize("edit", OF_GUARDS.values(), ids=OF_GUARDS.keys())
def test_missing_or_changed_guard_is_found(edit: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with copied(SQLITE, request, tmp_path) as ledger:
        assert anyio.run(trial.with_guards, ledger, edit) is trial.Outcome.FOUND


def test_catalogue_has_at_least_eighty_edits() -> None:
    assert len(EDITS) + len(IN_A_FILE) + len(OF_GUARDS) >= 80
