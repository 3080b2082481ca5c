"""Positions and heights of bars. The template draws them, and repeats them as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cashback.domain.model import PaidWeek

WIDTH: Final = 720
HEIGHT: Final = 160
GAP: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One week, and the rectangle of what was paid in it, in a drawing of WIDTH by HEIGHT."""

    week: PaidWeek
    x: int
    y: int
    width: int
    height: int


def bars(weeks: Sequence[PaidWeek]) -> list[Bar]:
    """Place a bar for each week. If anything was paid, the bar is at least one unit high."""
    highest = max((week.paid_cents for week in weeks), default=0)
    width = WIDTH // max(len(weeks), 1)
    placed = []
    for position, week in enumerate(weeks):
        height = max(week.paid_cents * HEIGHT // highest, 1) if highest and week.paid_cents > 0 else 0
        placed.append(
            Bar(
                week=week,
                x=position * width + GAP // 2,
                y=HEIGHT - height,
                width=width - GAP,
                height=height,
            )
        )
    return placed
