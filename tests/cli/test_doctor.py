"""`cashback doctor`: what is wrong is named, and the exit code says that something is."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cashback


def test_without_a_token_something_is_wrong_and_the_ledger_is_well(seeded: Cashback) -> None:
    told = seeded("doctor", "--json")
    checks = {each["name"]: each for each in told.json["checks"]}
    assert (told.code, told.json["ok"]) == (1, False)
    assert (checks["database"]["ok"], checks["schedule"]["ok"]) == (True, True)
    assert (checks["token"]["ok"], checks["token"]["text"]) == (
        False,
        "set DISCORD_TOKEN in the environment or in .env",
    )
    assert "WRONG  token" in seeded("doctor").out


def test_a_file_that_is_no_ledger_is_a_finding(cashback: Cashback, folder: Path) -> None:
    (folder / "cashback.db").write_bytes(b"not a database" * 100)
    told = cashback("doctor")
    assert told.code == 1
    assert "WRONG  database" in told.out
