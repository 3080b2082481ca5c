"""Reconciliation: proves from the rows that the books balance, or names the rows that do not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, case, exists, func, literal, not_, or_, select

from cashback.database import large_sums, origins
from cashback.database.audit_log import broken_entries, chain_head
from cashback.database.guards import missing_guards
from cashback.database.integrity import (
    audit_log_checks,
    decision_checks,
    delivery_checks,
    event_checks,
    order_checks,
    reversal_checks,
    share_checks,
    type_checks,
    withdrawal_checks,
)
from cashback.database.integrity.agreement import agreement, agrees
from cashback.database.integrity.checks import THE_BATCH, finds, finds_in, limited
from cashback.database.tables import (
    intakes,
    is_refunded,
    notifications,
    outbox_counts,
    overpaid,
    payout_batches,
    payouts,
    referral_purchases,
    referral_refunds,
    referrals,
    users,
    wallet_transactions,
)
from cashback.domain.model import PayoutStatus

OURS: Final = "%cashback%"
"""What the type of each of our transactions holds."""

WALLET: Final = "wallet of {discord_id} holds {wallet_balance_cents} cents, its transactions make {cents}"
ORDER: Final = "order {order_id} is marked as refunded by {refunded_cents} cents, its refunds make {cents}"

SAME_PAYOUT: Final = and_(
    wallet_transactions.c.cashback_payout_batch_number == payouts.c.batch_number,
    wallet_transactions.c.user_discord_id == payouts.c.referrer_id,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The result of reconciliation. The books balance if there are no breaches.

    `remarks` are differences that another bot on an adopted file made; `audit_head` is the newest entry's digest.
    """

    breaches: tuple[str, ...]
    remarks: tuple[str, ...]
    payouts_checked: int
    credited_cents: int
    audit_head: str

    @property
    def balanced(self) -> bool:
        """Whether there are no breaches."""
        return not self.breaches


def verify(connection: Connection) -> Verdict:
    """Check every balance, payout, transaction, total and audit entry. Each breach is one line that names its row."""
    return large_sums.bounded(connection, _verify)


def _verify(connection: Connection) -> Verdict:
    shared = origins.is_shared(connection)
    marked = [*share_checks.wrong_paid_sums(connection)]
    moved = agrees(connection, _all_moved)
    # On an adopted file another bot may move balances, mark referrals as paid and lower what they earned; taking back
    # what is marked is a breach everywhere.
    elsewhere: list[str] = []
    if not moved:
        elsewhere += [*limited(_unexplained_balances(connection)), *limited(_balances_without_transaction(connection))]
    elsewhere += [line for less, line in marked if not less]
    elsewhere += limited(_overpaid_referrals(connection))
    if not shared:
        elsewhere += limited(decision_checks.wrong_flags(connection))
        elsewhere += [*limited(_broken_balances(connection)), *limited(_transactions_without_batch(connection))]
        elsewhere += limited(_foreign_transactions(connection))
        elsewhere += limited(audit_log_checks.unexplained_earnings(connection))
    breaches = [line for less, line in marked if less]
    breaches += [] if shared else elsewhere
    breaches += [] if moved else limited(audit_log_checks.missing_wallets(connection))
    for check in (
        _payouts_without_transaction,
        _transactions_without_payout,
        _wrong_refund_sums,
        _unmarked_refunds,
        _released_early,
        _held_for_nothing,
        _wrong_batch_totals,
        _missing_notifications,
        _wrong_message_counts,
        broken_entries,
        audit_log_checks.wrong_batches,
        share_checks.wrong_shares,
        share_checks.wrong_forfeits,
        share_checks.repointed,
        missing_guards,
        origins.wrong_origin,
        type_checks.amounts_of_another_type,
        decision_checks.wrong_states,
        decision_checks.paid_without_approval,
        decision_checks.wrong_plans,
        decision_checks.wrong_exclusions,
        share_checks.purchases_of_others,
        decision_checks.wrong_reversal_decisions,
        decision_checks.wrong_blacklist,
        decision_checks.wrong_unlinks,
        decision_checks.orphans,
        reversal_checks.wrong_reversals,
        reversal_checks.transactions_without_reversal,
        reversal_checks.wrong_reversal_totals,
        *withdrawal_checks.CHECKS,
        *order_checks.CHECKS,
        *delivery_checks.CHECKS,
        *event_checks.CHECKS,
    ):
        breaches += limited(check(connection))
    return _verdict(connection, breaches, elsewhere if shared else [])


