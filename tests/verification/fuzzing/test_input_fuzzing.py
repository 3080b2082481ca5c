"""All input, typed, configured, imported or sent, gets a clear answer, and a refusal changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from verification.fuzzing.input_fuzzing import money_in, require_clear, targets, try_target

EXAMPLES = {"command lines": 80, "config.json": 200, "CSV files": 50, "bodies of the intake": 200, "ids": 200}
"""How many inputs are tried here; the soak tries thousands."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_entry_point_answers_malformed_input_clearly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    [target] = [each for each in targets(tmp_path) if each.name == name]
    before = len(money_in(tmp_path / "tried.db"))
    try_target(target, EXAMPLES[name], number=1)
    assert len(money_in(tmp_path / "tried.db")) == before


def test_all_entry_points_are_fuzzed(tmp_path: Path) -> None:
    assert [target.name for target in targets(tmp_path)] == list(EXAMPLES)


@pytest.mark.parametrize(
    ("code", "err"),
    [
        (7, ""),
        (1, "Traceback (most recent call last)"),
        (1, "error: unexpected KeyError: 'x'"),
        (1, ""),
        (2, "error: one\nerror: two"),
    ],
)
def test_unclear_answer_is_detected(code: int, err: str) -> None:
    """What judges the answers would see a bad one."""
    with pytest.raises(AssertionError):
        require_clear(code, err, ["pay"])
