"""A wallet as its member reads it: the balance, and each transaction in words."""

from typing import Any, Final

from sqlalchemy import Connection, Row, select

from cashback.database.referral_program.people import check_id
from cashback.database.tables import payout_batches, wallet_transactions
from cashback.database.wallets import moves, withdrawals
from cashback.domain.withdrawals import Wallet, WalletEntry

PAYOUT: Final = "referral_cashback"


def wallet_of(connection: Connection, user_id: int, *, limit: int) -> Wallet:
    """Return a member's wallet with the newest transactions and withdrawals; empty for an unknown member."""
    check_id(user_id, "Member")
    entry = wallet_transactions.c
    query = (
        select(wallet_transactions, payout_batches.c.batch_id)
        .join_from(
            wallet_transactions,
            payout_batches,
            payout_batches.c.number == entry.cashback_payout_batch_number,
            isouter=True,
        )
        .where(entry.user_discord_id == user_id)
        .order_by(entry.id.desc())
        .limit(limit)
    )
    found = withdrawals.newest(connection, limit=limit, user_id=user_id)
    waiting = withdrawals.open_of(connection, user_id)
    if waiting is not None and waiting not in found:
        found.append(waiting)
    return Wallet(
        user_id=user_id,
        balance_cents=moves.balance_of(connection, user_id),
        entries=[_entry(row) for row in connection.execute(query)],
        withdrawals=found,
    )


def _entry(row: Row[Any]) -> WalletEntry:
    return WalletEntry(
        number=row.id,
        at=row.created_at,
        amount_cents=row.amount_cents,
        balance_after_cents=row.balance_after_cents,
        kind=row.transaction_type,
        text=_in_words(row),
    )


def _in_words(row: Row[Any]) -> str:
    """Describe a transaction. Another bot's keeps its own description."""
    if row.transaction_type == PAYOUT and row.batch_id is not None:
        return f"Cashback of {row.batch_id}"
    return str(row.description or row.transaction_type.replace("_", " ").capitalize())
