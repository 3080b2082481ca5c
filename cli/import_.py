"""`import`: purchases and referrals from files. Importing a file again changes nothing."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import anyio
import typer

from cashback.database.database import Database
from cashback.database.referral_program.people import strangers_among
from cashback.database.referral_program.purchases import Purchase, PurchaseOutcome, record_purchases
from cashback.database.referral_program.referrals import create_referrals, referrers_of
from cashback.database.referral_program.shop_refunds import record_shop_refunds
from cashback.domain.ports import utc_now
from cashback.settings import Settings
from cashback.shops.answers import Answers, UnansweredError
from cashback.shops.chunks import Chunk, PurchaseFile, ReferralFile
from cashback.shops.files import open_purchases, open_referrals
from cashback.shops.tables import BadRow
from cli.context import Place, ledger
from cli.import_tally import ERRORS_LISTED, Tally
from cli.options import ConfigOption, DatabaseOption, JsonOption
from cli.output import Advance, RestartableAdvance, UsageError, complain, counted, progress, remark, say, say_json

CHUNK_ROWS: Final = 20_000
"""Rows in one transaction: each transaction rewrites most of the referrals' pages, so fewer of them write less."""


Tallies = dict[str, Tally]
"""What became of each file's rows, by the file's name."""


class _RolledBackError(Exception):
    """Rolls back a strict import with bad rows, or a dry run; carries the counts out of the transaction."""

    def __init__(self, tallies: Tallies) -> None:
        self.tallies = tallies


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files of an import; None for one that is not given."""

    referrals: ReferralFile | None
    purchases: PurchaseFile | None

    def by_name(self) -> Iterator[tuple[str, ReferralFile | PurchaseFile]]:
        """Return the given files with their names, referrals first."""
        if self.referrals is not None:
            yield "referrals", self.referrals
        if self.purchases is not None:
            yield "purchases", self.purchases


@dataclass(frozen=True, slots=True, kw_only=True)
class _Import:
    """One run. A transaction may run twice, so its functions return their counts and change nothing of this object."""

    files: Files
    rate_ppm: int
    holding_days: int
    now: datetime

    def new_tallies(self) -> Tallies:
        """Return a tally without rows for each file."""
        return {
            name: Tally(kind=file.kind_name, not_looked_at=file.not_looked_at) for name, file in self.files.by_name()
        }

    def chunks(self) -> Iterator[tuple[str, Chunk[Any]]]:
        """Read both files, referrals first, so that a buyer's referrer is known before the purchase."""
        for name, file in self.files.by_name():
            for chunk in file.chunks(CHUNK_ROWS):
                yield name, chunk

    def take(self, connection: Any, name: str, chunk: Chunk[Any]) -> Tally:  # noqa: ANN401 -- the database package's connection
        """Take a chunk's good rows; return its counts."""
        tally = Tally()
        known = self._without_strangers(connection, chunk)
        if name == "purchases":
            self._take_purchases(connection, known, tally)
        else:
            self._take_referrals(connection, known, tally)
        return tally

    def take_all(self, connection: Any, advance: RestartableAdvance, *, keep: bool) -> Tallies:  # noqa: ANN401 -- as above
        """Take every chunk in one transaction, and roll it back if a row is bad or nothing is to be kept."""
        advance.restart()
        tallies = self.new_tallies()
        for name, chunk in self.chunks():
            tallies[name].add(self.take(connection, name, chunk))
            advance(chunk.read)
        if not keep or _bad_in(tallies):
            raise _RolledBackError(tallies)
        return tallies

    def _without_strangers(self, connection: Any, chunk: Chunk[Any]) -> Chunk[Any]:  # noqa: ANN401 -- as above
        """Make bad rows of those with an id that no Discord account has and the ledger does not know."""
        strangers = strangers_among(connection, _ids_in(chunk.rows), self.now)
        if not strangers:
            return chunk
        kept, bad = list[int](), list(chunk.bad)
        for number, row in enumerate(chunk.rows):
            stranger = next((one for one in _ids_in([row]) if one in strangers), None)
            if stranger is None:
                kept.append(number)
            else:
                bad.append(BadRow(line=chunk.lines[number], reason=f"{stranger} {strangers[stranger]}"))
        rows, lines = [chunk.rows[n] for n in kept], [chunk.lines[n] for n in kept]
        return replace(chunk, rows=rows, lines=lines, bad=bad)

    def _take_referrals(self, connection: Any, chunk: Chunk[tuple[int, int]], tally: Tally) -> None:  # noqa: ANN401 -- SQLAlchemy's connection has its type in cashback/database/ alone
        refusals = create_referrals(connection, chunk.rows, self.now)
        refused = [number for number, refusal in enumerate(refusals) if refusal]
        standing = referrers_of(connection, [chunk.rows[number][1] for number in refused])
        bad = list(chunk.bad)
        known = 0
        for number in refused:
            referrer_id, referred_id = chunk.rows[number]
            stands = standing.get(referred_id)
            if stands == referrer_id != referred_id:
                known += 1
                continue
            by = f" ({stands})" if stands is not None and referrer_id != referred_id else ""
            bad.append(
                BadRow(line=chunk.lines[number], reason=f"{referrer_id} referred {referred_id}: {refusals[number]}{by}")
            )
        tally.read += chunk.read
        tally.imported += len(refusals) - len(refused)
        tally.known += known
        tally.refuse(sorted(bad, key=lambda row: row.line))

    def _take_purchases(self, connection: Any, chunk: Chunk[Purchase], tally: Tally) -> None:  # noqa: ANN401 -- SQLAlchemy's connection has its type in cashback/database/ alone
        answers = record_purchases(connection, chunk.rows, self.rate_ppm, self.now, holding_days=self.holding_days)
        bad = list(chunk.bad)
        for number, answer in enumerate(answers):
            purchase = chunk.rows[number]
            if answer.outcome is PurchaseOutcome.CONFLICTING:
                reason = f"order {purchase.order_id} is known with another buyer or amount"
                bad.append(BadRow(line=chunk.lines[number], reason=reason))
                continue
            tally.count(OUTCOME_NAMES[answer.outcome], purchase.amount_cents)
            tally.earned_cents += answer.earned_cents
        tally.read += chunk.read
        tally.nobody_earns = tally.rows_of("nobody_earns")
        tally.known = tally.rows_of("known")
        tally.imported = tally.rows_of("earned") + tally.nobody_earns
        tally.look_at(chunk.rows)
        tally.exclude(chunk.excluded)
        tally.refuse(sorted(bad, key=lambda row: row.line))
        for recorded in record_shop_refunds(connection, chunk.refunds, actor="cli", now=self.now):
            if recorded is not None:
                tally.refunds.add(recorded.amount_cents)
                tally.taken_cents += recorded.taken_cents


