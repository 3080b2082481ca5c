"""Positions and heights of bars. The template draws them, and repeats them as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cashback.domain.model import PaidWeek

WIDTH: Final = 720
HEIGHT: Final = 160
LEFT: Final = 104
"""The room for the amounts of the axis."""

TOP: Final = 18
"""The room for the value above the highest bar."""

GAP: Final = 8
STEPS: Final = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One week, and the rectangles of what was paid and reversed in it, in a drawing of WIDTH by HEIGHT.

    `has_value`: its amount is written above it.
    """

    week: PaidWeek
    x: int
    y: int
    width: int
    height: int
    reversed_height: int
    has_value: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The bars, and the lines of the axis with their cents."""

    bars: tuple[Bar, ...]
    lines: tuple[tuple[int, int], ...]
    change_percent: int | None
    """This week compared with the average of the weeks before; None if nothing was paid in them."""


def chart(weeks: Sequence[PaidWeek]) -> Chart:
    """Place a bar for each week. If anything was paid, the bar is at least one unit high."""
    highest = max((max(week.paid_cents, week.reversed_cents) for week in weeks), default=0)
    top = _rounded_up(highest)
    width = (WIDTH - LEFT) // max(len(weeks), 1)

    def height_of(cents: int) -> int:
        return max(cents * (HEIGHT - TOP) // top, 1) if cents > 0 else 0

    bars = tuple(
        Bar(
            week=week,
            x=LEFT + place * width + GAP // 2,
            y=HEIGHT - height_of(week.paid_cents),
            width=width - GAP,
            height=height_of(week.paid_cents),
            reversed_height=height_of(week.reversed_cents),
            has_value=week.paid_cents > 0 and (week.paid_cents == highest or place == len(weeks) - 1),
        )
        for place, week in enumerate(weeks)
    )
    lines = tuple((HEIGHT - height_of(cents), cents) for cents in (0, top // 2, top)) if highest else ()
    return Chart(bars=bars, lines=lines, change_percent=_change(weeks))


def _rounded_up(cents: int) -> int:
    """Return the next amount that is 1, 2, 5 or 10 with zeros, so that the axis has round amounts."""
    power = int(10 ** max(len(str(cents)) - 1, 2))
    return min(step * power for step in STEPS if step * power >= cents)


def _change(weeks: Sequence[PaidWeek]) -> int | None:
    before = sum(week.paid_cents for week in weeks[:-1])
    if not before:
        return None
    return 100 * weeks[-1].paid_cents * (len(weeks) - 1) // before - 100
