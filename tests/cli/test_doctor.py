"""`cashback doctor`: a failed check is explained, and the exit code is 1."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cashback


def test_missing_token_fails_while_the_ledger_passes(seeded: Cashback) -> None:
    answer = seeded("doctor", "--json")
    checks = {each["name"]: each for each in answer.json["checks"]}
    assert (answer.code, answer.json["ok"]) == (1, False)
    assert (checks["database"]["ok"], checks["schedule"]["ok"]) == (True, True)
    assert (checks["token"]["ok"], checks["token"]["text"]) == (
        False,
        "set DISCORD_TOKEN in the environment or in .env",
    )
    assert "WRONG  token" in seeded("doctor").out


def test_file_that_is_not_a_ledger_fails_the_database_check(cashback: Cashback, folder: Path) -> None:
    (folder / "cashback.db").write_bytes(b"not a database" * 100)
    answer = cashback("doctor")
    assert answer.code == 1
    assert "WRONG  database" in answer.out