OUTCOME_NAMES: Final = {
    PurchaseOutcome.EARNED: "earned",
    PurchaseOutcome.NOBODY_EARNS: "nobody_earns",
    PurchaseOutcome.REPEATED: "known",
}


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
        str | None, typer.Option("--currency", metavar="CODE", help="Count only rows in this currency: USD.")
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
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Read the options and import."""
    answers = Answers(
        ignored_columns=frozenset(" ".join(name.split()).lower() for name in ignore_column or ()),
        currency=currency.strip().upper() if currency else None,
        only_status=frozenset(status.strip().lower() for status in only_status or ()),
        amounts=amounts,
        decimal=decimal,
        day_order=day_order,
        amount=amount,
        sum_lines=sum_lines,
    )
    return import_files(
        Place.of(context, config, database),
        purchases=file,
        referrals=referrals,
        strict=strict,
        dry_run=dry_run,
        answers=answers,
        as_json=as_json,
    )


def import_files(
    place: Place,
    *,
    purchases: Path | None,
    referrals: Path | None,
    strict: bool,
    as_json: bool,
    dry_run: bool = False,
    answers: Answers | None = None,
) -> int:
    """Take what the files hold, say what became of it, and return the exit code."""
    if purchases is None and referrals is None:
        raise UsageError("there is nothing to import: name a file of purchases, or --referrals FILE")
    settings = place.settings()
    # Both files are checked before the first one is imported.
    files = _opened(purchases, referrals, answers or Answers())
    lines = sum(file.line_count for file in (files.referrals, files.purchases) if file is not None)
    with progress("Importing", lines) as advance:
        tallies = anyio.run(_import, settings, files, strict, dry_run, advance)
    bad = _bad_in(tallies)
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


def _ids_in(rows: Sequence[Purchase | tuple[int, int]]) -> set[int]:
    """Return the ids in rows of one kind."""
    if rows and isinstance(rows[0], Purchase):
        return {int(row[1]) for row in rows}
    return {int(one) for pair in rows for one in pair[:2]}


def _opened(purchases: Path | None, referrals: Path | None, answers: Answers) -> Files:
    """Open the files, and ask on a terminal what they leave open. Raises UnansweredError elsewhere."""
    while True:
        try:
            return Files(
                referrals=open_referrals(referrals, answers) if referrals is not None else None,
                purchases=open_purchases(purchases, answers, utc_now()) if purchases is not None else None,
            )
        except UnansweredError as open_question:
            if not sys.stdin.isatty():
                raise
            answer: dict[str, Any] = {open_question.option: _ask(open_question)}
            answers = replace(answers, **answer)


def _ask(open_question: UnansweredError) -> str:
    choices = "/".join(open_question.choices)
    while True:
        given: str = typer.prompt(f"{open_question.question} [{choices}]", err=True)
        if given.strip().lower() in open_question.choices:
            return given.strip().lower()


async def _import(
    settings: Settings,
    files: Files,
    strict: bool,  # noqa: FBT001 -- anyio.run passes by position
    dry_run: bool,  # noqa: FBT001 -- as above
    advance: Advance,
) -> Tallies:
    async with ledger(settings, create=not dry_run) as database:
        run = _Import(
            files=files,
            rate_ppm=settings.referral_settings.rate_ppm,
            holding_days=settings.referral_settings.holding_days,
            now=database.now(),
        )
        if strict or dry_run:
            return await _take_in_one_transaction(database, run, RestartableAdvance(advance), keep=not dry_run)
        tallies = run.new_tallies()
        for name, chunk in run.chunks():
            tallies[name].add(await database.write(run.take, name, chunk))
            advance(chunk.read)
        return tallies


async def _take_in_one_transaction(
    database: Database, run: _Import, advance: RestartableAdvance, *, keep: bool
) -> Tallies:
    try:
        return await database.write(run.take_all, advance, keep=keep)
    except _RolledBackError as rolled_back:
        return rolled_back.tallies


def _bad_in(tallies: Tallies) -> int:
    """Count the bad rows of all files."""
    return sum(tally.bad for tally in tallies.values())


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
