"""Reconciliation of wallets: request = debit, not paid = returned, paid = once, each on record in the audit log."""

import json
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, exists, func, not_, or_, select

from cashback.database.integrity.checks import finds
from cashback.database.tables import (
    audit_log,
    wallet_adjustments,
    wallet_transactions,
    withdrawal_additions,
    withdrawals,
)
from cashback.database.wallets import adjustments, decisions
from cashback.database.wallets.moves import ADJUSTMENT, RETURN, WITHDRAWAL
from cashback.database.wallets.withdrawals import EXPORTED, RAISED, REQUESTED, fingerprint
from cashback.domain.withdrawals import WithdrawalStatus

ENTRIES: Final = {
    WithdrawalStatus.PAID: decisions.PAID,
    WithdrawalStatus.DECLINED: decisions.DECLINED,
    WithdrawalStatus.CANCELLED: decisions.CANCELLED,
}
"""The audit entry of each decision."""


@finds("withdrawal {number} of {user_id} is {amount_cents} cents, the transaction of its request differs")
def wrong_debits() -> Select[Any]:
    """Find requests for amounts that did not leave the wallet."""
    asked, moves = withdrawals.c, wallet_transactions.c
    sums = select(func.coalesce(func.sum(withdrawal_additions.c.amount_cents), 0))
    added = sums.where(withdrawal_additions.c.number == asked.number).correlate(withdrawals)
    return (
        select(asked.number, asked.user_id, asked.amount_cents)
        .join_from(withdrawals, wallet_transactions, moves.id == asked.debit_id, isouter=True)
        .where(
            or_(
                moves.id.is_(None),
                moves.amount_cents != added.scalar_subquery() - asked.amount_cents,
                moves.user_discord_id != asked.user_id,
                moves.transaction_type != WITHDRAWAL,
                moves.created_at.is_distinct_from(asked.requested_at),
            )
        )
    )


@finds("withdrawal {number} was raised by {amount_cents} cents, the transaction {debit_id} of that differs")
def wrong_additions() -> Select[Any]:
    """Find additions to requests that did not leave the wallet."""
    added, asked, moves = withdrawal_additions.c, withdrawals.c, wallet_transactions.c
    return (
        select(added.number, added.amount_cents, added.debit_id)
        .join_from(withdrawal_additions, withdrawals, asked.number == added.number, isouter=True)
        .join(wallet_transactions, moves.id == added.debit_id, isouter=True)
        .where(
            or_(
                moves.id.is_(None),
                asked.number.is_(None),
                moves.amount_cents != -added.amount_cents,
                moves.user_discord_id != asked.user_id,
                moves.transaction_type != WITHDRAWAL,
                moves.created_at.is_distinct_from(added.added_at),
            )
        )
    )


@finds(
    "withdrawal {number} of {user_id} is {status}, what was returned to the wallet differs from {amount_cents} cents"
)
def wrong_returns() -> Select[Any]:
    """Find declined or cancelled requests that did not return to the wallet, and others that did."""
    asked, moves = withdrawals.c, wallet_transactions.c
    returns = asked.status.in_([WithdrawalStatus.DECLINED, WithdrawalStatus.CANCELLED])
    differs = or_(
        moves.id.is_(None),
        moves.amount_cents != asked.amount_cents,
        moves.user_discord_id != asked.user_id,
        moves.transaction_type != RETURN,
        moves.created_at.is_distinct_from(asked.decided_at),
    )
    return (
        select(asked.number, asked.user_id, asked.status, asked.amount_cents)
        .join_from(withdrawals, wallet_transactions, moves.id == asked.return_id, isouter=True)
        .where(or_(and_(returns, differs), and_(not_(returns), asked.return_id.is_not(None))))
    )


@finds("transaction {id} of {user_discord_id} is a {transaction_type} that no withdrawal or adjustment names")
def transactions_without_cause() -> Select[Any]:
    """Find our transactions that no request, return or adjustment names."""
    moves = wallet_transactions.c

    def unnamed(kind: str, column: Any) -> Any:  # noqa: ANN401 -- columns of two tables
        return and_(moves.transaction_type == kind, not_(exists().where(column == moves.id)))

    return select(moves.id, moves.user_discord_id, moves.transaction_type).where(
        moves.transaction_type.in_([WITHDRAWAL, RETURN, ADJUSTMENT]),
        or_(
            and_(unnamed(WITHDRAWAL, withdrawals.c.debit_id), unnamed(WITHDRAWAL, withdrawal_additions.c.debit_id)),
            unnamed(RETURN, withdrawals.c.return_id),
            unnamed(ADJUSTMENT, wallet_adjustments.c.transaction_id),
        ),
    )


@finds("adjustment {transaction_id} of {user_id} is {amount_cents} cents, its transaction differs")
def wrong_adjustments() -> Select[Any]:
    """Find adjustments that differ from their transaction."""
    made, moves = wallet_adjustments.c, wallet_transactions.c
    return (
        select(made.transaction_id, made.user_id, made.amount_cents)
        .join_from(wallet_adjustments, wallet_transactions, moves.id == made.transaction_id, isouter=True)
        .where(
            or_(
                moves.id.is_(None),
                moves.amount_cents != made.amount_cents,
                moves.user_discord_id != made.user_id,
                moves.transaction_type != ADJUSTMENT,
                moves.created_at.is_distinct_from(made.made_at),
            )
        )
    )


