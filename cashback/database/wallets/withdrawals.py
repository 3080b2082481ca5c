"""Withdrawals: a member asks, and the amount leaves the wallet at once. `decisions.py` has what admins do then."""

from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from cashback.database.audit_log import add_entry
from cashback.database.referral_program.people import check_id, ensure_users
from cashback.database.tables import is_requested, is_untold, withdrawals
from cashback.database.wallets import moves
from cashback.domain.errors import CashbackError, WithdrawalRefusedError
from cashback.domain.money import dollars
from cashback.domain.withdrawals import Withdrawal, WithdrawalStatus

REQUESTED: Final = "withdrawal_requested"


def request(
    connection: Connection,
    *,
    user_id: int,
    cents: int,
    method: str,
    destination: str | None,
    actor: str,
    now: datetime,
    approval_threshold_cents: int | None = None,
) -> Withdrawal:
    """Take the amount out of the wallet into a request. `destination` is encrypted already.

    Raises WithdrawalRefusedError if the member has an open request, or the wallet holds less.
    """
    check_id(user_id, "Member")
    if cents <= 0:
        raise WithdrawalRefusedError(f"{dollars(cents)} is not an amount to withdraw; name more than $0.00.")
    ensure_users(connection, [user_id], now)
    waiting = open_of(connection, user_id)
    if waiting is not None:
        raise WithdrawalRefusedError(
            f"Withdrawal {waiting.number} of {dollars(waiting.amount_cents)} is still open; wait for it, or cancel it."
        )
    needs_two = why_two(cents, approval_threshold_cents)
    # Chosen here rather than by the database: the transaction's text needs it before the row exists.
    number: int = connection.scalars(_NEXT).one()
    debit = moves.move(
        connection,
        user_id,
        -cents,
        kind=moves.WITHDRAWAL,
        description=f"Withdrawal {number} - {method}",
        details={"withdrawal": number, "method": method},
        now=now,
    )
    connection.execute(
        insert(withdrawals).values(
            number=number,
            user_id=user_id,
            method=method,
            amount_cents=cents,
            status=WithdrawalStatus.REQUESTED,
            destination=destination,
            requested_at=now,
            needs_second_approver=needs_two,
            debit_id=debit,
        )
    )
    details = {"withdrawal": number, "user_id": user_id, "amount_cents": cents, "method": method}
    details |= {"why_two": needs_two, "destination": fingerprint(destination)}
    add_entry(connection, at=now, actor=actor, action=REQUESTED, details=details)
    return find(connection, number)


_NEXT: Final = select(func.coalesce(func.max(withdrawals.c.number), 0) + 1)


def why_two(cents: int, threshold_cents: int | None) -> str | None:
    """Return the reason if an amount needs two admins."""
    if threshold_cents is None or abs(cents) < threshold_cents:
        return None
    return f"From {dollars(threshold_cents)} on, two admins must approve."


def fingerprint(destination: str | None) -> str | None:
    """Return a digest of an encrypted destination, which proves it and tells nothing about it."""
    return None if destination is None else sha256(destination.encode()).hexdigest()


def find(connection: Connection, number: int) -> Withdrawal:
    """Return a withdrawal. Raises CashbackError if there is no such number."""
    row = connection.execute(select(withdrawals).where(withdrawals.c.number == number)).one_or_none()
    if row is None:
        raise CashbackError(f"There is no withdrawal number {number}; `cashback withdrawals` lists the open ones.")
    return _withdrawal(row)


def open_of(connection: Connection, user_id: int) -> Withdrawal | None:
    """Return a member's open request; None if there is none."""
    row = connection.execute(select(withdrawals).where(withdrawals.c.user_id == user_id, is_requested)).one_or_none()
    return None if row is None else _withdrawal(row)


def queue(connection: Connection, *, limit: int | None = None) -> list[Withdrawal]:
    """List the open requests, oldest first."""
    query = select(withdrawals).where(is_requested).order_by(withdrawals.c.number).limit(limit)
    return [_withdrawal(row) for row in connection.execute(query)]


def queue_totals(connection: Connection) -> tuple[int, int]:
    """Count the open requests and sum their cents."""
    query = select(func.count(), func.coalesce(func.sum(withdrawals.c.amount_cents), 0)).where(is_requested)
    count, cents = connection.execute(query).one()
    return count, cents


def newest(connection: Connection, *, limit: int, user_id: int | None = None) -> list[Withdrawal]:
    """List withdrawals in any state, newest first, of all members or of one."""
    query = select(withdrawals).order_by(withdrawals.c.number.desc()).limit(limit)
    if user_id is not None:
        query = query.where(withdrawals.c.user_id == user_id)
    return [_withdrawal(row) for row in connection.execute(query)]


def untold(connection: Connection, *, limit: int) -> list[Withdrawal]:
    """List the withdrawals whose member was not told about their present status, oldest first."""
    query = select(withdrawals).where(is_untold).order_by(withdrawals.c.number).limit(limit)
    return [_withdrawal(row) for row in connection.execute(query)]


def mark_told(connection: Connection, number: int, status: WithdrawalStatus) -> None:
    """Record that the member was told about this status."""
    connection.execute(update(withdrawals).where(withdrawals.c.number == number).values(told_status=status))


def _withdrawal(row: Row[Any]) -> Withdrawal:
    return Withdrawal(
        number=row.number,
        user_id=row.user_id,
        method=row.method,
        amount_cents=row.amount_cents,
        status=WithdrawalStatus(row.status),
        destination=row.destination,
        requested_at=row.requested_at,
        needs_second_approver=row.needs_second_approver,
        first_approved_by=row.first_approved_by,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        reference=row.reference,
        reason=row.reason,
        erased_at=row.erased_at,
    )
