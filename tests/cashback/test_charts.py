"""A bot has its charts drawn by a process of their own, so that it does not keep the library in memory."""

from __future__ import annotations

import subprocess
import sys

DRAWS = """
import sys
from datetime import UTC, datetime
import anyio
from cashback import charts
from cashback.domain.model import PaidWeek
week = PaidWeek(monday=datetime(2026, 1, 5, tzinfo=UTC), paid_cents=500, reversed_cents=100)
apart = anyio.run(charts.weekly_apart, [week])
assert "matplotlib" not in sys.modules
assert apart == charts.weekly([week])
assert apart.startswith(b"\\x89PNG")
"""


def test_a_chart_drawn_apart_is_the_same_and_leaves_no_library_behind() -> None:
    subprocess.run([sys.executable, "-c", DRAWS], check=True)
