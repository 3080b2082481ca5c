"""Exports payouts as rows of a file for bookkeeping, in the order of batches and referrers.

The database formats each value as it appears in the file, so that a million rows need constant memory.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, String, and_, cast, func, literal, null, select
from sqlalchemy.types import Text

from cashback.database.payouts import reversed_sums
from cashback.database.tables import (
    notifications,
    payout_batches,
    payout_exclusions,
    payout_reversals,
    payouts,
    wallet_transactions,
)
from cashback.domain.extras import Library
from cashback.domain.harmless_cells import harmless
from cashback.domain.model import PayoutStatus
from cashback.domain.money import DOLLARS, money_style
from cashback.domain.whole_files import written_whole

COLUMNS: Final = (
    "batch_id",
    "batch_number",
    "referrer_id",
    "state",
    "approved_cents",
    "approved_dollars",
    "paid_cents",
    "paid_dollars",
    "referral_count",
    "reason",
    "dm_state",
    "transaction_id",
    "settled_at",
    "reversed_cents",
    "reversed_dollars",
    "net_cents",
    "net_dollars",
)
REASON: Final = COLUMNS.index("reason")
"""The only column whose text may come from outside."""

LEFT_OUT: Final = "left_out"
"""The state of a referrer excluded from a batch: nothing was planned, for the given reason."""

ROWS_AT_ONCE: Final = 2_000
SHEET_ROWS: Final = 1_000_000
"""A spreadsheet has at most 1,048,576 rows; what is more goes on a further sheet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Which batches to export: one by its number, or those proposed between two moments, the second excluded."""

    number: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def condition(self) -> ColumnElement[bool]:
        """Build the SQL condition."""
        if self.number is not None:
            return payout_batches.c.number == self.number
        wanted: list[ColumnElement[bool]] = [payout_batches.c.batch_id.is_not(None)]
        if self.since is not None:
            wanted.append(payout_batches.c.proposed_at >= self.since)
        if self.until is not None:
            wanted.append(payout_batches.c.proposed_at < self.until)
        return and_(*wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportTotals:
    """The sums of the columns. `left_out` counts the referrers excluded from a batch; they are in no other count."""

    batches: int
    payouts: int
    credited: int
    failed: int
    skipped: int
    left_out: int
    approved_cents: int
    paid_cents: int
    reversed_cents: int
    net_cents: int


def rows(connection: Connection, period: Period) -> Iterator[Sequence[Any]]:
    """Read every payout, then the excluded referrers, batch after batch, as values for a file."""
    numbers = connection.scalars(
        select(payout_batches.c.number).where(period.condition()).order_by(payout_batches.c.number)
    ).all()
    for number in numbers:
        streamed = connection.execution_options(stream_results=True, yield_per=ROWS_AT_ONCE)
        for partition in streamed.execute(_payouts(number)).partitions():
            yield from partition
        for partition in streamed.execute(_left_out(number)).partitions():
            yield from partition


def _payouts(number: int) -> Select[Any]:
    of_both = and_(
        notifications.c.batch_number == payouts.c.batch_number, notifications.c.user_id == payouts.c.referrer_id
    )
    moved = and_(
        wallet_transactions.c.cashback_payout_batch_number == payouts.c.batch_number,
        wallet_transactions.c.user_discord_id == payouts.c.referrer_id,
    )
    returned = and_(
        payout_reversals.c.batch_number == payouts.c.batch_number,
        payout_reversals.c.referrer_id == payouts.c.referrer_id,
    )
    reversed_cents = func.coalesce(payout_reversals.c.amount_cents, 0)
    net_cents = payouts.c.paid_cents - reversed_cents
    return (
        select(
            payout_batches.c.batch_id,
            payouts.c.batch_number,
            payouts.c.referrer_id,
            payouts.c.status,
            payouts.c.approved_cents,
            _dollars(payouts.c.approved_cents),
            payouts.c.paid_cents,
            _dollars(payouts.c.paid_cents),
            payouts.c.referral_count,
            payouts.c.reason,
            notifications.c.status,
            wallet_transactions.c.id,
            _iso(payouts.c.settled_at),
            reversed_cents,
            _dollars(reversed_cents),
            net_cents,
            _dollars(net_cents),
        )
        .join_from(payouts, payout_batches, payout_batches.c.number == payouts.c.batch_number)
        .outerjoin(notifications, of_both)
        .outerjoin(wallet_transactions, moved)
        .outerjoin(payout_reversals, returned)
        .where(payouts.c.batch_number == number)
        .order_by(payouts.c.referrer_id)
    )


def _left_out(number: int) -> Select[Any]:
    out = payout_exclusions.c
    nothing = null()
    return (
        select(
            payout_batches.c.batch_id,
            out.batch_number,
            out.referrer_id,
            literal(LEFT_OUT),
            literal(0),
            literal("0.00"),
            literal(0),
            literal("0.00"),
            literal(0),
            out.reason,
            nothing,
            nothing,
            nothing,
            literal(0),
            literal("0.00"),
            literal(0),
            literal("0.00"),
        )
        .join_from(payout_exclusions, payout_batches, payout_batches.c.number == out.batch_number)
        .where(out.batch_number == number)
        .order_by(out.referrer_id)
    )


def totals(connection: Connection, period: Period) -> ExportTotals:
    """Sum up what `rows` lists."""
    chosen = select(payout_batches.c.number).where(period.condition())
    found: dict[str, tuple[int, int, int]] = {
        status: (count, approved, paid)
        for status, count, approved, paid in connection.execute(
            select(payouts.c.status, func.count(), func.sum(payouts.c.approved_cents), func.sum(payouts.c.paid_cents))
            .where(payouts.c.batch_number.in_(chosen))
            .group_by(payouts.c.status)
        )
    }
    paid_cents = sum(paid for _, _, paid in found.values())
    reversed_cents = sum(each.cents for each in reversed_sums.by_batch(connection, chosen).values())
    return ExportTotals(
        batches=connection.scalars(select(func.count()).select_from(chosen.subquery())).one(),
        payouts=sum(count for count, _, _ in found.values()),
        credited=found.get(PayoutStatus.CREDITED, (0, 0, 0))[0],
        failed=found.get(PayoutStatus.FAILED, (0, 0, 0))[0],
        skipped=found.get(PayoutStatus.SKIPPED, (0, 0, 0))[0],
        left_out=connection.scalars(
            select(func.count()).select_from(payout_exclusions).where(payout_exclusions.c.batch_number.in_(chosen))
        ).one(),
        approved_cents=sum(approved for _, approved, _ in found.values()),
        paid_cents=paid_cents,
        reversed_cents=reversed_cents,
        net_cents=paid_cents - reversed_cents,
    )


def _dollars(cents: ColumnElement[int]) -> ColumnElement[str]:
    """Format cents in the currency in SQL, without a float."""
    unit = 10 ** money_style().decimals
    if unit == 1:
        return cast(cents, String)
    return cast(cents // unit, String) + "." + func.substr(cast(unit + cents % unit, String), 2, type_=String())


def columns() -> Sequence[str]:
    """Name the columns: those with amounts name the currency."""
    currency = money_style().currency
    if currency == DOLLARS:
        return COLUMNS
    return [name.replace("_dollars", f"_{currency.lower()}") for name in COLUMNS]


def _iso(moment: ColumnElement[datetime]) -> ColumnElement[str]:
    """Format a moment in ISO 8601, in UTC, as it appears in the file."""
    return func.replace(func.substr(moment.cast(Text), 1, 19), " ", "T", type_=String()) + "+00:00"


def write_file(connection: Connection, period: Period, path: Path, *, with_totals: bool) -> ExportTotals:
    """Write a file of payouts, XLSX if its name ends so, else CSV; return the totals.

    The totals are the last row of the same file or, without `with_totals`, the only row of a separate file. Runs in a
    worker thread, on one snapshot. Raises CashbackError if a file cannot be written; then it is as it was.
    """
    summed = totals(connection, period)
    values = rows(connection, period)
    if with_totals:
        values = chain(values, [_totals_row(summed)])
    write = _write_xlsx if path.suffix == ".xlsx" else _write_csv
    with written_whole(path) as unnamed:
        write(unnamed, columns(), values)
    if not with_totals:
        with written_whole(totals_path(path)) as unnamed:
            _write_csv(unnamed, [field.name for field in fields(summed)], [astuple(summed)])
    return summed


def totals_path(path: Path) -> Path:
    """Return the path of the file with an export's totals."""
    return path.with_name(f"{path.stem}-totals.csv")


