"""The simulated years: the same seed prints the same bytes, and the books balance whatever crashes."""

import pytest

from console import simulating


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_season_with_crashes_leaves_every_friday_decided_and_no_cent_lost(
    seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulating.simulate(weeks=12, seed=seed) == 0
    printed = capsys.readouterr().out
    assert "Cents lost or made: 0." in printed
    assert "Every Friday has its row: yes." in printed
    assert "The books balance: yes." in printed


def test_the_same_seed_prints_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    simulating.simulate(weeks=6, seed=7)
    first = capsys.readouterr().out
    simulating.simulate(weeks=6, seed=7)
    assert capsys.readouterr().out == first


def test_another_seed_is_another_community(capsys: pytest.CaptureFixture[str]) -> None:
    simulating.simulate(weeks=6, seed=7)
    first = capsys.readouterr().out
    simulating.simulate(weeks=6, seed=8)
    assert capsys.readouterr().out != first
