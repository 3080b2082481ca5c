"""The file of a known shop as purchases and refunds, in chunks as the plain files have them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cashback.database.referral_program.purchases import Purchase
from cashback.database.referral_program.refunds import Refund
from cashback.domain.errors import CashbackError
from cashback.shops.answers import Answers
from cashback.shops.buyers import BuyerColumns
from cashback.shops.cells import Columns
from cashback.shops.chunks import Chunk, Excluded, Guest
from cashback.shops.columns import EMAILS, refuse_twice, refuse_weighty
from cashback.shops.kinds.kind import FileKind
from cashback.shops.moments import reader_of
from cashback.shops.orders import Dispute, OrderReader, ShopOrder, ShopOrders
from cashback.shops.prices import prices_of
from cashback.shops.rounding import refuse_rounded
from cashback.shops.tables import BadRow, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFile:
    """A file of a known kind, and the orders in it."""

    table: Table
    kind: FileKind
    found: ShopOrders
    not_looked_at: tuple[str, ...]
    has_dates: bool = True

    @property
    def kind_name(self) -> str:
        """Name the kind of the file."""
        return self.kind.name

    @property
    def line_count(self) -> int:
        """Count the lines, roughly."""
        return self.table.line_count

    def chunks(self, size: int) -> Iterator[Chunk[Purchase]]:
        """Yield the file's orders, so many at a time; rows that take back go last."""
        found = self.found
        rows = found.rows
        chunk: Chunk[Purchase] = Chunk(bad=found.bad)
        for order in found.orders.values():
            _add(chunk, order)
            if len(chunk.rows) >= size:
                chunk.read, rows = min(size, rows), max(rows - size, 0)
                yield chunk
                chunk = Chunk()
        chunk.read = rows
        chunk.other_rows = found.other_rows
        chunk.refund_rows += [
            (back.line, Refund(order_id=back.order_id, amount_cents=back.amount_cents, refund_id=back.refund_id))
            for back in found.taken_back
        ]
        yield chunk


def _add(chunk: Chunk[Purchase], order: ShopOrder) -> None:
    if order.delivered_id is not None:
        chunk.delivered_ids[order.order_id] = order.delivered_id
    if order.excluded is not None:
        chunk.excluded.append(Excluded(order.line, order.excluded, order.amount_cents))
    elif order.buyer_id is None:
        guest = Guest(order.order_id, order.amount_cents, order.purchased_at, order.email)
        chunk.guests.append((order.line, guest))
    else:
        chunk.rows.append(Purchase(order.order_id, order.buyer_id, order.amount_cents, order.purchased_at))
        chunk.lines.append(order.line)
    if order.refunded_cents is None or order.refunded_cents:
        chunk.refunds.append(Refund(order_id=order.order_id, amount_cents=order.refunded_cents, is_in_all=True))
    if order.dispute is not None:
        refund_id, is_won = f"{order.order_id}/dispute", order.dispute is Dispute.WON
        refund = Refund(order_id=order.order_id, amount_cents=None, refund_id=refund_id, is_given_back=is_won)
        chunk.refunds.append(refund)


def known_of(table: Table, kind: FileKind, answers: Answers, now: datetime, *, delivers: bool = False) -> KnownFile:
    """Check a file of a known kind. Raises CashbackError, also for kinds that are not taken."""
    name = str(table.path)
    if kind.refusal is not None:
        raise CashbackError(f"{name} is the file of {kind.name}: {kind.refusal}; it cannot be imported.")
    if delivers:
        _require_delivered_ids(table, kind, answers)
    buyers = BuyerColumns(table.columns, kind).names
    understood = kind.understood | buyers | {*EMAILS}
    refuse_weighty((column for column in table.columns if column not in understood), answers, name)
    refuse_twice(table.columns, sorted(kind.understood - kind.harmless | buyers), name)
    prices = prices_of(table, kind, answers)
    columns = Columns(table.columns)

    def days() -> Iterator[str]:
        for _, cells in table.rows():
            if not isinstance(cells, BadRow):
                yield " ".join(columns.value(cells, column) for column in kind.moments).strip()

    read_moment = reader_of(days(), now, answers, name, order=kind.day_order)
    found = OrderReader(table, kind, answers, prices, read_moment).read()
    refuse_rounded((str(order.buyer_id) for order in found.orders.values() if order.buyer_id is not None), name)
    read = understood - kind.harmless
    deciding = dict.fromkeys(rule.column for rule in kind.rules)
    return KnownFile(
        table=table,
        kind=kind,
        found=found,
        not_looked_at=tuple(f"column {column!r}" for column in table.columns if column not in read)
        + tuple(f"column {column!r}, which the file lacks" for column in deciding if column not in columns)
        + table.not_read,
    )


def _require_delivered_ids(table: Table, kind: FileKind, answers: Answers) -> None:
    """Raise CashbackError if a connected shop's orders would have other ids in the file than in the deliveries."""
    column = kind.delivered_id
    if column is not None and column not in {*table.columns, *answers.ignored_columns}:
        raise CashbackError(
            f"{table.path} lacks the column {column!r}, by which the shop's deliveries name its orders: export it too;"
            f' or say --ignore-column "{column}" if none of these orders was delivered.'
        )
