"""Joins the rows of a known shop's export to orders: buyer, amount, moment, refunds, or why an order does not count."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from cashback.domain.errors import CashbackError
from cashback.shops.answers import Answers
from cashback.shops.buyers import BuyerColumns, email_in
from cashback.shops.cells import Columns
from cashback.shops.chunks import FURTHER_LINES
from cashback.shops.ids import order_id_in
from cashback.shops.kinds.kind import YES, FileKind, Lines, Rule
from cashback.shops.moments import Read
from cashback.shops.prices import Price, Prices
from cashback.shops.tables import BadRow, Cells, Table


class Dispute(Enum):
    """The state of an order's dispute: it takes the order back, unless the shop has won it."""

    OPEN = "open"
    WON = "won"


@dataclass(slots=True, kw_only=True)
class ShopOrder:
    """An order of a file. `refunded_cents` is what was refunded of it so far; None is the whole order.

    `excluded` is why it does not count; None if it does. `buyer_id` is None if no Discord id stands in its rows;
    `email` is its buyer's then, if the file has it. `delivered_id` is its id in the shop's deliveries.
    """

    order_id: str
    buyer_id: int | None
    amount_cents: int
    purchased_at: datetime | None
    line: int
    refunded_cents: int | None = 0
    dispute: Dispute | None = None
    excluded: str | None = None
    email: str | None = None
    delivered_id: str | None = None
    items: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """A row that takes back an amount of another row's order, with an id of its own."""

    order_id: str
    refund_id: str
    amount_cents: int
    line: int


@dataclass(slots=True)
class ShopOrders:
    """What the rows of a file contain, by order."""

    orders: dict[str, ShopOrder] = field(default_factory=dict)
    taken_back: list[TakenBack] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    other_rows: Counter[str] = field(default_factory=Counter)
    rows: int = 0


