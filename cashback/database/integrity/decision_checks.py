"""Reconciliation of decisions: batches, reversals and the blacklist stand as the audit log's entries decided.

The log's entries are chained, so that a state, an approver or a moment that was rewritten differs from its entry.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Select, exists, func, not_, or_, select, union_all

from cashback.database.audit_log import BATCH_APPROVED, BATCH_FINISHED
from cashback.database.integrity.checks import MOST_LINES, finds
from cashback.database.origins import UNLINKED
from cashback.database.payouts import fingerprints
from cashback.database.referral_program.links import LINKED
from cashback.database.tables import (
    audit_log,
    has_failures,
    is_flagged,
    is_open,
    payout_batches,
    payout_exclusions,
    payouts,
    referral_blacklist,
    referrals,
    reversals,
)
from cashback.domain.model import BatchStatus, PayoutStatus, ReversalStatus

AFTER: Final = {
    fingerprints.PROPOSED: {BatchStatus.PROPOSED},
    "batch_first_approved": {BatchStatus.PROPOSED},
    "batch_cancelled": {BatchStatus.CANCELLED},
    "batch_expired": {BatchStatus.EXPIRED},
    BATCH_APPROVED: {BatchStatus.APPROVED, BatchStatus.RUNNING},
    "batch_stopped": {BatchStatus.STOPPED},
    "batch_resumed": {BatchStatus.RUNNING},
    "retry_started": {BatchStatus.RUNNING},
    "batch_given_up": {BatchStatus.RUNNING},
    "batch_lapsed": {BatchStatus.RUNNING},
}
"""The states in which a batch may be after the last entry about it. A finished one says its state itself."""

UNPAID: Final = (BatchStatus.PROPOSED, BatchStatus.CANCELLED, BatchStatus.EXPIRED)

Entries = dict[str, Any]


def wrong_states(connection: Connection) -> Iterator[str]:
    """Find batches with another state, other people or other moments than the audit log's entries about them."""
    history = _by_batch(connection)
    for batch in connection.execute(select(payout_batches).order_by(payout_batches.c.number)).all():
        entries = history.get(batch.number, [])
        yield from _wrong_state(batch, entries)
        told = {entry["action"]: entry for entry in entries}
        yield from _wrong_people(batch, told)


def _by_batch(connection: Connection) -> dict[int, list[Entries]]:
    query = select(
        audit_log.c.batch_number, audit_log.c.action, audit_log.c.actor, audit_log.c.at, audit_log.c.details
    ).where(
        audit_log.c.action.in_([*AFTER, BATCH_FINISHED, fingerprints.RECORDED]), audit_log.c.batch_number.is_not(None)
    )
    found: dict[int, list[Entries]] = {}
    for row in connection.execute(query.order_by(audit_log.c.id)):
        entry = {**json.loads(row.details), "action": row.action, "actor": row.actor, "at": row.at}
        found.setdefault(row.batch_number, []).append(entry)
    return found


def _wrong_state(batch: Any, entries: list[Entries]) -> Iterator[str]:  # noqa: ANN401 -- a row
    if not entries:
        yield f"batch {batch.number} is {batch.status}, and the audit log has no entry about it"
        return
    last = [entry for entry in entries if entry["action"] != fingerprints.RECORDED][-1]
    allowed = {last["status"]} if last["action"] == BATCH_FINISHED else AFTER[last["action"]]
    if batch.status not in allowed:
        yield f"batch {batch.number} is {batch.status}, the audit log's last entry about it is {last['action']}"


