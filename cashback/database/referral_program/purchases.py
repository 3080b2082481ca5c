"""Purchases and their earnings. Each keeps its cashback rate, and when the cashback becomes payable."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, Connection, and_, bindparam, delete, exists, func, insert, or_, select, update

from cashback.database.bulk import among, execute_many, is_among, listed, rows_of
from cashback.database.referral_program.blacklist import blacklisted_among
from cashback.database.referral_program.caps import MonthlyCaps
from cashback.database.referral_program.kept_refunds import apply_kept
from cashback.database.referral_program.pending import PPM
from cashback.database.referral_program.people import check_id
from cashback.database.referral_program.refunds import find_order
from cashback.database.tables import (
    is_unmatched,
    order_corrections,
    referral_purchases,
    referrals,
    unmatched_hints,
    unmatched_purchases,
)
from cashback.domain.earning import ANY_TIME, FROM_MAIN, EarningDates, Origin, order_key
from cashback.domain.errors import PurchaseRefusedError

LARGEST_PURCHASE_CENTS: Final = 10**12
PURCHASE_COLUMNS: Final = tuple(column.name for column in referral_purchases.c if column.name != "refunded_cents")
_INSERT: Final = insert(referral_purchases)


class PurchaseOutcome(StrEnum):
    """The outcome of recording a purchase."""

    EARNED = "earned"
    NOBODY_EARNS = "nobody_earns"
    REPEATED = "repeated"
    CONFLICTING = "conflicting"
    WAITING = "waiting"


class Purchase(NamedTuple):
    """A purchase as the shop reports it. `order_id` is the idempotency key; `purchased_at` is None for "just now".

    A tuple, because an import makes a million of them: a frozen dataclass takes twice as long to make.
    """

    order_id: str
    buyer_id: int
    amount_cents: int
    purchased_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPurchase:
    """The outcome of one purchase, and the whole cents that it earned its buyer's referrer.

    `payable_at` is when these become payable; None if at once.
    """

    outcome: PurchaseOutcome
    earned_cents: int = 0
    payable_at: datetime | None = None
    is_in_intake: bool = False
    """Whether a repeated order was recorded by the same import or delivery."""


NOBODY_EARNS: Final = RecordedPurchase(outcome=PurchaseOutcome.NOBODY_EARNS)
REPEATED: Final = RecordedPurchase(outcome=PurchaseOutcome.REPEATED)
REPEATED_IN_INTAKE: Final = RecordedPurchase(outcome=PurchaseOutcome.REPEATED, is_in_intake=True)
CONFLICTING: Final = RecordedPurchase(outcome=PurchaseOutcome.CONFLICTING)


@lru_cache(maxsize=4096)
def _earned(cents: int, payable_at: datetime | None) -> RecordedPurchase:
    """Compute what a purchase earned. Cached, because many purchases earn the same."""
    return RecordedPurchase(outcome=PurchaseOutcome.EARNED, earned_cents=cents, payable_at=payable_at)


@dataclass(slots=True)
class _Accrual:
    """What the purchases of one call add to one referral."""

    referral_id: int
    earns: bool
    carry: int
    referred_at: datetime | None
    is_unlinked: bool
    referrer_id: int
    spend_cents: int = 0
    earned_cents: int = 0
    held_until: datetime | None = None

    def counts(self, purchased_at: datetime, dates: EarningDates) -> bool:
        """Return whether a purchase of that time belongs to the referral."""
        return not self.is_unlinked and dates.earns(purchased_at, self.referred_at)

    def limited(
        self, rate_ppm: int, purchased_at: datetime, amount_cents: int, dates: EarningDates, caps: MonthlyCaps
    ) -> int:
        """Return the rate at which a purchase earns: none if the referral is over, less from the monthly cap on."""
        if dates.is_over(purchased_at, self.referred_at):
            return 0
        return caps.limited(self.referrer_id, purchased_at, amount_cents, rate_ppm)

    def earn(self, millionths: int) -> int:
        """Add what a purchase earns, in millionths of a cent; return the whole cents and carry the rest to the next."""
        earned, self.carry = divmod(self.carry + millionths, PPM)
        self.earned_cents += earned
        return earned

    def hold(self, payable_at: datetime) -> None:
        """Hold what a purchase earned, unless something is held longer."""
        self.held_until = max(payable_at, self.held_until or payable_at)


def _just_now(accrual: _Accrual | None, now: datetime) -> datetime:
    """Return the moment of a purchase that is reported as it is made: after its referral, also by a clock set back."""
    return now if accrual is None or accrual.referred_at is None else max(now, accrual.referred_at)


def record_purchases(
    connection: Connection,
    purchases: Sequence[Purchase],
    rate_ppm: int,
    now: datetime,
    *,
    holding_days: int = 0,
    dates: EarningDates = ANY_TIME,
    origin: Origin = FROM_MAIN,
    actor: str = "shop",
) -> list[RecordedPurchase]:
    """Record purchases in the order given and accrue what they earn; return the outcome of each.

    An order that is already recorded counts once; one recorded with another buyer or amount is excluded as conflicting.
    If the buyer was not referred by then, the referrer is blacklisted or has reached the monthly cap, or the referral
    has earned long enough, the purchase earns nothing. The earnings are
    payable `holding_days` after the purchase. A purchase without a referral keeps its rate, and is looked at again
    when the referral comes (`waiting.py`). Refunds that came before are applied, and an order that waited for its
    member is settled by the `actor`.
    """
    holding = timedelta(days=holding_days)
    intake_number = origin.intake_number
    keys = [order_key(purchase.order_id) for purchase in purchases]
    known = known_orders(connection, keys, origin.source)
    accruals = _accruals(connection, {purchase.buyer_id for purchase in purchases})
    waited = _unmatched_rates(connection, keys, origin.source)
    caps = MonthlyCaps(connection, dates.monthly_cap_cents)
    is_limited = dates.is_limited
    answers: list[RecordedPurchase] = []
    rows = []
    for key, (_, buyer_id, amount_cents, told_at) in zip(keys, purchases, strict=True):
        before = known.get(key)
        if before is not None:
            fact = (buyer_id, amount_cents)
            if before[:2] != fact and _is_corrected_to(connection, origin.source, key, fact):
                before = (*fact, before[2])
            answers.append(_answer_known(before, fact, origin))
            continue
        known[key] = (buyer_id, amount_cents, intake_number)
        accrual = accruals.get(buyer_id)
        purchased_at = told_at or _just_now(accrual, now)
        payable_at = None
        if holding and amount_cents and purchased_at + holding > now:
            payable_at = purchased_at + holding
        earned, referral_id = 0, None
        earned_at_ppm = waited.get(key, rate_ppm) if dates.is_in_program(purchased_at) else 0
        if accrual is not None and not accrual.earns:
            earned_at_ppm = 0
        if accrual is not None and accrual.counts(purchased_at, dates):
            referral_id = accrual.referral_id
            earned_at_ppm = (
                accrual.limited(earned_at_ppm, purchased_at, amount_cents, dates, caps) if is_limited else earned_at_ppm
            )
            accrual.spend_cents += amount_cents
            if earned_at_ppm:
                earned = accrual.earn(amount_cents * earned_at_ppm)
                if payable_at is not None:
                    accrual.hold(payable_at)
        is_earning = accrual is not None and accrual.earns and referral_id is not None
        is_earning = is_earning and (earned_at_ppm > 0 or not rate_ppm)
        answers.append(_earned(earned, payable_at) if is_earning else NOBODY_EARNS)
        rows.append(
            (
                key,
                buyer_id,
                referral_id,
                amount_cents,
                earned_at_ppm,
                earned,
                purchased_at,
                now,
                payable_at if earned_at_ppm else None,
                origin.source,
                intake_number,
                origin.correction_number,
            )
        )
    execute_many(connection, _INSERT, PURCHASE_COLUMNS, rows)
    _store_accruals(connection, accruals.values())
    if waited:
        settled = {row[0]: row[1] for row in rows if row[0] in waited}
        _settle_unmatched(connection, settled, origin.source, actor=actor, now=now)
    apply_kept(connection, [row[0] for row in rows], now, origin.source)
    return answers


_ANY_UNMATCHED: Final = select(exists().where(is_unmatched, unmatched_purchases.c.source == bindparam("source")))
_UNMATCHED: Final = select(unmatched_purchases.c.order_id, unmatched_purchases.c.rate_ppm).where(
    is_unmatched, unmatched_purchases.c.source == bindparam("source"), is_among(unmatched_purchases.c.order_id)
)


def _unmatched_rates(connection: Connection, keys: Sequence[str], source: str) -> dict[str, int]:
    """Return the orders that waited for a member, each with the rate of the day on which it was recorded."""
    if not connection.scalar(_ANY_UNMATCHED, {"source": source}):
        return {}
    rows = connection.execute(_UNMATCHED, {**among(keys), "source": source})
    return {row.order_id: row.rate_ppm for row in rows}


def _settle_unmatched(
    connection: Connection, buyers: Mapping[str, int], source: str, *, actor: str, now: datetime
) -> None:
    """Settle orders that waited for a member, and whose buyers are known now; delete their hints."""
    for order_id, buyer_id in buyers.items():
        waited = (unmatched_purchases.c.source == source, unmatched_purchases.c.order_id == order_id)
        settled = {"buyer_id": buyer_id, "settled_at": now, "settled_by": actor}
        connection.execute(update(unmatched_purchases).where(*waited).values(**settled))
        of_it = (unmatched_hints.c.source == source, unmatched_hints.c.order_id == order_id)
        connection.execute(delete(unmatched_hints).where(*of_it))


Known = tuple[int, int, int | None]
"""A recorded order: its buyer, its cents, and its intake."""


def _answer_known(before: Known, fact: tuple[int, int], origin: Origin) -> RecordedPurchase:
    if before[:2] != fact:
        return CONFLICTING
    is_in_intake = origin.intake_number is not None and before[2] == origin.intake_number
    return REPEATED_IN_INTAKE if is_in_intake else REPEATED


def _is_corrected_to(connection: Connection, source: str, key: str, fact: tuple[int, int]) -> bool:
    """Return whether an order was corrected to this buyer and amount."""
    if not connection.scalar(_CORRECTED, {"source": source}):
        return False
    order = find_order(connection, source, key)
    return order is not None and order.corrections > 0 and (order.buyer_id, order.amount_cents) == fact


_CORRECTED: Final = select(exists().where(order_corrections.c.source == bindparam("source")))
_ORDERS: Final = listed(referral_purchases.c.order_id.type)
_KNOWN_ORDERS: Final = (
    select(
        referral_purchases.c.order_id,
        referral_purchases.c.buyer_id,
        referral_purchases.c.amount_cents,
        referral_purchases.c.intake_number,
    )
    .join_from(
        _ORDERS,
        referral_purchases,
        and_(referral_purchases.c.source == bindparam("source"), referral_purchases.c.order_id == _ORDERS.c.value),
        isouter=True,
    )
    .where(func.coalesce(referral_purchases.c.order_id, "") != "")
)
"""An outer join, so that SQLite looks up each order by its key; otherwise it reads all of the source for each. With
`IS NOT NULL` it would make an inner join of it. Without the condition each new order is a row to fetch."""


_MARKED: Final = select(
    exists().where(
        referral_purchases.c.source == bindparam("source"),
        referral_purchases.c.order_id >= "#",
        referral_purchases.c.order_id < "$",
    )
)
"""Whether earlier versions recorded orders of the source as "#1001"."""


def known_orders(connection: Connection, keys: Sequence[str], source: str) -> dict[str, Known]:
    """Return those of a source's orders that are recorded."""
    wanted: Iterable[str] = keys
    if connection.scalar(_MARKED, {"source": source}):
        wanted = [*keys, *(f"#{key}" for key in keys)]
    rows = connection.execute(_KNOWN_ORDERS, {**among(wanted), "source": source})
    return {order_key(order_id): (buyer, cents, intake) for order_id, buyer, cents, intake in rows}