@finds("member {user_id} has {count} open withdrawals")
def several_open() -> Select[Any]:
    """Find members with more than one open request."""
    count = func.count().label("count")
    query = select(withdrawals.c.user_id, count).where(withdrawals.c.status == WithdrawalStatus.REQUESTED)
    return query.group_by(withdrawals.c.user_id).having(func.count() > 1)


def wrong_exports(connection: Connection) -> Iterator[str]:
    """Find requests that are marked otherwise than the audit log says as being in a list for a bank."""
    query = select(audit_log.c.at, audit_log.c.details).where(audit_log.c.action == EXPORTED).order_by(audit_log.c.id)
    entries = [(at, json.loads(details)) for at, details in connection.execute(query)]
    listed = {number: at for at, details in entries for number in details.get("numbers", ())}
    moments = {at for at, _ in entries}
    for row in connection.execute(select(withdrawals).order_by(withdrawals.c.number)):
        at = listed.get(row.number)
        if at is not None and row.decided_at is not None and row.decided_at <= at:
            at = None
        is_listed = row.exported_at in moments if at is None else row.exported_at == at
        if not is_listed and (at is not None or row.exported_at is not None):
            yield f"withdrawal {row.number} was in a list for a bank at {row.exported_at}, the audit log has {at}"


def unrecorded(connection: Connection) -> Iterator[str]:
    """Find withdrawals and adjustments that differ from their audit entries, and entries without them."""
    told = _entries(connection)
    for what, number, action, expected in _expected(connection):
        found = told.pop((action, number), [])
        if len(found) != 1 or any(found[0].get(name) != value for name, value in expected.items()):
            yield f"{what} {number} has no audit entry {action}, or another than its row"
    for action, number in told:
        yield f"the audit log has {action} for number {number}, the ledger has not"


def _entries(connection: Connection) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Return the audit entries about wallets by their action and number: the details, the actor and the moment."""
    actions = [REQUESTED, RAISED, decisions.FIRST_APPROVED, *ENTRIES.values(), adjustments.ADJUSTED]
    query = select(audit_log.c.action, audit_log.c.actor, audit_log.c.at, audit_log.c.details)
    told: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for action, actor, at, text in connection.execute(query.where(audit_log.c.action.in_(actions))):
        entry = {**json.loads(text), "actor": actor, "at": at}
        number = entry["transaction" if action in {adjustments.ADJUSTED, RAISED} else "withdrawal"]
        told.setdefault((action, number), []).append(entry)
    return told


def _expected(connection: Connection) -> Iterator[tuple[str, int, str, dict[str, Any]]]:
    """Yield what the audit log must have of each row: its kind, number, an action, and parts of the entry."""
    additions: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(select(withdrawal_additions).order_by(withdrawal_additions.c.debit_id)):
        additions.setdefault(row.number, []).append(row)
    asked = connection.execute(select(withdrawals).order_by(withdrawals.c.number)).all()
    why_two = {row.number: row.needs_second_approver for row in asked}
    for number, added in additions.items():
        for row in added:
            expected = {"withdrawal": number, "amount_cents": row.amount_cents, "at": row.added_at}
            # The last of them says whether two admins must approve the sum.
            expected |= {"why_two": why_two.get(number)} if row is added[-1] else {}
            yield "addition", row.debit_id, RAISED, expected
    for row in asked:
        whose = {"user_id": row.user_id, "amount_cents": row.amount_cents}
        for action, expected in _steps(row, additions.get(row.number, [])):
            yield "withdrawal", row.number, action, whose | expected
    for row in connection.execute(select(wallet_adjustments)):
        expected = {"user_id": row.user_id, "amount_cents": row.amount_cents, "reason": row.reason}
        expected |= {"why_two": row.needs_second_approver, "approver_id": row.approver_id}
        expected |= {"actor": row.made_by, "at": row.made_at}
        yield "adjustment", row.transaction_id, adjustments.ADJUSTED, expected


def _steps(row: Row[Any], added: list[Row[Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what was done about a withdrawal: the request, the first approval, the decision."""
    first_cents = row.amount_cents - sum(each.amount_cents for each in added)
    asked = {"method": row.method, "amount_cents": first_cents, "at": row.requested_at}
    if not added:
        asked["why_two"] = row.needs_second_approver
    is_open = row.status == WithdrawalStatus.REQUESTED
    if row.destination is not None or is_open or row.erased_at is None:
        asked["destination"] = fingerprint(row.destination)
    yield REQUESTED, asked
    if row.first_approved_by is not None:
        yield decisions.FIRST_APPROVED, {"actor": row.first_approved_by}
    if not is_open:
        decided = {"actor": row.decided_by, "approver_id": row.decider_id, "at": row.decided_at}
        why = {"reference": row.reference} if row.status == WithdrawalStatus.PAID else {"reason": row.reason}
        yield ENTRIES[WithdrawalStatus(row.status)], decided | why


CHECKS: Final = (
    wrong_debits,
    wrong_additions,
    wrong_returns,
    transactions_without_cause,
    wrong_adjustments,
    several_open,
    wrong_exports,
    unrecorded,
)
"""All checks of wallets' withdrawals and adjustments."""
