"""How a reversal takes credited cashback back: from the wallet, as far as it holds, and of each cent once.

Refunds may have taken off a payout's cashback already. Of each referral at most that much is taken back as the payout
paid, is not given back, and was not recovered from later earnings; the newest referral of a payout gives first.
"""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
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
    literal_column,
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


def _shares(which: ColumnElement[bool], now: datetime) -> Subquery:
    """Select shares: what may be taken back of each, and what it owes after refunds.

    Taken back is what was paid and is neither given back nor recovered. Of several charges of a referral that of its
    newest payout is recovered first. Step by step, the first as a table of its own: SQLite would put its expressions
    into the next ones, which would be too deep, and compute each of them many times.
    """
    share, referral, newer = payout_shares.c, referrals.c, payout_shares.alias("newer").c
    charged_to_newer = (
        select(func.coalesce(func.sum(newer.charged_cents), 0))
        .where(
            newer.referral_id == share.referral_id,
            newer.batch_number > share.batch_number,
            newer.charged_cents > literal_column("0"),
        )
        .correlate(payout_shares)
        .scalar_subquery()
    )
    sums = (
        select(
            *payout_shares.primary_key.columns,
            share.charged_cents,
            (share.paid_cents - share.returned_cents).label("left_cents"),
            (referral.cashback_paid_cents - referral.cashback_forfeited_cents).label("kept_cents"),
            _at_least_zero(referral.cashback_charged_cents - owed_cents(now)).label("recovered_in_all"),
            case((share.charged_cents > 0, charged_to_newer), else_=literal_column("0", BigInteger)).label("newer"),
        )
        .join_from(payout_shares, referrals, referral.id == share.referral_id)
        .where(which)
        .cte("sums", nesting=True)
        .prefix_with("MATERIALIZED")
    )
    of_its_charge = _at_least_zero(_at_most(sums.c.charged_cents, sums.c.recovered_in_all - sums.c.newer))
    recovered = select(*sums.c, of_its_charge.label("recovered_cents")).subquery()
    cents = _at_most(
        recovered.c.left_cents - recovered.c.recovered_cents, recovered.c.kept_cents - recovered.c.recovered_in_all
    )
    keys = recovered.c.batch_number, recovered.c.referrer_id, recovered.c.referral_id
    owed = recovered.c.charged_cents - recovered.c.recovered_cents
    return select(*keys, _at_least_zero(cents).label("cents"), owed.label("owed_cents")).subquery()


def reversible(batch_number: int, referrer_id: int | None, now: datetime) -> Subquery:
    """Select a batch's payouts that can be taken back: referrer, what was paid, what can be taken, what is held."""
    which = payout_shares.c.batch_number == batch_number
    if referrer_id is not None:
        which = and_(which, payout_shares.c.referrer_id == referrer_id)
    shares = _shares(which, now).c
    left = select(shares.referrer_id, func.sum(shares.cents).label("cents")).group_by(shares.referrer_id).subquery()
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
    _return_shares(connection, row, mine, now)
    _lower_referrals(connection, mine)
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


def _return_shares(connection: Connection, row: Row[Any], mine: ColumnElement[bool], now: datetime) -> None:
    """Attribute what the wallets gave back to the payouts' referrals, newest first.

    What a share still owed after refunds is given back now, and so is owed no more. The rest is forfeited.
    """
    left = _newest_first(row, mine, now).subquery()
    given = _at_least_zero(_at_most(left.c.amount_cents - left.c.newer_cents, left.c.cents))
    cleared = _at_most(given, left.c.owed_cents)
    connection.execute(
        update(payout_shares)
        .where(
            payout_shares.c.batch_number == left.c.batch_number,
            payout_shares.c.referrer_id == left.c.referrer_id,
            payout_shares.c.referral_id == left.c.referral_id,
            given > 0,
        )
        .values(
            returned_cents=payout_shares.c.returned_cents + given,
            charged_cents=payout_shares.c.charged_cents - cleared,
            forfeited_cents=payout_shares.c.forfeited_cents + given - cleared,
        )
    )


def _newest_first(row: Row[Any], mine: ColumnElement[bool], now: datetime) -> Select[Any]:
    """Select the shares of what is reversed: what each may give and owes, and what the newer of its payout may give."""
    shares = _shares(payout_shares.c.batch_number == row.batch_number, now).c
    before = func.sum(shares.cents).over(
        partition_by=[shares.batch_number, shares.referrer_id], order_by=shares.referral_id.desc(), rows=(None, 0)
    )
    of_payout = and_(
        shares.batch_number == payout_reversals.c.batch_number, shares.referrer_id == payout_reversals.c.referrer_id
    )
    newer = (before - shares.cents).label("newer_cents")
    return (
        select(*shares, payout_reversals.c.amount_cents, newer)
        .join_from(payout_reversals, shares.cents.table, of_payout)
        .where(mine)
    )


def _lower_referrals(connection: Connection, mine: ColumnElement[bool]) -> None:
    """Add to the referrals what their shares gave back: what was owed is not paid any more, the rest is forfeited."""
    forfeited = payout_shares.c.forfeited_cents
    cleared = payout_shares.c.returned_cents - forfeited
    connection.execute(
        update(referrals)
        .where(mine, _same_payout(), referrals.c.id == payout_shares.c.referral_id)
        .where(payout_shares.c.returned_cents > 0)
        .values(
            cashback_paid_cents=referrals.c.cashback_paid_cents - cleared,
            cashback_charged_cents=referrals.c.cashback_charged_cents - cleared,
            cashback_forfeited_cents=referrals.c.cashback_forfeited_cents + forfeited,
        )
    )