def verify_batch(connection: Connection, number: int) -> Verdict:
    """Check one batch: payouts, their transactions and messages, the payees' wallets, totals and audit entries.

    Its cost depends on the batch's payouts, not on the size of the ledger.
    """
    shared = origins.is_shared(connection)
    breaches: list[str] = []
    remarks: list[str] = []
    (remarks if shared else breaches).extend(limited(_unexplained_balances_of_payees(connection, number)))
    for check in (
        _payouts_without_transaction,
        _transactions_without_payout,
        _wrong_batch_totals,
        _missing_notifications,
        _wrong_message_counts,
        share_checks.wrong_shares,
        audit_log_checks.wrong_batches,
    ):
        breaches += limited(check(connection, number))
    return _verdict(connection, breaches, remarks, number)


def _verdict(
    connection: Connection, breaches: Sequence[str], remarks: Sequence[str], number: int | None = None
) -> Verdict:
    count, cents = connection.execute(_credited(of_batch=number is not None), {"number": number}).one()
    return Verdict(
        breaches=tuple(breaches),
        remarks=tuple(remarks),
        payouts_checked=count,
        credited_cents=cents,
        audit_head=chain_head(connection),
    )


@cache
def _credited(*, of_batch: bool) -> Select[Any]:
    credited = select(func.count(), func.coalesce(func.sum(payouts.c.paid_cents), 0)).where(
        payouts.c.status == PayoutStatus.CREDITED
    )
    return credited.where(payouts.c.batch_number == THE_BATCH) if of_batch else credited


@cache
def _all_moved() -> Select[bool, bool]:
    """Ask whether each wallet holds what its transactions make, and each transaction is of a wallet."""
    sums, held = _moved().subquery("sums"), users.c.wallet_balance_cents
    same = users.c.discord_id == sums.c.user_discord_id
    return agreement(sums, users, same=same, equal=held == sums.c.cents, amount=held != 0)


@finds(WALLET)
def _unexplained_balances() -> Select[Any]:
    """Find balances that do not follow from the user's transactions."""
    return _held_but_not_moved(_moved())


@finds(WALLET)
def _unexplained_balances_of_payees() -> Select[Any]:
    """Find such balances of one batch's payees."""
    payees = select(payouts.c.referrer_id).where(payouts.c.batch_number == THE_BATCH)
    return _held_but_not_moved(_moved().where(wallet_transactions.c.user_discord_id.in_(payees)))


def _moved() -> Select[Any]:
    moves = wallet_transactions.c
    return select(moves.user_discord_id, func.sum(moves.amount_cents).label("cents")).group_by(moves.user_discord_id)


def _held_but_not_moved(sums: Select[Any]) -> Select[Any]:
    moved, held = sums.subquery("moved"), users.c.wallet_balance_cents
    return (
        select(users.c.discord_id, held, moved.c.cents)
        .join_from(moved, users, users.c.discord_id == moved.c.user_discord_id)
        .where(held != moved.c.cents)
    )


@finds(WALLET)
def _balances_without_transaction() -> Select[Any]:
    """Find balances of users without transactions. A join with all sums would cost a lookup for each user."""
    held = users.c.wallet_balance_cents
    return select(users.c.discord_id, held, literal(0).label("cents")).where(
        held != 0, not_(exists().where(wallet_transactions.c.user_discord_id == users.c.discord_id))
    )


@finds("transaction {id} of {user_discord_id} records a balance of {balance_after_cents}, those up to it make {cents}")
def _broken_balances() -> Select[Any]:
    """Find transactions with a balance that does not follow from the user's one before."""
    moves = wallet_transactions.c
    before = func.lag(moves.balance_after_cents, 1, 0).over(partition_by=moves.user_discord_id, order_by=moves.id)
    steps = select(
        moves.id, moves.user_discord_id, moves.balance_after_cents, (before + moves.amount_cents).label("cents")
    ).subquery("steps")
    return select(steps).where(steps.c.balance_after_cents != steps.c.cents)


@finds("transaction {id} credits {user_discord_id} with cashback of no batch")
def _transactions_without_batch() -> Select[Any]:
    """Find cashback transactions without a batch; on an adopted file another bot has made such."""
    return select(wallet_transactions.c.id, wallet_transactions.c.user_discord_id).where(
        wallet_transactions.c.transaction_type == "referral_cashback",
        wallet_transactions.c.cashback_payout_batch_number.is_(None),
    )


@finds(
    "transaction {id} of {user_discord_id} is a {transaction_type} of {amount_cents} cents; no other bot writes here"
)
def _foreign_transactions() -> Select[Any]:
    """Find transactions that this program does not make, in a ledger that no other bot shares."""
    moves = wallet_transactions.c
    return select(moves.id, moves.user_discord_id, moves.transaction_type, moves.amount_cents).where(
        not_(moves.transaction_type.like(OURS))
    )


