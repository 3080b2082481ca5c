"""`cashback stats`: the numbers of the ledger, and their chart."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cashback
from tests.conftest import rows


def test_sums_are_those_of_the_payouts(seeded: Cashback, folder: Path) -> None:
    assert seeded("stats", "--json").json["total_cents"] == 0
    seeded("pay", "--yes")
    answer = seeded("stats", "--json").json
    [(users, cents)] = rows(folder / "cashback.db", "SELECT count(*), sum(paid_cents) FROM cashback_payouts")
    assert (answer["users"], answer["payouts"], answer["total_cents"], answer["average_cents"]) == (
        users,
        users,
        cents,
        850,
    )
    assert len(answer["weeks"]) == 12
    assert sum(week["total_cents"] for week in answer["weeks"]) == cents
    assert (len(answer["top"]), answer["top"][0]["total_cents"]) == (10, 2500)
    assert "Distributed: $127.50 to 15 users in 15 payouts" in seeded("stats").out


def test_chart_is_a_picture_even_if_nothing_was_paid(seeded: Cashback, folder: Path) -> None:
    assert seeded("stats", "--chart", "weeks.png").code == 0
    assert (folder / "weeks.png").read_bytes().startswith(b"\x89PNG")


def test_chart_that_cannot_be_written_is_one_line(seeded: Cashback) -> None:
    assert "weeks.png" in seeded("stats", "--chart", "nowhere/weeks.png").error
