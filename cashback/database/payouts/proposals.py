"""Proposals: a batch and its plan are written at once, and shown as they are stored; then it waits for an answer."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select

from cashback.database.audit_log import add_entry
from cashback.database.payouts import approvals, batches, exclusions, fingerprints, plans, unusual
from cashback.database.referral_program.people import check_id
from cashback.database.referral_program.waiting import count_waiting
from cashback.database.tables import is_open, payout_batches, payouts
from cashback.domain.errors import NothingPendingError, StaleBatchError
from cashback.domain.model import (
    BatchLimits,
    BatchMode,
    BatchStatus,
    BatchSummary,
    PendingPreview,
    PlannedPayout,
    Selection,
)
from cashback.domain.money import dollars
from cashback.domain.reason_texts import in_words

EVERYONE: Final = Selection()
UNLIMITED: Final = BatchLimits()
TOP_PAYOUTS: Final = 10
PREVIEWED_PAYOUTS: Final = 3


def propose(
    connection: Connection,
    *,
    actor: str,
    now: datetime,
    expires_at: datetime | None,
    target_user_id: int | None = None,
    min_payout_cents: int = 1,
    slot_at: datetime | None = None,
    hold_leavers: bool = False,
    selection: Selection = EVERYONE,
    terms: BatchLimits = UNLIMITED,
    token: str | None = None,
) -> BatchSummary:
    """Write a batch and its plan: one payout for each referrer with cashback pending, or for the named ones.

    `token` is what its messages carry, a random one by default.

    Excluded members are recorded with it, each with the reason, and why the plan is flagged or needs a second admin.
    Raises NothingPendingError or, for a named one, BlacklistedError; then nothing is written.
    """
    token = token or approvals.new_token()
    # Another bot records referrals without a word: purchases that waited for them are counted now.
    count_waiting(connection, dates=terms.dates, is_later=True)
    named = selection.only if target_user_id is None else frozenset({target_user_id})
    plans.check_named(connection, named, now)
    for person in selection.exclude:
        check_id(person, "Member")
    mode = BatchMode.BATCH if target_user_id is None else BatchMode.INDIVIDUAL
    number = _insert(
        connection,
        token=token,
        mode=mode,
        target_user_id=target_user_id,
        slot_at=slot_at,
        proposed_by=actor,
        proposed_at=now,
        expires_at=expires_at,
        selected_count=len(selection.only) or None,
    )
    scope = plans.Scope(number=number, now=now, only=named, exclude=selection.exclude)
    plan = plans.make(connection, scope, min_payout_cents=min_payout_cents, hold_leavers=hold_leavers, terms=terms)
    if not plan.count:
        raise NothingPendingError(_nothing_pending(connection, number, target_user_id))
    strange = unusual.find(connection, number, plan, now, terms)
    why_two = _why_two(plan.cents, strange, terms)
    connection.execute(
        batches.moving(number).values(
            planned_count=plan.count,
            planned_cents=plan.cents,
            left_out_count=plan.left_out,
            unusual="\n".join(strange) or None,
            needs_second_approver=why_two,
        )
    )
    details: dict[str, Any] = {
        "mode": mode,
        "users": plan.count,
        "total_cents": plan.cents,
        "target_user_id": target_user_id,
    }
    details |= {"token": token, "plan": fingerprints.of_plan(connection, number)}
    if why_two is not None:
        details["why_two"] = why_two
    if selection != EVERYONE:
        details |= {"only": sorted(selection.only), "exclude": sorted(selection.exclude)}
    if plan.left_out:
        details["left_out"] = {each.reason: each.count for each in exclusions.counted(connection, number)}
    add_entry(connection, at=now, actor=actor, action=fingerprints.PROPOSED, batch_number=number, details=details)
    return summary(connection, number)


def _insert(connection: Connection, **values: Any) -> int:  # noqa: ANN401 -- columns of several types
    batch = insert(payout_batches).values(status=BatchStatus.PROPOSED, **values)
    number: int = connection.scalars(batch.returning(payout_batches.c.number)).one()
    return number


def preview(
    connection: Connection, *, now: datetime, min_payout_cents: int, hold_leavers: bool, terms: BatchLimits
) -> PendingPreview:
    """Return what a batch for everyone would pay now, and exclude, by planning it; nothing of it stays.

    Needs a transaction that writes.
    """
    with connection.begin_nested() as planned:
        count_waiting(connection, dates=terms.dates, is_later=True)
        number = _insert(connection, mode=BatchMode.BATCH, proposed_by="preview", proposed_at=now)
        scope = plans.Scope(number=number, now=now)
        plan = plans.make(connection, scope, min_payout_cents=min_payout_cents, hold_leavers=hold_leavers, terms=terms)
        found = PendingPreview(
            users=plan.count,
            total_cents=plan.cents,
            top=_largest(connection, number, PREVIEWED_PAYOUTS),
            left_out=exclusions.counted(connection, number),
        )
        planned.rollback()
    return found


def _why_two(cents: int, strange: list[str], terms: BatchLimits) -> str | None:
    """Return why a second admin must approve; None if one is enough."""
    if terms.approval_threshold_cents is not None and cents >= terms.approval_threshold_cents:
        return f"From {dollars(terms.approval_threshold_cents)} on, two admins must approve."
    if terms.gate_unusual and strange:
        return "A flagged batch needs two admins."
    return None


def _nothing_pending(connection: Connection, number: int, target_user_id: int | None) -> str:
    left_out = exclusions.of_batch(connection, number, limit=1)
    if target_user_id is None:
        return f"No referral cashback is pending{' except for excluded members' if left_out else ''}."
    if left_out:
        return f"Member {target_user_id} is excluded: {in_words(left_out[0].reason)}."
    return f"Member {target_user_id} has no pending cashback."


def summary(connection: Connection, number: int) -> BatchSummary:
    """Read a batch's plan as it is stored: what is confirmed is exactly this."""
    batch = batches.find(connection, number)
    return BatchSummary(
        batch_number=number,
        mode=BatchMode(batch.mode),
        status=BatchStatus(batch.status),
        target_user_id=batch.target_user_id,
        users=batch.planned_count,
        total_cents=batch.planned_cents,
        top=_largest(connection, number, TOP_PAYOUTS),
        proposed_at=batch.proposed_at,
        expires_at=batch.expires_at,
        proposed_by=batch.proposed_by,
        selected_count=batch.selected_count,
        left_out=exclusions.counted(connection, number) if batch.left_out_count else (),
        unusual=tuple(batch.unusual.split("\n")) if batch.unusual else (),
        needs_second_approver=batch.needs_second_approver,
        first_approved_by=batch.first_approved_by,
        token=batch.token or "",
        plan=(fingerprints.proposed_plan(connection, number) or "")[: fingerprints.SHOWN_LETTERS],
    )


