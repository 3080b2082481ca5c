"""What became of a file's rows, for people and for programs."""

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final

from cashback.database.referral_program.purchases import Purchase
from cashback.database.referral_program.refunds import RecordedRefund, RefundOutcome
from cashback.database.referral_program.shop_refunds import CHANGES
from cashback.database.referral_program.twins import Similar
from cashback.domain.money import dollars, grouped
from cashback.shops.chunks import Excluded
from cashback.shops.tables import BadRow
from cli.output import counted, say

ERRORS_LISTED: Final = 100
LARGEST_LISTED: Final = 5
REFUND_ROWS: Final = {
    "known": "known already",
    "kept": "kept until their orders come",
    "delivered": "that the shop has delivered already",
    "nothing_left": "of orders of which nothing is left",
}
MEMBERS_COUNTED: Final = 100_000
"""More are not told apart: an import takes the same memory for any number of rows."""


@dataclass(slots=True)
class Outcome:
    """How many rows, or orders, ended in one way, and their cents."""

    rows: int = 0
    cents: int = 0

    def add(self, cents: int) -> None:
        """Count one more."""
        self.rows += 1
        self.cents += cents

    def include(self, other: "Outcome") -> None:
        """Add another count."""
        self.rows += other.rows
        self.cents += other.cents


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of one file's rows. `errors` lists the first of those that `bad` counts."""

    kind: str = ""
    number: int | None = None
    """The import's, if it brought something and was not taken in one transaction."""
    not_looked_at: tuple[str, ...] = ()
    read: int = 0
    imported: int = 0
    known: int = 0
    nobody_earns: int = 0
    earned_cents: int = 0
    bad: int = 0
    errors: list[BadRow] = field(default_factory=list)
    cents: int = 0
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    excluded: dict[str, Outcome] = field(default_factory=dict)
    refunds: Outcome = field(default_factory=Outcome)
    taken_cents: int = 0
    given_back: Outcome = field(default_factory=Outcome)
    refund_rows: dict[str, Outcome] = field(default_factory=dict)
    """What became of the refunds that are rows of their own."""
    other_rows: Counter[str] = field(default_factory=Counter)
    waiting: Outcome = field(default_factory=Outcome)
    beyond: Outcome = field(default_factory=Outcome)
    similar: Similar | None = None
    """Orders that may be those of another shop."""
    members: set[int] = field(default_factory=set)
    largest: list[tuple[int, str, int]] = field(default_factory=list)

    def add(self, chunk: "Tally") -> None:
        """Add the counts of a chunk, which has committed or is part of the present transaction."""
        self.read += chunk.read
        self.imported += chunk.imported
        self.known += chunk.known
        self.nobody_earns += chunk.nobody_earns
        self.earned_cents += chunk.earned_cents
        self.bad += chunk.bad
        self.errors += chunk.errors[: ERRORS_LISTED - len(self.errors)]
        self.cents += chunk.cents
        self.taken_cents += chunk.taken_cents
        self.refunds.include(chunk.refunds)
        self.given_back.include(chunk.given_back)
        self.waiting.include(chunk.waiting)
        self.beyond.include(chunk.beyond)
        self.other_rows.update(chunk.other_rows)
        for mine, theirs in (
            (self.outcomes, chunk.outcomes),
            (self.excluded, chunk.excluded),
            (self.refund_rows, chunk.refund_rows),
        ):
            for name, counts in theirs.items():
                mine.setdefault(name, Outcome()).include(counts)
        if len(self.members) < MEMBERS_COUNTED:
            self.members |= chunk.members
        self.largest = heapq.nlargest(LARGEST_LISTED, [*self.largest, *chunk.largest], key=lambda one: one[0])

    def refuse(self, rows: list[BadRow]) -> None:
        """Count bad rows, and list them while there are few."""
        self.bad += len(rows)
        self.errors += rows[: ERRORS_LISTED - len(self.errors)]

    def count(self, outcome: str, cents: int) -> None:
        """Count a purchase that ended in this way."""
        counts = self.outcomes.get(outcome)
        if counts is None:
            counts = self.outcomes[outcome] = Outcome()
        counts.rows += 1
        counts.cents += cents

    def count_refund_row(self, outcome: str, cents: int) -> None:
        """Count a refund that is a row of its own."""
        self.refund_rows.setdefault(outcome, Outcome()).add(cents)

    def add_refund(self, refund: RecordedRefund) -> None:
        """Add what a refund changed, if it changed something."""
        if refund.outcome is RefundOutcome.GIVEN_BACK:
            self.given_back.add(refund.amount_cents)
        elif refund.outcome in CHANGES:
            self.refunds.add(refund.amount_cents)
            self.taken_cents += refund.taken_cents
            if refund.asked_cents is not None:
                self.beyond.add(refund.asked_cents - refund.amount_cents)

    @property
    def rows_taken(self) -> int:
        """Count what the file brought: new rows, refunds and orders that wait."""
        return self.imported + self.refunds.rows + self.given_back.rows + self.waiting.rows

    @property
    def imported_cents(self) -> int:
        """Sum up the purchases that are new."""
        return sum(counts.cents for outcome, counts in self.outcomes.items() if outcome != "known")

    def rows_of(self, outcome: str) -> int:
        """Return how many purchases ended in this way."""
        return self.outcomes[outcome].rows if outcome in self.outcomes else 0

    def exclude(self, rows: Iterable[Excluded]) -> None:
        """Count rows that do not count, by their reasons."""
        for row in rows:
            self.excluded.setdefault(row.reason, Outcome()).add(row.cents)

    def look_at(self, purchases: list[Purchase]) -> None:
        """Note whose purchases these are, their sum, and the largest of them."""
        amount_of = attrgetter("amount_cents")
        self.cents += sum(map(amount_of, purchases))
        if len(self.members) < MEMBERS_COUNTED:
            self.members.update(map(attrgetter("buyer_id"), purchases))
        if purchases:
            found = heapq.nlargest(LARGEST_LISTED, purchases, key=amount_of)
            named = [(one.amount_cents, one.order_id, one.buyer_id) for one in found]
            self.largest = heapq.nlargest(LARGEST_LISTED, [*self.largest, *named], key=lambda one: one[0])

    def reset_imported(self) -> None:
        """Reset the counts: the transaction was rolled back."""
        self.imported = self.known = self.nobody_earns = self.earned_cents = self.taken_cents = 0
        self.outcomes.clear()
        self.refund_rows.clear()
        self.refunds, self.given_back, self.waiting, self.beyond = Outcome(), Outcome(), Outcome(), Outcome()

    def as_json(self, name: str) -> dict[str, Any]:
        """Return the facts for programs."""
        return {
            "read": self.read,
            "imported": self.imported,
            "known": self.known,
            "nobody_earns": self.nobody_earns,
            "bad": self.bad,
            "errors": [{"file": name, "line": row.line, "reason": row.reason} for row in self.errors],
            "earned_cents": self.earned_cents,
            "kind": self.kind,
            "not_looked_at": list(self.not_looked_at),
            **(self._purchases_as_json() if name == "purchases" else {}),
        }

    def _purchases_as_json(self) -> dict[str, Any]:
        return {
            "orders": sum(outcome.rows for outcome in self.outcomes.values()),
            "members": len(self.members),
            "cents": self.cents,
            "outcomes": _by_name(self.outcomes),
            "excluded": _by_name(self.excluded),
            "refunds": {"rows": self.refunds.rows, "cents": self.refunds.cents, "taken_cents": self.taken_cents},
            "refund_rows": _by_name(self.refund_rows),
            "other_rows": dict(self.other_rows),
            "given_back": {"rows": self.given_back.rows, "cents": self.given_back.cents},
            "waiting": {"rows": self.waiting.rows, "cents": self.waiting.cents},
            "similar": None if self.similar is None else self.similar._asdict(),
            "largest": [
                {"order_id": order_id, "buyer_id": str(buyer_id), "amount_cents": cents}
                for cents, order_id, buyer_id in self.largest
            ],
        }

    def say(self, name: str) -> None:
        """Write the facts for people."""
        say(
            f"{name.capitalize()}: {counted(self.read, 'row')} read, {grouped(self.imported)} imported,"
            f" {grouped(self.known)} known already, {grouped(self.bad)} bad."
        )
        if name == "purchases":
            say(f"  They earned {dollars(self.earned_cents)}; {grouped(self.nobody_earns)} earned nothing.")
            self._say_purchases()
        if self.not_looked_at:
            say(f"  Not looked at: {', '.join(self.not_looked_at)}.")
        if self.number is not None:
            say(f"  `cashback import --undo {self.number}` undoes it, as long as nothing of it is paid.")

    def _say_purchases(self) -> None:
        orders = sum(outcome.rows for outcome in self.outcomes.values())
        of = "more than " if len(self.members) >= MEMBERS_COUNTED else ""
        say(
            f"  Read as {self.kind}: {counted(orders, 'order')} of {of}{counted(len(self.members), 'member')},"
            f" {dollars(self.cents)} in all."
        )
        for outcome, counts in self.outcomes.items():
            say(
                f"  {outcome.replace('_', ' ').capitalize()}: {counted(counts.rows, 'order')}, {dollars(counts.cents)}."
            )
        for reason, counts in self.excluded.items():
            say(f"  Excluded: {counted(counts.rows, 'row')}, {dollars(counts.cents)}: {reason}.")
        self._say_refunds()
        if self.waiting.rows:
            say(
                f"  Waiting for a member: {counted(self.waiting.rows, 'order')}, {dollars(self.waiting.cents)};"
                " see `cashback order`."
            )
        if self.similar is not None:
            say(f"  {_warning_of(self.similar)}")
        if self.largest:
            listed = (
                f"{dollars(cents)} (order {order_id} by {buyer_id})" for cents, order_id, buyer_id in self.largest
            )
            say(f"  Largest: {', '.join(listed)}.")

    def _say_refunds(self) -> None:
        if self.refunds.rows:
            say(
                f"  Refunded: {counted(self.refunds.rows, 'order')}, {dollars(self.refunds.cents)};"
                f" that takes back {dollars(self.taken_cents)}."
            )
        for outcome, counts in self.refund_rows.items():
            if outcome != "recorded":
                say(f"  Refunds {REFUND_ROWS[outcome]}: {counted(counts.rows, 'row')}, {dollars(counts.cents)}.")
        for what, count in self.other_rows.items():
            if count:
                say(f"  Other rows: {grouped(count)} {what}.")
        if self.beyond.rows:
            say(
                f"  Refunds of {counted(self.beyond.rows, 'order')} were {dollars(self.beyond.cents)} more than was"
                " left of them; what was left was taken."
            )
        if self.given_back.rows:
            say(f"  Given back: {counted(self.given_back.rows, 'dispute')} won, {dollars(self.given_back.cents)}.")


def _warning_of(similar: Similar) -> str:
    return (
        f"Warning: {counted(similar.rows, 'order')}, {dollars(similar.cents)}, may count twice: another shop has one of"
        f" the same buyer, amount and day, such as {similar.order_id} here and {similar.other_id} in {similar.shop}."
        " Undo this import if these are the same orders."
    )


def _by_name(outcomes: dict[str, Outcome]) -> dict[str, dict[str, int]]:
    return {name: {"rows": counts.rows, "cents": counts.cents} for name, counts in outcomes.items()}
