"""Positions and heights of bars. The template draws them, and repeats them as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 160
GAP: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One week: its Monday, the cents paid, and its rectangle in a drawing of WIDTH by HEIGHT."""

    monday: datetime
    cents: int
    x: int
    y: int
    width: int
    height: int


def bars(weeks: Sequence[tuple[datetime, int]]) -> list[Bar]:
    """Place a bar for each week. If anything was paid, the bar is at least one unit high."""
    highest = max((cents for _, cents in weeks), default=0)
    width = WIDTH // max(len(weeks), 1)
    placed = []
    for position, (monday, cents) in enumerate(weeks):
        height = max(cents * HEIGHT // highest, 1) if highest and cents > 0 else 0
        placed.append(
            Bar(
                monday=monday,
                cents=cents,
                x=position * width + GAP // 2,
                y=HEIGHT - height,
                width=width - GAP,
                height=height,
            )
        )
    return placed
