"""One run of `import`: its files, taken chunk by chunk, and what became of their rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from cashback.database.referral_program import intakes, kept_refunds
from cashback.database.referral_program.people import strangers_among
from cashback.database.referral_program.purchases import Purchase, PurchaseOutcome, record_purchases
from cashback.database.referral_program.referrals import create_referrals, referrers_of
from cashback.database.referral_program.refunds import RecordedRefund, Refund, RefundOutcome
from cashback.database.referral_program.shop_refunds import CHANGES, Answer, receive_refunds
from cashback.database.referral_program.twins import similar_elsewhere
from cashback.domain.earning import Origin, order_key
from cashback.domain.errors import OtherRefundError
from cashback.settings import ReferralSettings
from cashback.shops.answers import Answers
from cashback.shops.chunks import Chunk, PurchaseFile, ReferralFile, ReferralRow
from cashback.shops.tables import BadRow
from cli.import_guests import take_guests, with_linked
from cli.import_ids import delivered_refunds, with_one_id
from cli.import_questions import ask_for_dates, ask_for_twins
from cli.import_tally import Tally
from cli.output import RestartableAdvance

CHUNK_ROWS: Final = 20_000
"""Rows in one transaction: each transaction rewrites most of the referrals' pages, so fewer of them write less."""

Tallies = dict[str, Tally]
"""What became of each file's rows, by the file's name."""


