"""Fingerprints of a batch's payouts: one digest over who gets what, kept in the audit log and so in its chain.

Sums find one changed row; a fingerprint also finds two that were changed against each other. The one in the approval's
entry stands for what was approved, the one in the end's for what became of it.
"""

import hashlib
from typing import Final

from sqlalchemy import ColumnElement, Connection, String, cast, func, select

from database.tables import payouts

_WHO: Final = cast(payouts.c.referrer_id, String)
PLAN: Final = _WHO + ":" + cast(payouts.c.approved_cents, String)
RESULT: Final = _WHO + ":" + payouts.c.status + ":" + cast(payouts.c.paid_cents, String)
"""How a payout is told, at the approval and at the end."""

PIECE: Final = 10_000
"""Payouts joined into one text."""


def of_batch(connection: Connection, number: int, told: ColumnElement[str]) -> str:
    """Digest one batch's payouts, in the order of the referrers.

    They are joined in the database, a piece at a time: a row for each in Python would take ten times as long, and one
    text of all would take memory that grows with the batch.
    """
    digest = hashlib.sha256()
    separator, last = b"", 0
    while True:
        text, last = _piece(connection, number, told, after_referrer_id=last)
        if text is None:
            return digest.hexdigest()
        digest.update(separator + text.encode())
        separator = b","


def _piece(
    connection: Connection, number: int, told: ColumnElement[str], *, after_referrer_id: int
) -> tuple[str | None, int]:
    """Join the next payouts with commas; return the text, None where there are no more, and the last referrer."""
    lines = (
        select(told.label("line"), payouts.c.referrer_id)
        .where(payouts.c.batch_number == number, payouts.c.referrer_id > after_referrer_id)
        .order_by(payouts.c.referrer_id)
        .limit(PIECE)
        .subquery("lines")
    )
    joined = func.aggregate_strings(lines.c.line, ",")
    text, last = connection.execute(select(joined, func.max(lines.c.referrer_id))).one()
    return text, last or 0
