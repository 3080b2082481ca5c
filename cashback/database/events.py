"""The outbox of events: written in the transaction of what happened, for each webhook that wants the event."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Insert,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from cashback.database.audit_log import add_entry
from cashback.database.tables import (
    cashback_origin,
    is_delivery_queued,
    payout_batches,
    payouts,
    wallet_transactions,
    webhook_deliveries,
    webhooks,
    withdrawals,
)
from cashback.domain.errors import StaleBatchError
from cashback.domain.events import PAUSES, Event, EventDelivery, EventStatus

COLUMNS: Final = ("webhook", "event", "user_id", "amount_cents", "batch_number", "withdrawal_number", "happened_at")
NO_LONGER: Final = "The configuration does not name this webhook any more."
RETRIED: Final = "webhook_delivery_retried"


def put_in_force(connection: Connection, wanted: Mapping[str, Sequence[Event]], *, now: datetime) -> None:
    """Record which webhooks get which events from now on. What waits for one that is not named any more has failed."""
    known = {row.name: row.events for row in connection.execute(select(webhooks))}
    chosen = {name: " ".join(sorted(events)) for name, events in wanted.items()}
    if known == chosen:
        return
    connection.execute(delete(webhooks))
    if chosen:
        connection.execute(insert(webhooks), [{"name": name, "events": text} for name, text in chosen.items()])
    dropped = and_(is_delivery_queued, webhook_deliveries.c.webhook.not_in(chosen))
    failed = {"status": EventStatus.FAILED, "last_error": NO_LONGER, "settled_at": now}
    connection.execute(update(webhook_deliveries).where(dropped).values(failed))


def record(
    connection: Connection, event: Event, *, withdrawal: int, user_id: int, amount_cents: int, now: datetime
) -> None:
    """Queue an event about a withdrawal for each webhook that wants it."""
    columns = webhook_deliveries.c
    values = (
        literal(str(event)),
        literal(user_id, columns.user_id.type),
        literal(amount_cents, columns.amount_cents.type),
        literal(None, columns.batch_number.type),
        literal(withdrawal, columns.withdrawal_number.type),
        literal(now, columns.happened_at.type),
    )
    wanting = select(webhooks.c.name, *values).where(_wants(event)).order_by(webhooks.c.name)
    connection.execute(insert(webhook_deliveries).from_select(COLUMNS, wanting))


def record_chunk(connection: Connection, values: Mapping[str, Any]) -> None:
    """Queue an event for each payout that a chunk has just credited: `number`, `first`, `last` and `now`."""
    if connection.execute(_LISTENING).first() is not None:
        connection.execute(_of_chunk(), values)


@cache
def _of_chunk() -> Insert:
    columns = webhook_deliveries.c
    entry = wallet_transactions.c
    its_payout = and_(entry.cashback_payout_batch_number == payouts.c.batch_number)
    rows = (
        select(
            webhooks.c.name,
            literal(str(Event.PAYOUT_CREDITED)),
            payouts.c.referrer_id,
            entry.amount_cents,
            payouts.c.batch_number,
            literal(None, columns.withdrawal_number.type),
            bindparam("now", type_=columns.happened_at.type),
        )
        .join_from(payouts, wallet_transactions, and_(its_payout, entry.user_discord_id == payouts.c.referrer_id))
        .join(webhooks, _wants(Event.PAYOUT_CREDITED))
        .where(
            payouts.c.batch_number == bindparam("number", type_=payouts.c.batch_number.type),
            payouts.c.referrer_id.between(
                bindparam("first", type_=payouts.c.referrer_id.type),
                bindparam("last", type_=payouts.c.referrer_id.type),
            ),
            payouts.c.status == literal("planned"),
        )
        .order_by(payouts.c.referrer_id, webhooks.c.name)
    )
    return insert(webhook_deliveries).from_select(COLUMNS, rows)


_LISTENING: Final = select(webhooks.c.name).where(webhooks.c.events.like(f"%{Event.PAYOUT_CREDITED}%")).limit(1)


def _wants(event: Event) -> Any:  # noqa: ANN401 -- a condition
    return (literal(" ") + webhooks.c.events + " ").like(f"% {event} %")


def due(connection: Connection, webhook: str, *, now: datetime, limit: int) -> list[EventDelivery]:
    """List a webhook's deliveries that are due, oldest first."""
    columns = webhook_deliveries.c
    # One that was postponed by a clock that was ahead is due.
    is_due = or_(
        columns.next_attempt_at.is_(None), columns.next_attempt_at <= now, columns.next_attempt_at > now + PAUSES[-1]
    )
    query = _deliveries().where(is_delivery_queued, columns.webhook == webhook, is_due)
    return [_delivery(row) for row in connection.execute(query.order_by(columns.id).limit(limit))]


