"""The plain files: `order_id,buyer_id,amount` and perhaps `purchased_at`, and `referrer_id,referred_id`. Streamed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Final, Generic, TypeVar

from cashback.database.referral_program.purchases import Purchase
from cashback.domain.days import EARLIEST
from cashback.domain.earning import order_key
from cashback.domain.errors import CashbackError
from cashback.shops.amounts import Parse, parser_of, style_of, unit_of
from cashback.shops.answers import ALWAYS, Answers
from cashback.shops.buyers import as_email
from cashback.shops.chunks import FURTHER_LINES, Chunk, Excluded, Guest, ReferralRow
from cashback.shops.columns import EMAILS, is_currency, is_status, refuse_dates, refuse_twice, refuse_weighty
from cashback.shops.currency import refuse_other
from cashback.shops.ids import order_id_in, to_id, unguarded
from cashback.shops.moments import read_iso
from cashback.shops.rounding import refuse_rounded
from cashback.shops.tables import BadRow, Cells, Table

T = TypeVar("T")

PURCHASES: Final = ("order_id", "buyer_id", "amount")
REFERRALS: Final = ("referrer_id", "referred_id")
AMOUNT: Final = 2
PURCHASED_AT: Final = 3
REFERRED_AT: Final = 2

Filter = tuple[int, frozenset[str], str]
"""A column's place, the values in lower case that count, and the reason why a row with another one does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainFile(Generic[T]):
    """A plain file. `parse` makes a row of the wanted cells and raises CashbackError with what is wrong."""

    table: Table
    kind_name: str
    parse: Callable[[Sequence[str]], T | Guest]
    pick: Callable[[Cells], Sequence[str]]
    filters: tuple[Filter, ...] = ()
    not_looked_at: tuple[str, ...] = ()
    has_dates: bool = False

    @property
    def line_count(self) -> int:
        """Count the lines, roughly."""
        return self.table.line_count

    def chunks(self, size: int) -> Iterator[Chunk[T]]:
        """Read the rows, so many at a time."""
        chunk: Chunk[T] = Chunk()
        parse, pick, filters = self.parse, self.pick, self.filters
        for line, cells in self.table.rows():
            chunk.read += 1
            if isinstance(cells, BadRow):
                chunk.bad.append(cells)
            elif filters and (reason := _excluded(cells, filters)):
                _leave_out(chunk, Excluded(line, reason, 0), cells)
            else:
                try:
                    row = parse(pick(cells))
                    if isinstance(row, Guest):
                        chunk.guests.append((line, row))
                    else:
                        chunk.rows.append(row)
                        chunk.lines.append(line)
                except CashbackError as error:
                    _leave_out(chunk, BadRow(line=line, reason=str(error)), cells)
            if chunk.read >= size:
                yield chunk
                chunk = Chunk()
        if chunk.read:
            yield chunk


