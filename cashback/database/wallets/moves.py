"""Moves money into or out of one wallet: the balance and its transaction together, never below zero."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from cashback.database.tables import users, wallet_transactions
from cashback.domain.errors import WithdrawalRefusedError
from cashback.domain.languages import tr
from cashback.domain.money import dollars

WITHDRAWAL: Final = "cashback_withdrawal"
RETURN: Final = "cashback_withdrawal_returned"
ADJUSTMENT: Final = "cashback_adjustment"


def move(
    connection: Connection,
    user_id: int,
    cents: int,
    *,
    kind: str,
    description: str,
    details: Mapping[str, Any],
    now: datetime,
) -> int:
    """Change a balance by `cents` and return the number of the transaction.

    Raises WithdrawalRefusedError if the wallet holds less than is taken out. Another bot may change the same balance at
    any time, so the balance is compared and changed by one statement.
    """
    balance = users.c.wallet_balance_cents
    change = update(users).where(users.c.discord_id == user_id)
    if cents < 0:
        change = change.where(balance >= -cents)
    change = change.values(wallet_balance_cents=balance + cents, updated_at=now)
    after: int | None = connection.scalars(change.returning(balance)).one_or_none()
    if after is None:
        held = balance_of(connection, user_id)
        raise WithdrawalRefusedError(
            tr(
                "The wallet holds {held}, which is less than {amount}; nothing was done.",
                held=dollars(held),
                amount=dollars(abs(cents)),
            )
        )
    entry = insert(wallet_transactions).values(
        user_discord_id=user_id,
        amount_cents=cents,
        balance_after_cents=after,
        transaction_type=kind,
        description=description,
        details=json.dumps(details, ensure_ascii=False),
        created_at=now,
    )
    number: int = connection.scalars(entry.returning(wallet_transactions.c.id)).one()
    return number


def balance_of(connection: Connection, user_id: int) -> int:
    """Return a wallet's balance; 0 for an unknown member."""
    query = select(users.c.wallet_balance_cents).where(users.c.discord_id == user_id)
    return connection.scalars(query).one_or_none() or 0
