"""Reversals: credited cashback is taken back by new entries, only as far as the wallet holds, and each payout once.

Nothing that was written is changed: the payout stays credited, the referrals stay paid, and the cashback does not
become pending again by itself. What a wallet no longer holds is recorded as the shortfall.
"""

import json
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    String,
    Update,
    and_,
    case,
    exists,
    func,
    insert,
    literal,
    not_,
    select,
    update,
)

from cashback.database.audit_log import add_entry
from cashback.database.payouts import approvals, batches
from cashback.database.tables import payout_batches, payout_reversals, payouts, reversals, users, wallet_transactions
from cashback.domain.errors import SecondApproverError, StaleBatchError
from cashback.domain.model import BatchLimits, BatchStatus, PayoutStatus, Reversal, ReversalStatus
from cashback.domain.money import dollars

TRANSACTION_TYPE: Final = "referral_cashback_reversal"
SETTLED: Final = (BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_FAILURES, BatchStatus.STOPPED)


def propose(
    connection: Connection,
    *,
    batch_number: int,
    referrer_id: int | None,
    reason: str,
    actor: str,
    now: datetime,
    expires_at: datetime,
    terms: BatchLimits,
) -> Reversal:
    """Write down what is to be taken back: one payout, or all that a batch credited. Nothing moves yet.

    Raises StaleBatchError where nothing was credited, or all of it was taken back already.
    """
    batch = batches.find(connection, batch_number)
    count, cents = connection.execute(
        select(func.count(), func.coalesce(func.sum(payouts.c.paid_cents), 0)).where(
            _reversible(batch_number, referrer_id)
        )
    ).one()
    if batch.status not in SETTLED or not count:
        whom = f" to member {referrer_id}" if referrer_id is not None else ""
        raise StaleBatchError(f"Batch {batch.batch_id or batch_number} has no credited payout{whom} to take back.")
    number: int = connection.scalars(
        insert(reversals)
        .values(
            batch_number=batch_number,
            referrer_id=referrer_id,
            reason=reason,
            status=ReversalStatus.PROPOSED,
            proposed_by=actor,
            proposed_at=now,
            expires_at=expires_at,
            needs_second_approver=_why_two(cents, terms),
            planned_count=count,
            planned_cents=cents,
        )
        .returning(reversals.c.number)
    ).one()
    details = {"reversal": number, "referrer_id": referrer_id, "users": count, "total_cents": cents, "reason": reason}
    add_entry(connection, at=now, actor=actor, action="reversal_proposed", batch_number=batch_number, details=details)
    return find(connection, number)


def _why_two(cents: int, terms: BatchLimits) -> str | None:
    if terms.approval_threshold_cents is None or cents < terms.approval_threshold_cents:
        return None
    return f"From {dollars(terms.approval_threshold_cents)} on, two admins must approve."


def _reversible(batch_number: int, referrer_id: int | None) -> ColumnElement[bool]:
    """Select the credited payouts that were not taken back."""
    taken = exists().where(
        payout_reversals.c.batch_number == payouts.c.batch_number,
        payout_reversals.c.referrer_id == payouts.c.referrer_id,
    )
    wanted = and_(
        payouts.c.batch_number == batch_number,
        payouts.c.status == PayoutStatus.CREDITED,
        not_(taken.correlate(payouts)),
    )
    return wanted if referrer_id is None else and_(wanted, payouts.c.referrer_id == referrer_id)


def find(connection: Connection, number: int) -> Reversal:
    """Tell how a reversal stands. Raises StaleBatchError where there is none."""
    row = _row(connection, number)
    coverable = 0
    if row.status == ReversalStatus.PROPOSED:
        coverable = connection.scalars(
            select(func.coalesce(func.sum(_held_cents()), 0))
            .join_from(payouts, users, users.c.discord_id == payouts.c.referrer_id)
            .where(_reversible(row.batch_number, row.referrer_id))
        ).one()
    return Reversal(
        number=number,
        batch_number=row.batch_number,
        batch_id=row.batch_id,
        referrer_id=row.referrer_id,
        reason=row.reason,
        status=ReversalStatus(row.status),
        proposed_by=row.proposed_by,
        expires_at=row.expires_at,
        needs_second_approver=row.needs_second_approver,
        first_approved_by=row.first_approved_by,
        approved_by=row.approved_by,
        planned_count=row.planned_count,
        planned_cents=row.planned_cents,
        coverable_cents=coverable,
        reversed_cents=row.reversed_cents,
        shortfall_cents=row.shortfall_cents,
    )


def _row(connection: Connection, number: int) -> Row[Any]:
    query = select(reversals, payout_batches.c.batch_id).join(
        payout_batches, payout_batches.c.number == reversals.c.batch_number
    )
    row = connection.execute(query.where(reversals.c.number == number)).one_or_none()
    if row is None:
        raise StaleBatchError(f"There is no reversal number {number}.")
    return row


def _held_cents() -> ColumnElement[int]:
    """Say in SQL how much of a payout its wallet still holds."""
    balance = users.c.wallet_balance_cents
    held = case((balance < payouts.c.paid_cents, balance), else_=payouts.c.paid_cents)
    return case((balance > 0, held), else_=0)


