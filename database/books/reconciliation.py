"""Reconciliation: proves from the rows that the books balance, or names what does not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    union_all,
)

from database.audit_log import broken_entries, chain_head
from database.books import counterentries, evidence
from database.tables import (
    cashback_origin,
    is_refunded,
    notifications,
    overpaid,
    payout_batches,
    payouts,
    referral_purchases,
    referral_refunds,
    referrals,
    users,
    wallet_transactions,
)
from pipeline.messages import PayoutStatus

BREACHES_SHOWN: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What reconciliation found. The books balance where there are no breaches.

    `remarks` are differences that another bot on an adopted file made; `audit_head` is the newest entry's digest.
    """

    breaches: tuple[str, ...]
    remarks: tuple[str, ...]
    payouts_checked: int
    credited_cents: int
    audit_head: str

    @property
    def balanced(self) -> bool:
        """True where nothing is wrong."""
        return not self.breaches


def verify(connection: Connection) -> Verdict:
    """Check every balance, payout, transaction, total and audit entry. Each breach is one line that names its row."""
    adopted = bool(connection.scalars(select(cashback_origin.c.adopted)).one())
    marked = [*_wrong_payout_sums(connection)]
    # On an adopted file another bot may move balances, mark referrals as paid and lower what they earned; taking back
    # what is marked is a breach everywhere.
    elsewhere = [*_limited(_unexplained_balances(connection)), *(line for less, line in marked if not less)]
    elsewhere += _limited(_overpaid_referrals(connection))
    if not adopted:
        elsewhere += [*_limited(_broken_balances(connection)), *_limited(_transactions_without_batch(connection))]
        elsewhere += _limited(evidence.unexplained_earnings(connection))
    breaches = [line for less, line in marked if less]
    breaches += [] if adopted else elsewhere
    for check in (
        _payouts_without_transaction,
        _transactions_without_payout,
        _wrong_refund_sums,
        _released_early,
        _wrong_batch_totals,
        _missing_notifications,
        broken_entries,
        evidence.wrong_batches,
        evidence.missing_wallets,
        counterentries.wrong_reversals,
    ):
        breaches += _limited(check(connection))
    return _verdict(connection, breaches, elsewhere if adopted else [])


def verify_batch(connection: Connection, number: int) -> Verdict:
    """Check one batch: payouts, their transactions and messages, the payees' wallets, totals and audit entries.

    It costs what the batch's payouts cost, however much is stored beside them.
    """
    adopted = bool(connection.scalars(select(cashback_origin.c.adopted)).one())
    breaches: list[str] = []
    remarks: list[str] = []
    (remarks if adopted else breaches).extend(_limited(_unexplained_balances(connection, number)))
    for check in (
        _payouts_without_transaction,
        _transactions_without_payout,
        _wrong_batch_totals,
        _missing_notifications,
        evidence.wrong_batches,
    ):
        breaches += _limited(check(connection, number))
    return _verdict(connection, breaches, remarks, number)


def _verdict(
    connection: Connection, breaches: Sequence[str], remarks: Sequence[str], number: int | None = None
) -> Verdict:
    credited = select(func.count(), func.coalesce(func.sum(payouts.c.paid_cents), 0)).where(
        payouts.c.status == PayoutStatus.CREDITED
    )
    count, cents = connection.execute(_of(number, credited, payouts.c.batch_number)).one()
    return Verdict(
        breaches=tuple(breaches),
        remarks=tuple(remarks),
        payouts_checked=count,
        credited_cents=cents,
        audit_head=chain_head(connection),
    )


def _of(number: int | None, query: Select[Any], column: ColumnElement[int]) -> Select[Any]:
    """Narrow a question to the rows of one batch; None leaves it as it is."""
    return query if number is None else query.where(column == number)


def _limited(lines: Iterator[str]) -> Iterator[str]:
    """Pass on the first hundred lines. A value that cannot even be read is a breach too: SQLite takes any."""
    try:
        for count, line in enumerate(lines, start=1):
            if count > BREACHES_SHOWN:
                yield f"and more of the kind: {line}"
                return
            yield line
    except (TypeError, ValueError) as error:
        yield f"a row holds a value that cannot be read: {' '.join(str(error).split())}"


def _rows(connection: Connection, query: Select[Any]) -> Iterator[Any]:
    yield from connection.execute(query.limit(BREACHES_SHOWN + 1))


