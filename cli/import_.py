"""`import`: purchases and referrals from files. Importing a file again changes nothing."""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import anyio
import typer

from cashback.database.database import Database
from cashback.database.referral_program import undoing
from cashback.database.referral_program.undoing import Undone
from cashback.domain.earning import MAIN
from cashback.domain.money import dollars
from cashback.domain.ports import utc_now
from cashback.settings import Settings
from cashback.shops.answers import Answers, UnansweredError
from cashback.shops.files import open_purchases, open_referrals
from cli.context import Place, ledger
from cli.import_run import Files, ImportRun, RolledBackError, Tallies, bad_in
from cli.import_tally import ERRORS_LISTED, Tally
from cli.options import ConfigOption, DatabaseOption, JsonOption, parse_shop
from cli.output import Advance, RestartableAdvance, UsageError, complain, counted, progress, remark, say, say_json

BLOCK_BYTES: Final = 1 << 20


class Unit(StrEnum):
    """What an amount without decimals may be."""

    DOLLARS = "dollars"
    CENTS = "cents"


class AmountColumn(StrEnum):
    """Which of a shop's amounts may count."""

    SUBTOTAL = "subtotal"
    TOTAL = "total"


class DecimalSign(StrEnum):
    """Which sign may stand before the cents."""

    POINT = "point"
    COMMA = "comma"


class DayOrder(StrEnum):
    """How days may be written."""

    DMY = "dmy"
    MDY = "mdy"


