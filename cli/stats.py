"""`stats`: what was distributed, as text, as JSON, and as a chart."""

from pathlib import Path
from typing import Annotated

import anyio
import typer

from cashback import charts
from cashback.database.queries import statistics
from cashback.database.queries.statistics import Statistics
from cashback.domain.money import dollars
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.options import ConfigOption, DatabaseOption, JsonOption
from cli.output import counted, say, say_json


def command(
    context: typer.Context,
    *,
    chart: Annotated[Path | None, typer.Option("--chart", metavar="FILE", help="Also draw it, as a PNG.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Show what was distributed, and draw it if a file is named."""
    found = anyio.run(_read, Place.of(context, config, database).settings())
    if chart is not None:
        chart.write_bytes(charts.weekly(found.weeks))
    say_json(_json(found, chart)) if as_json else say(*_lines(found, chart))
    return 0


async def _read(settings: Settings) -> Statistics:
    async with ledger(settings) as database:
        return await database.read(statistics.read, now=database.now())


def _lines(found: Statistics, chart: Path | None) -> list[str]:
    payouts = counted(found.payouts, "payout")
    lines = [
        f"Distributed: {dollars(found.paid_cents)} to {counted(found.users, 'user')} in {payouts}",
        f"Average:     {dollars(found.average_cents)} per user",
        "",
        *(f"  week of {monday:%Y-%m-%d}  {dollars(cents):>14}" for monday, cents in found.weeks),
        "",
    ]
    for place, top in enumerate(found.top, start=1):
        lines.append(f"  {place:>2}. {top.referrer_id} - {dollars(top.paid_cents)} ({counted(top.payouts, 'payout')})")
    return [*lines, *([f"The chart is in {chart}."] if chart else [])]


def _json(found: Statistics, chart: Path | None) -> dict[str, object]:
    return {
        "users": found.users,
        "payouts": found.payouts,
        "total_cents": found.paid_cents,
        "average_cents": found.average_cents,
        "weeks": [{"monday": monday, "total_cents": cents} for monday, cents in found.weeks],
        "top": [
            {"referrer_id": top.referrer_id, "total_cents": top.paid_cents, "payouts": top.payouts} for top in found.top
        ],
        "chart": str(chart.absolute()) if chart else None,
    }
