"""Crediting: a chunk of payouts in one transaction, as a handful of set-based statements.

A payout stays `planned` until the last of them, so each statement finds exactly the payouts of this transaction by
their state and their key range, and a chunk that is credited a second time finds none.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    and_,
    case,
    cast,
    func,
    insert,
    literal,
    not_,
    select,
    update,
)

from database.referrals import is_blacklisted, owed_cents
from database.tables import (
    notification_preferences,
    notifications,
    payout_batches,
    payouts,
    pending,
    referrals,
    users,
    wallet_transactions,
)
from pipeline.errors import StaleBatchError
from pipeline.messages import (
    BatchStatus,
    ChunkCredited,
    ChunkDiscovered,
    NotificationStatus,
    PayoutStatus,
    SkipReason,
)

TRANSACTION_TYPE: Final = "referral_cashback"


def next_chunk(
    connection: Connection, batch_number: int, *, after_referrer_id: int, size: int
) -> ChunkDiscovered | None:
    """Find the next planned payouts of a batch in key order, at most `size`; None where there are no more."""
    query = (
        select(payouts.c.referrer_id)
        .where(
            payouts.c.batch_number == batch_number,
            payouts.c.referrer_id > after_referrer_id,
            payouts.c.status == PayoutStatus.PLANNED,
        )
        .order_by(payouts.c.referrer_id)
        .limit(size)
    )
    found = connection.scalars(query).all()
    if not found:
        return None
    return ChunkDiscovered(batch_number=batch_number, first_referrer_id=found[0], last_referrer_id=found[-1])


def planned_referrers(connection: Connection, chunk: ChunkDiscovered) -> list[int]:
    """List the referrers of a chunk whose payouts are still planned."""
    return list(connection.scalars(select(payouts.c.referrer_id).where(_planned(chunk))))


def credit_chunk(connection: Connection, chunk: ChunkDiscovered, *, now: datetime) -> ChunkCredited:
    """Settle a chunk's planned payouts: credit what is approved and still owed, skip the rest with the reason.

    Raises StaleBatchError where the batch is not running: nothing is paid that nobody approved.
    """
    batch = connection.execute(
        select(payout_batches.c.batch_id, payout_batches.c.status).where(payout_batches.c.number == chunk.batch_number)
    ).one()
    if batch.status != BatchStatus.RUNNING:
        message = f"Batch {batch.batch_id} is {batch.status}, not running; nothing more is paid."
        raise StaleBatchError(message)
    _insert_transactions(connection, chunk, batch.batch_id, now)
    _mark_referrals_paid(connection, chunk)
    _raise_balances(connection, chunk, now)
    _queue_notifications(connection, chunk)
    credited, credited_cents = _settle_credited(connection, chunk, now)
    skipped = _settle_skipped(connection, chunk, now)
    return ChunkCredited(
        batch_number=chunk.batch_number, credited=credited, credited_cents=credited_cents, failed=0, skipped=skipped
    )


def fail_payout(connection: Connection, batch_number: int, referrer_id: int, *, reason: str, now: datetime) -> int:
    """Settle one planned payout as failed, with the reason; its cashback stays pending. Returns how many: 1 or 0."""
    failed = connection.execute(
        update(payouts)
        .where(payouts.c.batch_number == batch_number, payouts.c.referrer_id == referrer_id)
        .where(payouts.c.status == PayoutStatus.PLANNED)
        .values(status=PayoutStatus.FAILED, reason=reason, settled_at=now)
    )
    return failed.rowcount


def _planned(chunk: ChunkDiscovered) -> ColumnElement[bool]:
    return and_(
        payouts.c.batch_number == chunk.batch_number,
        payouts.c.referrer_id.between(chunk.first_referrer_id, chunk.last_referrer_id),
        payouts.c.status == PayoutStatus.PLANNED,
    )


def _with_transaction(chunk: ChunkDiscovered) -> ColumnElement[bool]:
    """Select this transaction's payouts, joined to the wallet transactions that it has just written."""
    return and_(
        _planned(chunk),
        wallet_transactions.c.payout_batch_number == chunk.batch_number,
        wallet_transactions.c.user_discord_id == payouts.c.referrer_id,
    )


