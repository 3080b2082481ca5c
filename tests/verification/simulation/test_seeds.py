"""Random worlds: every promise is kept in each, and a seed gives the same story each time."""

from __future__ import annotations

import os

import pytest

from verification.simulation import campaign
from verification.simulation.campaign import run_seeds
from verification.simulation.environment import Environment
from verification.simulation.seeds import run_seed

SEEDS = 150


@pytest.mark.timeout(600)
def test_random_worlds_keep_every_promise() -> None:
    """A seed that stands in `violations` is repeated by `python -m verification.simulation --seed …`."""
    tally = run_seeds(1, SEEDS, workers=os.cpu_count() or 1)
    assert tally.violations == []
    assert tally.seeds == SEEDS
    # Worlds in which nothing happens would keep every promise.
    assert tally.deaths > SEEDS
    assert tally.batches > 2 * SEEDS
    assert tally.credited_cents > 0
    assert tally.messages > SEEDS
    assert tally.repeated_messages > 0


def test_campaign_ended_early_has_run_the_first_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "SEEDS_AT_ONCE", 1)
    ended = run_seeds(1, SEEDS, workers=1, is_enough=lambda: True)
    assert 1 <= ended.seeds < SEEDS
    assert ended == campaign._run_part(range(1, ended.seeds + 1))


def test_same_seed_gives_the_same_story() -> None:
    """Also in another folder, after other worlds, and inspected more closely."""
    with Environment() as environment:
        first = run_seed(19, environment)
    with Environment() as environment:
        run_seed(15, environment)
        assert run_seed(19, environment, watch_closely=True) == first
    assert len(first.story) > 100


def test_different_seed_gives_different_world() -> None:
    with Environment() as environment:
        assert run_seed(14, environment).story != run_seed(15, environment).story
