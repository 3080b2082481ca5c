"""Fingerprints of a batch's payouts: one digest over who gets what, kept in the audit log and so in its chain.

Sums find one changed row; a fingerprint also finds two that were changed against each other. The one in the approval's
entry stands for what was approved, the one in the end's for what became of it.
"""

import hashlib
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, String, bindparam, cast, func, select

from cashback.database.tables import payouts

_WHO: Final = cast(payouts.c.referrer_id, String)
PLAN: Final = _WHO + ":" + cast(payouts.c.approved_cents, String)
RESULT: Final = _WHO + ":" + payouts.c.status + ":" + cast(payouts.c.paid_cents, String)
"""How a payout is told, at the approval and at the end."""

PIECE: Final = 10_000
"""Payouts joined into one text."""


def of_batch(connection: Connection, number: int, *tellings: ColumnElement[str]) -> list[str]:
    """Digest one batch's payouts, in the order of the referrers, once for each way of telling them.

    They are joined in the database, a piece at a time: a row for each in Python would take ten times as long, and one
    text of all would take memory that grows with the batch.
    """
    digests = [hashlib.sha256() for _ in tellings]
    separator, last = b"", 0
    while True:
        texts, found = _piece(connection, number, tellings, after_referrer_id=last)
        if found is None:
            return [digest.hexdigest() for digest in digests]
        for digest, text in zip(digests, texts, strict=True):
            digest.update(separator + text.encode())
        separator, last = b",", found


def _piece(
    connection: Connection, number: int, tellings: tuple[ColumnElement[str], ...], *, after_referrer_id: int
) -> tuple[list[str], int | None]:
    """Join the next payouts with commas: a text for each telling, and the last referrer; None where there are none."""
    where = {"batch_number": number, "after": after_referrer_id}
    last, *texts = connection.execute(_joined(tellings), where).one()
    return texts, last


@cache
def _joined(tellings: tuple[ColumnElement[str], ...]) -> Select[Any, *tuple[Any, ...]]:
    """Select the last referrer and the texts of a piece that begins `after` one. Built once for each few tellings."""
    lines = (
        select(payouts.c.referrer_id, *(told.label(f"told_{place}") for place, told in enumerate(tellings)))
        .where(payouts.c.batch_number == bindparam("batch_number"), payouts.c.referrer_id > bindparam("after"))
        .order_by(payouts.c.referrer_id)
        .limit(PIECE)
        .subquery("lines")
    )
    referrers, *told = lines.c
    joined = [func.aggregate_strings(each, ",") for each in told]
    return select(func.max(referrers), *joined)
