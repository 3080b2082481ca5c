"""Auto-withdrawals: a member's payouts become a request each time, or add to the open one; each payout once.

`after_transaction_id` is moved past the payouts in the transaction that takes their cents out of the wallet.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, delete, func, select, update

from cashback.database.audit_log import add_entry
from cashback.database.dialect import insert_or_replace
from cashback.database.referral_program.people import check_id, ensure_users
from cashback.database.tables import audit_log, auto_withdrawals, payout_reversals, wallet_transactions
from cashback.database.wallets import moves, withdrawals
from cashback.domain.errors import StaleBatchError
from cashback.domain.withdrawals import AutoWithdrawal, Withdrawal

PAYOUT: Final = "referral_cashback"
SET: Final = "auto_withdrawal_set"
ENDED: Final = "auto_withdrawal_ended"
ACTOR: Final = "auto-withdrawal"

# Asked every second, so it is one statement that is built once.
_NEWEST: Final = select(
    *(
        select(func.coalesce(func.max(column), 0)).scalar_subquery()
        for column in (wallet_transactions.c.id, audit_log.c.id)
    )
)


def switch_on(
    connection: Connection, user_id: int, method: str, destination: str | None, *, actor: str, now: datetime
) -> None:
    """Send each payout from now on by this method. `destination` is encrypted already."""
    check_id(user_id, "Member")
    ensure_users(connection, [user_id], now)
    before = of_member(connection, user_id)
    newest = select(func.coalesce(func.max(wallet_transactions.c.id), 0)).where(
        wallet_transactions.c.user_discord_id == user_id
    )
    after = connection.scalars(newest).one() if before is None else before.after_transaction_id
    values = {"user_id": user_id, "method": method, "destination": destination, "set_at": now}
    connection.execute(insert_or_replace(connection, auto_withdrawals, **values, after_transaction_id=after))
    details = {"user_id": user_id, "method": method, "destination": withdrawals.fingerprint(destination)}
    add_entry(connection, at=now, actor=actor, action=SET, details=details)


def switch_off(connection: Connection, user_id: int, *, actor: str, now: datetime) -> bool:
    """Send no payout any more, and forget the destination; return False if none was sent."""
    ended = connection.execute(delete(auto_withdrawals).where(auto_withdrawals.c.user_id == user_id)).rowcount == 1
    if ended:
        add_entry(connection, at=now, actor=actor, action=ENDED, details={"user_id": user_id})
    return ended


def of_member(connection: Connection, user_id: int) -> AutoWithdrawal | None:
    """Return how a member's payouts are sent; None if they stay in the wallet."""
    row = connection.execute(select(auto_withdrawals).where(auto_withdrawals.c.user_id == user_id)).one_or_none()
    if row is None:
        return None
    return AutoWithdrawal(
        user_id=row.user_id,
        method=row.method,
        destination=row.destination,
        after_transaction_id=row.after_transaction_id,
    )


def newest_changes(connection: Connection) -> tuple[int, int]:
    """Return the newest wallet transaction and audit entry: nothing more is due as long as they stay."""
    move, entry = connection.execute(_NEWEST).one()
    return move, entry


def due(connection: Connection) -> Sequence[int]:
    """List the members with payouts that are to be sent."""
    query = select(auto_withdrawals.c.user_id).join(wallet_transactions, _IS_NEW).distinct()
    return connection.scalars(query.order_by(auto_withdrawals.c.user_id)).all()


def send(
    connection: Connection,
    user_id: int,
    *,
    adds_to: str | None,
    minimum_cents: int,
    maximum_cents: int | None,
    now: datetime,
    approval_threshold_cents: int | None = None,
) -> Withdrawal | None:
    """Take a member's new payouts out of the wallet into a request, each once; None if they wait.

    They wait for a later payout below the minimum, and for the decision if a request is open that they cannot be added
    to. `adds_to` is the version of an open request with the same method and destination. What reversals took, or the
    member spent in the meantime, is not sent.
    """
    wish = of_member(connection, user_id)
    if wish is None:
        return None
    newest, cents = _new_payouts(connection, user_id)
    waiting = withdrawals.open_of(connection, user_id)
    room = None if maximum_cents is None else maximum_cents - (0 if waiting is None else waiting.amount_cents)
    sums = [each for each in (cents, moves.balance_of(connection, user_id), room) if each is not None]
    amount = min(sums)
    if amount <= 0 and cents <= 0:
        _move_past(connection, wish, newest)
        return None
    if waiting is not None:
        if amount <= 0 or waiting.is_in_hand or waiting.version != adds_to:
            return None
        _move_past(connection, wish, newest)
        return withdrawals.add(
            connection, waiting, amount, actor=ACTOR, now=now, approval_threshold_cents=approval_threshold_cents
        )
    if amount < minimum_cents:
        return None
    _move_past(connection, wish, newest)
    return withdrawals.request(
        connection,
        user_id=user_id,
        cents=amount,
        method=wish.method,
        destination=wish.destination,
        actor=ACTOR,
        now=now,
        approval_threshold_cents=approval_threshold_cents,
    )


_IS_NEW: Final = and_(
    wallet_transactions.c.user_discord_id == auto_withdrawals.c.user_id,
    wallet_transactions.c.id > auto_withdrawals.c.after_transaction_id,
    wallet_transactions.c.transaction_type == PAYOUT,
    wallet_transactions.c.cashback_payout_batch_number.is_not(None),
)


def _new_payouts(connection: Connection, user_id: int) -> tuple[int, int]:
    """Return the number of the newest payout's transaction, and the cents of the new ones that no reversal took."""
    its_reversal = and_(
        payout_reversals.c.batch_number == wallet_transactions.c.cashback_payout_batch_number,
        payout_reversals.c.referrer_id == user_id,
    )
    left = wallet_transactions.c.amount_cents - func.coalesce(payout_reversals.c.amount_cents, 0)
    query = (
        select(func.coalesce(func.max(wallet_transactions.c.id), 0), func.coalesce(func.sum(left), 0))
        .join_from(auto_withdrawals, wallet_transactions, _IS_NEW)
        .join(payout_reversals, its_reversal, isouter=True)
        .where(auto_withdrawals.c.user_id == user_id)
    )
    newest, cents = connection.execute(query).one()
    return newest, int(cents)


def _move_past(connection: Connection, wish: AutoWithdrawal, newest: int) -> None:
    values: dict[str, Any] = {"after_transaction_id": max(newest, wish.after_transaction_id)}
    same = and_(
        auto_withdrawals.c.user_id == wish.user_id, auto_withdrawals.c.after_transaction_id == wish.after_transaction_id
    )
    if connection.execute(update(auto_withdrawals).where(same).values(values)).rowcount != 1:
        raise StaleBatchError(f"The payouts of {wish.user_id} were sent in the meantime; nothing was sent twice.")