def newest(connection: Connection, *, limit: int) -> list[EventDelivery]:
    """List deliveries of all webhooks, newest first."""
    query = _deliveries().order_by(webhook_deliveries.c.id.desc()).limit(limit)
    return [_delivery(row) for row in connection.execute(query)]


def counts(connection: Connection) -> list[tuple[str, EventStatus, int]]:
    """Count the deliveries by webhook and state."""
    columns = webhook_deliveries.c
    query = select(columns.webhook, columns.status, func.count()).group_by(columns.webhook, columns.status)
    rows = connection.execute(query.order_by(columns.webhook, columns.status))
    return [(webhook, EventStatus(status), count) for webhook, status, count in rows]


def settle(connection: Connection, number: int, *, error: str | None, now: datetime, is_final: bool = False) -> None:
    """Record the result of an attempt: delivered, or tried again after a pause, or failed after the last one."""
    columns = webhook_deliveries.c
    attempts = connection.scalars(select(columns.attempts).where(columns.id == number)).one() + 1
    values: dict[str, Any] = {"attempts": attempts, "last_error": error}
    if error is not None and attempts <= len(PAUSES) and not is_final:
        values["next_attempt_at"] = now + PAUSES[attempts - 1]
    else:
        status = EventStatus.DELIVERED if error is None else EventStatus.FAILED
        values |= {"status": status, "next_attempt_at": None, "settled_at": now}
    connection.execute(update(webhook_deliveries).where(columns.id == number, is_delivery_queued).values(values))


def retry(connection: Connection, number: int, *, actor: str, now: datetime) -> None:
    """Queue a failed delivery again. Raises StaleBatchError if it has not failed."""
    columns = webhook_deliveries.c
    again = {"status": EventStatus.QUEUED, "attempts": 0, "next_attempt_at": None, "settled_at": None}
    failed = and_(columns.id == number, columns.status == EventStatus.FAILED)
    if connection.execute(update(webhook_deliveries).where(failed).values(again)).rowcount != 1:
        raise StaleBatchError(f"Delivery {number} has not failed; nothing was done.")
    add_entry(connection, at=now, actor=actor, action=RETRIED, details={"delivery": number})


def _deliveries() -> Select[Any]:
    columns = webhook_deliveries.c
    return (
        select(
            webhook_deliveries,
            select(cashback_origin.c.currency).scalar_subquery().label("currency"),
            payout_batches.c.batch_id,
            withdrawals.c.method,
            withdrawals.c.reference,
            withdrawals.c.reason,
        )
        .join(payout_batches, payout_batches.c.number == columns.batch_number, isouter=True)
        .join(withdrawals, withdrawals.c.number == columns.withdrawal_number, isouter=True)
    )


def _delivery(row: Row[Any]) -> EventDelivery:
    """Put a delivery together. A destination is never part of it."""
    event = Event(row.event)
    data: dict[str, Any] = {"user_id": str(row.user_id), "amount_cents": row.amount_cents, "currency": row.currency}
    if event is Event.PAYOUT_CREDITED:
        data["batch_id"] = row.batch_id
    else:
        data |= {"withdrawal": row.withdrawal_number, "method": row.method}
    if event is Event.WITHDRAWAL_PAID:
        data["reference"] = row.reference
    elif event in {Event.WITHDRAWAL_DECLINED, Event.WITHDRAWAL_CANCELLED}:
        data["reason"] = row.reason
    return EventDelivery(
        number=row.id,
        webhook=row.webhook,
        event=event,
        happened_at=row.happened_at,
        status=EventStatus(row.status),
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        last_error=row.last_error,
        data=data,
    )