@finds_in(
    payouts.c.batch_number,
    "payout of batch {batch_number} to {referrer_id} paid {paid_cents} cents, its transaction moves {amount_cents}",
)
def _payouts_without_transaction() -> Select[Any]:
    """Find credited payouts without a transaction, or with one of another amount."""
    return (
        select(payouts.c.batch_number, payouts.c.referrer_id, payouts.c.paid_cents, wallet_transactions.c.amount_cents)
        .join_from(payouts, wallet_transactions, SAME_PAYOUT, isouter=True)
        .where(payouts.c.status == PayoutStatus.CREDITED)
        .where(
            or_(
                wallet_transactions.c.amount_cents.is_(None),
                wallet_transactions.c.amount_cents != payouts.c.paid_cents,
                wallet_transactions.c.transaction_type != "referral_cashback",
                payouts.c.settled_at.is_(None),
                wallet_transactions.c.created_at.is_distinct_from(payouts.c.settled_at),
            )
        )
    )


@finds_in(
    wallet_transactions.c.cashback_payout_batch_number,
    "transaction {id} credits {user_discord_id} for batch {cashback_payout_batch_number} without a credited payout",
)
def _transactions_without_payout() -> Select[Any]:
    """Find cashback transactions of a batch without a credited payout."""
    moves = wallet_transactions.c
    return (
        select(moves.id, moves.user_discord_id, moves.cashback_payout_batch_number)
        .join_from(wallet_transactions, payouts, SAME_PAYOUT, isouter=True)
        .where(moves.cashback_payout_batch_number.is_not(None))
        .where(or_(payouts.c.status.is_(None), payouts.c.status != PayoutStatus.CREDITED))
    )


@finds("referral {id} earned {cashback_earned_cents} cents and was paid {cashback_paid_cents}")
def _overpaid_referrals() -> Select[Any]:
    """Find referrals that were paid more than they earned, beyond later refunds."""
    taken = (
        select(func.coalesce(func.sum(referral_refunds.c.taken_cents), 0))
        .where(referral_refunds.c.referral_id == referrals.c.id)
        .correlate(referrals)
        .scalar_subquery()
    )
    return select(referrals.c.id, referrals.c.cashback_earned_cents, referrals.c.cashback_paid_cents).where(
        overpaid, referrals.c.cashback_paid_cents > referrals.c.cashback_earned_cents + taken
    )


@finds(ORDER)
def _wrong_refund_sums() -> Select[Any]:
    """Find orders with another refunded amount than the sum of their refunds."""
    of_order = (
        select(func.sum(referral_refunds.c.amount_cents))
        .where(
            referral_refunds.c.source == referral_purchases.c.source,
            referral_refunds.c.order_id == referral_purchases.c.order_id,
        )
        .correlate(referral_purchases)
        .scalar_subquery()
    )
    stands = referral_purchases.c.refunded_cents
    return select(referral_purchases.c.order_id, stands, func.coalesce(of_order, 0).label("cents")).where(
        is_refunded, stands != func.coalesce(of_order, 0)
    )


@finds(ORDER)
def _unmarked_refunds() -> Select[Any]:
    """Find orders that are not marked as refunded and have refunds."""
    of_order = (referral_refunds.c.source, referral_refunds.c.order_id)
    refunded = (
        select(*of_order, func.sum(referral_refunds.c.amount_cents).label("cents"))
        .group_by(*of_order)
        .subquery("refunded")
    )
    stands = referral_purchases.c.refunded_cents
    return (
        select(referral_purchases.c.order_id, stands, refunded.c.cents)
        .join_from(
            refunded,
            referral_purchases,
            and_(
                referral_purchases.c.source == refunded.c.source, referral_purchases.c.order_id == refunded.c.order_id
            ),
        )
        .where(stands == 0)
    )


@finds("referral {id} is held until {cashback_held_until}, a purchase of it until {payable_at}")
def _released_early() -> Select[Any]:
    """Find referrals that are not held until the end of their purchases' last holding period.

    Only an import that is undone takes a purchase away, and leaves its holding period.
    """
    last = (
        select(referral_purchases.c.referral_id, func.max(referral_purchases.c.payable_at).label("payable_at"))
        .where(referral_purchases.c.payable_at.is_not(None))
        .group_by(referral_purchases.c.referral_id)
        .subquery("last")
    )
    until = referrals.c.cashback_held_until
    return (
        select(referrals.c.id, until, last.c.payable_at)
        .join_from(last, referrals, referrals.c.id == last.c.referral_id)
        .where(or_(until.is_(None), until < last.c.payable_at, and_(until > last.c.payable_at, not_(_IS_UNDONE))))
    )


