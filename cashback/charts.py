"""Charts as pictures, in the colours of Discord's dark theme.

As a program it reads weeks from standard input and writes the picture to standard output: a bot that draws by itself
would keep matplotlib's 40 MB as long as it lives.
"""

import io
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import anyio

from cashback.domain.extras import Library
from cashback.domain.model import PaidWeek
from cashback.domain.money import dollars

BACKGROUND: Final = "#2b2d31"
TEXT: Final = "#dbdee1"
GRID: Final = "#4e5058"
BAR: Final = "#23a55a"
REVERSED: Final = "#f23f43"
SIZE_INCHES: Final = (8.0, 4.0)
DOTS_PER_INCH: Final = 120

Weeks = Sequence[PaidWeek]
"""Oldest first."""


async def weekly_apart(weeks: Weeks) -> bytes:
    """Draw the weeks in a process of its own, and return the PNG. Raises MissingLibraryError as `weekly` does."""
    Library.CHARTS.require("matplotlib")
    told = [(week.monday.isoformat(), week.paid_cents, week.reversed_cents) for week in weeks]
    process = await anyio.run_process([sys.executable, "-m", __name__], input=json.dumps(told).encode(), stderr=None)
    return process.stdout


def weekly(weeks: Weeks) -> bytes:
    """Draw the cashback distributed in each week as bars, and what was reversed below them; return a PNG.

    Raises MissingLibraryError if matplotlib is not installed.
    """
    # Only drawing waits for the library. Without pyplot, which keeps state for one thread.
    figure_canvas = Library.CHARTS.load("matplotlib.backends.backend_agg").FigureCanvasAgg
    ticker = Library.CHARTS.load("matplotlib.ticker")
    figure = Library.CHARTS.load("matplotlib.figure").Figure(
        figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, facecolor=BACKGROUND, layout="constrained"
    )
    axes = figure.add_subplot(facecolor=BACKGROUND)
    names = [f"{week.monday:%b} {week.monday.day}" for week in weeks]
    paid, returned = [week.paid_cents for week in weeks], [-week.reversed_cents for week in weeks]
    for amounts, colour in ((paid, BAR), (returned, REVERSED)):
        bars = axes.bar(range(len(weeks)), amounts, color=colour, width=0.7, zorder=2)
        axes.bar_label(bars, [dollars(cents) if cents else "" for cents in amounts], color=TEXT, fontsize=8, padding=3)
    axes.set_xticks(range(len(weeks)), names)
    axes.set_title("Referral cashback distributed per week", color=TEXT, fontsize=13, loc="left", pad=14)
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda cents, _position: dollars(round(cents))))
    axes.set_ylim(bottom=None if any(returned) else 0, top=None if any(paid) else 100)
    axes.tick_params(colors=TEXT, length=0, labelsize=9)
    axes.grid(axis="y", color=GRID, linewidth=0.6, zorder=1)
    axes.spines[:].set_visible(False)
    picture = io.BytesIO()
    figure_canvas(figure).print_png(picture)
    return picture.getvalue()


def alt_text(weeks: Weeks) -> str:
    """Return the chart's content as text, for screen readers."""
    paid = [f"week of {_amounts(week)}" for week in weeks if week.paid_cents or week.reversed_cents]
    shown = "; ".join(paid) if paid else "nothing in any of them"
    return f"Bar chart of the referral cashback distributed in the last {len(weeks)} weeks: {shown}."


def _amounts(week: PaidWeek) -> str:
    text = f"{week.monday:%Y-%m-%d} {dollars(week.paid_cents)}"
    return f"{text}, {dollars(week.reversed_cents)} reversed" if week.reversed_cents else text


def main() -> None:
    """Draw the weeks that stand on standard input."""
    weeks = [
        PaidWeek(monday=datetime.fromisoformat(monday), paid_cents=paid, reversed_cents=returned)
        for monday, paid, returned in json.load(sys.stdin)
    ]
    sys.stdout.buffer.write(weekly(weeks))


if __name__ == "__main__":
    main()