def _wrong_people(batch: Any, told: dict[str, Entries]) -> Iterator[str]:  # noqa: ANN401 -- a row
    proposed, first = told.get(fingerprints.PROPOSED), told.get("batch_first_approved")
    stored = (batch.proposed_by, batch.proposed_at)
    if proposed is not None and stored != (proposed["actor"], proposed["at"]):
        yield f"batch {batch.number} was proposed by {stored}, the audit log has {proposed['actor'], proposed['at']}"
    if proposed is not None and "plan" in proposed and batch.token is not None:
        stored = (batch.needs_second_approver, batch.token)
        if stored != (proposed.get("why_two"), told.get(fingerprints.RECORDED, proposed)["token"]):
            yield f"batch {batch.number} needs a second approver or carries a token that the audit log does not have"
    expected = (first["actor"], first["at"]) if first is not None else (None, None)
    if (batch.first_approved_by, batch.first_approved_at) != expected:
        yield f"batch {batch.number} has a first approval that the audit log does not have, or lacks one"
    approved = told.get(BATCH_APPROVED)
    if approved is not None and batch.approved_at != approved["at"]:
        yield f"batch {batch.number} was approved at {batch.approved_at}, the audit log has {approved['at']}"
    if batch.approver_id is not None and not (batch.approved_by or "").endswith(f":{batch.approver_id}"):
        yield f"batch {batch.number} was approved by {batch.approved_by}, who is not member {batch.approver_id}"
    lapses_at = batch.lapses_at.isoformat() if batch.lapses_at is not None else None
    if approved is not None and lapses_at is not None and lapses_at != approved.get("lapses_at", lapses_at):
        yield f"the approval of batch {batch.number} lapses at {batch.lapses_at}, the audit log has another moment"


def wrong_plans(connection: Connection) -> Iterator[str]:
    """Find batches that may still pay and have another plan than was proposed."""
    may_pay = or_(is_open, has_failures, payout_batches.c.status == BatchStatus.STOPPED)
    for number in connection.scalars(select(payout_batches.c.number).where(may_pay)).all():
        if not fingerprints.is_as_proposed(connection, number):
            yield f"the plan of batch {number} is not the one that was proposed"


def wrong_exclusions(connection: Connection) -> Iterator[str]:
    """Find batches that exclude another number of members than their proposal did."""
    excluded = (
        select(func.count())
        .where(payout_exclusions.c.batch_number == payout_batches.c.number)
        .correlate(payout_batches)
        .scalar_subquery()
    )
    query = select(payout_batches.c.number, payout_batches.c.left_out_count, excluded.label("count"))
    for row in connection.execute(query.where(payout_batches.c.left_out_count != excluded).limit(MOST_LINES + 1)):
        yield f"batch {row.number} excludes {row.count} members, its proposal excluded {row.left_out_count}"


def paid_without_approval(connection: Connection) -> Iterator[str]:
    """Find payouts that are settled in a batch that nobody approved."""
    query = (
        select(payouts.c.batch_number, payouts.c.referrer_id, payouts.c.status, payout_batches.c.status.label("of"))
        .join_from(payout_batches, payouts, payouts.c.batch_number == payout_batches.c.number)
        .where(payout_batches.c.status.in_(UNPAID))
        .where(or_(payouts.c.status != PayoutStatus.PLANNED, payouts.c.paid_cents != 0))
        .limit(MOST_LINES + 1)
    )
    for row in connection.execute(query):
        yield f"payout of batch {row.batch_number} to {row.referrer_id} is {row.status}, its batch is {row.of}"


REVERSED: Final = {
    "reversal_proposed": ReversalStatus.PROPOSED,
    "reversal_first_approved": ReversalStatus.PROPOSED,
    "payouts_reversed": ReversalStatus.DONE,
    "reversal_cancelled": ReversalStatus.CANCELLED,
}


def wrong_reversal_decisions(connection: Connection) -> Iterator[str]:
    """Find reversals that nobody decided as they stand."""
    query = select(audit_log).where(audit_log.c.action.in_(REVERSED)).order_by(audit_log.c.id)
    told: dict[int, dict[str, Entries]] = {}
    for row in connection.execute(query):
        details = json.loads(row.details)
        entry = {**details, "actor": row.actor, "at": row.at, "batch_number": row.batch_number}
        told.setdefault(details["reversal"], {})[row.action] = entry
    for row in connection.execute(select(reversals).order_by(reversals.c.number)).all():
        entries = told.get(row.number, {})
        if not entries or REVERSED[list(entries)[-1]] != row.status:
            yield f"reversal {row.number} is {row.status}, the audit log does not say so"
            continue
        yield from _wrong_reversal(row, entries)


