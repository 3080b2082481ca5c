"""Crediting: a chunk of payouts in one transaction, as a handful of set-based statements.

A payout stays `planned` until the last of them, so each statement finds exactly the payouts of this transaction by
their state and their key range, and a chunk that is credited a second time finds none.
"""

from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    Select,
    String,
    Text,
    Update,
    and_,
    bindparam,
    case,
    cast,
    func,
    insert,
    literal,
    not_,
    select,
    update,
)

from cashback.database import events
from cashback.database.dialect import goes_on_beside_others
from cashback.database.errors import RowRefusedError
from cashback.database.payouts import batches, shares
from cashback.database.payouts.chunk_credits import IN_RANGE, PLANNED, chunk_credits, note_credits
from cashback.database.referral_program.blacklist import is_blacklisted
from cashback.database.referral_program.unusable_rows import is_usable_balance
from cashback.database.tables import (
    notification_preferences,
    notifications,
    payout_batches,
    payout_shares,
    payouts,
    referrals,
    users,
    wallet_transactions,
)
from cashback.domain.errors import AlreadySettledError, ChunkLockedError, StaleBatchError, StoppedError
from cashback.domain.model import (
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
    """Find the next planned payouts of a running batch in key order, at most `size`; None where there are no more."""
    values = {"number": batch_number, "after": after_referrer_id, "size": size}
    first, last = connection.execute(_NEXT, values).one()
    if first is None:
        return None
    return ChunkDiscovered(batch_number=batch_number, first_referrer_id=first, last_referrer_id=last)


def planned_referrers(connection: Connection, chunk: ChunkDiscovered) -> list[int]:
    """List the referrers of a chunk whose payouts are still planned."""
    return list(connection.scalars(select(payouts.c.referrer_id).where(PLANNED), _key_range(chunk)))


def credit_chunk(connection: Connection, chunk: ChunkDiscovered, *, now: datetime) -> ChunkCredited:
    """Settle a chunk's planned payouts: credit what is approved and still owed, skip the rest with the reason.

    Raises StoppedError if an admin has stopped the batch, AlreadySettledError if another process has finished it, and
    StaleBatchError if it is not running at all or its approval has lapsed: nothing is paid that nobody approved. Raises
    ChunkLockedError if another process is about to settle some of these payouts.
    """
    if goes_on_beside_others(connection):
        _claim(connection, chunk)
    batch = connection.execute(_BATCH, {"number": chunk.batch_number}).one()
    if batch.status == BatchStatus.STOPPED:
        raise StoppedError
    if batch.status in batches.FINISHED:
        raise AlreadySettledError
    if batch.status != BatchStatus.RUNNING:
        message = f"Batch {batch.batch_id} is {batch.status}, not running; nothing more is paid."
        raise StaleBatchError(message)
    # Only an edited row has no end; it pays nothing either.
    if batch.lapses_at is None or now >= batch.lapses_at:
        raise StaleBatchError(f"The approval of batch {batch.batch_id} has lapsed; nothing more is paid.")
    values = {**_key_range(chunk), "now": now, "batch_id": batch.batch_id}
    shares.pay(connection, values)
    note_credits(connection, values)
    credited, credited_cents, unusable = connection.execute(_count_credited()).one()
    if unusable is not None:
        # The others of the chunk are paid when it is replayed in parts.
        raise RowRefusedError(f"The wallet of {unusable} does not hold whole cents within reason; it was not changed.")
    connection.execute(_insert_transactions(), values)
    connection.execute(_mark_referrals_paid(), values)
    connection.execute(_raise_balances(), values)
    connection.execute(_queue_notifications(), values)
    events.record_chunk(connection, values)
    connection.execute(_settle_credited(), values)
    skipped = connection.execute(_settle_skipped(), values).rowcount
    return ChunkCredited(
        batch_number=chunk.batch_number, credited=credited, credited_cents=credited_cents, failed=0, skipped=skipped
    )


def _claim(connection: Connection, chunk: ChunkDiscovered) -> None:
    """Lock a chunk's planned payouts until the end of the transaction: all of them, or raise ChunkLockedError."""
    planned = select(payouts.c.referrer_id).where(PLANNED).order_by(payouts.c.referrer_id)
    claimed = connection.scalars(planned.with_for_update(skip_locked=True), _key_range(chunk)).all()
    if len(claimed) != len(connection.scalars(planned, _key_range(chunk)).all()):
        raise ChunkLockedError


def fail_payout(connection: Connection, batch_number: int, referrer_id: int, *, reason: str, now: datetime) -> int:
    """Settle one planned payout as failed, with the reason; its cashback stays pending. Returns how many: 1 or 0."""
    failed = connection.execute(
        update(payouts)
        .where(payouts.c.batch_number == batch_number, payouts.c.referrer_id == referrer_id)
        .where(payouts.c.status == PayoutStatus.PLANNED)
        .values(status=PayoutStatus.FAILED, reason=reason, settled_at=now)
    )
    return failed.rowcount


# The statements of a chunk are built once: building them for each took longer than SQLite takes for most of them.
_NUMBER: Final = bindparam("number", type_=BigInteger)
_FIRST: Final = bindparam("first", type_=BigInteger)
_LAST: Final = bindparam("last", type_=BigInteger)
_BATCH_ID: Final = bindparam("batch_id", type_=Text)
_NOW: Final = bindparam("now", type_=payouts.c.settled_at.type)

_BATCH: Final = select(payout_batches.c.batch_id, payout_batches.c.status, payout_batches.c.lapses_at).where(
    payout_batches.c.number == _NUMBER
)

_WAITING: Final = (
    select(payouts.c.referrer_id)
    .join(payout_batches, payout_batches.c.number == payouts.c.batch_number)
    .where(
        payout_batches.c.status == BatchStatus.RUNNING,
        payouts.c.batch_number == _NUMBER,
        payouts.c.referrer_id > bindparam("after"),
        payouts.c.status == PayoutStatus.PLANNED,
    )
    .order_by(payouts.c.referrer_id)
    .limit(bindparam("size"))
    .subquery("waiting")
)
_NEXT: Final = select(func.min(_WAITING.c.referrer_id), func.max(_WAITING.c.referrer_id))
"""The ends of the next chunk."""


def _key_range(chunk: ChunkDiscovered) -> dict[str, Any]:
    return {"number": chunk.batch_number, "first": chunk.first_referrer_id, "last": chunk.last_referrer_id}


@cache
def _insert_transactions() -> Insert:
    """Write each payee's wallet transaction."""
    paid, balance = chunk_credits.c.cents, chunk_credits.c.balance
    count = cast(chunk_credits.c.referral_count, String)
    described = (
        literal("Referral cashback - ")
        + count
        + case((chunk_credits.c.referral_count == 1, " active referral"), else_=" active referrals")
    )
    details = literal('{"batch_id": "') + _BATCH_ID + '", "referral_count": ' + count + "}"
    rows = select(
        chunk_credits.c.referrer_id,
        paid,
        balance + paid,
        literal(TRANSACTION_TYPE),
        described,
        details,
        _NOW,
        _NUMBER,
    ).order_by(chunk_credits.c.referrer_id)
    names = [
        "user_discord_id",
        "amount_cents",
        "balance_after_cents",
        "transaction_type",
        "description",
        "details",
        "created_at",
        "cashback_payout_batch_number",
    ]
    return insert(wallet_transactions).from_select(names, rows)


@cache
def _mark_referrals_paid() -> Update:
    """Mark what was credited as paid on each payee's referrals."""
    return (
        update(referrals)
        .where(
            IN_RANGE,
            shares.OF_CHUNK,
            payout_shares.c.referrer_id == chunk_credits.c.referrer_id,
            referrals.c.id == payout_shares.c.referral_id,
        )
        .values(cashback_paid_cents=referrals.c.cashback_paid_cents + payout_shares.c.paid_cents)
    )


@cache
def _raise_balances() -> Update:
    return (
        update(users)
        .where(IN_RANGE, users.c.discord_id == chunk_credits.c.referrer_id)
        .values(wallet_balance_cents=users.c.wallet_balance_cents + chunk_credits.c.cents, updated_at=_NOW)
    )


@cache
def _queue_notifications() -> Insert:
    wanted = func.coalesce(notification_preferences.c.payout_dm, 1) != 0
    rows = (
        select(
            _NUMBER,
            chunk_credits.c.referrer_id,
            case((wanted, NotificationStatus.QUEUED), else_=NotificationStatus.MUTED),
        )
        .join_from(
            chunk_credits,
            notification_preferences,
            notification_preferences.c.user_id == chunk_credits.c.referrer_id,
            isouter=True,
        )
        .order_by(chunk_credits.c.referrer_id)
    )
    return insert(notifications).from_select(["batch_number", "user_id", "status"], rows)


@cache
def _count_credited() -> Select[int, int, int]:
    """Count the payees and their cents, and name a payee if a wallet holds, or would hold, an unusable amount."""
    balance = chunk_credits.c.balance
    return select(
        func.count(),
        func.coalesce(func.sum(chunk_credits.c.cents), 0),
        func.max(case((not_(_stays_usable(balance)), chunk_credits.c.referrer_id))),
    )


def _stays_usable(balance: ColumnElement[int]) -> ColumnElement[bool]:
    # Text plus a number would be a number.
    return and_(is_usable_balance(balance), is_usable_balance(balance + chunk_credits.c.cents))


@cache
def _settle_credited() -> Update:
    return (
        update(payouts)
        .where(IN_RANGE, PLANNED, payouts.c.referrer_id == chunk_credits.c.referrer_id)
        .values(status=PayoutStatus.CREDITED, paid_cents=chunk_credits.c.cents, settled_at=_NOW, reason=None)
    )


@cache
def _settle_skipped() -> Update:
    """Settle the payouts without a transaction as skipped, with the reason."""
    reason = case((is_blacklisted(payouts.c.referrer_id), SkipReason.BLACKLISTED), else_=SkipReason.NOTHING_PENDING)
    return update(payouts).where(PLANNED).values(status=PayoutStatus.SKIPPED, reason=reason, settled_at=_NOW)