def _unexplained_balances(connection: Connection, number: int | None = None) -> Iterator[str]:
    """Find balances that do not follow from the user's transactions: of everyone, or of one batch's payees."""
    moves = wallet_transactions.c
    sums = select(moves.user_discord_id.label("user_id"), func.sum(moves.amount_cents).label("cents"))
    if number is not None:
        sums = sums.where(
            moves.user_discord_id.in_(select(payouts.c.referrer_id).where(payouts.c.batch_number == number))
        )
    moved = sums.group_by(moves.user_discord_id).subquery("moved")
    held = users.c.wallet_balance_cents
    other = (
        select(users.c.discord_id, held, moved.c.cents)
        .join_from(moved, users, users.c.discord_id == moved.c.user_id)
        .where(held != moved.c.cents)
    )
    # Those who never had a transaction are asked for apart: joined to all sums, each of them costs a look for one.
    none = select(users.c.discord_id, held, literal(0).label("cents")).where(
        held != 0, not_(exists().where(moves.user_discord_id == users.c.discord_id))
    )
    for query in (other, none) if number is None else (other,):
        for user_id, balance, made in _rows(connection, query):
            yield f"wallet of {user_id} holds {balance} cents, its transactions make {made}"


def _broken_balances(connection: Connection) -> Iterator[str]:
    """Find transactions whose balance does not follow from the user's one before."""
    moves = wallet_transactions.c
    before = func.lag(moves.balance_after_cents, 1, 0).over(partition_by=moves.user_discord_id, order_by=moves.id)
    steps = select(
        moves.id, moves.user_discord_id, moves.balance_after_cents, (before + moves.amount_cents).label("cents")
    ).subquery("steps")
    for row in _rows(connection, select(steps).where(steps.c.balance_after_cents != steps.c.cents)):
        yield (
            f"transaction {row.id} of {row.user_discord_id} tells a balance of {row.balance_after_cents} cents,"
            f" those up to it make {row.cents}"
        )


def _transactions_without_batch(connection: Connection) -> Iterator[str]:
    """Find cashback transactions that belong to no batch; on an adopted file another bot has made such."""
    query = select(wallet_transactions.c.id, wallet_transactions.c.user_discord_id).where(
        wallet_transactions.c.transaction_type == "referral_cashback",
        wallet_transactions.c.payout_batch_number.is_(None),
    )
    for row in _rows(connection, query):
        yield f"transaction {row.id} credits {row.user_discord_id} with cashback of no batch"


def _payouts_without_transaction(connection: Connection, number: int | None = None) -> Iterator[str]:
    """Find credited payouts whose transaction is missing or moves another amount."""
    query = (
        select(payouts.c.batch_number, payouts.c.referrer_id, payouts.c.paid_cents, wallet_transactions.c.amount_cents)
        .join_from(payouts, wallet_transactions, _same_payout(), isouter=True)
        .where(payouts.c.status == PayoutStatus.CREDITED)
        .where(
            or_(
                wallet_transactions.c.amount_cents.is_(None),
                wallet_transactions.c.amount_cents != payouts.c.paid_cents,
                wallet_transactions.c.transaction_type != "referral_cashback",
            )
        )
    )
    for row in _rows(connection, _of(number, query, payouts.c.batch_number)):
        yield (
            f"payout of batch {row.batch_number} to {row.referrer_id} paid {row.paid_cents} cents,"
            f" its transaction moves {row.amount_cents}"
        )


def _transactions_without_payout(connection: Connection, number: int | None = None) -> Iterator[str]:
    """Find cashback transactions of a batch that no credited payout stands behind."""
    query = (
        select(
            wallet_transactions.c.id, wallet_transactions.c.user_discord_id, wallet_transactions.c.payout_batch_number
        )
        .join_from(wallet_transactions, payouts, _same_payout(), isouter=True)
        .where(wallet_transactions.c.payout_batch_number.is_not(None))
        .where(or_(payouts.c.status.is_(None), payouts.c.status != PayoutStatus.CREDITED))
    )
    for row in _rows(connection, _of(number, query, wallet_transactions.c.payout_batch_number)):
        yield (
            f"transaction {row.id} credits {row.user_discord_id} for batch {row.payout_batch_number}"
            " without a credited payout"
        )


def _same_payout() -> Any:  # noqa: ANN401 -- a join condition
    return and_(
        wallet_transactions.c.payout_batch_number == payouts.c.batch_number,
        wallet_transactions.c.user_discord_id == payouts.c.referrer_id,
    )


def _wrong_payout_sums(connection: Connection) -> Iterator[tuple[bool, str]]:
    """Find referrers whose referrals have another amount marked as paid than was credited; True where it is less.

    What was paid before the file was adopted, or marked by another bot through `mark_cashback_paid`, is set apart.
    """
    ours = referrals.c.cashback_paid_cents - referrals.c.cashback_paid_elsewhere_cents
    nothing = literal(0)
    marked = select(referrals.c.referrer_user_id, nothing.label("credited"), ours.label("marked")).where(ours != 0)
    credited = select(payouts.c.referrer_id, payouts.c.paid_cents, nothing).where(
        payouts.c.status == PayoutStatus.CREDITED
    )
    # One list of both, grouped once: a join would sort both, and a payout that no referral stands for would be in none.
    each = union_all(marked, credited).subquery("each").c
    sums = func.sum(each.credited), func.sum(each.marked)
    query = (
        select(each.referrer_user_id.label("referrer_id"), sums[0].label("credited"), sums[1].label("marked"))
        .group_by(each.referrer_user_id)
        .having(sums[0] != sums[1])
    )
    for row in _rows(connection, query):
        yield (
            row.marked < row.credited,
            f"referrer {row.referrer_id} was credited {row.credited} cents, {row.marked} are marked as paid",
        )


