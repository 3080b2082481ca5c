"""Whose purchase is it? By the id in the checkout, by an e-mail that the member has proved, or by a claim."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, exists, func, insert, select

from cashback.database.audit_log import add_entry
from cashback.database.bulk import among, is_among
from cashback.database.dialect import insert_unless_there
from cashback.database.referral_program import people, twins, unmatched
from cashback.database.referral_program.unmatched import Waiting
from cashback.database.tables import buyer_emails, member_emails, order_claims
from cashback.domain.earning import MAIN, EarningDates
from cashback.domain.errors import ClaimsExhaustedError
from cashback.domain.languages import tr

CLAIMS_PER_DAY: Final = 5
LINKED: Final = "email_linked"
TRIED: Final = "claim_tried"
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The buyer of a purchase; without one, `reason` explains it if there is something to explain."""

    member_id: int | None = None
    reason: str | None = None


def find(
    connection: Connection,
    buyer_id: int | None,
    email_hash: str | None,
    *,
    now: datetime,
    one_buyer_per_member: bool,
) -> Found:
    """Find a purchase's buyer: the id in the checkout is taken as it is, then a linked e-mail counts."""
    reason = None
    if buyer_id is not None:
        faults = people.strangers_among(connection, [buyer_id], now)
        if buyer_id in faults:
            reason = f"The id in the checkout, {buyer_id}, {faults[buyer_id]}; it waits for a claim, or for an admin."
        elif one_buyer_per_member and _is_of_another(connection, buyer_id, email_hash):
            reason = "Purchases under this member's id came from another e-mail; it waits for a claim, or for an admin."
        else:
            return Found(member_id=buyer_id)
    member_id = None if email_hash is None else _linked_to(connection, email_hash)
    return Found(member_id=member_id, reason=None if member_id is not None else reason)


def _linked_to(connection: Connection, email_hash: str) -> int | None:
    """Return the member that has proved an e-mail."""
    return connection.scalar(_LINKED, {"email": email_hash})


_LINKED: Final = select(member_emails.c.member_id).where(member_emails.c.email_hash == bindparam("email"))


def linked_among(connection: Connection, email_hashes: Iterable[str]) -> dict[str, int]:
    """Return those of these e-mails that members have proved, with their members."""
    query = select(member_emails.c.email_hash, member_emails.c.member_id).where(is_among(member_emails.c.email_hash))
    return {row.email_hash: row.member_id for row in connection.execute(query, among(email_hashes))}


def _is_of_another(connection: Connection, member_id: int, email_hash: str | None) -> bool:
    """Return whether a member's purchases came from other e-mails than this one, which is not linked either."""
    emails = set(connection.scalars(select(buyer_emails.c.email_hash).where(buyer_emails.c.member_id == member_id)))
    linked = set(connection.scalars(select(member_emails.c.email_hash).where(member_emails.c.member_id == member_id)))
    return bool(emails) and email_hash not in emails | linked


def note_email(connection: Connection, member_id: int, email_hash: str, now: datetime) -> None:
    """Note under which e-mail a purchase came with a member's id in its checkout."""
    row = {"member_id": member_id, "email_hash": email_hash, "first_at": now}
    connection.execute(insert_unless_there(connection, buyer_emails), row)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadLink:
    """A member under whose id purchases came from several e-mails."""

    member_id: int
    emails: int


def spread_links(connection: Connection, *, limit: int) -> list[SpreadLink]:
    """List the members whose link may be spread: purchases came from several e-mails, most e-mails first."""
    emails = func.count().label("emails")
    own = select(member_emails.c.email_hash).where(
        member_emails.c.member_id == buyer_emails.c.member_id, member_emails.c.email_hash == buyer_emails.c.email_hash
    )
    query = (
        select(buyer_emails.c.member_id, emails)
        .where(~exists(own))
        .group_by(buyer_emails.c.member_id)
        .having(emails > 1)
        .order_by(emails.desc(), buyer_emails.c.member_id)
        .limit(limit)
    )
    return [SpreadLink(**row) for row in connection.execute(query).mappings()]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimTerms:
    """What a purchase earns when it is assigned."""

    holding_days: int
    dates: EarningDates


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """An order number as a member types it: in which shops it may be, and the hints of those that show another one."""

    number: str
    sources: tuple[str, ...]
    hints: tuple[str, ...]


