"""A wallet as its member reads it: the balance, and each transaction in words."""

import json
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, or_, select

from cashback.database.referral_program.people import check_id
from cashback.database.tables import is_requested, payout_batches, users, wallet_transactions
from cashback.database.tables import withdrawals as withdrawals_table
from cashback.database.wallets import auto_withdrawals, moves, withdrawals
from cashback.domain.languages import mark, placeholders, tr
from cashback.domain.withdrawals import BY_MEMBER, Wallet, WalletEntry, WalletLine, WithdrawalStatus

PAYOUT: Final = "referral_cashback"
REVERSAL: Final = "referral_cashback_reversal"
SENTENCES: Final = {
    (moves.WITHDRAWAL, None): mark("Withdrawal {withdrawal} - {method}"),
    (moves.RETURN, WithdrawalStatus.DECLINED): mark("Withdrawal {withdrawal} declined - {reason}"),
    (moves.RETURN, WithdrawalStatus.CANCELLED): mark("Withdrawal {withdrawal} cancelled - {reason}"),
    (moves.ADJUSTMENT, None): mark("Adjustment - {reason}"),
    (REVERSAL, None): mark("Referral cashback reversed - {reason}"),
}
"""Our transactions by their kind and the status in their details."""


def wallet_of(connection: Connection, user_id: int, *, limit: int) -> Wallet:
    """Return a member's wallet with the newest transactions and withdrawals; empty for an unknown member."""
    check_id(user_id, "Member")
    query = _newest(limit).where(wallet_transactions.c.user_discord_id == user_id)
    found = withdrawals.newest(connection, limit=limit, user_id=user_id)
    waiting = withdrawals.open_of(connection, user_id)
    if waiting is not None and waiting not in found:
        found.append(waiting)
    return Wallet(
        user_id=user_id,
        balance_cents=moves.balance_of(connection, user_id),
        entries=[_entry(row) for row in connection.execute(query)],
        withdrawals=found,
        auto_withdrawal=auto_withdrawals.of_member(connection, user_id),
    )


def newest_entries(connection: Connection, *, limit: int) -> list[WalletEntry]:
    """List the newest transactions of all wallets."""
    return [_entry(row) for row in connection.execute(_newest(limit))]


def wallets_page(connection: Connection, *, after_user_id: int, limit: int) -> list[WalletLine]:
    """List the wallets that hold something or have an open request, in the order of their ids."""
    waiting = and_(is_requested, withdrawals_table.c.user_id == users.c.discord_id)
    query = (
        select(users.c.discord_id, users.c.wallet_balance_cents, withdrawals_table.c.amount_cents)
        .join_from(users, withdrawals_table, waiting, isouter=True)
        .where(users.c.discord_id > after_user_id)
        .where(or_(users.c.wallet_balance_cents != 0, withdrawals_table.c.amount_cents.is_not(None)))
        .order_by(users.c.discord_id)
        .limit(limit)
    )
    return [
        WalletLine(user_id=user_id, balance_cents=cents, requested_cents=requested or 0)
        for user_id, cents, requested in connection.execute(query)
    ]


def _newest(limit: int) -> Select[Any]:
    entry = wallet_transactions.c
    its_batch = payout_batches.c.number == entry.cashback_payout_batch_number
    query = select(wallet_transactions, payout_batches.c.batch_id)
    return (
        query.join_from(wallet_transactions, payout_batches, its_batch, isouter=True)
        .order_by(entry.id.desc())
        .limit(limit)
    )


def _entry(row: Row[Any]) -> WalletEntry:
    return WalletEntry(
        number=row.id,
        user_id=row.user_discord_id,
        at=row.created_at,
        amount_cents=row.amount_cents,
        balance_after_cents=row.balance_after_cents,
        kind=row.transaction_type,
        text=_in_words(row),
    )


def _in_words(row: Row[Any]) -> str:
    """Describe a transaction in the reader's language. Another bot's keeps its own description."""
    if row.transaction_type == PAYOUT and row.batch_id is not None:
        return tr("Cashback of {batch}", batch=row.batch_id)
    details = _details(row.details)
    sentence = SENTENCES.get((row.transaction_type, details.get("status")))
    if sentence is not None and placeholders(sentence) <= details.keys():
        if details.get("reason") == BY_MEMBER:
            details["reason"] = tr(BY_MEMBER)
        return tr(sentence, **details)
    return str(row.description or row.transaction_type.replace("_", " ").capitalize())


def _details(stored: str | None) -> dict[str, Any]:
    """Read a transaction's details; another bot may store anything."""
    try:
        found = json.loads(stored or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
