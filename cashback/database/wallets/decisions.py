"""Decisions on withdrawals: each request is paid, declined or cancelled, once. What is not paid returns to the wallet.

Nobody decides on their own request as an admin. An amount from the threshold on needs two admins.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, select, update

from cashback.database import events
from cashback.database.audit_log import add_entry
from cashback.database.tables import is_requested, withdrawals
from cashback.database.wallets import moves
from cashback.database.wallets.withdrawals import find
from cashback.domain.errors import NotAllowedError, SecondApproverError, StaleBatchError, WithdrawalRefusedError
from cashback.domain.events import Event
from cashback.domain.languages import tr
from cashback.domain.money import dollars
from cashback.domain.withdrawals import Withdrawal, WithdrawalStatus

FIRST_APPROVED: Final = "withdrawal_first_approved"
PAID: Final = "withdrawal_paid"
DECLINED: Final = "withdrawal_declined"
CANCELLED: Final = "withdrawal_cancelled"
ERASED: Final = "withdrawal_destinations_erased"
EVENTS: Final = {
    PAID: Event.WITHDRAWAL_PAID,
    DECLINED: Event.WITHDRAWAL_DECLINED,
    CANCELLED: Event.WITHDRAWAL_CANCELLED,
}
"""What other programs hear of."""


def approve_first(
    connection: Connection,
    number: int,
    *,
    actor: str,
    approver_id: int | None,
    now: datetime,
    version: str | None = None,
) -> Withdrawal:
    """Record the first of two approvals. Raises StaleBatchError if it is decided, or needs no approval any more."""
    asked = _require_open(connection, number, approver_id, version)
    if not asked.needs_first_approval:
        by = f", {asked.first_approved_by} gave it" if asked.first_approved_by else ""
        raise StaleBatchError(f"Withdrawal {number} needs no first approval{by}; nothing was done.")
    _move(connection, number, first_approved_by=actor)
    _record(connection, asked, FIRST_APPROVED, actor, now, why_two=asked.needs_second_approver)
    return find(connection, number)


def pay(
    connection: Connection,
    number: int,
    *,
    reference: str,
    actor: str,
    approver_id: int | None,
    now: datetime,
    version: str | None = None,
) -> Withdrawal:
    """Mark a request as paid, with the reference of the transfer. No money of the ledger moves.

    `version` is that of the request that the admin was shown. Raises StaleBatchError if it is decided already, differs
    from that, or misses its first approval, SecondApproverError if the same admin gave that, and NotAllowedError if it
    is the admin's own.
    """
    asked = _require_open(connection, number, approver_id, version)
    if asked.needs_first_approval:
        raise StaleBatchError(f"Withdrawal {number} needs two admins: {asked.needs_second_approver} Nothing was done.")
    if asked.first_approved_by is not None and (
        approver_id is None or asked.first_approved_by.endswith(f":{approver_id}")
    ):
        raise SecondApproverError("A different admin must mark this withdrawal as paid than the one who approved it.")
    _move(
        connection,
        number,
        status=WithdrawalStatus.PAID,
        reference=reference,
        decided_by=actor,
        decider_id=approver_id,
        decided_at=now,
    )
    details = {"reference": reference, "first_approved_by": asked.first_approved_by, "approver_id": approver_id}
    _record(connection, asked, PAID, actor, now, **details)
    return find(connection, number)


def decline(
    connection: Connection,
    number: int,
    *,
    reason: str,
    actor: str,
    approver_id: int | None,
    now: datetime,
    version: str | None = None,
) -> Withdrawal:
    """Decline a request and return its amount to the wallet. Raises StaleBatchError or NotAllowedError."""
    asked = _require_open(connection, number, approver_id, version)
    return _return_to_wallet(connection, asked, WithdrawalStatus.DECLINED, reason, actor, now, approver_id)


def cancel(
    connection: Connection, number: int, *, reason: str, actor: str, now: datetime, version: str | None = None
) -> Withdrawal:
    """Cancel a request for its member and return its amount to the wallet.

    Raises StaleBatchError, or WithdrawalRefusedError if it is in a list: the bank may be sending the money.
    """
    asked = _require_open(connection, number, None, version)
    if asked.exported_at is not None:
        text = tr("Withdrawal {number} is being transferred already; ask an admin.", number=number)
        raise WithdrawalRefusedError(text)
    return _return_to_wallet(connection, asked, WithdrawalStatus.CANCELLED, reason, actor, now, None)


def cancel_all_of(
    connection: Connection, members: Select[int], *, reason: str, actor: str, now: datetime
) -> list[Withdrawal]:
    """Cancel the open requests of these members: a reversal must find the money in the wallet."""
    numbers = connection.scalars(
        select(withdrawals.c.number).where(is_requested, withdrawals.c.user_id.in_(members)).order_by("number")
    ).all()
    cancelled = WithdrawalStatus.CANCELLED
    return [
        _return_to_wallet(connection, find(connection, number), cancelled, reason, actor, now, None)
        for number in numbers
    ]


def erase_destinations(connection: Connection, *, now: datetime, days: int) -> int:
    """Erase where decided withdrawals went to, some days after the decision; return how many were erased."""
    due = _is_due(now, days)
    numbers = list(connection.scalars(select(withdrawals.c.number).where(due).order_by("number")))
    if numbers:
        connection.execute(update(withdrawals).where(due).values(destination=None, erased_at=now))
        add_entry(connection, at=now, actor="system", action=ERASED, details={"withdrawals": numbers})
    return len(numbers)


def has_due_destinations(connection: Connection, *, now: datetime, days: int) -> bool:
    """Return whether a destination is to be erased."""
    return connection.execute(select(withdrawals.c.number).where(_is_due(now, days)).limit(1)).first() is not None


def _is_due(now: datetime, days: int) -> ColumnElement[bool]:
    is_old = withdrawals.c.decided_at <= now - timedelta(days=days)
    return and_(withdrawals.c.destination.is_not(None), is_old)


def _require_open(connection: Connection, number: int, approver_id: int | None, version: str | None) -> Withdrawal:
    asked = find(connection, number)
    if version not in {None, asked.version}:
        raise StaleBatchError(
            f"Withdrawal {number} is not as it was shown: it is {dollars(asked.amount_cents)} by {asked.method} for"
            f" {asked.user_id}. Nothing was done; look at it again."
        )
    if not asked.is_open:
        by = f" by {asked.decided_by}" if asked.decided_by else ""
        raise StaleBatchError(f"Withdrawal {number} is {asked.status} already{by}; nothing was done twice.")
    if approver_id == asked.user_id:
        raise NotAllowedError(f"Withdrawal {number} is your own, so a different admin must decide on it.")
    return asked


def _return_to_wallet(
    connection: Connection,
    asked: Withdrawal,
    status: WithdrawalStatus,
    reason: str,
    actor: str,
    now: datetime,
    approver_id: int | None,
) -> Withdrawal:
    returned = moves.move(
        connection,
        asked.user_id,
        asked.amount_cents,
        kind=moves.RETURN,
        description=f"Withdrawal {asked.number} {status} - {reason}",
        details={"withdrawal": asked.number, "status": status, "reason": reason},
        now=now,
    )
    _move(
        connection,
        asked.number,
        status=status,
        reason=reason,
        decided_by=actor,
        decider_id=approver_id,
        decided_at=now,
        return_id=returned,
    )
    action = DECLINED if status is WithdrawalStatus.DECLINED else CANCELLED
    _record(connection, asked, action, actor, now, reason=reason, approver_id=approver_id)
    return find(connection, asked.number)


def _move(connection: Connection, number: int, **values: Any) -> None:  # noqa: ANN401 -- columns of several types
    moved = connection.execute(update(withdrawals).where(withdrawals.c.number == number, is_requested).values(**values))
    if moved.rowcount != 1:
        raise StaleBatchError(f"Withdrawal {number} was decided in the meantime; nothing was done.")


def _record(
    connection: Connection,
    asked: Withdrawal,
    action: str,
    actor: str,
    now: datetime,
    **more: str | int | None,
) -> None:
    """Add the audit entry. It never holds the destination."""
    details = {"withdrawal": asked.number, "user_id": asked.user_id, "amount_cents": asked.amount_cents, **more}
    add_entry(connection, at=now, actor=actor, action=action, details=details)
    if action in EVENTS:
        about = {"withdrawal": asked.number, "user_id": asked.user_id, "amount_cents": asked.amount_cents}
        events.record(connection, EVENTS[action], **about, now=now)