def _totals_row(summed: ExportTotals) -> Sequence[Any]:
    row: list[Any] = [None] * len(COLUMNS)
    row[0], row[COLUMNS.index("state")] = "TOTAL", f"{summed.payouts} payouts"
    for name in ("approved", "paid", "reversed", "net"):
        cents = getattr(summed, f"{name}_cents")
        row[COLUMNS.index(f"{name}_cents")] = cents
        row[COLUMNS.index(f"{name}_dollars")] = money_style().plain(cents)
    return row


def _write_csv(path: Path, columns: Sequence[str], values: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(columns)
        writer.writerows(map(_harmless, values))


def _write_xlsx(path: Path, columns: Sequence[str], values: Iterable[Sequence[Any]]) -> None:
    """Write numbers and moments as such, and ids as texts: a spreadsheet keeps 15 digits of a number."""
    openpyxl = Library.SPREADSHEETS.load("openpyxl")
    book = openpyxl.Workbook(write_only=True)
    sheet: Any = None
    for number, row in enumerate(map(_harmless, values)):
        if number % SHEET_ROWS == 0:
            sheet = book.create_sheet("payouts")
            sheet.append(columns)
        cells = list(row)
        cells[_IDS] = str(cells[_IDS]) if cells[_IDS] is not None else None
        for place in _AMOUNTS:
            cells[place] = _typed(openpyxl, sheet, Decimal(cells[place]), _amount_format())
        if cells[_SETTLED] is not None:
            # A spreadsheet knows no time zones: the moment is in UTC.
            moment = datetime.fromisoformat(cells[_SETTLED]).replace(tzinfo=None)
            cells[_SETTLED] = _typed(openpyxl, sheet, moment, "yyyy-mm-dd hh:mm:ss")
        sheet.append(cells)
    if sheet is None:
        book.create_sheet("payouts").append(columns)
    book.save(path)


_IDS: Final = COLUMNS.index("referrer_id")
_SETTLED: Final = COLUMNS.index("settled_at")
_AMOUNTS: Final = tuple(place for place, name in enumerate(COLUMNS) if name.endswith("_dollars"))


def _amount_format() -> str:
    decimals = money_style().decimals
    return "0." + "0" * decimals if decimals else "0"


def _typed(openpyxl: Any, sheet: Any, value: object, number_format: str) -> Any:  # noqa: ANN401 -- openpyxl has no types
    cell = openpyxl.cell.WriteOnlyCell(sheet, value=value)
    cell.number_format = number_format
    return cell


def _harmless(row: Sequence[Any]) -> Sequence[Any]:
    """Keep a spreadsheet from interpreting the free text as a formula."""
    reason = row[REASON] if len(row) == len(COLUMNS) else None
    if not isinstance(reason, str):
        return row
    return [*row[:REASON], harmless(reason), *row[REASON + 1 :]]
