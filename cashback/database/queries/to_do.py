"""What waits for an admin's decision."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, select

from cashback.database.payouts import retries
from cashback.database.tables import is_open, payout_batches
from cashback.domain.model import BatchStatus

SHOWN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ToDo:
    """The oldest proposed and stopped batches, and how many failed payouts are neither retried nor abandoned."""

    proposed: list[dict[str, Any]]
    stopped: list[dict[str, Any]]
    failed_payouts: int


def to_do(connection: Connection) -> ToDo:
    """Find the batches and payouts that wait."""
    row = payout_batches.c
    columns = (row.number, row.batch_id, row.planned_cents, row.planned_count, row.proposed_by, row.first_approved_by)
    batches = select(*columns).order_by(row.number).limit(SHOWN)

    def found(*conditions: Any) -> list[dict[str, Any]]:  # noqa: ANN401 -- Core conditions
        return [dict(each) for each in connection.execute(batches.where(*conditions)).mappings()]

    return ToDo(
        proposed=found(is_open, row.status == BatchStatus.PROPOSED),
        stopped=found(row.status == BatchStatus.STOPPED),
        failed_payouts=retries.count_open_failures(connection),
    )