class RolledBackError(Exception):
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
class ImportRun:
    """One run. A transaction may run twice, so its functions return their counts and change nothing of this object."""

    files: Files
    settings: ReferralSettings
    source: str
    answers: Answers
    digest: str
    now: datetime
    email_key: str | None = None
    delivers: bool = False
    """Whether the shop is connected, so that its deliveries name the same orders."""
    number: int = 0
    """The intake's."""

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
        if name == "purchases":
            renamed = with_one_id(connection, chunk, self.source, delivers=self.delivers)
            known = self._without_strangers(connection, with_linked(connection, renamed, self.email_key))
            self._take_purchases(connection, known, tally)
        else:
            self._take_referrals(connection, self._without_strangers(connection, chunk), tally)
        return tally

    def take_all(self, connection: Any, advance: RestartableAdvance, *, keep: bool) -> Tallies:  # noqa: ANN401 -- as above
        """Take every chunk in one transaction, and roll it back if a row is bad or nothing is to be kept."""
        advance.restart()
        tallies = self.new_tallies()
        run = replace(self, number=self.begin(connection))
        for name, chunk in self.chunks():
            tallies[name].add(run.take(connection, name, chunk))
            advance(chunk.read)
        run.finish(connection, tallies)
        if not keep or bad_in(tallies):
            raise RolledBackError(tallies)
        return tallies

    def begin(self, connection: Any) -> int:  # noqa: ANN401 -- as above
        """Begin the intake and return its number. Raises UnansweredError if the files leave something open."""
        ask_for_dates(connection, self.files.referrals, self.files.purchases, self.answers, CHUNK_ROWS)
        if self.files.purchases is not None and not self.answers.separate_orders:
            chunks = self.files.purchases.chunks(CHUNK_ROWS)
            ask_for_twins(connection, (with_linked(connection, chunk, self.email_key) for chunk in chunks), self.source)
        return intakes.begin(connection, source=self.source, kind="import", actor="cli", now=self.now)

    def finish(self, connection: Any, tallies: Tallies) -> None:  # noqa: ANN401 -- as above
        """Store what the intake brought, with its audit entry; of one that brought nothing, nothing stays."""
        rows = sum(tally.rows_taken for tally in tallies.values()) + kept_refunds.count_of(connection, self.number)
        cents = sum(tally.imported_cents + tally.waiting.cents for tally in tallies.values())
        totals = intakes.IntakeTotals(digest=self.digest, rows=rows, cents=cents)
        if "purchases" in tallies and not self.answers.separate_orders:
            tallies["purchases"].similar = similar_elsewhere(connection, self.number, self.source)
        intakes.finish(connection, self.number, totals, actor="cli", now=self.now)

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

    def _take_referrals(self, connection: Any, chunk: Chunk[ReferralRow], tally: Tally) -> None:  # noqa: ANN401 -- SQLAlchemy's connection has its type in cashback/database/ alone
        pairs = [row[:2] for row in chunk.rows]
        refusals = create_referrals(
            connection,
            pairs,
            self.now,
            referred_at=[row[2] for row in chunk.rows],
            dates=self.settings.earning_dates,
            intake_number=self.number,
        )
        refused = [number for number, refusal in enumerate(refusals) if refusal]
        standing = referrers_of(connection, [pairs[number][1] for number in refused])
        bad = list(chunk.bad)
        known = 0
        for number in refused:
            referrer_id, referred_id = pairs[number]
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
        origin = Origin(source=self.source, intake_number=self.number)
        answers = record_purchases(
            connection,
            chunk.rows,
            self.settings.rate_ppm,
            self.now,
            holding_days=self.settings.holding_days,
            dates=self.settings.earning_dates,
            origin=origin,
            actor="cli",
        )
        bad = list(chunk.bad)
        for number, (purchase, answer) in enumerate(zip(chunk.rows, answers, strict=True)):
            if answer.outcome is PurchaseOutcome.CONFLICTING or answer.is_in_intake:
                reason = f"order {purchase.order_id} is known with another buyer or amount"
                if answer.is_in_intake:
                    reason = f"order {purchase.order_id} is in the file twice; remove a row, or say --sum-lines"
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
        waiting = take_guests(
            connection, chunk.guests, self.settings, self.now, origin=origin, email_key=self.email_key
        )
        for cents in waiting.new_cents:
            tally.waiting.add(cents)
        tally.exclude(waiting.excluded)
        tally.other_rows.update(chunk.other_rows)
        bad += self._take_refunds(connection, chunk, tally, origin)
        tally.refuse(sorted([*bad, *waiting.bad], key=lambda row: row.line))

    def _take_refunds(
        self,
        connection: Any,  # noqa: ANN401 -- as above
        chunk: Chunk[Purchase],
        tally: Tally,
        origin: Origin,
    ) -> list[BadRow]:
        """Take the refunds; return the rows of refunds that contradict what is recorded."""
        delivered = delivered_refunds(connection, chunk, self.source)
        wanted: list[tuple[int | None, Refund]] = [(None, refund) for refund in chunk.refunds]
        for row in chunk.refund_rows:
            if order_key(row[1].order_id) in delivered:
                tally.count_refund_row("delivered", row[1].amount_cents or 0)
            else:
                wanted.append(row)
        dates = self.settings.earning_dates
        refunds = [refund for _, refund in wanted]
        answers = receive_refunds(connection, refunds, actor="cli", now=self.now, origin=origin, dates=dates)
        bad = []
        for (line, refund), answer in zip(wanted, answers, strict=True):
            if isinstance(answer, OtherRefundError) and line is not None:
                bad.append(BadRow(line=line, reason=str(answer)))
            elif line is not None:
                tally.count_refund_row(_outcome_of(answer), refund.amount_cents or 0)
            if isinstance(answer, RecordedRefund):
                tally.add_refund(answer)
        return bad


def _outcome_of(answer: Answer) -> str:
    """Name what became of a refund that is a row of its own."""
    if not isinstance(answer, RecordedRefund):
        return "nothing_left"
    if answer.outcome in CHANGES:
        return "recorded"
    return "kept" if answer.outcome is RefundOutcome.KEPT else "known"


OUTCOME_NAMES: Final = {
    PurchaseOutcome.EARNED: "earned",
    PurchaseOutcome.NOBODY_EARNS: "nobody_earns",
    PurchaseOutcome.REPEATED: "known",
}


def bad_in(tallies: Tallies) -> int:
    """Count the bad rows of all files."""
    return sum(tally.bad for tally in tallies.values())


def _ids_in(rows: Sequence[Purchase | ReferralRow]) -> set[int]:
    """Return the ids in rows of one kind."""
    if rows and isinstance(rows[0], Purchase):
        return set(map(attrgetter("buyer_id"), rows))
    return {one for row in rows if not isinstance(row, Purchase) for one in row[:2]}