def _leave_out(chunk: Chunk[T], row: Excluded | BadRow, cells: Cells) -> None:
    """Leave a row out; one of nothing but separators is no row: spreadsheets end a file with such."""
    if not any(map(str.strip, cells)):
        chunk.read -= 1
    elif isinstance(row, BadRow):
        chunk.bad.append(row)
    else:
        chunk.excluded.append(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class SummedFile:
    """A plain file of purchases in which each row is a line of an order."""

    lines: PlainFile[Purchase]

    @property
    def kind_name(self) -> str:
        """Name the kind of the file."""
        return self.lines.kind_name

    @property
    def line_count(self) -> int:
        """Count the lines, roughly."""
        return self.lines.line_count

    @property
    def has_dates(self) -> bool:
        """Return whether the rows name the moments of purchases."""
        return self.lines.has_dates

    @property
    def not_looked_at(self) -> tuple[str, ...]:
        """Name the columns and sheets that were not read."""
        return self.lines.not_looked_at

    def chunks(self, size: int) -> Iterator[Chunk[Purchase]]:
        """Read the whole file, then yield its orders, so many at a time."""
        orders: dict[str, tuple[int, Purchase | Guest]] = {}
        rest: Chunk[Purchase] = Chunk()
        for part in self.lines.chunks(size):
            rest.read += part.read
            rest.bad += part.bad
            rest.excluded += part.excluded
            taken: list[tuple[int, Purchase | Guest]] = [*zip(part.lines, part.rows, strict=True), *part.guests]
            for line, row in sorted(taken, key=itemgetter(0)):
                rest.bad += _add_line(orders, line, row)
        lines = rest.read - len(rest.excluded) - len(rest.bad)
        whole = list(orders.values())
        rest.other_rows[FURTHER_LINES] = lines - len(whole)
        for first in range(0, len(whole), size):
            chunk: Chunk[Purchase] = Chunk()
            for line, row in whole[first : first + size]:
                if isinstance(row, Guest):
                    chunk.guests.append((line, row))
                else:
                    chunk.rows.append(row)
                    chunk.lines.append(line)
            yield chunk
        yield rest


def _add_line(orders: dict[str, tuple[int, Purchase | Guest]], line: int, row: Purchase | Guest) -> list[BadRow]:
    """Add a line to its order; return it as a bad row if it names another buyer than the lines before."""
    key = order_key(row.order_id)
    first_line, before = orders.get(key, (line, None))
    if before is None:
        orders[key] = (line, row)
    elif _buyer_of(before) != _buyer_of(row):
        return [BadRow(line=line, reason=f"order {row.order_id} has another buyer in line {first_line}")]
    else:
        added = before.amount_cents + row.amount_cents
        orders[key] = (first_line, before._replace(amount_cents=added))
    return []


def _buyer_of(row: Purchase | Guest) -> int | None:
    return row.buyer_id if isinstance(row, Purchase) else None


def _excluded(cells: Cells, filters: tuple[Filter, ...]) -> str | None:
    for place, counted, reason in filters:
        value = cells[place].strip()
        if value.lower() not in counted:
            return f"{reason} {value!r}" if value else f"no {reason}"
    return None


def purchases_of(table: Table, answers: Answers, now: datetime) -> PlainFile[Purchase] | SummedFile:
    """Check a file of purchases. Raises CashbackError, also for a column that looks as if it mattered."""
    refuse_other(answers)
    present = _require(table, PURCHASES, ("purchased_at",))
    emails = [column for column in EMAILS if column in table.columns][:1]
    filters = tuple(_filters(table, answers, present))
    used = {*present, *emails, *(table.columns[place] for place, _, _ in filters)}
    name = str(table.path)
    has_dates = "purchased_at" in present
    refuse_weighty((column for column in table.columns if column not in used), answers, name)
    if not has_dates:
        refuse_dates((column for column in table.columns if column not in used), answers, name, wanted="purchased_at")
    parse_amount = _amounts(table, answers)
    if table.may_be_rounded:
        refuse_rounded(_texts(table, ("buyer_id",)), name)

    def parse(cells: Sequence[str]) -> Purchase | Guest:
        order_id, amount_cents = order_id_in(cells[0]), parse_amount(cells[AMOUNT].strip())
        purchased_at = read_iso(cells[PURCHASED_AT], now) if has_dates else None
        buyer = cells[1]
        if not buyer or buyer.isspace():
            return Guest(order_id, amount_cents, purchased_at, as_email(cells[-1]) if emails else None)
        return Purchase(order_id, to_id(buyer, "buyer_id"), amount_cents, purchased_at)

    file = PlainFile(
        table=table,
        kind_name="plain purchases",
        parse=parse,
        pick=_picker(table, [*present, *emails]),
        filters=filters,
        has_dates=has_dates,
        not_looked_at=_others(table, used),
    )
    return SummedFile(lines=file) if answers.sum_lines else file


def referrals_of(table: Table, answers: Answers, now: datetime) -> PlainFile[ReferralRow]:
    """Check a file of referrals. Raises CashbackError."""
    present = _require(table, REFERRALS, ("referred_at",))
    otherwise = _referred_at(answers, now)
    others = [column for column in table.columns if column not in present]
    refuse_weighty(others, answers, str(table.path))
    if "referred_at" not in present and otherwise is None:
        refuse_dates(others, answers, str(table.path), wanted="referred_at")
    if table.may_be_rounded:
        refuse_rounded(_texts(table, REFERRALS), str(table.path))

    def parse(cells: Sequence[str]) -> ReferralRow:
        moment = read_iso(cells[REFERRED_AT], now, "referred_at") if len(cells) > REFERRED_AT else None
        return to_id(cells[0], "referrer_id"), to_id(cells[1], "referred_id"), moment or otherwise

    return PlainFile(
        table=table,
        kind_name="plain referrals",
        parse=parse,
        pick=_picker(table, present),
        not_looked_at=_others(table, set(present)),
    )


def _referred_at(answers: Answers, now: datetime) -> datetime | None:
    """Return what the admin said about referrals without a date."""
    if answers.referred_at is None:
        return None
    return EARLIEST if answers.referred_at == ALWAYS else read_iso(answers.referred_at, now, "--referred-at")


def _require(table: Table, needed: tuple[str, ...], optional: tuple[str, ...]) -> list[str]:
    """Return the columns to read. Raises CashbackError if one is missing or named twice."""
    columns, path = table.columns, table.path
    wish = ", ".join(needed) + "".join(f" (and optionally {column})" for column in optional)
    if not columns:
        raise CashbackError(f"{path} is empty; its first line must name the columns {wish}.")
    missing = [column for column in needed if column not in columns]
    if missing:
        known = ", or be an export of a known shop with English column names" if needed is PURCHASES else ""
        raise CashbackError(f"{path} lacks the column {missing[0]}; its first line must name {wish}{known}.")
    present = [*needed, *(column for column in optional if column in columns)]
    refuse_twice(columns, present, str(path))
    return present


def _picker(table: Table, present: Sequence[str]) -> Callable[[Cells], Sequence[str]]:
    return itemgetter(*(table.columns.index(column) for column in present))


def _texts(table: Table, columns: Sequence[str]) -> Iterator[str]:
    """Yield the cells of some columns."""
    places = [table.columns.index(column) for column in columns]
    for _, cells in table.rows():
        if not isinstance(cells, BadRow):
            for place in places:
                yield unguarded(cells[place])


def _others(table: Table, used: set[str]) -> tuple[str, ...]:
    return tuple(f"column {column!r}" for column in table.columns if column not in used) + table.not_read


def _filters(table: Table, answers: Answers, present: Sequence[str]) -> Iterator[Filter]:
    """Yield what the admin said about the columns of currency and status."""
    for place, column in enumerate(table.columns):
        if column in present or column in answers.ignored_columns:
            continue
        if answers.currency is not None and is_currency(column):
            yield place, frozenset({answers.currency.lower()}), "currency"
        elif answers.only_status and is_status(column):
            yield place, answers.only_status, "status"


def _amounts(table: Table, answers: Answers) -> Parse:
    """Look through the amounts until it is clear how the file writes them."""
    place = table.columns.index(PURCHASES[AMOUNT])
    sample: list[str] = []

    def amounts() -> Iterator[str]:
        for _, cells in table.rows():
            if not isinstance(cells, BadRow):
                text = cells[place].strip()
                if not sample and text.isascii() and text.isdigit() and text.strip("0"):
                    sample.append(text)
                yield text

    style, has_decimals = style_of(amounts(), answers, str(table.path))
    first = sample[0] if sample else None
    return parser_of(style, unit_of(has_decimals=has_decimals, sample=first, answers=answers, name=str(table.path)))