_IS_UNDONE: Final = exists().where(intakes.c.undone_at.is_not(None))


@finds("referral {id} is held until {cashback_held_until}, and no purchase of it is")
def _held_for_nothing() -> Select[Any]:
    """Find referrals whose purchases have lost their holding period."""
    until, bought = referrals.c.cashback_held_until, referral_purchases.c
    of_it = exists().where(bought.referral_id == referrals.c.id, bought.payable_at.is_not(None))
    return select(referrals.c.id, until).where(until.is_not(None), not_(of_it), not_(_IS_UNDONE))


def _wrong_batch_totals(connection: Connection, number: int | None = None) -> Iterator[str]:
    """Find batches with other stored totals than their payouts make."""
    for row in connection.execute(_totals(of_batch=number is not None), {"number": number}):
        planned = row[1:3] == row[7:9]
        settled = row[3:7] == row[9:13] or row.status not in {*audit_log_checks.FINISHED, *decision_checks.UNPAID}
        if not planned or not settled:
            yield f"batch {row.number} stores totals {tuple(row[1:7])}, its payouts make {tuple(row[7:13])}"


@cache
def _totals(*, of_batch: bool) -> Select[Any]:
    """Select each batch's number, its six stored totals, the six computed from its payouts, and its status."""
    is_credited = payouts.c.status == PayoutStatus.CREDITED
    counted = select(
        payouts.c.batch_number,
        func.count().label("planned"),
        func.sum(payouts.c.approved_cents).label("approved_cents"),
        func.count(case((is_credited, 1))).label("credited"),
        func.sum(payouts.c.paid_cents).label("credited_cents"),
        func.count(case((payouts.c.status == PayoutStatus.FAILED, 1))).label("failed"),
        func.count(case((payouts.c.status == PayoutStatus.SKIPPED, 1))).label("skipped"),
    )
    if of_batch:
        counted = counted.where(payouts.c.batch_number == THE_BATCH)
    sums = counted.group_by(payouts.c.batch_number).subquery("sums")
    batch = payout_batches.c
    stored = (
        batch.planned_count,
        batch.planned_cents,
        batch.credited_count,
        batch.credited_cents,
        batch.failed_count,
        batch.skipped_count,
    )
    summed = (
        sums.c.planned,
        sums.c.approved_cents,
        sums.c.credited,
        sums.c.credited_cents,
        sums.c.failed,
        sums.c.skipped,
    )
    query = select(
        batch.number, *(column.label(f"stored_{n}") for n, column in enumerate(stored)), *summed, batch.status
    ).join_from(payout_batches, sums, sums.c.batch_number == batch.number, isouter=True)
    return query.where(batch.number == THE_BATCH) if of_batch else query


@finds_in(payouts.c.batch_number, "payout of batch {batch_number} to {referrer_id} has no direct message queued")
def _missing_notifications() -> Select[Any]:
    """Find credited payouts without a direct message in the outbox."""
    its_message = and_(
        notifications.c.batch_number == payouts.c.batch_number, notifications.c.user_id == payouts.c.referrer_id
    )
    return (
        select(payouts.c.batch_number, payouts.c.referrer_id)
        .join_from(payouts, notifications, its_message, isouter=True)
        .where(payouts.c.status == PayoutStatus.CREDITED, notifications.c.id.is_(None))
        .where(payouts.c.batch_number.not_in(select(outbox_counts.c.batch_number)))
    )


@finds_in(
    payout_batches.c.number,
    "batch {number} credited {credited_count} payouts, and has {messages} direct messages, kept and counted",
)
def _wrong_message_counts() -> Select[Any]:
    """Find batches whose old messages were counted, and whose messages are more or fewer than their payouts."""
    kept = (
        select(func.count())
        .where(notifications.c.batch_number == payout_batches.c.number)
        .correlate(payout_batches)
        .scalar_subquery()
    )
    counted = (
        select(func.coalesce(func.sum(outbox_counts.c.messages), 0))
        .where(outbox_counts.c.batch_number == payout_batches.c.number)
        .correlate(payout_batches)
        .scalar_subquery()
    )
    credited = (
        select(func.count())
        .where(payouts.c.batch_number == payout_batches.c.number, payouts.c.status == PayoutStatus.CREDITED)
        .correlate(payout_batches)
        .scalar_subquery()
    )
    messages = kept + counted
    return select(payout_batches.c.number, credited.label("credited_count"), messages.label("messages")).where(
        payout_batches.c.number.in_(select(outbox_counts.c.batch_number)), messages != credited
    )
