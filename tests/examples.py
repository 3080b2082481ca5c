"""What `make test` tries of what `make proof` tries in full: a tenth of the drawn examples, the first of many rows."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Final

import hypothesis
import pytest

SHARE: Final = 10 if os.environ.get("FEW_EXAMPLES") else 1
FEWEST: Final = 5


def examples(count: int) -> int:
    """Return the number of examples to draw of a test's full count."""
    return max(count // SHARE, FEWEST)


def first_of(rows: Iterable[Any]) -> list[Any]:
    """Return a test's parameters: the first of them for both, the others for `make proof` and `.ci/run`."""
    first, *others = rows
    return [first, *(pytest.param(each, marks=(pytest.mark.proof, pytest.mark.ci)) for each in others)]


hypothesis.settings.register_profile("ours", max_examples=examples(100))
hypothesis.settings.load_profile("ours")