_BUYERS: Final = listed(referrals.c.referred_user_id.type)
_REFERRALS: Final = select(
    referrals.c.referred_user_id,
    referrals.c.id,
    referrals.c.cashback_carry_ppm,
    referrals.c.referrer_user_id,
    referrals.c.created_at,
    referrals.c.cashback_unlinked_at.is_not(None),
).join_from(_BUYERS, referrals, referrals.c.referred_user_id == _BUYERS.c.value)


def _accruals(connection: Connection, buyers: set[int]) -> dict[int, _Accrual]:
    rows = connection.execute(_REFERRALS, among(buyers)).all()
    barred = blacklisted_among(connection, {row[3] for row in rows})
    return {
        buyer: _Accrual(
            referral_id,
            referrer not in barred and not is_unlinked,
            carry,
            referred_at,
            is_unlinked,
            referrer,
        )
        for buyer, referral_id, carry, referrer, referred_at, is_unlinked in rows
    }


_ADDED: Final = rows_of(which=referrals.c.id.type, spent=BigInteger(), earned=BigInteger(), carry=BigInteger())
_ADD: Final = (
    update(referrals)
    .where(referrals.c.id == _ADDED.c.which)
    .values(
        referred_total_spend_cents=referrals.c.referred_total_spend_cents + _ADDED.c.spent,
        cashback_earned_cents=referrals.c.cashback_earned_cents + _ADDED.c.earned,
        cashback_carry_ppm=_ADDED.c.carry,
    )
)
"""Add the effects of purchases to a referral."""