def approve(
    connection: Connection,
    number: int,
    *,
    actor: str,
    now: datetime,
    approver_id: int | None = None,
    wait: timedelta = approvals.WAIT,
) -> Reversal:
    """Take back what was proposed, in time, once, in this one transaction; or note the first of two approvals.

    Raises SecondApproverError, or StaleBatchError where it was decided, has expired, or is no longer as it was shown.
    """
    row = _require_open(connection, number, now)
    if row.needs_second_approver is not None and row.first_approved_by is None:
        _move(connection, number, first_approved_by=actor, expires_at=now + wait)
        action, details = "reversal_first_approved", {"reversal": number, "why_two": row.needs_second_approver}
        add_entry(connection, at=now, actor=actor, action=action, batch_number=row.batch_number, details=details)
        return find(connection, number)
    if row.needs_second_approver is not None and not approvals.is_another(row, approver_id):
        raise SecondApproverError
    taken = _take_back(connection, row, now)
    if (taken.count, taken.reversed_cents + taken.shortfall_cents) != (row.planned_count, row.planned_cents):
        raise StaleBatchError(
            "Since this was shown, some of it was taken back already; nothing was done. Ask for it anew."
        )
    _move(
        connection,
        number,
        status=ReversalStatus.DONE,
        approved_by=actor,
        approver_id=approver_id,
        finished_at=now,
        reversed_cents=taken.reversed_cents,
        shortfall_cents=taken.shortfall_cents,
    )
    add_entry(
        connection,
        at=now,
        actor=actor,
        action="payouts_reversed",
        batch_number=row.batch_number,
        details={
            "reversal": number,
            "referrer_id": row.referrer_id,
            "users": taken.count,
            "reversed_cents": taken.reversed_cents,
            "shortfall_cents": taken.shortfall_cents,
            "reason": row.reason,
            "proposed_by": row.proposed_by,
            "first_approved_by": row.first_approved_by,
        },
    )
    return find(connection, number)


def cancel(connection: Connection, number: int, *, actor: str, now: datetime) -> Reversal:
    """Take nothing back after all. Raises StaleBatchError where it was decided already."""
    row = _require_open(connection, number, now)
    _move(connection, number, status=ReversalStatus.CANCELLED, finished_at=now)
    add_entry(
        connection,
        at=now,
        actor=actor,
        action="reversal_cancelled",
        batch_number=row.batch_number,
        details={"reversal": number},
    )
    return find(connection, number)


def _require_open(connection: Connection, number: int, now: datetime) -> Row[Any]:
    row = _row(connection, number)
    if row.status != ReversalStatus.PROPOSED:
        raise StaleBatchError(f"This reversal is {row.status} already; nothing was taken back twice.")
    if now >= row.expires_at:
        raise StaleBatchError(
            f"This reversal expired at {row.expires_at:%Y-%m-%d %H:%M:%S} UTC; nothing was taken back. Ask for it anew."
        )
    return row


def _move(connection: Connection, number: int, **values: Any) -> None:  # noqa: ANN401 -- columns of several types
    open_one: Update = update(reversals).where(
        reversals.c.number == number, reversals.c.status == ReversalStatus.PROPOSED
    )
    if connection.execute(open_one.values(**values)).rowcount != 1:
        raise StaleBatchError(f"Reversal {number} was decided meanwhile; nothing was done.")


def _take_back(connection: Connection, row: Row[Any], now: datetime) -> Row[Any]:
    """Move the money: transactions first, then what each payout lost by them, then the balances.

    Returns how many payouts, and the cents that the wallets held and did not hold.
    """
    newest_before = select(func.coalesce(func.max(wallet_transactions.c.id), 0))
    before: int = connection.scalars(newest_before).one()
    held = _held_cents()
    details = json.dumps({"batch_id": row.batch_id, "reversal": row.number, "reason": row.reason}, ensure_ascii=False)
    moves = (
        select(
            payouts.c.referrer_id,
            -held,
            users.c.wallet_balance_cents - held,
            literal(TRANSACTION_TYPE),
            literal(f"Referral cashback taken back - {row.reason}", String),
            literal(details, String),
            literal(now, wallet_transactions.c.created_at.type),
        )
        .join_from(payouts, users, users.c.discord_id == payouts.c.referrer_id)
        .where(_reversible(row.batch_number, row.referrer_id), held > 0)
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
    ]
    moved = connection.execute(insert(wallet_transactions).from_select(names, moves)).rowcount
    mine = and_(
        wallet_transactions.c.id > before,
        wallet_transactions.c.user_discord_id == payouts.c.referrer_id,
        wallet_transactions.c.transaction_type == TRANSACTION_TYPE,
    )
    taken = func.coalesce(-wallet_transactions.c.amount_cents, 0)
    lost = (
        select(
            payouts.c.batch_number,
            payouts.c.referrer_id,
            literal(row.number),
            taken,
            payouts.c.paid_cents - taken,
            wallet_transactions.c.id,
        )
        .join_from(payouts, wallet_transactions, mine, isouter=True)
        .where(_reversible(row.batch_number, row.referrer_id))
        .order_by(payouts.c.referrer_id)
    )
    columns = ["batch_number", "referrer_id", "reversal_number", "amount_cents", "shortfall_cents", "transaction_id"]
    connection.execute(insert(payout_reversals).from_select(columns, lost))
    this = payout_reversals.c.reversal_number == row.number
    of_batch = payout_reversals.c.batch_number == row.batch_number
    lowered = connection.execute(
        update(users)
        .where(of_batch, this, payout_reversals.c.amount_cents > 0)
        .where(users.c.discord_id == payout_reversals.c.referrer_id)
        .where(users.c.wallet_balance_cents >= payout_reversals.c.amount_cents)
        .values(wallet_balance_cents=users.c.wallet_balance_cents - payout_reversals.c.amount_cents, updated_at=now)
    )
    if lowered.rowcount != moved:
        raise StaleBatchError("A wallet changed meanwhile; nothing was taken back. Ask for it anew.")
    return connection.execute(
        select(
            func.count().label("count"),
            func.coalesce(func.sum(payout_reversals.c.amount_cents), 0).label("reversed_cents"),
            func.coalesce(func.sum(payout_reversals.c.shortfall_cents), 0).label("shortfall_cents"),
        ).where(of_batch, this)
    ).one()
