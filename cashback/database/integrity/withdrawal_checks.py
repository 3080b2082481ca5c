"""Reconciliation of wallets: request = debit, not paid = returned, paid = once, each on record in the audit log."""

import json
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, exists, func, not_, or_, select

from cashback.database.integrity.checks import finds
from cashback.database.tables import audit_log, wallet_adjustments, wallet_transactions, withdrawals
from cashback.database.wallets import adjustments, decisions
from cashback.database.wallets.moves import ADJUSTMENT, RETURN, WITHDRAWAL
from cashback.database.wallets.withdrawals import REQUESTED
from cashback.domain.withdrawals import WithdrawalStatus

ENTRIES: Final = {
    WithdrawalStatus.PAID: decisions.PAID,
    WithdrawalStatus.DECLINED: decisions.DECLINED,
    WithdrawalStatus.CANCELLED: decisions.CANCELLED,
}
"""The audit entry of each decision."""


@finds("withdrawal {number} of {user_id} is {amount_cents} cents, the transaction of its request differs")
def wrong_debits() -> Select[Any]:
    """Find requests whose amount did not leave the wallet."""
    asked, moves = withdrawals.c, wallet_transactions.c
    return (
        select(asked.number, asked.user_id, asked.amount_cents)
        .join_from(withdrawals, wallet_transactions, moves.id == asked.debit_id, isouter=True)
        .where(
            or_(
                moves.id.is_(None),
                moves.amount_cents != -asked.amount_cents,
                moves.user_discord_id != asked.user_id,
                moves.transaction_type != WITHDRAWAL,
            )
        )
    )


@finds(
    "withdrawal {number} of {user_id} is {status}, what was returned to the wallet differs from {amount_cents} cents"
)
def wrong_returns() -> Select[Any]:
    """Find declined or cancelled requests whose amount did not return, and others whose amount did."""
    asked, moves = withdrawals.c, wallet_transactions.c
    returns = asked.status.in_([WithdrawalStatus.DECLINED, WithdrawalStatus.CANCELLED])
    differs = or_(
        moves.id.is_(None),
        moves.amount_cents != asked.amount_cents,
        moves.user_discord_id != asked.user_id,
        moves.transaction_type != RETURN,
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
            unnamed(WITHDRAWAL, withdrawals.c.debit_id),
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
            )
        )
    )


@finds("member {user_id} has {count} open withdrawals")
def several_open() -> Select[Any]:
    """Find members with more than one open request."""
    count = func.count().label("count")
    query = select(withdrawals.c.user_id, count).where(withdrawals.c.status == WithdrawalStatus.REQUESTED)
    return query.group_by(withdrawals.c.user_id).having(func.count() > 1)


def unrecorded(connection: Connection) -> Iterator[str]:
    """Find withdrawals and adjustments that differ from their audit entries, and entries without them."""
    told: dict[tuple[str, int], list[tuple[int, int]]] = {}
    actions = [REQUESTED, *ENTRIES.values(), adjustments.ADJUSTED]
    query = select(audit_log.c.action, audit_log.c.details).where(audit_log.c.action.in_(actions))
    for action, text in connection.execute(query.order_by(audit_log.c.id)):
        details = json.loads(text)
        number = details["transaction" if action == adjustments.ADJUSTED else "withdrawal"]
        told.setdefault((action, number), []).append((details["user_id"], details["amount_cents"]))
    for what, number, row, expected in _recorded(connection):
        for action in expected:
            if told.pop((action, number), []) != [row]:
                yield f"{what} {number} has no audit entry {action}, or another than its row"
    for action, number in told:
        yield f"the audit log has {action} for number {number}, the ledger has not"


def _recorded(connection: Connection) -> Iterator[tuple[str, int, tuple[int, int], list[str]]]:
    """Yield what each row must have in the audit log: its kind, number, member with cents, and actions."""
    for row in connection.execute(select(withdrawals).order_by(withdrawals.c.number)):
        decision = ENTRIES.get(WithdrawalStatus(row.status))
        expected = [REQUESTED] if decision is None else [REQUESTED, decision]
        yield "withdrawal", row.number, (row.user_id, row.amount_cents), expected
    for row in connection.execute(select(wallet_adjustments)):
        yield "adjustment", row.transaction_id, (row.user_id, row.amount_cents), [adjustments.ADJUSTED]


CHECKS: Final = (
    wrong_debits,
    wrong_returns,
    transactions_without_cause,
    wrong_adjustments,
    several_open,
    unrecorded,
)
"""All checks of wallets' withdrawals and adjustments."""
