"""Guests in a file: orders without a Discord id wait with their hints, as those of a delivery do."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from cashback.database.referral_program.purchases import Purchase
from cashback.database.referral_program.unmatched import UnmatchedPurchase, brought_by, record_unmatched
from cashback.database.shops.buyers import linked_among
from cashback.domain.earning import Origin, order_key
from cashback.domain.hints import email_hash, number_hash
from cashback.settings import ReferralSettings
from cashback.shops.chunks import Chunk, Excluded, Guest
from cashback.shops.tables import BadRow

NO_BUYER: Final = "no Discord id stands in it"
_TOTALS: Final = re.compile(
    "(grand |sub-?)?tot(al|als|ale|ali|aal|aux)|sum(me|a|mary)?|som(me|a)|(ins)?gesamt\\w*|итого|всего|合計|总计|합계",
    re.IGNORECASE,
)
"""What stands in place of an order id in a row of totals: a member could claim all sales as one order."""

Guests = Sequence[tuple[int, Guest]]
"""Each with its line."""


@dataclass(slots=True)
class TakenGuests:
    """What became of the guests: the cents of those that wait now, those that are excluded until then, bad rows."""

    new_cents: list[int] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)


def with_linked(connection: Any, chunk: Chunk[Purchase], email_key: str | None) -> Chunk[Purchase]:  # noqa: ANN401 -- the database package's connection
    """Return a chunk in which the guests under an e-mail that a member has linked are that member's purchases."""
    hashes = [_hash_of(guest, email_key) for _, guest in chunk.guests]
    members = linked_among(connection, {hashed for hashed in hashes if hashed is not None}) if any(hashes) else {}
    if not members:
        return chunk
    rows, lines, guests = list(chunk.rows), list(chunk.lines), []
    for hashed, (line, guest) in zip(hashes, chunk.guests, strict=True):
        member_id = members.get(hashed or "")
        if member_id is None:
            guests.append((line, guest))
        else:
            rows.append(Purchase(guest.order_id, member_id, guest.amount_cents, guest.purchased_at))
            lines.append(line)
    return replace(chunk, rows=rows, lines=lines, guests=guests)


def take_guests(
    connection: Any,  # noqa: ANN401 -- as above
    guests: Guests,
    settings: ReferralSettings,
    now: datetime,
    *,
    origin: Origin,
    email_key: str | None,
) -> TakenGuests:
    """Have guests' orders wait. An order that is in the file twice is a bad row, as one of a member is."""
    taken = TakenGuests()
    if not guests:
        return taken
    seen = brought_by(connection, [guest.order_id for _, guest in guests], origin.intake_number or 0)
    waiting = []
    for line, guest in guests:
        key = order_key(guest.order_id)
        reason = (
            f"order {guest.order_id} is in the file twice; remove a row, or say --sum-lines" if key in seen else None
        )
        if _TOTALS.fullmatch(key.rstrip(": ")):
            reason = f"{guest.order_id!r} without a buyer looks like a row of totals, not like an order"
        if reason is not None:
            taken.bad.append(BadRow(line=line, reason=reason))
            continue
        seen.add(key)
        taken.excluded.append(Excluded(line, NO_BUYER, guest.amount_cents))
        hashed = _hash_of(guest, email_key)
        hints = [] if hashed is None else [hashed]
        if guest.number is not None:
            hints.append(number_hash(origin.source, guest.number))
        waiting.append(UnmatchedPurchase(guest.order_id, guest.amount_cents, guest.purchased_at, tuple(hints)))
    are_new = record_unmatched(connection, waiting, settings.rate_ppm, now, days=settings.unmatched_days, origin=origin)
    taken.new_cents = [one.amount_cents for one, is_new in zip(waiting, are_new, strict=True) if is_new]
    return taken


def _hash_of(guest: Guest, email_key: str | None) -> str | None:
    return email_hash(email_key, guest.email) if email_key is not None and guest.email is not None else None