_HELD: Final = rows_of(which=referrals.c.id.type, until=referrals.c.cashback_held_until.type)
_HOLD: Final = (
    update(referrals)
    .where(
        or_(referrals.c.cashback_held_until.is_(None), referrals.c.cashback_held_until < _HELD.c.until),
        referrals.c.id == _HELD.c.which,
    )
    .values(cashback_held_until=_HELD.c.until)
)
"""Keep the latest moment until which something of a referral is held."""


@dataclass(slots=True)
class Added:
    """The effects of purchases on a referral. The carry is the new one."""

    referral_id: int
    carry: int
    spend_cents: int = 0
    earned_cents: int = 0
    held_until: datetime | None = None


def add_to_referrals(connection: Connection, changed: Sequence["Added | _Accrual"]) -> None:
    """Store the effects of purchases on their referrals."""
    rows = [(one.referral_id, one.spend_cents, one.earned_cents, one.carry) for one in changed]
    execute_many(connection, _ADD, ("which", "spent", "earned", "carry"), rows)
    held = [(one.referral_id, one.held_until) for one in changed if one.held_until is not None]
    execute_many(connection, _HOLD, ("which", "until"), held)


def _store_accruals(connection: Connection, accruals: Iterable[_Accrual]) -> None:
    add_to_referrals(connection, sorted((one for one in accruals if one.spend_cents), key=attrgetter("referral_id")))