def _largest(connection: Connection, number: int, limit: int) -> tuple[PlannedPayout, ...]:
    query = (
        select(payouts.c.referrer_id, payouts.c.approved_cents, payouts.c.referral_count)
        .where(payouts.c.batch_number == number)
        .order_by(payouts.c.approved_cents.desc(), payouts.c.referrer_id)
        .limit(limit)
    )
    return tuple(PlannedPayout(**row) for row in connection.execute(query).mappings())


def cancel(connection: Connection, number: int, *, actor: str, now: datetime, token: str | None = None) -> None:
    """Move a proposed batch to cancelled. Raises StaleBatchError if it is not proposed any more, or shown otherwise."""
    approvals.require_token(batches.find(connection, number).token, token)
    if not _end_proposal(connection, number, BatchStatus.CANCELLED, actor=actor, now=now):
        raise StaleBatchError(approvals.decided(batches.find(connection, number)))


_OVERDUE: Final = select(payout_batches.c.number).where(
    is_open, payout_batches.c.status == BatchStatus.PROPOSED, payout_batches.c.expires_at <= bindparam("now")
)


def expire(connection: Connection, *, now: datetime) -> list[int]:
    """Move every proposed batch past its deadline to expired; return their numbers."""
    overdue = connection.scalars(_OVERDUE, {"now": now}).all()
    return [n for n in overdue if _end_proposal(connection, n, BatchStatus.EXPIRED, actor="system", now=now)]


def _end_proposal(connection: Connection, number: int, status: BatchStatus, *, actor: str, now: datetime) -> bool:
    moved = connection.execute(
        batches.moving(number)
        .where(payout_batches.c.status == BatchStatus.PROPOSED)
        .values(status=status, finished_at=now)
    )
    if moved.rowcount == 1:
        add_entry(connection, at=now, actor=actor, action=f"batch_{status}", batch_number=number)
    return moved.rowcount == 1