class OrderReader:
    """Reads one file of a known kind."""

    def __init__(self, table: Table, kind: FileKind, answers: Answers, prices: Prices, read_moment: Read) -> None:
        self._table = table
        self._kind = kind
        self._answers = answers
        self._columns = Columns(table.columns)
        self._prices = prices
        self._read_moment = read_moment
        self._rules = [rule for rule in kind.rules if rule.column in self._columns]
        self._in_all = [(column, values) for column, values in kind.refunded_in_all.items() if column in self._columns]
        self._buyers = BuyerColumns(table.columns, kind)
        self._found = ShopOrders()
        self._refunds: dict[str, int] = {}

    def read(self) -> ShopOrders:
        """Read the whole file."""
        for line, cells in self._table.rows():
            self._found.rows += 1
            if isinstance(cells, BadRow):
                self._found.bad.append(cells)
                continue
            try:
                self._take(line, cells)
            except CashbackError as error:
                if any(map(str.strip, cells)):
                    self._found.bad.append(BadRow(line=line, reason=str(error)))
                else:
                    self._found.rows -= 1
        return self._found

    def _take(self, line: int, cells: Cells) -> None:
        written_id = self._columns.value(cells, self._kind.order_id)
        if self._kind.totals is not None and written_id.lower() == self._kind.totals:
            self._found.other_rows["rows of totals"] += 1
            return
        order_id = order_id_in(written_id, self._kind.order_id)
        known = self._found.orders.get(order_id)
        if known is not None and self._is_another_item(order_id, known, cells):
            self._found.other_rows[FURTHER_LINES] += 1
            return
        price = self._prices.read(cells)
        if self._kind.lines is Lines.LEDGER and price.cents < 0:
            self._take_back(order_id, price, line, cells)
            return
        if known is not None:
            self._repeat(known, price, line)
            return
        self._found.orders[order_id] = self._order(order_id, price, line, cells)

    def _is_another_item(self, order_id: str, known: ShopOrder, cells: Cells) -> bool:
        """Return whether a row is one more item of an order that has its amount already; add an item's own amount."""
        if self._kind.lines is Lines.FIRST:
            return not self._prices.is_given(cells)
        if self._kind.lines is not Lines.ITEMS:
            return False
        item_id = self._columns.value(cells, self._kind.item_id)
        if item_id in known.items:
            raise CashbackError(f"order {order_id} has the item {item_id} twice")
        price = self._prices.read(cells)
        known.items.add(item_id)
        known.amount_cents += price.cents
        known.excluded = known.excluded or price.excluded
        return True

    def _repeat(self, known: ShopOrder, price: Price, line: int) -> None:
        if not self._answers.sum_lines:
            raise CashbackError(
                f"order {known.order_id} is in the file twice (line {known.line} and {line});"
                " remove one, or say --sum-lines to add them up"
            )
        known.amount_cents += price.cents
        self._found.other_rows[FURTHER_LINES] += 1

    def _order(self, order_id: str, price: Price, line: int, cells: Cells) -> ShopOrder:
        broken = self._broken_rule(cells)
        excluded = broken.reason if broken is not None else price.excluded
        if excluded is None and price.cents < 0:
            excluded = "a negative amount"
        buyer_id = self._buyers.find(cells) if excluded is None else None
        refunded_cents: int | None = 0
        if price.excluded is None:
            refunded_cents = None if broken is not None and broken.takes_back else self._refunded(cells)
        order = ShopOrder(
            order_id=order_id,
            buyer_id=buyer_id,
            amount_cents=max(price.cents, 0),
            purchased_at=self._moment(cells) if excluded is None else None,
            line=line,
            refunded_cents=refunded_cents,
            dispute=self._dispute(cells),
            excluded=excluded,
            email=email_in(self._columns, cells) if excluded is None and buyer_id is None else None,
        )
        if self._kind.item_id is not None:
            order.items.add(self._columns.value(cells, self._kind.item_id))
        if self._kind.delivered_id is not None and (
            delivered_id := self._columns.value(cells, self._kind.delivered_id)
        ):
            order.delivered_id = order_id_in(delivered_id, self._kind.delivered_id)
        return order

    def _moment(self, cells: Cells) -> datetime | None:
        # A workbook's day is a moment too, and the time may stand in the next cell.
        written = (self._columns.value(cells, column).removesuffix("T00:00:00") for column in self._kind.moments)
        moment = self._read_moment(" ".join(part for part in written if part))
        if moment is None and self._kind.moments:
            # As a purchase of now it would earn for a referral that came after it.
            raise CashbackError(f"the row has no date ({' and '.join(self._kind.moments)})")
        return moment

    def _broken_rule(self, cells: Cells) -> Rule | None:
        for rule in self._rules:
            if rule.leaves_out(self._columns.value(cells, rule.column).lower()):
                return rule
        return None

    def _refunded(self, cells: Cells) -> int | None:
        """Return what was refunded so far; None for the whole order."""
        for column, values in self._in_all:
            if self._columns.value(cells, column).lower() in values:
                return None
        written = self._columns.value(cells, self._kind.refunded)
        return abs(self._prices.parse(written)) if written else 0

    def _dispute(self, cells: Cells) -> Dispute | None:
        if self._kind.disputed is None:
            return None
        disputed, won = (self._columns.value(cells, column).lower() in YES for column in self._kind.disputed)
        return (Dispute.WON if won else Dispute.OPEN) if disputed else None

    def _take_back(self, row_id: str, price: Price, line: int, cells: Cells) -> None:
        """Note a negative row as a refund of the order that it names."""
        reference = self._columns.value(cells, self._kind.reference) if self._kind.reference else row_id
        broken = self._broken_rule(cells)
        excluded = broken.reason if broken is not None else price.excluded
        if excluded is None and not reference:
            excluded = "money that went out"
        if excluded is not None:
            self._found.orders[f"{row_id} (line {line})"] = ShopOrder(
                order_id=row_id, buyer_id=None, amount_cents=0, purchased_at=None, line=line, excluded=excluded
            )
            return
        moment = self._moment(cells)
        own_id = row_id if self._kind.reference else f"{row_id}/{moment:%Y%m%dT%H%M%S}/{-price.cents}"
        before = self._refunds.get(own_id)
        if before is not None:
            raise CashbackError(f"refund {own_id} is in the file twice (line {before} and {line}); remove one")
        back = TakenBack(
            order_id=order_id_in(reference, "reference"), refund_id=own_id, amount_cents=-price.cents, line=line
        )
        self._refunds[own_id] = line
        self._found.taken_back.append(back)
