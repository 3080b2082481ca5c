"""How a reversal takes credited cashback back: from the wallet, as far as it holds, and of each cent once.

A payout's cashback may have been taken off by refunds already. Of each referral at most that much is taken back as was
paid on it, is not given back, and was not recovered from later earnings; the newest referral of a payout gives first.
"""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Subquery,
    and_,
    case,
    exists,
    func,
    insert,
    literal,
    not_,
    select,
    update,
)

from cashback.database.payouts.reversed_sums import TRANSACTION_TYPE
from cashback.database.referral_program.pending import owed_cents
from cashback.database.tables import (
    is_requested,
    payout_reversals,
    payout_shares,
    payouts,
    referrals,
    users,
    wallet_transactions,
    withdrawals,
)
from cashback.database.wallets import decisions
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import PayoutStatus


def _at_most(one: ColumnElement[int], other: ColumnElement[int]) -> ColumnElement[int]:
    return case((one < other, one), else_=other)


def _at_least_zero(cents: ColumnElement[int]) -> ColumnElement[int]:
    return case((cents > 0, cents), else_=0)


def _returnable(now: datetime) -> ColumnElement[int]:
    """Express in SQL how much of a share may be taken back: what was paid and is neither given back nor recovered."""
    recovered = _at_least_zero(_charged() - owed_cents(now))
    left = payout_shares.c.paid_cents - payout_shares.c.returned_cents
    return _at_least_zero(_at_most(left, _kept() - recovered))


def _kept() -> ColumnElement[int]:
    """Express in SQL what was paid on a referral and is not given back."""
    return referrals.c.cashback_paid_cents - referrals.c.cashback_forfeited_cents


def _charged() -> ColumnElement[int]:
    """Express in SQL what refunds charged of what was paid and is kept.

    It is never more than that: if the purchase that recovered a debt is refunded too, the debt is there again, once.
    """
    return _at_most(referrals.c.cashback_charged_cents, _kept())


def reversible(batch_number: int, referrer_id: int | None, now: datetime) -> Subquery:
    """Select a batch's payouts that can be taken back: referrer, what was paid, what can be taken, what is held."""
    shares = (
        select(payout_shares.c.referrer_id, func.sum(_returnable(now)).label("cents"))
        .join_from(payout_shares, referrals, referrals.c.id == payout_shares.c.referral_id)
        .where(payout_shares.c.batch_number == batch_number)
        .group_by(payout_shares.c.referrer_id)
    )
    if referrer_id is not None:
        shares = shares.where(payout_shares.c.referrer_id == referrer_id)
    left = shares.subquery()
    reversed_before = exists().where(
        payout_reversals.c.batch_number == payouts.c.batch_number,
        payout_reversals.c.referrer_id == payouts.c.referrer_id,
    )
    # What a member has asked to withdraw returns to the wallet before anything is taken.
    requested = select(func.coalesce(func.sum(withdrawals.c.amount_cents), 0)).where(
        is_requested, withdrawals.c.user_id == payouts.c.referrer_id
    )
    balance = users.c.wallet_balance_cents + requested.scalar_subquery()
    return (
        select(
            payouts.c.batch_number,
            payouts.c.referrer_id,
            payouts.c.paid_cents,
            left.c.cents,
            _at_least_zero(_at_most(left.c.cents, balance)).label("held_cents"),
            balance.label("balance_cents"),
        )
        .join_from(payouts, left, left.c.referrer_id == payouts.c.referrer_id)
        .join(users, users.c.discord_id == payouts.c.referrer_id)
        .where(
            payouts.c.batch_number == batch_number,
            payouts.c.status == PayoutStatus.CREDITED,
            left.c.cents > 0,
            not_(reversed_before.correlate(payouts)),
        )
        .subquery()
    )


def take_back(connection: Connection, row: Row[Any], now: datetime) -> Row[Any]:
    """Move the money of one reversal: transactions, what each payout lost, the shares, the referrals, the balances.

    Returns the count of payouts, and the cents that the wallets held and did not hold.
    """
    _cancel_withdrawals(connection, row, now)
    newest_before: int = connection.scalars(select(func.max(wallet_transactions.c.id))).one()
    moved = _write_transactions(connection, row, now)
    _write_reversed_payouts(connection, row, newest_before, now)
    mine = and_(payout_reversals.c.batch_number == row.batch_number, payout_reversals.c.reversal_number == row.number)
    _return_shares(connection, mine, now)
    _lower_referrals(connection, mine, now)
    lowered = connection.execute(
        update(users)
        .where(mine, payout_reversals.c.amount_cents > 0)
        .where(users.c.discord_id == payout_reversals.c.referrer_id)
        .where(users.c.wallet_balance_cents >= payout_reversals.c.amount_cents)
        .values(wallet_balance_cents=users.c.wallet_balance_cents - payout_reversals.c.amount_cents, updated_at=now)
    )
    if lowered.rowcount != moved:
        raise StaleBatchError("A wallet changed in the meantime; nothing was reversed. Ask for a new reversal.")
    return connection.execute(
        select(
            func.count().label("count"),
            func.coalesce(func.sum(payout_reversals.c.amount_cents), 0).label("reversed_cents"),
            func.coalesce(func.sum(payout_reversals.c.shortfall_cents), 0).label("shortfall_cents"),
        ).where(mine)
    ).one()