def _wrong_reversal(row: Any, entries: dict[str, Entries]) -> Iterator[str]:  # noqa: ANN401 -- a row
    proposed, first = entries["reversal_proposed"], entries.get("reversal_first_approved")
    stored = (row.proposed_by, row.proposed_at, *(getattr(row, name) for name in _PLANNED))
    entry = (proposed["actor"], proposed["at"], *(proposed[name] for name in _PLANNED.values()))
    done = entries.get("payouts_reversed")
    results = (row.approved_by, row.finished_at, row.reversed_cents, row.shortfall_cents)
    told = (done["actor"], done["at"], done["reversed_cents"], done["shortfall_cents"]) if done is not None else results
    approver = first["actor"] if first is not None else None
    is_another = "token" in proposed and (row.token, row.needs_second_approver) != (
        proposed["token"],
        proposed.get("why_two"),
    )
    is_somebody_else = row.approver_id is not None and not (row.approved_by or "").endswith(f":{row.approver_id}")
    if stored != entry or results != told or row.first_approved_by != approver or is_another or is_somebody_else:
        yield f"reversal {row.number} was decided otherwise than it stands: the audit log differs"


_PLANNED: Final = {
    "batch_number": "batch_number",
    "referrer_id": "referrer_id",
    "reason": "reason",
    "planned_count": "users",
    "planned_cents": "total_cents",
}
"""The columns of what was to be reversed, and their names in the entry."""


def wrong_blacklist(connection: Connection) -> Iterator[str]:
    """Find members that are blacklisted, or are not, against the audit log's last entry about them."""
    query = select(audit_log).where(audit_log.c.action.in_(["blacklisted", "unblacklisted"])).order_by(audit_log.c.id)
    last: dict[int, Any] = {json.loads(row.details)["user_id"]: row for row in connection.execute(query)}
    listed = {row.user_id: row for row in connection.execute(select(referral_blacklist))}
    for user_id, row in last.items():
        if (row.action == "blacklisted") != (user_id in listed):
            yield f"member {user_id} was {row.action} last, the blacklist does not say so"
    for user_id, row in listed.items():
        entry = last.get(user_id)
        stored = (row.blacklisted_by, row.blacklisted_at, row.reason)
        if entry is None or stored != (entry.actor, entry.at, json.loads(entry.details)["reason"]):
            yield f"member {user_id} is blacklisted by {row.blacklisted_by}, the audit log has no such entry"


@finds("referral {id} of {referrer_user_id} is flagged as {is_blacklisted}, the blacklist differs")
def wrong_flags() -> Select[Any]:
    """Find referrals whose own flag differs from the blacklist. In a shared ledger another bot sets it."""
    listed = select(referral_blacklist.c.user_id)
    member = referrals.c.referrer_user_id
    stands = select(referrals.c.id, member, referrals.c.is_blacklisted)
    # Each half has an index of its own.
    return select(
        union_all(
            stands.where(is_flagged, member.not_in(listed)), stands.where(not_(is_flagged), member.in_(listed))
        ).subquery()
    )


def wrong_unlinks(connection: Connection) -> Iterator[str]:
    """Find referrals that are unlinked, or are not, against the audit log's entries."""
    query = select(audit_log.c.action, audit_log.c.at, audit_log.c.details)
    entries = connection.execute(query.where(audit_log.c.action.in_([LINKED, UNLINKED])).order_by(audit_log.c.id)).all()
    moments: set[tuple[int, int, Any]] = set()
    last: dict[int, Any] = {}
    for action, at, text in entries:
        details = json.loads(text)
        if action == UNLINKED:
            moments.add((details["referrer_id"], details["referred_id"], at))
        last[details["referred_id"]] = (details.get("referral"), at) if action == UNLINKED else (None, None)
    stands = {
        row.id: row
        for row in connection.execute(select(referrals).where(referrals.c.cashback_unlinked_at.is_not(None)))
    }
    for row in stands.values():
        if (row.referrer_user_id, row.referred_user_id, row.cashback_unlinked_at) not in moments:
            yield f"referral {row.id} was unlinked at {row.cashback_unlinked_at}, the audit log has no such entry"
    for referral_id, at in last.values():
        if referral_id is not None and referral_id not in stands:
            yield f"referral {referral_id} was unlinked at {at}, and it is not"


def orphans(connection: Connection) -> Iterator[str]:
    """Find entries about batches that are not there."""
    query = (
        select(audit_log.c.batch_number)
        .where(audit_log.c.batch_number.is_not(None))
        .where(~exists().where(payout_batches.c.number == audit_log.c.batch_number))
        .distinct()
        .limit(MOST_LINES + 1)
    )
    for (number,) in connection.execute(query):
        yield f"the audit log tells of batch {number}, which is not there"
