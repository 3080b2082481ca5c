"""The `cashback` command: options and exit codes. What each command does stands in `console/`, imported when it runs.

Exit codes: 0 done, 1 an error in one line on standard error, 2 wrong usage, 3 done with failures.
"""

# ruff: noqa: PLC0415 -- each command imports what it needs when it runs: `--help` waits for nothing
import gc
import io
import os
import re
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from cashback.domain.errors import CashbackError
from cli.options import (
    ApproverOption,
    BatchArgument,
    ConfigOption,
    DatabaseOption,
    ExcludeOption,
    JsonOption,
    LimitOption,
    MemberArgument,
    OnlyOption,
    ReasonOption,
    SecondApproverOption,
    UserOption,
    parse_amount,
    parse_digest,
    parse_id,
)
from cli.output import UsageError, complain, one_line

if TYPE_CHECKING:
    from cli.context import Place

app = typer.Typer(
    name="cashback",
    help="Pay a community the referral cashback that it has earned.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 -- Typer calls it so
    if wanted:
        from importlib import metadata

        try:
            typer.echo(f"cashback {metadata.version('cashback')}")
        except metadata.PackageNotFoundError:
            typer.echo("cashback (not installed)")
        raise typer.Exit


COLLECT_AFTER = 50_000
"""Objects made between two looks of the garbage collector. Imports and rows make no cycles: with Python's 700, looking
for them is a tenth of a short command's time and a sixth of an import's."""


class TakesFigures(TyperCommand):
    """A command that refuses `-5` as an amount, with what it may be, and `--other` as an unknown option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 -- Typer has no public name for it
        """Read a word that looks like an option as a value where one is a negative figure."""
        ctx.ignore_unknown_options = any(re.match(r"-\W*\d", argument) for argument in args)
        return super().parse_args(ctx, args)


@app.callback()
def main_options(
    context: typer.Context,
    *,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,  # noqa: ARG001 -- Typer reads it
    version: Annotated[  # noqa: ARG001 -- Typer reads it
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Pay a community the referral cashback that it has earned."""
    context.obj = (config, database)


def _place(context: typer.Context, config: Path | None, database: str | None) -> "Place":
    """Join the options before the command and after it; those after it go first."""
    from cli.context import Place

    general_config, general_database = context.obj
    return Place(config=config or general_config, database=database or general_database)


@app.command()
def pay(
    context: typer.Context,
    *,
    user: UserOption = None,
    only: OnlyOption = None,
    exclude: ExcludeOption = None,
    approved_by: ApproverOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Pay without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be paid, and pay nothing.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Pay what is pending, to everyone, to one member or to some."""
    from cashback.domain.model import Selection
    from cli import pay

    place = _place(context, config, database)
    selection = Selection(only=frozenset(only or ()), exclude=frozenset(exclude or ()))
    order = pay.Order(user_id=user, selection=selection, approved_by=approved_by)
    return pay.pay(place, order, yes=yes, dry_run=dry_run, as_json=as_json)


@app.command()
def approve(
    context: typer.Context,
    *,
    batch_id: BatchArgument,
    approved_by: SecondApproverOption,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Approve, as the second admin, a batch that waits for one, and pay it."""
    from cli import runs

    return runs.approve(_place(context, config, database), batch_id, approved_by=approved_by, as_json=as_json)


@app.command()
def pending(
    context: typer.Context,
    *,
    user: UserOption = None,
    limit: LimitOption = 10,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Show what would be paid now."""
    from cli import reports

    return reports.pending(_place(context, config, database), user_id=user, limit=limit, as_json=as_json)


@app.command()
def history(
    context: typer.Context,
    *,
    limit: LimitOption = 20,
    page: Annotated[int, typer.Option("--page", metavar="N", min=1, max=10**9, help="The page, from 1.")] = 1,
    state: Annotated[str | None, typer.Option("--state", metavar="STATE", help="Only in this state.")] = None,
    user: UserOption = None,
    since: Annotated[str | None, typer.Option("--from", metavar="DAY", help="From this day, say 2026-07-03.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Up to this day, included.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """List the batches, newest first."""
    from cli import batch_filter, reports

    place = _place(context, config, database)
    wanted = batch_filter.batches(state=state, user_id=user, since=since, until=until)
    return reports.history(place, wanted, limit=limit, page=page, as_json=as_json)


@app.command()
def show(
    context: typer.Context,
    *,
    batch_id: BatchArgument,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="Payouts to list; 0 lists all.")] = 25,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Show one batch and its payouts."""
    from cli import reports

    return reports.show(_place(context, config, database), batch_id, limit=limit, as_json=as_json)


class FileFormat(StrEnum):
    """What an export may be."""

    CSV = "csv"
    XLSX = "xlsx"


@app.command()
def export(
    context: typer.Context,
    *,
    batch_id: Annotated[str | None, typer.Argument(metavar="[BATCH-ID]", help="The batch's ID, or its number.")] = None,
    since: Annotated[str | None, typer.Option("--from", metavar="DAY", help="From this day, say 2026-07-03.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Up to this day, included.")] = None,
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Where to.")] = None,
    file_format: Annotated[FileFormat, typer.Option("--format", help="csv or xlsx.")] = FileFormat.CSV,
    with_totals: Annotated[
        bool, typer.Option("--totals", help="The totals as the last row, not in a file of their own.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Write payouts as a file for bookkeeping."""
    from cli import export

    return export.export(
        _place(context, config, database),
        batch_id,
        since=since,
        until=until,
        output=output,
        file_format=file_format,
        with_totals=with_totals,
        as_json=as_json,
    )


@app.command()
def stats(
    context: typer.Context,
    *,
    chart: Annotated[Path | None, typer.Option("--chart", metavar="FILE", help="Draw it too, as a PNG.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Show what was distributed, week by week, and to whom most."""
    from cli import stats

    return stats.stats(_place(context, config, database), chart=chart, as_json=as_json)


@app.command()
def doctor(
    context: typer.Context,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Look whether all is there that the bot needs, and say what to do where it is not."""
    from cli import doctor as practice

    return practice.doctor(_place(context, config, database), as_json=as_json)


@app.command()
def verify(
    context: typer.Context,
    *,
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="DIGEST", parser=parse_digest, help="Find this head of the audit log, too."),
    ] = None,
    batch: Annotated[
        str | None, typer.Option("--batch", metavar="BATCH_ID", help="Check this batch only; costs what it paid.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Prove from the rows that the books balance."""
    from cli import reports

    return reports.verify(_place(context, config, database), head=head, batch_id=batch, as_json=as_json)


@app.command()
def backup(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy goes.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file that is there.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Copy the ledger, also while a batch runs."""
    from cli import backup

    return backup.backup(_place(context, config, database), file, overwrite=overwrite, as_json=as_json)


@app.command()
def move(
    *,
    source: Annotated[str, typer.Option("--from", metavar="DATABASE", help="The ledger: a file, or an address.")],
    target: Annotated[str, typer.Option("--to", metavar="DATABASE", help="Where it goes; empty, or not there yet.")],
    as_json: JsonOption = False,
) -> int:
    """Move the ledger to another database, and close the one it was in."""
    from cli import move

    return move.move(source, target, as_json=as_json)


@app.command()
def resume(
    context: typer.Context,
    *,
    batch_id: Annotated[str | None, typer.Argument(metavar="[BATCH-ID]", help="Only this batch.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Finish the batches that were approved and are not finished."""
    from cli import runs

    return runs.resume(_place(context, config, database), batch_id, as_json=as_json)


@app.command()
def retry(
    context: typer.Context,
    *,
    batch_id: BatchArgument,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Try a batch's failed payouts again."""
    from cli import runs

    return runs.retry(_place(context, config, database), batch_id, why=reason, as_json=as_json)


@app.command()
def reverse(
    context: typer.Context,
    *,
    batch_id: BatchArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept.")],
    user: UserOption = None,
    approved_by: ApproverOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take it back without asking.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Take a batch's credited cashback back, as far as the wallets hold it."""
    from cli import reverse

    place = _place(context, config, database)
    return reverse.reverse(
        place, batch_id, user_id=user, reason=reason, approved_by=approved_by, yes=yes, as_json=as_json
    )


@app.command()
def failures(
    context: typer.Context,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """List the failed payouts that nobody has dealt with yet."""
    from cli import runs

    return runs.failures(_place(context, config, database), as_json=as_json)


@app.command()
def stop(
    context: typer.Context,
    *,
    batch_id: BatchArgument,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Stop a batch after the chunk in hand, in whichever process it runs."""
    from cli import runs

    return runs.stop(_place(context, config, database), batch_id, as_json=as_json)


@app.command("give-up")
def give_up(
    context: typer.Context,
    *,
    batch_id: BatchArgument,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """End a stopped batch, or give up a finished one's failed payouts; the cashback stays pending."""
    from cli import runs

    return runs.abandon(_place(context, config, database), batch_id, as_json=as_json)


@app.command()
def seed(
    context: typer.Context,
    *,
    referrers: Annotated[
        int | None, typer.Option("--referrers", metavar="N", min=1, max=1_000_000, help="A random one of this size.")
    ] = None,
    referrals: Annotated[
        int | None, typer.Option("--referrals", metavar="M", min=1, max=5_000_000, help="Its referrals in all [3 N].")
    ] = None,
    random_seed: Annotated[
        int | None, typer.Option("--seed", metavar="S", help="The same seed makes the same community [0].")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Make a ledger with a sample community: sample.db, unless --database names another."""
    from cli import seed

    place = _place(context, config, database)
    return seed.seed(place, referrers=referrers, referrals=referrals, random_seed=random_seed, as_json=as_json)


@app.command("import")
def import_files(
    context: typer.Context,
    *,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="CSV: order_id,buyer_id,amount.")] = None,
    referrals: Annotated[
        Path | None, typer.Option("--referrals", metavar="FILE", help="CSV: referrer_id,referred_id; goes first.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Take nothing unless every row is good.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Import purchases and referrals from CSV files."""
    from cli import import_csv

    place = _place(context, config, database)
    return import_csv.import_files(place, purchases=file, referrals=referrals, strict=strict, as_json=as_json)


@app.command(cls=TakesFigures)
def purchase(
    context: typer.Context,
    *,
    order_id: Annotated[str, typer.Argument(metavar="ORDER-ID", help="The shop's id of the order.")],
    buyer_id: Annotated[int, typer.Argument(metavar="BUYER-ID", parser=parse_id, help="Who bought.")],
    amount: Annotated[int, typer.Argument(metavar="AMOUNT", parser=parse_amount, help="Dollars, say 12.34.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Record one purchase and show what it earned."""
    from cli import record

    return record.purchase(_place(context, config, database), order_id, buyer_id, amount, as_json=as_json)


@app.command(cls=TakesFigures)
def refund(
    context: typer.Context,
    *,
    order_id: Annotated[str, typer.Argument(metavar="ORDER-ID", help="The shop's id of the order.")],
    amount: Annotated[
        int | None, typer.Argument(metavar="[AMOUNT]", parser=parse_amount, help="Dollars; else what is left of it.")
    ] = None,
    refund_id: Annotated[
        str | None, typer.Option("--refund-id", metavar="ID", help="The shop's id of the refund; it counts once.")
    ] = None,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Record a refund and show what it takes off whose cashback."""
    from cli import record

    place = _place(context, config, database)
    return record.refund(place, order_id, amount, refund_id=refund_id, reason=reason, as_json=as_json)


@app.command(cls=TakesFigures)
def blacklist(
    context: typer.Context,
    *,
    user_id: MemberArgument,
    reason: ReasonOption = None,
    remove: Annotated[bool, typer.Option("--remove", help="Let the member earn again.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Bar a member from referral cashback."""
    from cli import record

    return record.blacklist(_place(context, config, database), user_id, reason=reason, remove=remove, as_json=as_json)


class ScheduleAction(StrEnum):
    """What may be done to the schedule."""

    PAUSE = "pause"
    RESUME = "resume"
    SKIP = "skip"


@app.command()
def schedule(
    context: typer.Context,
    *,
    action: Annotated[
        ScheduleAction | None, typer.Argument(metavar="[pause|resume|skip]", help="Skip is the next slot's.")
    ] = None,
    reason: ReasonOption = None,
    reload: Annotated[bool, typer.Option("--reload", help="Put the rule of config.json in force now.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Show the weekly batch, or pause, resume or skip it."""
    from cli import schedule

    place = _place(context, config, database)
    return schedule.schedule(place, action=action, reason=reason, reload=reload, as_json=as_json)


@app.command()
def migrate(
    context: typer.Context,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Create the ledger, adopt another bot's, or upgrade it."""
    from cli import record

    return record.migrate(_place(context, config, database), as_json=as_json)


@app.command()
def demo(
    *,
    serve: Annotated[bool, typer.Option("--serve", help="Keep the local Discord open as a chat page.")] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Its port; 0 is any free one.")] = 0,
) -> int:
    """Show the whole way of a payout on a local Discord."""
    from cli import demo as story

    return story.demo(serve=serve, port=port)


@app.command()
def dashboard(
    context: typer.Context,
    *,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Its port; 0 is any free one.")] = 0,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Look at the ledger in a browser, without Discord."""
    from cli import dashboard

    return dashboard.dashboard(_place(context, config, database), port=port)


@app.command()
def bot(context: typer.Context, *, config: ConfigOption = None, database: DatabaseOption = None) -> int:
    """Run the bot until it is told to stop."""
    import bot as program

    place = _place(context, config, database)
    return program.main(place.settings(), reread=place.settings)


@app.command()
def worker(context: typer.Context, *, config: ConfigOption = None, database: DatabaseOption = None) -> int:
    """Help to credit running batches, beside the bot and other workers, until it is told to stop."""
    from cli import worker

    return worker.work(_place(context, config, database))


def run(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code. The one place where an error becomes a line on standard error."""
    _accept_any_text()
    try:
        code = app(list(arguments), prog_name="cashback", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        complain(f"{error.format_message().rstrip('.')}. See `cashback --help`.")
        return 2
    except UsageError as error:
        complain(error)
        return 2
    except CashbackError as error:
        complain(error)
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted; what was committed before stays.")
    except OSError as error:
        # Where whoever read the output has gone, nobody is left to be told.
        if not isinstance(error, BrokenPipeError):
            complain(f"{error.filename or 'the output'}: {error.strerror or error}.")
        _give_up_output()
    except Exception as error:
        if "--debug" in arguments:
            raise
        complain(f"unexpected {type(error).__name__}: {one_line(error)} (`cashback --debug …` shows where).")
    else:
        return int(code or 0)
    return 1


def _give_up_output() -> None:
    """Where standard output takes no more, drop what is left: it must not be tried again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _accept_any_text() -> None:
    """Write a replacement where the terminal's encoding lacks a character, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def main() -> None:
    """Run the command that this process was started with."""
    gc.set_threshold(COLLECT_AFTER)
    # Looking for plugins of pydantic reads the description of every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
