"""The simulated years: the same seed prints the same bytes, and each cent is accounted for whatever goes wrong."""

import pytest

from cashback.database.payouts import crediting
from verification.simulation import years_table


@pytest.mark.parametrize("seed", [1, 2])
def test_season_decides_every_friday_and_loses_no_cent(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert years_table.simulate(weeks=12, seed=seed) == 0
    head, year, *rest = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["year", "Fridays", "batches"]
    fridays, *decided = map(int, year.split()[1:6])
    assert fridays == sum(decided) >= 12
    assert "Cents lost or made: 0." in rest
    assert "Every Friday has one batch or a reason, and rows and model agree: yes." in rest


def test_same_seed_prints_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    years_table.simulate(weeks=6, seed=7)
    first = capsys.readouterr().out
    years_table.simulate(weeks=6, seed=7)
    assert capsys.readouterr().out == first


def test_different_seed_gives_different_community(capsys: pytest.CaptureFixture[str]) -> None:
    years_table.simulate(weeks=6, seed=7)
    first = capsys.readouterr().out
    years_table.simulate(weeks=6, seed=8)
    assert capsys.readouterr().out != first


def test_broken_promise_is_printed_and_exits_with_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(crediting, "_mark_referrals_paid", crediting._count_credited)
    assert years_table.simulate(weeks=6, seed=7) == 1
    printed = capsys.readouterr().out
    assert "rows and model agree: NO." in printed
    assert "A promise was broken: " in printed
    assert "VIOLATION" in printed
