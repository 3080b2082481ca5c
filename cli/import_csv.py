"""`import`: purchases and referrals from CSV files. Importing a file again changes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import anyio

from cashback.database.database import Database
from cashback.database.referral_program.purchases import Purchase, PurchaseOutcome, record_purchases
from cashback.database.referral_program.referrals import create_referrals, referrers_of
from cashback.domain.money import dollars
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.csv_reader import BadRow, Chunk, CsvFile, open_purchases, open_referrals
from cli.output import Advance, UsageError, complain, counted, progress, remark, say, say_json

CHUNK_ROWS: Final = 20_000
"""Rows that share a transaction: each writes most of the referrals' pages anew, so fewer write less."""
ERRORS_LISTED: Final = 100


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of one file's rows. `errors` lists the first of those that `bad` counts."""

    read: int = 0
    imported: int = 0
    known: int = 0
    nobody_earns: int = 0
    earned_cents: int = 0
    bad: int = 0
    errors: list[BadRow] = field(default_factory=list)

    def refuse(self, rows: list[BadRow]) -> None:
        """Count bad rows, and list them while there are few."""
        self.bad += len(rows)
        self.errors += rows[: ERRORS_LISTED - len(self.errors)]

    def nothing_taken(self) -> None:
        """Forget what was taken: the transaction was rolled back."""
        self.imported = self.known = self.nobody_earns = self.earned_cents = 0

    def as_json(self, kind: str) -> dict[str, Any]:
        """Tell programs what became of the rows."""
        return {
            "read": self.read,
            "imported": self.imported,
            "known": self.known,
            "nobody_earns": self.nobody_earns,
            "bad": self.bad,
            "errors": [{"file": kind, "line": row.line, "reason": row.reason} for row in self.errors],
            "earned_cents": self.earned_cents,
        }


class _RefusedError(Exception):
    """Rolls a strict import back."""


@dataclass(slots=True, kw_only=True)
class _Import:
    """One run: the files, referrals first, and what became of their rows so far."""

    referrals: CsvFile[tuple[int, int]] | None
    purchases: CsvFile[Purchase] | None
    rate_ppm: int
    holding_days: int
    now: datetime
    tallies: dict[str, Tally] = field(default_factory=dict)

    def chunks(self) -> Iterator[Chunk[tuple[int, int]] | Chunk[Purchase]]:
        """Read both files, referrals first, so that a buyer's referrer is known before the purchase."""
        for kind, file in (("referrals", self.referrals), ("purchases", self.purchases)):
            if file is not None:
                self.tallies[kind] = Tally()
                yield from file.chunks(CHUNK_ROWS)

    def take(self, connection: Any, chunk: Chunk[Any]) -> None:  # noqa: ANN401 -- the database package's connection
        """Take a chunk's good rows."""
        if "purchases" in self.tallies:
            self._take_purchases(connection, chunk, self.tallies["purchases"])
        else:
            self._take_referrals(connection, chunk, self.tallies["referrals"])

    def take_all(self, connection: Any, advance: Advance) -> None:  # noqa: ANN401 -- as above
        """Take every chunk in one transaction; raises where a row is bad."""
        for chunk in self.chunks():
            self.take(connection, chunk)
            advance(chunk.read)
        if self.bad:
            raise _RefusedError

    @property
    def bad(self) -> int:
        """Count the bad rows of all files."""
        return sum(tally.bad for tally in self.tallies.values())

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
        earned = nobody_earns = known = 0
        for number, answer in enumerate(answers):
            outcome = answer.outcome
            if outcome is PurchaseOutcome.EARNED:
                earned += 1
                tally.earned_cents += answer.earned_cents
            elif outcome is PurchaseOutcome.NOBODY_EARNS:
                nobody_earns += 1
            elif outcome is PurchaseOutcome.REPEATED:
                known += 1
            else:
                reason = f"order {chunk.rows[number].order_id} is known with another buyer or amount"
                bad.append(BadRow(line=chunk.lines[number], reason=reason))
        tally.read += chunk.read
        tally.imported += earned + nobody_earns
        tally.known += known
        tally.nobody_earns += nobody_earns
        tally.refuse(sorted(bad, key=lambda row: row.line))


def import_files(place: Place, *, purchases: Path | None, referrals: Path | None, strict: bool, as_json: bool) -> int:
    """Take what the files hold, say what became of it, and return the exit code."""
    if purchases is None and referrals is None:
        raise UsageError("There is nothing to import; name a FILE of purchases, --referrals FILE, or both.")
    settings = place.settings()
    # Both files are checked before anything of the first one is taken.
    referral_file = open_referrals(referrals) if referrals is not None else None
    purchase_file = open_purchases(purchases) if purchases is not None else None
    lines = sum(file.line_count for file in (referral_file, purchase_file) if file is not None)
    with progress("Importing", lines) as advance:
        run = anyio.run(_import, settings, referral_file, purchase_file, strict, advance)
    taken = not (strict and run.bad)
    for kind, tally in run.tallies.items():
        if not taken:
            tally.nothing_taken()
        _complain_of(referrals if kind == "referrals" else purchases, tally)
    say_json(_all_as_json(run.tallies)) if as_json else _say(run.tallies)
    if not taken:
        complain(f"nothing was imported: --strict, and {counted(run.bad, 'row is', 'rows are')} bad")
        return 1
    return 3 if run.bad else 0


async def _import(
    settings: Settings,
    referrals: CsvFile[tuple[int, int]] | None,
    purchases: CsvFile[Purchase] | None,
    strict: bool,  # noqa: FBT001 -- anyio.run passes by position
    advance: Advance,
) -> _Import:
    async with ledger(settings, create=True) as database:
        run = _Import(
            referrals=referrals,
            purchases=purchases,
            rate_ppm=settings.referral_settings.rate_ppm,
            holding_days=settings.referral_settings.holding_days,
            now=database.now(),
        )
        if strict:
            await _take_all_or_nothing(database, run, advance)
        else:
            for chunk in run.chunks():
                await database.write(run.take, chunk)
                advance(chunk.read)
        return run


async def _take_all_or_nothing(database: Database, run: _Import, advance: Advance) -> None:
    try:
        await database.write(run.take_all, advance)
    except _RefusedError:
        return


def _complain_of(path: Path | None, tally: Tally) -> None:
    for row in tally.errors:
        remark(f"{path} line {row.line}: {row.reason}")
    if tally.bad > len(tally.errors):
        remark(f"{path}: and {counted(tally.bad - len(tally.errors), 'more bad row')}")


def _all_as_json(tallies: dict[str, Tally]) -> dict[str, Any]:
    """Tell programs the sums over the files, and each file's own."""
    parts = {kind: tally.as_json(kind) for kind, tally in tallies.items()}
    names = ("read", "imported", "known", "nobody_earns", "bad", "earned_cents")
    errors = [error for part in parts.values() for error in part.pop("errors")]
    sums = {name: sum(part[name] for part in parts.values()) for name in names}
    return {**sums, "errors": errors[:ERRORS_LISTED], **parts}


def _say(tallies: dict[str, Tally]) -> None:
    for kind, tally in tallies.items():
        say(
            f"{kind.capitalize()}: {counted(tally.read, 'row')} read, {tally.imported:,} imported,"
            f" {tally.known:,} known already, {tally.bad:,} bad."
        )
        if kind == "purchases":
            say(f"  They earned {dollars(tally.earned_cents)}; {tally.nobody_earns:,} earned nobody anything.")