def _overpaid_referrals(connection: Connection) -> Iterator[str]:
    """Find referrals that were paid more than they earned, beyond what refunds took back after the payout."""
    taken = (
        select(func.coalesce(func.sum(referral_refunds.c.taken_cents), 0))
        .where(referral_refunds.c.referral_id == referrals.c.id)
        .correlate(referrals)
        .scalar_subquery()
    )
    query = select(referrals.c.id, referrals.c.cashback_earned_cents, referrals.c.cashback_paid_cents).where(
        overpaid, referrals.c.cashback_paid_cents > referrals.c.cashback_earned_cents + taken
    )
    for row in _rows(connection, query):
        yield f"referral {row.id} earned {row.cashback_earned_cents} cents and was paid {row.cashback_paid_cents}"


def _wrong_refund_sums(connection: Connection) -> Iterator[str]:
    """Find orders of which another amount stands as refunded than their refunds make."""
    refunded = (
        select(referral_refunds.c.order_id, func.sum(referral_refunds.c.amount_cents).label("cents"))
        .group_by(referral_refunds.c.order_id)
        .subquery("refunded")
    )
    of_order = (
        select(func.sum(referral_refunds.c.amount_cents))
        .where(referral_refunds.c.order_id == referral_purchases.c.order_id)
        .correlate(referral_purchases)
        .scalar_subquery()
    )
    stands = referral_purchases.c.refunded_cents
    without = select(referral_purchases.c.order_id, stands, func.coalesce(of_order, 0).label("cents")).where(
        is_refunded, stands != func.coalesce(of_order, 0)
    )
    unmarked = (
        select(referral_purchases.c.order_id, stands, refunded.c.cents)
        .join_from(refunded, referral_purchases, referral_purchases.c.order_id == refunded.c.order_id)
        .where(stands == 0)
    )
    for query in (without, unmarked):
        for row in _rows(connection, query):
            yield f"order {row.order_id} stands as refunded by {row.refunded_cents} cents, its refunds make {row.cents}"


def _released_early(connection: Connection) -> Iterator[str]:
    """Find referrals that would pay what a purchase earned before its holding period is over."""
    last = (
        select(referral_purchases.c.referral_id, func.max(referral_purchases.c.payable_at).label("payable_at"))
        .where(referral_purchases.c.payable_at.is_not(None))
        .group_by(referral_purchases.c.referral_id)
        .subquery("last")
    )
    until = referrals.c.cashback_held_until
    query = (
        select(referrals.c.id, until, last.c.payable_at)
        .join_from(last, referrals, referrals.c.id == last.c.referral_id)
        .where(or_(until.is_(None), until < last.c.payable_at))
    )
    for row in _rows(connection, query):
        yield f"referral {row.id} is held until {row.cashback_held_until}, a purchase of it until {row.payable_at}"


def _wrong_batch_totals(connection: Connection, number: int | None = None) -> Iterator[str]:
    """Find batches whose stored totals do not add up to their payouts."""
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
    sums = _of(number, counted, payouts.c.batch_number).group_by(payouts.c.batch_number).subquery("sums")
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
    for row in connection.execute(_of(number, query, batch.number)):
        planned = row[1:3] == row[7:9]
        settled = row[3:7] == row[9:13] or row.status not in evidence.FINISHED
        if not planned or not settled:
            yield f"batch {row.number} stores totals {tuple(row[1:7])}, its payouts make {tuple(row[7:13])}"


def _missing_notifications(connection: Connection, number: int | None = None) -> Iterator[str]:
    """Find credited payouts whose direct message was never queued."""
    query = (
        select(payouts.c.batch_number, payouts.c.referrer_id)
        .join_from(
            payouts,
            notifications,
            and_(
                notifications.c.batch_number == payouts.c.batch_number,
                notifications.c.user_id == payouts.c.referrer_id,
            ),
            isouter=True,
        )
        .where(payouts.c.status == PayoutStatus.CREDITED, notifications.c.id.is_(None))
    )
    for row in _rows(connection, _of(number, query, payouts.c.batch_number)):
        yield f"payout of batch {row.batch_number} to {row.referrer_id} has no direct message queued"