def _waiting_under(connection: Connection, sought: Sought, now: datetime) -> list[Waiting]:
    by_id = [unmatched.find_waiting(connection, sought.number, source) for source in sought.sources]
    found = [order for order in by_id if order is not None and order.waits_until > now]
    return found + [order for order in unmatched.hinted(connection, sought.hints, now) if order not in found]


def claim(
    connection: Connection, member_id: int, sought: Sought, terms: ClaimTerms, *, actor: str, now: datetime
) -> list[Waiting]:
    """Assign to a member the one waiting purchase with this number; return it, or nothing.

    Each try counts, right or wrong. Raises ClaimsExhaustedError after five within a day.
    """
    found = _waiting_under(connection, sought, now)
    is_right = len(found) == 1
    _count_try(connection, member_id, was_right=is_right, actor=actor, now=now)
    if not is_right:
        return []
    _assign(connection, found, member_id, terms, actor=actor, now=now, reason="claimed by its member")
    return found


def link_email(
    connection: Connection,
    member_id: int,
    email_hash: str,
    sought: Sought,
    terms: ClaimTerms,
    *,
    actor: str,
    now: datetime,
) -> list[Waiting]:
    """Link an e-mail to a member if an order of it waits under a number that the member knows; return its orders.

    All orders of that e-mail that wait become the member's, and later ones too. Each try counts, right or wrong. Raises
    ClaimsExhaustedError after five within a day.
    """
    of_email = unmatched.hinted(connection, [email_hash], now)
    with_number = _waiting_under(connection, sought, now)
    is_free = _linked_to(connection, email_hash) in {None, member_id}
    is_right = is_free and any(order in of_email for order in with_number)
    _count_try(connection, member_id, was_right=is_right, actor=actor, now=now)
    if not is_right:
        return []
    row = insert_unless_there(connection, member_emails)
    connection.execute(row.values(email_hash=email_hash, member_id=member_id, linked_at=now))
    add_entry(
        connection, at=now, actor=actor, action=LINKED, details={"member_id": member_id, "email_hash": email_hash}
    )
    _assign(connection, of_email, member_id, terms, actor=actor, now=now, reason="of an e-mail that its member linked")
    return of_email


def _assign(
    connection: Connection,
    orders: Sequence[Waiting],
    member_id: int,
    terms: ClaimTerms,
    *,
    actor: str,
    now: datetime,
    reason: str,
) -> None:
    for order in orders:
        if _counts_in_main(connection, order, member_id):
            continue
        unmatched.assign(
            connection,
            order.order_id,
            member_id,
            actor=actor,
            now=now,
            source=order.source,
            reason=reason,
            holding_days=terms.holding_days,
            dates=terms.dates,
        )


def _counts_in_main(connection: Connection, order: Waiting, member_id: int) -> bool:
    """Return whether `main` has a shop's order as this member's, so that it would count twice."""
    if order.source == MAIN:
        return False
    candidate = twins.Candidate((order.order_id,), member_id, order.amount_cents)
    found = twins.those_in(connection, [candidate], MAIN)
    return bool(found) and not twins.are_said_to_differ(connection, order.source, MAIN)


def _count_try(connection: Connection, member_id: int, *, was_right: bool, actor: str, now: datetime) -> None:
    """Count a try of a member, with an audit entry. Raises ClaimsExhaustedError if there were too many."""
    query = select(func.count()).where(order_claims.c.member_id == member_id, order_claims.c.at > now - DAY)
    if (connection.scalar(query) or 0) >= CLAIMS_PER_DAY:
        text = tr("You have tried five times within a day; try again tomorrow, or ask an admin.")
        raise ClaimsExhaustedError(text)
    connection.execute(insert(order_claims).values(member_id=member_id, at=now, was_right=was_right))
    add_entry(connection, at=now, actor=actor, action=TRIED, details={"was_right": was_right})
