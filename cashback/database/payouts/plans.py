"""The plan of a batch: the excluded with their reasons, and a payout for each of the others, in one transaction."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Select, exists, func, insert, literal, not_, select
from sqlalchemy.exc import IntegrityError

from cashback.database.payouts import absences, exclusions, limits, shares
from cashback.database.referral_program import unusable_rows
from cashback.database.referral_program.blacklist import blacklisted
from cashback.database.referral_program.pending import pending_by_referrer, pending_for
from cashback.database.referral_program.people import check_id
from cashback.database.tables import payouts, referrals, unpaid, users
from cashback.domain.errors import BlacklistedError, NothingPendingError
from cashback.domain.model import BatchLimits, ExclusionReason
from cashback.domain.reason_texts import in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The members that a batch is for: the named ones, or everyone if none is named, but never the excluded ones."""

    number: int
    now: datetime
    only: frozenset[int] = field(default_factory=frozenset)
    exclude: frozenset[int] = field(default_factory=frozenset)

    @property
    def among(self) -> Select[int] | None:
        """Select the referrers in question; None for everyone."""
        return _these(self.only) if self.only else None


def check_named(connection: Connection, people: Collection[int], now: datetime) -> None:
    """Refuse a named member with nothing pending: a mistake, and never a larger batch.

    Raises BlacklistedError or NothingPendingError.
    """
    for person in sorted(people):
        check_id(person, "Member")
        if blacklisted(connection, person):
            raise BlacklistedError(f"Member {person} is blacklisted from referral cashback.")
        if unusable_rows.has_any(connection, person):
            raise NothingPendingError(f"Member {person} is excluded: {in_words(ExclusionReason.UNUSABLE_ROW)}.")
        if not pending_for(connection, person, now)["pending_cents"]:
            raise NothingPendingError(f"Member {person} has no pending cashback.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many a batch pays, the cents in all and those of the largest payout, and how many it leaves out."""

    count: int
    cents: int
    largest_cents: int
    left_out: int


def make(
    connection: Connection, scope: Scope, *, min_payout_cents: int, hold_leavers: bool, terms: BatchLimits
) -> Plan:
    """Write the exclusions, and a payout for each of the others."""
    left_out = _leave_out(connection, scope, min_payout_cents=min_payout_cents, hold_leavers=hold_leavers, terms=terms)
    try:
        with connection.begin_nested():
            _pay_others(connection, scope, min_payout_cents=min_payout_cents, left_out=left_out)
    except IntegrityError:
        # A bot that looks at no foreign keys wrote a referrer without a wallet: too rare to look for each time.
        _give_wallets(connection, scope)
        _pay_others(connection, scope, min_payout_cents=min_payout_cents, left_out=left_out)
    amounts = payouts.c.approved_cents
    sums = select(func.count(), func.coalesce(func.sum(amounts), 0), func.coalesce(func.max(amounts), 0))
    count, cents, largest_cents = connection.execute(sums.where(payouts.c.batch_number == scope.number)).one()
    return Plan(count=count, cents=cents, largest_cents=largest_cents, left_out=left_out)


def _leave_out(
    connection: Connection, scope: Scope, *, min_payout_cents: int, hold_leavers: bool, terms: BatchLimits
) -> int:
    """Write the exclusions of referrers with cashback pending, with the first reason that applies; return how many."""
    number, now, among = scope.number, scope.now, scope.among
    left_out = unusable_rows.leave_out(connection, number, among)
    left_out += absences.leave_out(connection, number, now, hold_leavers=hold_leavers, only=among)
    if scope.exclude:
        left_out += exclusions.leave_out(connection, number, _these(scope.exclude), ExclusionReason.EXCLUDED, now)
    if min_payout_cents > 1:
        reason = ExclusionReason.BELOW_MINIMUM
        left_out += exclusions.leave_out(connection, number, among, reason, now, below_cents=min_payout_cents)
    return left_out + limits.leave_out(connection, number, now, terms, among=among)


def _pay_others(connection: Connection, scope: Scope, *, min_payout_cents: int, left_out: int) -> None:
    """Write a payout for each referrer with cashback pending that is not excluded."""
    columns = (owed := pending_by_referrer(scope.now, among=scope.among)).selected_columns
    plan = owed.with_only_columns(
        literal(scope.number), columns.referrer_id, columns.pending_cents, columns.referral_count
    )
    plan = plan.where(columns.pending_cents >= min_payout_cents)
    if left_out:
        plan = plan.where(not_(exclusions.is_left_out(scope.number, columns.referrer_id)))
    names = ["batch_number", "referrer_id", "approved_cents", "referral_count"]
    connection.execute(insert(payouts).from_select(names, plan))
    shares.plan(connection, scope.number, scope.now)


def _these(people: Collection[int]) -> Select[int]:
    return select(referrals.c.referrer_user_id).where(referrals.c.referrer_user_id.in_(sorted(people)))


def _give_wallets(connection: Connection, scope: Scope) -> None:
    """Give each referrer that is to be paid a row, if there is none."""
    payable = select(referrals.c.referrer_user_id).where(unpaid, unusable_rows.is_usable).distinct()
    if scope.only:
        payable = payable.where(referrals.c.referrer_user_id.in_(sorted(scope.only)))
    owed = payable.subquery()
    moment = literal(scope.now, users.c.created_at.type)
    without = select(owed.c.referrer_user_id, moment, moment).where(
        not_(exists().where(users.c.discord_id == owed.c.referrer_user_id))
    )
    connection.execute(insert(users).from_select(["discord_id", "created_at", "updated_at"], without))
