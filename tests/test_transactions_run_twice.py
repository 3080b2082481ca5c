"""A transaction's function may run twice, and each story still has the same reports and rows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import anyio
import pytest
from sqlalchemy.engine import URL

from cashback.database.dialect import Location, name_of
from cashback.database.tables import Moment, metadata
from cli import app
from tests.conflicts import run_all_twice, written_by
from tests.conftest import rows
from tests.service_story import use_services

Command = tuple[str, ...]
NewLedger = Callable[[], Location]

RANDOM: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(\+00:00|Z)?|BATCH-[\d-]+|\b[0-9a-f]{16,64}\b|cashback[\w-]*\.db\S*"
    r"|cashback_test_\d+_\d+|gAAAA[\w=-]+"
    r"|(?<=number )\d+|(?<=withdrawal )\d+|(?<=number\": )\d+|(?<=al\": )\d+|(?<=transaction\": )\d+"
    r"|(?<=intake\": )\d+|(?<=delivery\": )\d+|(?<=correction\": )\d+|(?<=corrected-)\d+|(?<=shares\": {\")\d+"
)
"""What differs between two runs of one story: moments, and what is made of them or of chance."""
NUMBERED: Final = re.compile(r"^(id|digest|number|referral_id|transaction_id|debit_id|return_id)$|_number$")
"""Columns that differ too: PostgreSQL leaves gaps in its numbers after a rollback."""

REFERRALS: Final = "referrer_id,referred_id\n@100,@200\n@100,@201\n@101,@202\n@102,@102\n"
PURCHASES: Final = (
    "order_id,buyer_id,amount\nA-1,@200,10.00\nA-2,@201,20.5\nA-3,@999,30\nA-1,@200,11.00\nA-4,@202,0\nA-5,200,1\n"
)
GOOD_PURCHASES: Final = "order_id,buyer_id,amount\nB-1,@200,100.00\nB-2,@201,200\nB-3,@202,300\n"
MEMBER: Final = 10**17


def real(text: str) -> str:
    """Write the members' ids as Discord's."""
    return re.sub(r"@(\d{3})\b", lambda found: str(MEMBER + int(found[1])), text)


def contents(location: Location) -> dict[str, list[str]]:
    """Read all rows of a ledger, without what differs from run to run: moments, digests, and ids that have gaps."""
    found = {}
    for table in metadata.sorted_tables:
        told = [
            f'"{column.name}"'
            for column in table.c
            if not isinstance(column.type, Moment) and not NUMBERED.search(column.name)
        ]
        key = ", ".join(f'"{column.name}"' for column in table.primary_key)
        if told:
            found[table.name] = [
                RANDOM.sub("…", str(row))
                for row in rows(location, f'SELECT {", ".join(told)} FROM "{table.name}" ORDER BY {key}')
            ]
    return found


ELSEWHERE: Final = frozenset({"copies.note", "corrections.apply", "moving._receive", "restoring.renew"})
"""Of a file, of a wrong clock, of two databases, of a file again; their own tests run them."""


@pytest.fixture
def new_ledgers(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[NewLedger]:
    """Return a maker of ledgers on the test's database, in order."""
    made: list[URL] = []

    def make() -> Location:
        if kind == "sqlite":
            path = tmp_path / f"cashback-{len(list(tmp_path.iterdir()))}.db"
            shutil.copyfile(request.getfixturevalue("new_ledger"), path)
            return path
        made.append(request.getfixturevalue("postgresql").create(request.getfixturevalue("new_ledger_on_server")))
        return made[-1]

    yield make
    for url in made:
        request.getfixturevalue("postgresql").drop(url)


COMMANDS: Final[dict[str, list[Command]]] = {
    "import": [
        ("import", "purchases.csv", "--referrals", "referrals.csv", "--json"),
        ("import", "purchases.csv", "--referrals", "referrals.csv"),
    ],
    "strict import": [
        ("import", "good.csv", "--referrals", "referrals.csv", "--strict", "--json"),
        ("import", "--referrals", "referrals.csv", "--json"),
        ("import", "good.csv", "--strict", "--json"),
    ],
    "dry run of an import": [
        ("import", "good.csv", "--referrals", "referrals.csv", "--dry-run", "--json"),
        ("import", "good.csv", "--referrals", "referrals.csv", "--dry-run"),
    ],
    "seed": [("seed", "--json"), ("pending", "--json")],
    "pay": [
        ("seed", "--json"),
        ("pay", "--dry-run", "--json"),
        ("pay", "--yes", "--json"),
        ("pay", "--yes", "--json"),
        ("history", "--json"),
        ("verify", "--json"),
    ],
    "refund and reverse": [
        ("import", "good.csv", "--referrals", "referrals.csv", "--json"),
        ("refund", "B-1", "40.00", "--json"),
        ("pay", "--yes", "--json"),
        ("refund", "B-2", "--refund-id", "R2", "--reason", "torn", "--json"),
        ("refund", "B-2", "--refund-id", "R2", "--reason", "torn", "--json"),
        ("purchase", "B-9", "@202", "50", "--json"),
        ("blacklist", "@101", "--reason", "a doubt"),
        ("blacklist", "@101", "--remove"),
        ("verify", "--json"),
    ],
    "schedule": [
        ("schedule", "--reload", "--json"),
        ("schedule", "pause", "--reason", "counting"),
        ("schedule", "resume"),
        ("schedule", "skip", "--reason", "holiday", "--json"),
        ("schedule", "--json"),
    ],
}


def run_commands(story: str, location: Location, capfd: pytest.CaptureFixture[str]) -> list[str]:
    """Run the commands of a story; return their exit codes and output."""
    answers = []
    for command in COMMANDS[story]:
        words = [real(word) for word in command]
        capfd.readouterr()
        code = app.run(["--database", name_of(location, password=True), *words])
        out, err = capfd.readouterr()
        answers.append(RANDOM.sub("…", f"{command}: {code}\n{out}\n{err}"))
    return answers


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to a folder with the files that the commands import."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("referrals", REFERRALS), ("purchases", PURCHASES), ("good", GOOD_PURCHASES)):
        (tmp_path / f"{name}.csv").write_text(real(text))


def same_contents(twice: Location, once: Location) -> None:
    """Compare two ledgers, table by table."""
    expected = contents(once)
    for table, found in contents(twice).items():
        assert found == expected[table], table


@pytest.mark.parametrize("story", list(COMMANDS))
def test_commands_report_once(
    story: str, new_ledgers: NewLedger, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    once, twice = new_ledgers(), new_ledgers()
    expected = run_commands(story, once, capfd)
    run_all_twice(monkeypatch)
    assert run_commands(story, twice, capfd) == expected
    same_contents(twice, once)


def test_services_report_once(new_ledgers: NewLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    once, twice = new_ledgers(), new_ledgers()
    expected = anyio.run(use_services, once)
    run_all_twice(monkeypatch)
    assert anyio.run(use_services, twice) == expected
    same_contents(twice, once)


def test_each_function_that_writes_ran_twice(
    new_ledgers: NewLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A new function that writes belongs into a story here; those of Discord have theirs in end_to_end."""
    conflicts = run_all_twice(monkeypatch)
    for story in COMMANDS:
        run_commands(story, new_ledgers(), capfd)
    anyio.run(use_services, new_ledgers())
    anyio.run(use_services, tmp_path / "created.db")
    written = written_by("cashback/services", "cashback/database", "cli", "stages")
    assert written - ELSEWHERE - conflicts.functions == set()