def command(
    context: typer.Context,
    *,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A shop's export, or CSV: order_id,buyer_id,amount.")
    ] = None,
    referrals: Annotated[
        Path | None,
        typer.Option("--referrals", metavar="FILE", help="CSV: referrer_id,referred_id; imported first."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Import nothing unless every row is good.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be imported; import nothing.")] = False,
    ignore_column: Annotated[
        list[str] | None,
        typer.Option("--ignore-column", metavar="NAME", help="This column does not matter; repeat it for more."),
    ] = None,
    currency: Annotated[
        str | None, typer.Option("--currency", metavar="CODE", help="Count only rows in this currency, the ledger's.")
    ] = None,
    only_status: Annotated[
        list[str] | None,
        typer.Option("--only-status", metavar="TEXT", help="Count only rows in this state; repeat it for more."),
    ] = None,
    amounts: Annotated[Unit | None, typer.Option("--amounts", help="What amounts without decimals are.")] = None,
    amount: Annotated[
        AmountColumn | None,
        typer.Option("--amount", help="A shop's amounts with taxes and shipping (total), or without (subtotal)."),
    ] = None,
    decimal: Annotated[DecimalSign | None, typer.Option("--decimal", help="The sign before the cents.")] = None,
    day_order: Annotated[DayOrder | None, typer.Option("--day-order", help="The order of day and month.")] = None,
    sum_lines: Annotated[
        bool, typer.Option("--sum-lines", help="Add up the rows of an order; otherwise its second row is bad.")
    ] = False,
    referred_at: Annotated[
        str | None,
        typer.Option("--referred-at", metavar="DAY", help="The day of referrals without a date, or always."),
    ] = None,
    shop: Annotated[
        str, typer.Option("--shop", metavar="NAME", parser=parse_shop, help="The shop, if there are several.")
    ] = MAIN,
    separate_orders: Annotated[
        bool, typer.Option("--separate-orders", help="Orders that another shop has too are other orders.")
    ] = False,
    undo: Annotated[
        int | None,
        typer.Option("--undo", metavar="N", min=1, help="Undo import N, as long as nothing of it is paid."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Read the options, and import or undo."""
    if undo is not None:
        if file is not None or referrals is not None or dry_run:
            raise UsageError("--undo takes no files, and is no dry run")
        return undo_import(Place.of(context, config, database), undo, as_json=as_json)
    answers = Answers(
        ignored_columns=frozenset(" ".join(name.split()).lower() for name in ignore_column or ()),
        currency=currency.strip().upper() if currency else None,
        only_status=frozenset(status.strip().lower() for status in only_status or ()),
        amounts=amounts,
        decimal=decimal,
        day_order=day_order,
        amount=amount,
        sum_lines=sum_lines,
        referred_at=referred_at.strip().lower() if referred_at else None,
        separate_orders=separate_orders,
    )
    return import_files(
        Place.of(context, config, database),
        purchases=file,
        referrals=referrals,
        strict=strict,
        dry_run=dry_run,
        source=shop,
        answers=answers,
        as_json=as_json,
    )


def undo_import(place: Place, number: int, *, as_json: bool) -> int:
    """Undo an import, and show what that took away."""
    undone = anyio.run(_undo, place.settings(), number)
    if as_json:
        say_json(asdict(undone))
        return 0
    purchases = counted(undone.purchases, "purchase")
    parts = (
        f"{purchases} of {dollars(undone.cents)}, which earned {dollars(undone.earned_cents)}",
        counted(undone.refunds, "refund"),
        counted(undone.waiting, "waiting order"),
        counted(undone.referrals, "referral"),
    )
    say(f"Import {number} of shop {undone.source} is undone: {'; '.join(parts)}. It may be imported again.")
    return 0


async def _undo(settings: Settings, number: int) -> Undone:
    async with ledger(settings) as database:
        return await database.write(undoing.undo, number, actor="cli", now=database.now())


def import_files(
    place: Place,
    *,
    purchases: Path | None,
    referrals: Path | None,
    strict: bool,
    as_json: bool,
    dry_run: bool = False,
    source: str = MAIN,
    answers: Answers | None = None,
) -> int:
    """Take what the files hold, say what became of it, and return the exit code."""
    if purchases is None and referrals is None:
        raise UsageError("there is nothing to import: name a file of purchases, or --referrals FILE")
    settings = place.settings()
    paths = [path for path in (referrals, purchases) if path is not None]
    wanted = answers or Answers()
    while True:
        try:
            # Both files are checked before the first one is imported.
            files = _opened(purchases, referrals, wanted, delivers=source in settings.shops)
            lines = sum(file.line_count for _, file in files.by_name())
            with progress("Importing", lines) as advance:
                run = ImportRun(
                    files=files,
                    settings=settings.referral_settings,
                    source=source,
                    answers=wanted,
                    digest=_digest_of(paths),
                    now=utc_now(),
                    delivers=source in settings.shops,
                    email_key=settings.email_key.get_secret_value() if settings.email_key is not None else None,
                )
                tallies = anyio.run(_import, settings, run, strict, dry_run, advance)
            break
        except UnansweredError as open_question:
            if not sys.stdin.isatty():
                raise
            answer: dict[str, Any] = {open_question.option: _ask(open_question)}
            wanted = replace(wanted, **answer)
    bad = bad_in(tallies)
    refused = strict and bad > 0
    for name, tally in tallies.items():
        if refused:
            tally.reset_imported()
        _list_bad_rows(referrals if name == "referrals" else purchases, tally)
    say_json(_all_as_json(tallies)) if as_json else _say(tallies, dry_run=dry_run)
    if refused:
        complain(f"nothing was imported: --strict, and {counted(bad, 'row is', 'rows are')} bad")
        return 1
    return 3 if bad else 0


def _opened(purchases: Path | None, referrals: Path | None, answers: Answers, *, delivers: bool) -> Files:
    """Open the files. Raises UnansweredError for what they leave open."""
    now = utc_now()
    return Files(
        referrals=open_referrals(referrals, answers, now) if referrals is not None else None,
        purchases=open_purchases(purchases, answers, now, delivers=delivers) if purchases is not None else None,
    )


def _digest_of(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def _ask(open_question: UnansweredError) -> str:
    choices = "/".join(open_question.choices)
    while True:
        given: str = typer.prompt(f"{open_question.question} [{choices}]", err=True)
        if given.strip().lower() in open_question.choices:
            return given.strip().lower()


async def _import(
    settings: Settings,
    run: ImportRun,
    strict: bool,  # noqa: FBT001 -- anyio.run passes by position
    dry_run: bool,  # noqa: FBT001 -- as above
    advance: Advance,
) -> Tallies:
    async with ledger(settings, create=not dry_run) as database:
        run = replace(run, now=database.now())
        if strict or dry_run:
            return await _take_in_one_transaction(database, run, RestartableAdvance(advance), keep=not dry_run)
        tallies = run.new_tallies()
        run = replace(run, number=await database.write(run.begin))
        for name, chunk in run.chunks():
            tallies[name].add(await database.write(run.take, name, chunk))
            advance(chunk.read)
        await database.write(run.finish, tallies)
        if sum(tally.rows_taken for tally in tallies.values()):
            tallies["purchases" if "purchases" in tallies else "referrals"].number = run.number
        return tallies


async def _take_in_one_transaction(
    database: Database, run: ImportRun, advance: RestartableAdvance, *, keep: bool
) -> Tallies:
    try:
        return await database.write(run.take_all, advance, keep=keep)
    except RolledBackError as rolled_back:
        return rolled_back.tallies


def _list_bad_rows(path: Path | None, tally: Tally) -> None:
    for row in tally.errors:
        remark(f"{path} line {row.line}: {row.reason}")
    if tally.bad > len(tally.errors):
        remark(f"{path}: and {counted(tally.bad - len(tally.errors), 'more bad row')}")


def _all_as_json(tallies: Tallies) -> dict[str, Any]:
    """Return the sums over the files, and each file's own."""
    parts = {name: tally.as_json(name) for name, tally in tallies.items()}
    names = ("read", "imported", "known", "nobody_earns", "bad", "earned_cents")
    errors = [error for part in parts.values() for error in part.pop("errors")]
    sums = {name: sum(part[name] for part in parts.values()) for name in names}
    return {**sums, "errors": errors[:ERRORS_LISTED], **parts}


def _say(tallies: Tallies, *, dry_run: bool) -> None:
    for name, tally in tallies.items():
        tally.say(name)
    if dry_run:
        say("This was a dry run: nothing was imported.")
