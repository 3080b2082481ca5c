"""The history of batches: newest first, with their totals, filtered, a page at a time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, exists, select

from cashback.database.payouts import batches, reversed_sums
from cashback.database.payouts.reversed_sums import NOTHING_REVERSED
from cashback.database.tables import payout_batches, payouts
from cashback.domain.errors import CashbackError
from cashback.domain.model import BatchMode, BatchStatus

UNDER_WAY: Final = (BatchStatus.APPROVED, BatchStatus.RUNNING, BatchStatus.STOPPED)
"""Totals of these are not stored yet: they are counted from the payouts."""

NAMES: Final = (
    *("batch_id", "number", "mode", "status", "proposed_by", "approved_by", "proposed_at", "finished_at"),
    *("planned_count", "planned_cents"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFilter:
    """Which batches to list: by state, mode, payee, and the proposal's moment (from the first up to the second)."""

    status: BatchStatus | None = None
    mode: BatchMode | None = None
    user_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None


def page(connection: Connection, wanted: BatchFilter, *, limit: int, offset: int = 0) -> list[dict[str, Any]]:
    """List batches with users_paid, total_cents, failed, skipped, reversed_cents and net_cents."""
    query = select(payout_batches).where(*conditions(wanted)).order_by(payout_batches.c.number.desc())
    rows = connection.execute(query.limit(limit).offset(offset)).mappings().all()
    sums = reversed_sums.by_batch(connection, [row["number"] for row in rows])
    return [
        {
            **{name: row[name] for name in NAMES},
            **_with_net(_totals(connection, dict(row)), sums.get(row["number"], NOTHING_REVERSED).cents),
        }
        for row in rows
    ]


def conditions(wanted: BatchFilter) -> list[ColumnElement[bool]]:
    """Build the conditions of a filter."""
    found: list[ColumnElement[bool]] = []
    if wanted.status is not None:
        found.append(payout_batches.c.status == wanted.status)
    if wanted.mode is not None:
        found.append(payout_batches.c.mode == wanted.mode)
    if wanted.user_id is not None:
        of_both = (payouts.c.batch_number == payout_batches.c.number) & (payouts.c.referrer_id == wanted.user_id)
        found.append(exists().where(of_both))
    if wanted.since is not None:
        found.append(payout_batches.c.proposed_at >= wanted.since)
    if wanted.until is not None:
        found.append(payout_batches.c.proposed_at < wanted.until)
    return found


def _with_net(totals: dict[str, int], reversed_cents: int) -> dict[str, int]:
    return {**totals, "reversed_cents": reversed_cents, "net_cents": totals["total_cents"] - reversed_cents}


def _totals(connection: Connection, row: dict[str, Any]) -> dict[str, int]:
    if row["status"] in UNDER_WAY:
        report = batches.report(connection, row["number"], failures=0)
        return {name: getattr(report, name) for name in ("users_paid", "total_cents", "failed", "skipped")}
    return {
        "users_paid": row["credited_count"],
        "total_cents": row["credited_cents"],
        "failed": row["failed_count"],
        "skipped": row["skipped_count"],
    }


def named_like(connection: Connection, beginning: str, *, limit: int) -> list[str]:
    """List the newest batch IDs that contain a text."""
    names = payout_batches.c.batch_id
    query = select(names).where(names.contains(beginning.upper(), autoescape=True))
    return [str(name) for name in connection.scalars(query.order_by(payout_batches.c.number.desc()).limit(limit))]


def status_named(name: str | None) -> BatchStatus | None:
    """Parse a state as people write it; None stays None. Raises CashbackError."""
    if name is None:
        return None
    try:
        return BatchStatus(name.strip().lower().replace(" ", "_").replace("-", "_"))
    except ValueError as error:
        known = ", ".join(BatchStatus)
        raise CashbackError(f"{name[:40]!r} is not a batch state; choose one of {known}.") from error
