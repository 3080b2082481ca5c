"""Charts as pictures, in the colours of Discord's dark theme. Drawing is slow: run it in a worker thread."""

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cashback.domain.extras import Library
from cashback.domain.money import dollars

BACKGROUND: Final = "#2b2d31"
TEXT: Final = "#dbdee1"
GRID: Final = "#4e5058"
BAR: Final = "#23a55a"
SIZE_INCHES: Final = (8.0, 4.0)
DOTS_PER_INCH: Final = 120

Weeks = Sequence[tuple[datetime, int]]
"""Mondays with the cents of their weeks, oldest first."""


def weekly(weeks: Weeks) -> bytes:
    """Draw the cashback distributed in each week as bars; return a PNG.

    Raises MissingLibraryError if matplotlib is not installed.
    """
    # Only drawing waits for the library. Without pyplot, which keeps state for one thread.
    figure_canvas = Library.CHARTS.load("matplotlib.backends.backend_agg").FigureCanvasAgg
    ticker = Library.CHARTS.load("matplotlib.ticker")
    figure = Library.CHARTS.load("matplotlib.figure").Figure(
        figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, facecolor=BACKGROUND, layout="constrained"
    )
    axes = figure.add_subplot(facecolor=BACKGROUND)
    names = [f"{monday:%b} {monday.day}" for monday, _ in weeks]
    bars = axes.bar(names, [cents for _, cents in weeks], color=BAR, width=0.7, zorder=2)
    axes.bar_label(bars, [dollars(cents) if cents else "" for _, cents in weeks], color=TEXT, fontsize=8, padding=3)
    axes.set_title("Referral cashback distributed per week", color=TEXT, fontsize=13, loc="left", pad=14)
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda cents, _position: dollars(round(cents))))
    axes.set_ylim(bottom=0, top=None if any(cents for _, cents in weeks) else 100)
    axes.tick_params(colors=TEXT, length=0, labelsize=9)
    axes.grid(axis="y", color=GRID, linewidth=0.6, zorder=1)
    axes.spines[:].set_visible(False)
    picture = io.BytesIO()
    figure_canvas(figure).print_png(picture)
    return picture.getvalue()


def alt_text(weeks: Weeks) -> str:
    """Return the chart's content as text, for screen readers."""
    paid = [f"week of {monday:%Y-%m-%d} {dollars(cents)}" for monday, cents in weeks if cents]
    shown = "; ".join(paid) if paid else "nothing in any of them"
    return f"Bar chart of the referral cashback distributed in the last {len(weeks)} weeks: {shown}."
