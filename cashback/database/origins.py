"""Where a ledger comes from, and whether another bot writes in it: facts of the audit log, not of a flag alone.

At an adoption the referrals that were found are digested: referrer, referred member, moment, and what was paid. The
digest is a sum of the rows' own digests, so that a row which an admin unlinks can be taken off it.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, cast, func, select, type_coerce
from sqlalchemy import String as Text

from cashback.database.audit_log import add_entry
from cashback.database.tables import audit_log, cashback_origin, referrals

ADOPTED: Final = "ledger_adopted"
SHARED: Final = "ledger_shared"
PAID_ELSEWHERE: Final = "paid_elsewhere"
UNLINKED: Final = "referral_unlinked"

BITS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The referrals up to an id: how many there are, what had been paid on them, and the sum of their digests."""

    last_id: int
    count: int
    paid_cents: int
    digest: str


def record_adoption(connection: Connection, now: datetime) -> None:
    """Write what an adoption found into the audit log."""
    last_id: int = connection.scalars(select(func.coalesce(func.max(referrals.c.id), 0))).one()
    found = _found(connection, last_id, {}, ())
    details = {
        "last_id": found.last_id,
        "referrals": found.count,
        "paid_elsewhere_cents": found.paid_cents,
        "digest": found.digest,
    }
    add_entry(connection, at=now, actor="system", action=ADOPTED, details=details)


def share(connection: Connection, *, actor: str, now: datetime) -> None:
    """Record that another bot writes into the wallets of this ledger from now on; recording it again is harmless."""
    if not is_shared(connection):
        add_entry(connection, at=now, actor=actor, action=SHARED)


def is_shared(connection: Connection) -> bool:
    """Return whether another bot writes in this ledger: it was adopted, or an entry of the audit log says so."""
    query = select(func.count()).select_from(audit_log).where(audit_log.c.action.in_([ADOPTED, SHARED]))
    return bool(connection.scalars(query).one())


def row_digest(row: Row[Any], paid_cents: int) -> int:
    """Digest one referral: its id, its two members, since when, and the cents that were paid before."""
    told = f"{row.id}:{row.referrer_user_id}:{row.referred_user_id}:{_in_seconds(row.since)}:{paid_cents}"
    return int.from_bytes(hashlib.sha256(told.encode()).digest(), "big")


def _in_seconds(text: str | None) -> str | None:
    """Write a moment alike for both databases and for each form that another bot uses; what is none stays as it is."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return text
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _found(connection: Connection, last_id: int, marked: dict[int, int], removed: tuple[int, ...]) -> Found:
    """Digest the referrals up to an id, without what was marked as paid since, and with those that were removed."""
    since = cast(type_coerce(referrals.c.created_at, Text), Text).label("since")
    query = select(
        referrals.c.id,
        referrals.c.referrer_user_id,
        referrals.c.referred_user_id,
        referrals.c.cashback_paid_elsewhere_cents,
        since,
    ).where(referrals.c.id <= last_id)
    total, count, paid = sum(removed), len(removed), 0
    for row in connection.execute(query).yield_per(1000):
        cents = row.cashback_paid_elsewhere_cents - marked.get(row.id, 0)
        total, count, paid = total + row_digest(row, cents), count + 1, paid + cents
    return Found(last_id=last_id, count=count, paid_cents=paid, digest=f"{total % 2**BITS:064x}")


def removed_digest(connection: Connection, referral_id: int) -> str | None:
    """Return the digest of a referral that is about to be removed; None unless an adoption has found it."""
    query = select(audit_log.c.details).filter_by(action=ADOPTED)
    details = connection.scalars(query).first()
    if details is None or referral_id > json.loads(details)["last_id"]:
        return None
    since = cast(type_coerce(referrals.c.created_at, Text), Text).label("since")
    columns = (referrals.c.id, referrals.c.referrer_user_id, referrals.c.referred_user_id, since)
    row = connection.execute(select(*columns).where(referrals.c.id == referral_id)).one()
    return f"{row_digest(row, 0):064x}"


def wrong_origin(connection: Connection) -> Iterator[str]:
    """Find a ledger that is marked as adopted, or as its own, otherwise than the audit log says."""
    query = select(audit_log.c.action, audit_log.c.details).where(
        audit_log.c.action.in_([ADOPTED, PAID_ELSEWHERE, UNLINKED])
    )
    entries = [(action, json.loads(details)) for action, details in connection.execute(query.order_by(audit_log.c.id))]
    adoptions = [details for action, details in entries if action == ADOPTED]
    adopted = connection.scalars(select(cashback_origin.c.adopted)).one_or_none()
    if adopted is None:
        yield "the row that says where the ledger comes from is missing"
    if bool(adopted) != bool(adoptions):
        yield f"the ledger is marked as {'adopted' if adopted else 'not adopted'}, the audit log has another origin"
    marked = _marked([details for action, details in entries if action == PAID_ELSEWHERE])
    if not adoptions:
        yield from _marked_otherwise(connection, marked)
        return
    told = adoptions[-1]
    removed = tuple(int(details["removed"], 16) for action, details in entries if details.get("removed"))
    found = _found(connection, told["last_id"], marked, removed)
    if (found.count, found.digest) != (told["referrals"], told["digest"]):
        yield (
            f"the adoption found {told['referrals']} referrals with {told['paid_elsewhere_cents']} cents paid before;"
            f" now they are {found.count} with {found.paid_cents}, or other members or days"
        )
    yield from _marked_otherwise(connection, marked, after_id=told["last_id"])


def _marked(entries: list[dict[str, Any]]) -> dict[int, int]:
    marked: dict[int, int] = {}
    for details in entries:
        for referral_id, cents in details["shares"].items():
            marked[int(referral_id)] = marked.get(int(referral_id), 0) + cents
    return marked


def _marked_otherwise(connection: Connection, marked: dict[int, int], *, after_id: int = 0) -> Iterator[str]:
    """Find later referrals on which another amount stands as paid elsewhere than the audit log's entries make."""
    paid = referrals.c.cashback_paid_elsewhere_cents
    query = select(referrals.c.id, paid).where(referrals.c.id > after_id, paid != 0)
    stands = {row.id: row.cashback_paid_elsewhere_cents for row in connection.execute(query)}
    told = {referral_id: cents for referral_id, cents in marked.items() if referral_id > after_id}
    for referral_id in sorted(stands.keys() | told.keys()):
        if stands.get(referral_id, 0) != told.get(referral_id, 0):
            yield (
                f"referral {referral_id} has {stands.get(referral_id, 0)} cents paid elsewhere,"
                f" the audit log's entries make {told.get(referral_id, 0)}"
            )