def actor_of(number: int) -> str:
    """Return the name under which a reversal cancels withdrawals."""
    return f"reversal {number}"


def _cancel_withdrawals(connection: Connection, row: Row[Any], now: datetime) -> None:
    """Cancel the open requests of the members: a later decline must not return what is reversed now."""
    found = reversible(row.batch_number, row.referrer_id, now)
    decisions.cancel_all_of(
        connection,
        select(found.c.referrer_id),
        reason=f"{row.batch_id} was reversed: {row.reason}",
        actor=actor_of(row.number),
        now=now,
    )


def _write_transactions(connection: Connection, row: Row[Any], now: datetime) -> int:
    details = json.dumps({"batch_id": row.batch_id, "reversal": row.number, "reason": row.reason}, ensure_ascii=False)
    found = reversible(row.batch_number, row.referrer_id, now).c
    moves = (
        select(
            found.referrer_id,
            -found.held_cents,
            found.balance_cents - found.held_cents,
            literal(TRANSACTION_TYPE),
            literal(f"Referral cashback reversed - {row.reason}"),
            literal(details),
            literal(now, wallet_transactions.c.created_at.type),
        )
        .where(found.held_cents > 0)
        .order_by(found.referrer_id)
    )
    names = [
        "user_discord_id",
        "amount_cents",
        "balance_after_cents",
        "transaction_type",
        "description",
        "details",
        "created_at",
    ]
    return connection.execute(insert(wallet_transactions).from_select(names, moves)).rowcount


def _write_reversed_payouts(connection: Connection, row: Row[Any], newest_before: int, now: datetime) -> None:
    found = reversible(row.batch_number, row.referrer_id, now).c
    its_own = and_(
        wallet_transactions.c.id > newest_before,
        wallet_transactions.c.user_discord_id == found.referrer_id,
        wallet_transactions.c.transaction_type == TRANSACTION_TYPE,
    )
    lost = (
        select(
            found.batch_number,
            found.referrer_id,
            literal(row.number),
            found.held_cents,
            found.cents - found.held_cents,
            found.paid_cents - found.cents,
            wallet_transactions.c.id,
        )
        .join_from(found.referrer_id.table, wallet_transactions, its_own, isouter=True)
        .order_by(found.referrer_id)
    )
    names = [
        "batch_number",
        "referrer_id",
        "reversal_number",
        "amount_cents",
        "shortfall_cents",
        "recovered_cents",
        "transaction_id",
    ]
    connection.execute(insert(payout_reversals).from_select(names, lost))


def _same_payout() -> ColumnElement[bool]:
    return and_(
        payout_shares.c.batch_number == payout_reversals.c.batch_number,
        payout_shares.c.referrer_id == payout_reversals.c.referrer_id,
    )


def _return_shares(connection: Connection, mine: ColumnElement[bool], now: datetime) -> None:
    """Attribute what the wallets gave back to the payouts' referrals, newest first."""
    left = _newest_first(mine, now).subquery()
    given = _at_least_zero(_at_most(left.c.amount_cents - left.c.newer_cents, left.c.cents))
    connection.execute(
        update(payout_shares)
        .where(
            payout_shares.c.batch_number == left.c.batch_number,
            payout_shares.c.referrer_id == left.c.referrer_id,
            payout_shares.c.referral_id == left.c.referral_id,
            given > 0,
        )
        .values(returned_cents=payout_shares.c.returned_cents + given)
    )


def _newest_first(mine: ColumnElement[bool], now: datetime) -> Select[Any]:
    """Select the shares of what is reversed: what each may give, and what the newer ones of its payout may give."""
    may_give = _returnable(now)
    before = func.sum(may_give).over(
        partition_by=[payout_shares.c.batch_number, payout_shares.c.referrer_id],
        order_by=payout_shares.c.referral_id.desc(),
        rows=(None, 0),
    )
    return (
        select(
            payout_shares.c.batch_number,
            payout_shares.c.referrer_id,
            payout_shares.c.referral_id,
            payout_reversals.c.amount_cents,
            may_give.label("cents"),
            (before - may_give).label("newer_cents"),
        )
        .join_from(payout_reversals, payout_shares, _same_payout())
        .join(referrals, referrals.c.id == payout_shares.c.referral_id)
        .where(mine)
    )


def _lower_referrals(connection: Connection, mine: ColumnElement[bool], now: datetime) -> None:
    """Clear what is owed after refunds first: it is given back now, and so not paid any more. The rest is forfeited."""
    given = payout_shares.c.returned_cents
    cleared = _at_most(given, owed_cents(now))
    charged = _at_least_zero(_charged() - cleared)
    connection.execute(
        update(referrals)
        .where(mine, _same_payout(), referrals.c.id == payout_shares.c.referral_id, given > 0)
        .values(
            cashback_paid_cents=referrals.c.cashback_paid_cents - cleared,
            cashback_charged_cents=charged,
            cashback_forfeited_cents=referrals.c.cashback_forfeited_cents + given - cleared,
        )
    )