def _insert_transactions(connection: Connection, chunk: ChunkDiscovered, batch_id: str, now: datetime) -> None:
    """Write each payee's wallet transaction: min(approved, still owed), where that is anything."""
    owed = (
        select(referrals.c.referrer_user_id.label("referrer_id"), func.sum(owed_cents).label("cents"))
        .where(pending, referrals.c.referrer_user_id.between(chunk.first_referrer_id, chunk.last_referrer_id))
        .group_by(referrals.c.referrer_user_id)
        .subquery("owed")
    )
    paid = case((owed.c.cents < payouts.c.approved_cents, owed.c.cents), else_=payouts.c.approved_cents)
    count = cast(payouts.c.referral_count, String)
    described = (
        literal("Referral cashback - ")
        + count
        + case((payouts.c.referral_count == 1, " active referral"), else_=" active referrals")
    )
    details = literal(f'{{"batch_id": "{batch_id}", "referral_count": ') + count + "}"
    rows = (
        select(
            payouts.c.referrer_id,
            paid,
            users.c.wallet_balance_cents + paid,
            literal(TRANSACTION_TYPE),
            described,
            details,
            literal(now, wallet_transactions.c.created_at.type),
            literal(chunk.batch_number),
        )
        .join_from(payouts, owed, owed.c.referrer_id == payouts.c.referrer_id)
        .join(users, users.c.discord_id == payouts.c.referrer_id)
        .where(_planned(chunk), not_(is_blacklisted(payouts.c.referrer_id)))
        .order_by(payouts.c.referrer_id)
    )
    names = [
        "user_discord_id",
        "amount_cents",
        "balance_after_cents",
        "transaction_type",
        "description",
        "details",
        "created_at",
        "payout_batch_number",
    ]
    connection.execute(insert(wallet_transactions).from_select(names, rows))


def _mark_referrals_paid(connection: Connection, chunk: ChunkDiscovered) -> None:
    """Take what was credited from each payee's referrals, oldest first."""
    owed_before = (
        func.sum(owed_cents).over(partition_by=referrals.c.referrer_user_id, order_by=referrals.c.id) - owed_cents
    )
    left = wallet_transactions.c.amount_cents - owed_before
    shares = (
        select(referrals.c.id, case((left < owed_cents, left), else_=owed_cents).label("cents"))
        .join_from(payouts, wallet_transactions, _with_transaction(chunk))
        .join(referrals, referrals.c.referrer_user_id == payouts.c.referrer_id)
        .where(pending)
        .subquery("shares")
    )
    connection.execute(
        update(referrals)
        .where(referrals.c.id == shares.c.id, shares.c.cents > 0)
        .values(cashback_paid_cents=referrals.c.cashback_paid_cents + shares.c.cents)
    )


def _raise_balances(connection: Connection, chunk: ChunkDiscovered, now: datetime) -> None:
    connection.execute(
        update(users)
        .where(_with_transaction(chunk), users.c.discord_id == payouts.c.referrer_id)
        .values(wallet_balance_cents=users.c.wallet_balance_cents + wallet_transactions.c.amount_cents, updated_at=now)
    )


def _queue_notifications(connection: Connection, chunk: ChunkDiscovered) -> None:
    wanted = func.coalesce(notification_preferences.c.payout_dm, 1) != 0
    rows = (
        select(
            payouts.c.batch_number,
            payouts.c.referrer_id,
            case((wanted, NotificationStatus.QUEUED), else_=NotificationStatus.MUTED),
        )
        .join_from(payouts, wallet_transactions, _with_transaction(chunk))
        .outerjoin(notification_preferences, notification_preferences.c.user_id == payouts.c.referrer_id)
        .order_by(payouts.c.referrer_id)
    )
    connection.execute(insert(notifications).from_select(["batch_number", "user_id", "status"], rows))


def _settle_credited(connection: Connection, chunk: ChunkDiscovered, now: datetime) -> tuple[int, int]:
    """Move the credited payouts on; return how many there are and their cents."""
    count, cents = connection.execute(
        select(func.count(), func.coalesce(func.sum(wallet_transactions.c.amount_cents), 0))
        .select_from(payouts)
        .join(wallet_transactions, _with_transaction(chunk))
    ).one()
    connection.execute(
        update(payouts)
        .where(_with_transaction(chunk))
        .values(
            status=PayoutStatus.CREDITED, paid_cents=wallet_transactions.c.amount_cents, settled_at=now, reason=None
        )
    )
    return count, cents


def _settle_skipped(connection: Connection, chunk: ChunkDiscovered, now: datetime) -> int:
    reason = case((is_blacklisted(payouts.c.referrer_id), SkipReason.BLACKLISTED), else_=SkipReason.NOTHING_PENDING)
    skipped = connection.execute(
        update(payouts).where(_planned(chunk)).values(status=PayoutStatus.SKIPPED, reason=reason, settled_at=now)
    )
    return skipped.rowcount
