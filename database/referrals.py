"""Who referred whom, what their purchases earned, and what of it is pending. Rates are parts per million."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    update,
)

from database.audit_log import add_entry
from database.bulk import execute_many
from database.tables import is_flagged, pending, referral_blacklist, referral_purchases, referrals, users
from pipeline.errors import CashbackError, PurchaseRefusedError, ReferralRefusedError

LARGEST_ID: Final = 2**63 - 1
LARGEST_PURCHASE_CENTS: Final = 10**12
PPM: Final = 1_000_000
PURCHASE_COLUMNS: Final = tuple(column.name for column in referral_purchases.c)

owed_cents = referrals.c.cashback_earned_cents - referrals.c.cashback_paid_cents


def check_id(user_id: int, what: str = "id") -> int:
    """Return a person's id if it is one: a positive 63-bit integer."""
    if isinstance(user_id, bool) or not isinstance(user_id, int) or not 0 < user_id <= LARGEST_ID:
        message = f"{what} {user_id!r} is not a Discord id (a whole number from 1 to {LARGEST_ID})."
        raise CashbackError(message)
    return user_id


def is_blacklisted(referrer_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Tell in SQL whether a referrer is blacklisted: by us, or by the flag that an Apex Core bot sets on referrals.

    One flagged referral blacklists its referrer, so that referrals made afterwards earn nothing either.
    """
    flagged = referrals.alias("flagged")
    return or_(
        exists()
        .where(flagged.c.referrer_user_id == referrer_id, flagged.c.is_blacklisted != literal_column("0"))
        .correlate_except(flagged),
        exists().where(referral_blacklist.c.user_id == referrer_id).correlate_except(referral_blacklist),
    )


def ensure_users(connection: Connection, discord_ids: Iterable[int], now: datetime) -> None:
    """Make sure that each person has a row, with an empty wallet where it is new."""
    rows = [{"discord_id": person, "created_at": now, "updated_at": now} for person in dict.fromkeys(discord_ids)]
    if rows:
        connection.execute(insert(users).prefix_with("OR IGNORE", dialect="sqlite"), rows)


def create_referrals(connection: Connection, pairs: Sequence[tuple[int, int]], now: datetime) -> list[str | None]:
    """Record who brought whom, as pairs (referrer, referred). Answers for each pair why it was refused, or None.

    A member is referred once, for ever; a pair that stands already is refused too.
    """
    taken = set(
        connection.scalars(
            select(referrals.c.referred_user_id).where(referrals.c.referred_user_id.in_([b for _, b in pairs]))
        )
    )
    referrers = {referrer for referrer, _ in pairs}
    blacklisted = _blacklisted_among(connection, referrers)
    refusals: list[str | None] = []
    accepted: list[tuple[int, int]] = []
    rows = []
    for referrer, referred in pairs:
        if referrer == referred:
            refusals.append("Users cannot refer themselves")
        elif referred in taken:
            refusals.append("This user has already been referred by someone")
        else:
            refusals.append(None)
            taken.add(referred)
            accepted.append((referrer, referred))
            rows.append(
                {
                    "referrer_user_id": referrer,
                    "referred_user_id": referred,
                    "is_blacklisted": int(referrer in blacklisted),
                    "created_at": now,
                }
            )
    if rows:
        ensure_users(connection, (person for pair in accepted for person in pair), now)
        connection.execute(insert(referrals), rows)
    return refusals


def create_referral(connection: Connection, referrer_id: int, referred_id: int, now: datetime) -> int:
    """Record that one member brought another, and return the referral's id."""
    check_id(referrer_id, "Referrer")
    check_id(referred_id, "Referred member")
    [refusal] = create_referrals(connection, [(referrer_id, referred_id)], now)
    if refusal:
        raise ReferralRefusedError(refusal)
    query = select(referrals.c.id).where(referrals.c.referred_user_id == referred_id)
    return int(connection.scalars(query).one())


def _blacklisted_among(connection: Connection, people: Collection[int]) -> set[int]:
    everyone_listed = select(referral_blacklist.c.user_id)
    everyone_flagged = select(referrals.c.referrer_user_id).where(is_flagged)
    found: set[int] = set()
    for everyone in (everyone_listed, everyone_flagged):
        # Most often nobody is blacklisted, and a look costs less than asking for thousands of people.
        if connection.execute(everyone.limit(1)).one_or_none() is not None:
            found.update(connection.scalars(everyone.where(everyone.selected_columns[0].in_(people))))
    return found


class PurchaseOutcome(StrEnum):
    """What became of a purchase that was handed in."""

    EARNED = "earned"
    NOBODY_EARNS = "nobody_earns"
    REPEATED = "repeated"
    CONFLICTING = "conflicting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """A purchase as the shop tells it. `order_id` is the idempotency key; `purchased_at` is None for "just now"."""

    order_id: str
    buyer_id: int
    amount_cents: int
    purchased_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPurchase:
    """What became of one purchase, and the whole cents that it earned its buyer's referrer."""

    outcome: PurchaseOutcome
    earned_cents: int = 0


@dataclass(slots=True)
class _Accrual:
    """What the purchases of one call add to one referral."""

    referral_id: int
    earns: bool
    carry: int
    spend_cents: int = 0
    earned_cents: int = 0

    def add(self, amount_cents: int, rate_ppm: int) -> int:
        """Add a purchase; return the whole cents that it earns. What is left below a cent is carried to the next."""
        self.spend_cents += amount_cents
        if not self.earns:
            return 0
        earned, self.carry = divmod(self.carry + amount_cents * rate_ppm, PPM)
        self.earned_cents += earned
        return earned


def record_purchases(
    connection: Connection, purchases: Sequence[Purchase], rate_ppm: int, now: datetime
) -> list[RecordedPurchase]:
    """Record purchases in the order given and accrue what they earn; answers what became of each.

    An order that is known already counts once; one that is known with another buyer or amount is left out as
    conflicting. Where nobody had referred the buyer, or the referrer is blacklisted, nobody earns.
    """
    known = _known_orders(connection, [purchase.order_id for purchase in purchases])
    accruals = _accruals(connection, {purchase.buyer_id for purchase in purchases})
    answers: list[RecordedPurchase] = []
    rows = []
    for purchase in purchases:
        fact = (purchase.buyer_id, purchase.amount_cents)
        before = known.setdefault(purchase.order_id, None)
        if before is not None:
            same = before == fact
            answers.append(RecordedPurchase(outcome=PurchaseOutcome.REPEATED if same else PurchaseOutcome.CONFLICTING))
            continue
        known[purchase.order_id] = fact
        accrual = accruals.get(purchase.buyer_id)
        earned = accrual.add(purchase.amount_cents, rate_ppm) if accrual else 0
        earns = accrual is not None and accrual.earns
        outcome = PurchaseOutcome.EARNED if earns else PurchaseOutcome.NOBODY_EARNS
        answers.append(RecordedPurchase(outcome=outcome, earned_cents=earned))
        rows.append(
            (
                purchase.order_id,
                purchase.buyer_id,
                accrual.referral_id if accrual else None,
                purchase.amount_cents,
                rate_ppm if earns else 0,
                earned,
                purchase.purchased_at or now,
                now,
            )
        )
    execute_many(connection, insert(referral_purchases), PURCHASE_COLUMNS, rows)
    _store_accruals(connection, accruals.values())
    return answers


def _known_orders(connection: Connection, order_ids: Sequence[str]) -> dict[str, tuple[int, int] | None]:
    columns = (referral_purchases.c.order_id, referral_purchases.c.buyer_id, referral_purchases.c.amount_cents)
    rows = connection.execute(select(*columns).where(referral_purchases.c.order_id.in_(order_ids)))
    return {order_id: (buyer_id, amount_cents) for order_id, buyer_id, amount_cents in rows}


def _accruals(connection: Connection, buyers: set[int]) -> dict[int, _Accrual]:
    columns = (
        referrals.c.referred_user_id,
        referrals.c.id,
        referrals.c.cashback_carry_ppm,
        referrals.c.referrer_user_id,
    )
    rows = connection.execute(select(*columns).where(referrals.c.referred_user_id.in_(buyers))).all()
    barred = _blacklisted_among(connection, {row[3] for row in rows})
    return {buyer: _Accrual(referral_id, referrer not in barred, carry) for buyer, referral_id, carry, referrer in rows}


def _store_accruals(connection: Connection, accruals: Iterable[_Accrual]) -> None:
    changed = sorted(
        (accrual.referral_id, accrual.spend_cents, accrual.earned_cents, accrual.carry)
        for accrual in accruals
        if accrual.spend_cents
    )
    statement = (
        update(referrals)
        .where(referrals.c.id == bindparam("which"))
        .values(
            referred_total_spend_cents=referrals.c.referred_total_spend_cents + bindparam("spent"),
            cashback_earned_cents=referrals.c.cashback_earned_cents + bindparam("earned"),
            cashback_carry_ppm=bindparam("carry"),
        )
    )
    rows = [(spent, earned, carry, which) for which, spent, earned, carry in changed]
    execute_many(connection, statement, ("spent", "earned", "carry", "which"), rows)


def log_purchase(connection: Connection, purchase: Purchase, rate_ppm: int, now: datetime) -> int | None:
    """Record one purchase; return the whole cents that it earned, None where nobody earns or it was known already."""
    check_id(purchase.buyer_id, "Buyer")
    check_amount(purchase.amount_cents)
    if not purchase.order_id:
        message = "The order id is empty; give the shop's id of this order."
        raise PurchaseRefusedError(message)
    [answer] = record_purchases(connection, [purchase], rate_ppm, now)
    if answer.outcome is PurchaseOutcome.CONFLICTING:
        message = f"Order {purchase.order_id} is known with another buyer or amount; nothing was changed."
        raise PurchaseRefusedError(message)
    return answer.earned_cents if answer.outcome is PurchaseOutcome.EARNED else None


def check_amount(amount_cents: int) -> int:
    """Return a purchase's amount if it is one: whole cents from 0 to ten thousand million dollars."""
    if isinstance(amount_cents, bool) or not isinstance(amount_cents, int):
        message = f"The amount {amount_cents!r} is not a whole number of cents."
        raise PurchaseRefusedError(message)
    if not 0 <= amount_cents <= LARGEST_PURCHASE_CENTS:
        message = f"The amount of {amount_cents} cents is not between 0 and {LARGEST_PURCHASE_CENTS}."
        raise PurchaseRefusedError(message)
    return amount_cents


def pending_by_referrer() -> Select[tuple[int, int, int]]:
    """Select what is payable: referrer, cents and number of referrals, for each who has any and is not blacklisted."""
    owed = (
        select(
            referrals.c.referrer_user_id.label("referrer_id"),
            func.sum(owed_cents).label("pending_cents"),
            func.count().label("referral_count"),
        )
        .where(pending)
        .group_by(referrals.c.referrer_user_id)
        .subquery("owed")
    )
    return select(owed.c.referrer_id, owed.c.pending_cents, owed.c.referral_count).where(
        not_(is_blacklisted(owed.c.referrer_id))
    )


def all_pending(connection: Connection) -> list[dict[str, int]]:
    """List what each referrer would be paid now, largest first."""
    query = pending_by_referrer()
    amount, referrer = query.selected_columns.pending_cents, query.selected_columns.referrer_id
    return [dict(row) for row in connection.execute(query.order_by(amount.desc(), referrer)).mappings()]


def pending_totals(connection: Connection, *, min_payout_cents: int) -> tuple[int, int]:
    """Count who would be paid now, and the cents in all."""
    owed = pending_by_referrer().subquery()
    query = select(func.count(), func.coalesce(func.sum(owed.c.pending_cents), 0))
    users_count, cents = connection.execute(query.where(owed.c.pending_cents >= min_payout_cents)).one()
    return users_count, cents


def pending_for(connection: Connection, referrer_id: int) -> dict[str, Any]:
    """Tell what one referrer would be paid now, and from which referrals, oldest first."""
    check_id(referrer_id, "Referrer")
    if blacklisted(connection, referrer_id):
        return {"pending_cents": 0, "referral_count": 0, "is_blacklisted": True, "referral_details": []}
    rows = connection.execute(
        select(referrals.c.referred_user_id, owed_cents)
        .where(pending, referrals.c.referrer_user_id == referrer_id)
        .order_by(referrals.c.id)
    )
    details = [{"user_id": user_id, "amount_cents": amount_cents} for user_id, amount_cents in rows]
    return {
        "pending_cents": sum(detail["amount_cents"] for detail in details),
        "referral_count": len(details),
        "is_blacklisted": False,
        "referral_details": details,
    }


def blacklisted(connection: Connection, referrer_id: int) -> bool:
    """Tell whether a referrer is blacklisted."""
    return bool(_blacklisted_among(connection, [referrer_id]))


def referral_stats(connection: Connection, referrer_id: int) -> dict[str, int]:
    """Sum up one referrer's referrals; a blacklisted one has nothing pending."""
    check_id(referrer_id, "Referrer")
    count, spend, earned, paid = connection.execute(
        select(
            func.count(),
            func.coalesce(func.sum(referrals.c.referred_total_spend_cents), 0),
            func.coalesce(func.sum(referrals.c.cashback_earned_cents), 0),
            func.coalesce(func.sum(referrals.c.cashback_paid_cents), 0),
        ).where(referrals.c.referrer_user_id == referrer_id)
    ).one()
    return {
        "referral_count": count,
        "total_spend_cents": spend,
        "total_earned_cents": earned,
        "total_paid_cents": paid,
        "pending_cents": pending_for(connection, referrer_id)["pending_cents"],
    }


def referrer_of(connection: Connection, referred_id: int) -> int | None:
    """Tell who referred a member, None where nobody did."""
    return connection.scalars(
        select(referrals.c.referrer_user_id).where(referrals.c.referred_user_id == referred_id)
    ).one_or_none()


def referrers_of(connection: Connection, referred_ids: Iterable[int]) -> dict[int, int]:
    """Tell who referred these members; those whom nobody did are left out."""
    rows = connection.execute(
        select(referrals.c.referred_user_id, referrals.c.referrer_user_id).where(
            referrals.c.referred_user_id.in_(list(referred_ids))
        )
    )
    return {row.referred_user_id: row.referrer_user_id for row in rows}


def any_referral(connection: Connection) -> bool:
    """Tell whether anybody was ever referred."""
    return connection.scalars(select(referrals.c.id).limit(1)).one_or_none() is not None


def referrals_of(connection: Connection, referrer_id: int) -> list[dict[str, Any]]:
    """List a referrer's referrals, oldest first, as the rows stand."""
    query = select(referrals).where(referrals.c.referrer_user_id == referrer_id).order_by(referrals.c.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def blacklist(connection: Connection, user_id: int, *, reason: str | None, actor: str, now: datetime) -> bool:
    """Bar a member from referral cashback, for present and future referrals; False where it was so already."""
    check_id(user_id)
    if blacklisted(connection, user_id):
        return False
    connection.execute(
        insert(referral_blacklist).values(user_id=user_id, reason=reason, blacklisted_by=actor, blacklisted_at=now)
    )
    connection.execute(update(referrals).where(referrals.c.referrer_user_id == user_id).values(is_blacklisted=1))
    add_entry(connection, at=now, actor=actor, action="blacklisted", details={"user_id": user_id, "reason": reason})
    return True


def unblacklist(connection: Connection, user_id: int, *, actor: str, now: datetime) -> bool:
    """Let a member earn again; what was pending before is pending again. False where nothing barred the member."""
    check_id(user_id)
    if not blacklisted(connection, user_id):
        return False
    connection.execute(delete(referral_blacklist).where(referral_blacklist.c.user_id == user_id))
    connection.execute(update(referrals).where(referrals.c.referrer_user_id == user_id).values(is_blacklisted=0))
    add_entry(connection, at=now, actor=actor, action="unblacklisted", details={"user_id": user_id})
    return True


def mark_paid(connection: Connection, referrer_id: int, amount_cents: int) -> None:
    """Mark exactly this much as paid, oldest referral first. More than is pending raises and changes nothing."""
    owed = pending_for(connection, referrer_id)["pending_cents"]
    if amount_cents <= 0 or amount_cents > owed:
        message = f"{amount_cents} cents cannot be marked as paid to {referrer_id}: {owed} cents are pending."
        raise CashbackError(message)
    query = (
        select(referrals.c.id, owed_cents)
        .where(pending, referrals.c.referrer_user_id == referrer_id)
        .order_by(referrals.c.id)
    )
    left = amount_cents
    for referral_id, owed_here in connection.execute(query).all():
        share = min(left, owed_here)
        connection.execute(
            update(referrals)
            .where(referrals.c.id == referral_id)
            .values(
                cashback_paid_cents=referrals.c.cashback_paid_cents + share,
                cashback_paid_elsewhere_cents=referrals.c.cashback_paid_elsewhere_cents + share,
            )
        )
        left -= share
        if not left:
            return
