"""Adjustments: an admin corrects a wallet by a transaction with a reason; from the threshold on, two admins."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select

from cashback.database.audit_log import add_entry
from cashback.database.referral_program.people import check_id
from cashback.database.tables import users, wallet_adjustments
from cashback.database.wallets import moves
from cashback.database.wallets.withdrawals import why_two
from cashback.domain.errors import CashbackError, NotAllowedError, SecondApproverError
from cashback.domain.money import dollars

ADJUSTED: Final = "wallet_adjusted"


def adjust(
    connection: Connection,
    *,
    user_id: int,
    cents: int,
    reason: str,
    actor: str,
    actor_id: int | None,
    approver_id: int | None,
    now: datetime,
    approval_threshold_cents: int | None = None,
) -> int:
    """Credit or debit a wallet and return its new balance.

    `approver_id` is the second admin's, if one approved it. Raises CashbackError for nothing to do or an unknown
    member, WithdrawalRefusedError if the wallet holds less, NotAllowedError for an admin's own wallet, and
    SecondApproverError if a second admin is needed.
    """
    check_id(user_id, "Member")
    if not cents:
        raise CashbackError(f"An adjustment of {dollars(0)} changes nothing; name an amount.")
    if user_id in (actor_id, approver_id):
        raise NotAllowedError("This wallet is your own, so a different admin must adjust it.")
    needs_two = why_two(cents, approval_threshold_cents)
    if needs_two is not None and (approver_id is None or approver_id == actor_id):
        raise SecondApproverError(f"{needs_two} Nothing was changed.")
    if connection.scalars(select(users.c.id).where(users.c.discord_id == user_id)).one_or_none() is None:
        raise CashbackError(f"Member {user_id} has no wallet in this ledger; check the id.")
    transaction = moves.move(
        connection,
        user_id,
        cents,
        kind=moves.ADJUSTMENT,
        description=f"Adjustment - {reason}",
        details={"reason": reason, "by": actor},
        now=now,
    )
    connection.execute(
        insert(wallet_adjustments).values(
            transaction_id=transaction,
            user_id=user_id,
            amount_cents=cents,
            reason=reason,
            made_by=actor,
            needs_second_approver=needs_two,
            approver_id=approver_id,
            made_at=now,
        )
    )
    details = {
        "transaction": transaction,
        "user_id": user_id,
        "amount_cents": cents,
        "reason": reason,
        "approver_id": approver_id,
        "why_two": needs_two,
    }
    add_entry(connection, at=now, actor=actor, action=ADJUSTED, details=details)
    return moves.balance_of(connection, user_id)