def log_purchase(
    connection: Connection,
    purchase: Purchase,
    rate_ppm: int,
    now: datetime,
    *,
    holding_days: int = 0,
    dates: EarningDates = ANY_TIME,
) -> int | None:
    """Record one purchase; return the whole cents that it earned, None if it earned nothing or was already recorded."""
    check_id(purchase.buyer_id, "Buyer")
    check_amount(purchase.amount_cents)
    if not purchase.order_id:
        message = "The order id is empty; give the shop's id of this order."
        raise PurchaseRefusedError(message)
    [answer] = record_purchases(connection, [purchase], rate_ppm, now, holding_days=holding_days, dates=dates)
    if answer.outcome is PurchaseOutcome.CONFLICTING:
        message = f"Order {purchase.order_id} is known with another buyer or amount; nothing was changed."
        raise PurchaseRefusedError(message)
    return answer.earned_cents if answer.outcome is PurchaseOutcome.EARNED else None


def check_amount(amount_cents: int) -> int:
    """Return a purchase's amount if it is valid: whole cents from 0 to ten thousand million dollars."""
    if isinstance(amount_cents, bool) or not isinstance(amount_cents, int):
        message = f"The amount {amount_cents!r} is not a whole number of cents."
        raise PurchaseRefusedError(message)
    if not 0 <= amount_cents <= LARGEST_PURCHASE_CENTS:
        message = f"The amount of {amount_cents} cents is not between 0 and {LARGEST_PURCHASE_CENTS}."
        raise PurchaseRefusedError(message)
    return amount_cents
