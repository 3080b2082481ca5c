"""What the suite runs where: a file that is moved keeps its second database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import NEVER_WAIT, ON_BOTH

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("prefix", [*ON_BOTH, *NEVER_WAIT])
def test_each_prefix_names_tests_that_are_there(prefix: str) -> None:
    assert list(ROOT.glob(f"{prefix}test_*.py" if prefix.endswith("/") else f"{prefix}*.py"))
