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


def of_batch(connection: Connection, number: int, told: ColumnElement[str]) -> str:
    """Digest one batch's payouts, in the order of the referrers.

    They are joined in the database: a row for each in Python would take ten times as long.
    """
    lines = (
        select(told.label("line"))
        .where(payouts.c.batch_number == number)
        .order_by(payouts.c.referrer_id)
        .subquery("lines")
    )
    text = connection.scalars(select(func.aggregate_strings(lines.c.line, ","))).one()
    return hashlib.sha256((text or "").encode()).hexdigest()
