"""Reconciliation of what leaves: events are about what happened, and payouts are sent where their member wants them.

A shop issues vouchers by these events, so a forged one is worth money.
"""

import json
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, or_, select

from cashback.database.integrity.checks import finds
from cashback.database.tables import (
    audit_log,
    auto_withdrawals,
    payouts,
    webhook_deliveries,
    withdrawal_additions,
    withdrawals,
)
from cashback.database.wallets.auto_withdrawals import ENDED, SET
from cashback.database.wallets.withdrawals import fingerprint
from cashback.domain.events import Event
from cashback.domain.model import PayoutStatus
from cashback.domain.withdrawals import WithdrawalStatus

_TOLD: Final = webhook_deliveries.c


@finds("event {id} is of {amount_cents} cents paid out to {user_id}, and there is no such payout")
def of_no_payout() -> Select[Any]:
    """Find events about payouts that were not credited so."""
    paid = payouts.c
    its_payout = and_(paid.batch_number == _TOLD.batch_number, paid.referrer_id == _TOLD.user_id)
    differs = or_(
        paid.status.is_(None),
        paid.status != PayoutStatus.CREDITED,
        paid.paid_cents != _TOLD.amount_cents,
        paid.settled_at != _TOLD.happened_at,
        _TOLD.event != Event.PAYOUT_CREDITED,
    )
    return (
        select(_TOLD.id, _TOLD.user_id, _TOLD.amount_cents)
        .join_from(webhook_deliveries, payouts, its_payout, isouter=True)
        .where(_TOLD.batch_number.is_not(None), differs)
    )


def of_no_withdrawal(connection: Connection) -> Iterator[str]:
    """Find events about withdrawals that were not requested or decided so."""
    added: dict[int, list[tuple[Any, int]]] = {}
    query = select(withdrawal_additions).order_by(withdrawal_additions.c.debit_id)
    for row in connection.execute(query):
        added.setdefault(row.number, []).append((row.added_at, row.amount_cents))
    happened = set()
    for row in connection.execute(select(withdrawals)):
        later = added.get(row.number, [])
        first_cents = row.amount_cents - sum(cents for _, cents in later)
        moments = [row.requested_at, *(moment for moment, _ in later)]
        totals = accumulate([first_cents, *(cents for _, cents in later)])
        for moment, cents in zip(moments, totals, strict=True):
            happened.add((row.number, str(Event.WITHDRAWAL_REQUESTED), row.user_id, cents, moment))
        if row.status != WithdrawalStatus.REQUESTED:
            happened.add((row.number, f"withdrawal.{row.status}", row.user_id, row.amount_cents, row.decided_at))
    columns = (_TOLD.withdrawal_number, _TOLD.event, _TOLD.user_id, _TOLD.amount_cents, _TOLD.happened_at)
    query = select(_TOLD.id, *columns).where(_TOLD.withdrawal_number.is_not(None)).order_by(_TOLD.id)
    for number, *told in connection.execute(query):
        if tuple(told) not in happened:
            yield f"event {number} is {told[1]} of withdrawal {told[0]} with {told[3]} cents, which did not happen so"


def other_wishes(connection: Connection) -> Iterator[str]:
    """Find auto-withdrawals that go elsewhere than their member wants, or that no member asked for.

    Entries of earlier programs have no digest of the destination.
    """
    told: dict[int, dict[str, Any]] = {}
    query = select(audit_log.c.action, audit_log.c.details).where(audit_log.c.action.in_([SET, ENDED]))
    for action, text in connection.execute(query.order_by(audit_log.c.id)):
        entry = json.loads(text)
        told[entry["user_id"]] = entry if action == SET else {}
    for row in connection.execute(select(auto_withdrawals)):
        entry = told.pop(row.user_id, {})
        destination = fingerprint(row.destination)
        if (entry.get("method"), entry.get("destination", destination)) != (row.method, destination):
            yield f"the payouts of {row.user_id} are sent by {row.method} otherwise than the audit log says"
    for user_id in sorted(user_id for user_id, entry in told.items() if entry):
        yield f"the audit log says that the payouts of {user_id} are sent each time, the ledger does not"


CHECKS: Final = (of_no_payout, of_no_withdrawal, other_wishes)
"""All checks of events and auto-withdrawals."""
