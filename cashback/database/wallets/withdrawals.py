"""Withdrawals: a member asks, and the amount leaves the wallet at once. `decisions.py` has what admins do then."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, func, insert, select, update

from cashback.database import events
from cashback.database.audit_log import add_entry
from cashback.database.referral_program.people import check_id, ensure_users
from cashback.database.tables import is_requested, is_untold, withdrawal_additions, withdrawals
from cashback.database.wallets import moves
from cashback.domain.errors import CashbackError, StaleBatchError, WithdrawalRefusedError
from cashback.domain.events import Event
from cashback.domain.languages import tr
from cashback.domain.money import dollars, recorded_dollars
from cashback.domain.withdrawals import Withdrawal, WithdrawalStatus

REQUESTED: Final = "withdrawal_requested"
RAISED: Final = "withdrawal_raised"
EXPORTED: Final = "withdrawals_exported"


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
        shown = {"amount": dollars(cents), "nothing": dollars(0)}
        raise WithdrawalRefusedError(tr("{amount} is not an amount to withdraw; name more than {nothing}.", **shown))
    ensure_users(connection, [user_id], now)
    waiting = open_of(connection, user_id)
    if waiting is not None:
        raise WithdrawalRefusedError(
            tr(
                "Withdrawal {number} of {amount} is still open; wait for it, or cancel it.",
                number=waiting.number,
                amount=dollars(waiting.amount_cents),
            )
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
    asked = {"withdrawal": number, "user_id": user_id, "amount_cents": cents}
    events.record(connection, Event.WITHDRAWAL_REQUESTED, **asked, now=now)
    return find(connection, number)


def add(
    connection: Connection,
    waiting: Withdrawal,
    cents: int,
    *,
    actor: str,
    now: datetime,
    approval_threshold_cents: int | None = None,
) -> Withdrawal:
    """Take a further amount out of the wallet into an open request that no admin has begun with.

    Raises StaleBatchError if it changed in the meantime, or WithdrawalRefusedError if the wallet holds less.
    """
    total = waiting.amount_cents + cents
    needs_two = waiting.needs_second_approver or why_two(total, approval_threshold_cents)
    debit = moves.move(
        connection,
        waiting.user_id,
        -cents,
        kind=moves.WITHDRAWAL,
        description=f"Withdrawal {waiting.number} - {waiting.method}",
        details={"withdrawal": waiting.number, "method": waiting.method},
        now=now,
    )
    addition = {"debit_id": debit, "number": waiting.number, "amount_cents": cents, "added_at": now}
    connection.execute(insert(withdrawal_additions).values(addition))
    as_it_was = and_(
        withdrawals.c.number == waiting.number,
        is_requested,
        withdrawals.c.amount_cents == waiting.amount_cents,
        withdrawals.c.first_approved_by.is_(None),
        withdrawals.c.exported_at.is_(None),
    )
    raised = update(withdrawals).where(as_it_was)
    values = {"amount_cents": total, "needs_second_approver": needs_two, "told_status": None}
    if connection.execute(raised.values(values)).rowcount != 1:
        raise StaleBatchError(f"Withdrawal {waiting.number} changed in the meantime; nothing was added to it.")
    details = {"withdrawal": waiting.number, "transaction": debit, "user_id": waiting.user_id, "amount_cents": cents}
    add_entry(connection, at=now, actor=actor, action=RAISED, details=details | {"why_two": needs_two})
    asked = {"withdrawal": waiting.number, "user_id": waiting.user_id, "amount_cents": total}
    events.record(connection, Event.WITHDRAWAL_REQUESTED, **asked, now=now)
    return find(connection, waiting.number)


def record_export(connection: Connection, listed: Sequence[Withdrawal], *, actor: str, now: datetime) -> str:
    """Record that open requests are in a list for a bank; return the digest of the audit entry.

    Raises StaleBatchError if one changed since it was read: a bank would pay what its member cancelled.
    """
    waiting = {each.number: each for each in queue(connection)}
    if any(waiting.get(each.number) != each for each in listed):
        raise StaleBatchError("The withdrawals changed in the meantime; nothing was exported. Export them again.")
    numbers = withdrawals.c.number.in_([each.number for each in listed])
    connection.execute(update(withdrawals).where(numbers, is_requested).values(exported_at=now))
    details: dict[str, object] = {
        "withdrawals": len(listed),
        "total_cents": sum(each.amount_cents for each in listed),
        "numbers": [each.number for each in listed],
    }
    return add_entry(connection, at=now, actor=actor, action=EXPORTED, details=details)


_NEXT: Final = select(func.coalesce(func.max(withdrawals.c.number), 0) + 1)


def why_two(cents: int, threshold_cents: int | None) -> str | None:
    """Return the reason if an amount needs two admins."""
    if threshold_cents is None or abs(cents) < threshold_cents:
        return None
    return f"From {recorded_dollars(threshold_cents)} on, two admins must approve."


def fingerprint(destination: str | None) -> str | None:
    """Return a digest of an encrypted destination, which proves it and shows nothing of it."""
    return None if destination is None else sha256(destination.encode()).hexdigest()


def find(connection: Connection, number: int) -> Withdrawal:
    """Return a withdrawal. Raises CashbackError if there is no such number."""
    row = connection.execute(select(withdrawals).where(withdrawals.c.number == number)).one_or_none()
    if row is None:
        raise CashbackError(f"There is no withdrawal number {number}; the list of withdrawals has the open ones.")
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
    """List the withdrawals with a status that their member was not informed of, oldest first."""
    query = select(withdrawals).where(is_untold).order_by(withdrawals.c.number).limit(limit)
    return [_withdrawal(row) for row in connection.execute(query)]


def mark_told(connection: Connection, number: int, status: WithdrawalStatus) -> None:
    """Record that the member was informed of this status."""
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
        exported_at=row.exported_at,
    )
