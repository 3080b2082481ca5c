"""Fingerprints of a batch's payouts: a digest of payees and cents, kept in the audit log and so in its chain.

Sums find one changed row; a fingerprint also finds two that were changed against each other. The one in the
proposal's entry stands for what was shown, the one in the approval's for who gets what, the one in the end's for what
became of it.
"""

import hashlib
import json
from functools import cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Row, Select, String, bindparam, cast, func, select

from cashback.database.referral_program.people import BEFORE_ALL
from cashback.database.tables import audit_log, payout_shares, payouts
from cashback.domain.errors import StaleBatchError

_WHO: Final = cast(payouts.c.referrer_id, String)
PLAN: Final = _WHO + ":" + cast(payouts.c.approved_cents, String)
RESULT: Final = _WHO + ":" + payouts.c.status + ":" + cast(payouts.c.paid_cents, String)
"""How a payout is written at the approval and at the end."""

_SHARES: Final = (
    select(
        cast(payout_shares.c.referral_id, String)
        + "="
        + cast(payout_shares.c.payable_cents, String)
        + "-"
        + cast(payout_shares.c.refunded_cents, String)
    )
    .where(payout_shares.c.batch_number == payouts.c.batch_number, payout_shares.c.referrer_id == payouts.c.referrer_id)
    .order_by(payout_shares.c.referral_id)
    .correlate(payouts)
    .subquery("of_referrals")
)
_BY_PAYOUT: Final = PLAN + ":" + func.coalesce(select(func.aggregate_strings(_SHARES.c[0], "+")).scalar_subquery(), "")
"""How a payout is written in the fingerprints of plans of earlier versions."""

PIECE: Final = 5_000
"""Payouts joined into one text."""


PROPOSED: Final = "batch_proposed"
RECORDED: Final = "plan_recorded"
"""A plan of a program that kept no fingerprint of it is recorded once, when the ledger is migrated."""

SHOWN_LETTERS: Final = 16
"""The letters of a plan's fingerprint that a message carries."""


def of_plan(connection: Connection, number: int) -> str:
    """Digest a batch's plan: the payees, their cents, and of which referrals.

    A column is joined at a time: joining the columns of each row first would take four times as long.
    """
    digest = hashlib.sha256()
    last = BEFORE_ALL
    while True:
        piece = {"number": number, "after": last}
        found, *of_payouts = connection.execute(_payouts(), piece).one()
        if found is None:
            return digest.hexdigest()
        of_shares = connection.execute(_shares(), piece | {"last": found}).one()
        for text in chain(of_payouts, of_shares):
            digest.update(f"{text};".encode())
        last = found


def is_as_proposed(connection: Connection, number: int) -> bool:
    """Return whether a batch's plan is the one in the audit entry of its proposal."""
    proposed = proposed_plan(connection, number)
    return proposed == of_plan(connection, number) or [proposed] == of_batch(connection, number, _BY_PAYOUT)


def proposed_plan(connection: Connection, number: int) -> str | None:
    """Return the fingerprint in the audit entry of the batch's proposal; None for batches of programs before it."""
    query = select(audit_log.c.details).where(
        audit_log.c.batch_number == number, audit_log.c.action.in_([PROPOSED, RECORDED])
    )
    details = connection.scalars(query.order_by(audit_log.c.id.desc()).limit(1)).one_or_none()
    plan: str | None = json.loads(details).get("plan") if details is not None else None
    return plan


def require_plan_as_shown(connection: Connection, batch: Row[Any]) -> None:
    """Raise StaleBatchError if the plan is not the one that was proposed."""
    if not is_as_proposed(connection, batch.number):
        raise StaleBatchError(
            f"The plan of batch {batch.batch_id or batch.number} is not the one that was proposed; nothing is paid."
            " Run `cashback verify`, and ask for a new summary."
        )


def of_batch(connection: Connection, number: int, *tellings: ColumnElement[str]) -> list[str]:
    """Digest one batch's payouts, in the order of the referrers, once for each way of telling them.

    They are joined in the database, a piece at a time: a row for each in Python would take ten times as long, and one
    text of all would take memory that grows with the batch.
    """
    digests = [hashlib.sha256() for _ in tellings]
    separator, last = b"", BEFORE_ALL
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


_NUMBER: Final = bindparam("number", type_=BigInteger)
_AFTER: Final = bindparam("after", type_=BigInteger)


@cache
def _payouts() -> Select[Any, *tuple[Any, ...]]:
    """Select the last referrer of the next `PIECE` payouts of a plan, and their columns."""
    columns = payouts.c
    rows = (
        select(columns.referrer_id, columns.approved_cents)
        .where(columns.batch_number == _NUMBER, columns.referrer_id > _AFTER)
        .order_by(columns.referrer_id)
        .limit(PIECE)
        .subquery("piece")
    )
    return select(func.max(rows.c.referrer_id), *map(_joined_column, rows.c))


@cache
def _shares() -> Select[Any, *tuple[Any, ...]]:
    """Select the columns of these payouts' shares."""
    columns = payout_shares.c
    of_these = columns.referrer_id.between(_AFTER + 1, bindparam("last", type_=BigInteger))
    rows = (
        select(columns.referrer_id, columns.referral_id, columns.payable_cents, columns.refunded_cents)
        .where(columns.batch_number == _NUMBER, of_these)
        .order_by(columns.referrer_id, columns.referral_id)
        .subquery("piece")
    )
    return select(*map(_joined_column, rows.c))


def _joined_column(column: ColumnElement[int]) -> ColumnElement[str]:
    return func.aggregate_strings(cast(column, String), ",")
