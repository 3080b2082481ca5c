"""`stats`: what was distributed, as text, as JSON, and as a chart."""

from pathlib import Path
from typing import Annotated

import anyio
import typer

from cashback import charts
from cashback.database.queries import statistics
from cashback.database.queries.statistics import Statistics
from cashback.domain.model import PaidWeek
from cashback.domain.money import dollars
from cashback.domain.whole_files import written_whole
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
        with written_whole(chart) as unnamed:
            unnamed.write_bytes(charts.weekly(found.weeks))
    say_json(_json(found, chart)) if as_json else say(*_lines(found, chart))
    return 0


async def _read(settings: Settings) -> Statistics:
    async with ledger(settings) as database:
        return await database.read(statistics.read, now=database.now())


def _lines(found: Statistics, chart: Path | None) -> list[str]:
    payouts = counted(found.payouts, "payout")
    lines = [
        f"Distributed: {dollars(found.paid_cents)} to {counted(found.users, 'user')} in {payouts}",
        f"Reversed:    {dollars(found.reversed_cents)}",
        f"Net:         {dollars(found.net_cents)}",
        f"Average:     {dollars(found.average_cents)} per user",
        "",
        *map(_week_line, found.weeks),
        "",
    ]
    for place, top in enumerate(found.top, start=1):
        back = f", {dollars(top.reversed_cents)} reversed" if top.reversed_cents else ""
        payouts = counted(top.payouts, "payout")
        lines.append(f"  {place:>2}. {top.referrer_id} - {dollars(top.net_cents)} ({payouts}{back})")
    return [*lines, *([f"The chart is in {chart}."] if chart else [])]


def _week_line(week: PaidWeek) -> str:
    back = f"  {dollars(week.reversed_cents)} reversed" if week.reversed_cents else ""
    return f"  week of {week.monday:%Y-%m-%d}  {dollars(week.paid_cents):>14}{back}"


def _json(found: Statistics, chart: Path | None) -> dict[str, object]:
    return {
        "users": found.users,
        "payouts": found.payouts,
        "total_cents": found.paid_cents,
        "reversed_cents": found.reversed_cents,
        "net_cents": found.net_cents,
        "average_cents": found.average_cents,
        "weeks": [
            {"monday": week.monday, "total_cents": week.paid_cents, "reversed_cents": week.reversed_cents}
            for week in found.weeks
        ],
        "top": [
            {
                "referrer_id": top.referrer_id,
                "total_cents": top.paid_cents,
                "reversed_cents": top.reversed_cents,
                "net_cents": top.net_cents,
                "payouts": top.payouts,
            }
            for top in found.top
        ],
        "chart": str(chart.absolute()) if chart else None,
    }
