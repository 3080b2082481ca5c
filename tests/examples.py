"""How many examples Hypothesis draws: a fourth in `make test`, which sets FEW_EXAMPLES, all in `make proof`."""

from __future__ import annotations

import os
from typing import Final

import hypothesis

SHARE: Final = 4 if os.environ.get("FEW_EXAMPLES") else 1
FEWEST: Final = 5


def examples(count: int) -> int:
    """Return the number of examples to draw of a test's full count."""
    return max(count // SHARE, FEWEST)


hypothesis.settings.register_profile("ours", max_examples=examples(100))
hypothesis.settings.load_profile("ours")
