"""Moving a ledger to another database: in one transaction, read back, reconciled, and the old one closed.

If it is killed at any moment, the move either has not happened and can be repeated, or is complete. The old ledger is
closed before the new one exists: at no moment can both pay.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Any, Final

from anyio import from_thread
from sqlalchemy import Connection, Table, delete, exists, insert, inspect, select

from cashback.database import closed_ledger
from cashback.database.audit_log import add_entry, chain_head
from cashback.database.bulk import execute_many
from cashback.database.database import Database
from cashback.database.dialect import hold, number_on
from cashback.database.errors import DRIVER_ERRORS, translated
from cashback.database.integrity.health import require_sound
from cashback.database.integrity.reconciliation import Verdict, verify
from cashback.database.schema import OLD_VERSION_TABLE, VERSION_TABLE
from cashback.database.tables import (
    OWN,
    audit_log,
    cashback_origin,
    metadata,
    payout_batches,
)
from cashback.domain.errors import CashbackError
from cashback.domain.model import BatchStatus

ACTION: Final = "ledger_moved"
ROWS_AT_ONCE: Final = 2_000
Advance = Callable[[int], None]


class MoveRefusedError(CashbackError):
    """The ledger was not moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A completed move: how many rows each table has, and the reconciliation of both ledgers.

    `left` names the tables of another program, which stay behind; `again` is true if the move was completed before this
    call.
    """

    rows: dict[str, int]
    left: tuple[str, ...]
    verdict: Verdict
    again: bool = False


@dataclass(slots=True)
class Tally:
    """Rows counted, and summed up so that any different value shows, in any order of the rows."""

    rows: int = 0
    digest: int = 0

    def add(self, chunk: Sequence[tuple[Any, ...]]) -> None:
        """Add rows."""
        self.rows += len(chunk)
        for row in chunk:
            self.digest += int.from_bytes(blake2b(repr(row).encode(), digest_size=16).digest(), "big")


async def move(source: Database, target: Database, advance: Advance, *, stop_other_bot: bool = False) -> Move:
    """Copy a ledger into an empty one and close the old one. Both are open.

    With `stop_other_bot`, a ledger that another bot shares is closed to that bot too. Raises MoveRefusedError if it is
    shared and that was not asked for, the target is not empty, the ledger was moved elsewhere before, a batch is
    running, the books do not balance or a row arrives changed; then nothing has moved.
    """
    return await target.write(_receive, source, target, advance, stop_other_bot=stop_other_bot)


def _receive(to: Connection, source: Database, target: Database, advance: Advance, *, stop_other_bot: bool) -> Move:
    hold(to, metadata.sorted_tables)
    # This is a worker's thread: the source's transaction has its own, which commits before this one does.
    return from_thread.run(
        source.write,
        partial(_hand_over, to=to, source=source, target=target, advance=advance, stop_other_bot=stop_other_bot),
    )


def _hand_over(
    connection: Connection,
    *,
    to: Connection,
    source: Database,
    target: Database,
    advance: Advance,
    stop_other_bot: bool,
) -> Move:
    """Copy all tables and close the source, in the caller's two transactions: the source's commits first.

    Errors of the target's driver name the target.
    """
    hold(connection, metadata.sorted_tables)
    if not stop_other_bot:
        _require_alone(connection, source)
    head, left = chain_head(connection), _left_behind(connection)
    with _about(target):
        if _moved_before(to, head):
            closed_ledger.close(connection, target.location, target.now())
            return Move(rows=_counts(to), left=left, verdict=verify(to), again=True)
        _require_not_moved_elsewhere(connection, source, target)
        _require_empty(to, target)
    verdict = _require_fit(connection, source)
    with _about(target):
        to.execute(delete(cashback_origin))
    rows = {
        _said(table): _copy(connection, to, table, source=source, target=target, advance=advance)
        for table in metadata.sorted_tables
    }
    with _about(target):
        arrived = verify(to)
        if arrived != verdict:
            raise MoveRefusedError(f"The totals differ in {target.name}; nothing was moved.")
        _note(to, source, head=head, now=target.now())
    closed_ledger.close(connection, target.location, target.now())
    return Move(rows=rows, left=left, verdict=arrived)


def _require_alone(connection: Connection, source: Database) -> None:
    """Refuse a ledger that another bot shares: it would go on earning and paying there what the new one pays too."""
    if connection.scalars(select(cashback_origin.c.adopted)).one():
        shared = ", ".join(sorted(table.name for table in metadata.sorted_tables if not table.name.startswith(OWN)))
        raise MoveRefusedError(
            f"{source.name} is shared with another bot, which does not follow to the new database; give"
            f" --stop-other-bot to close {shared} to that bot too. Nothing was moved."
        )


def _require_not_moved_elsewhere(connection: Connection, source: Database, target: Database) -> None:
    """Refuse a second target, which would pay what the first one pays."""
    refusal = closed_ledger.moved_text(connection)
    if refusal is not None and not closed_ledger.is_moved_to(refusal, target.location):
        raise MoveRefusedError(f"{source.name} is closed: {refusal}. Nothing was moved.")


def _left_behind(connection: Connection) -> tuple[str, ...]:
    ours = {OLD_VERSION_TABLE, VERSION_TABLE, *metadata.tables}
    return tuple(sorted(set(inspect(connection).get_table_names()) - ours))


def _moved_before(to: Connection, head: str) -> bool:
    """Return whether this source was moved to this target: a closed ledger's audit log gets no new head."""
    moved = select(audit_log.c.details).where(audit_log.c.action == ACTION)
    return any(f'"head": "{head}"' in details for details in to.scalars(moved))


def _require_empty(to: Connection, target: Database) -> None:
    for table in metadata.sorted_tables:
        if table is not cashback_origin and to.scalars(select(exists(select(table)))).one():
            raise MoveRefusedError(
                f"Database {target.name} is not empty: {table.name} has rows; name a new one. Nothing was moved."
            )


def _require_fit(connection: Connection, source: Database) -> Verdict:
    """Refuse a ledger that should not be moved in its state; return its reconciliation."""
    in_work = select(payout_batches.c.batch_id).where(
        payout_batches.c.status.in_((BatchStatus.APPROVED, BatchStatus.RUNNING))
    )
    batch_id = connection.scalars(in_work.limit(1)).one_or_none()
    if batch_id is not None:
        raise MoveRefusedError(
            f"Batch {batch_id} is running; let it finish (cashback resume) or stop it first. Nothing was moved."
        )
    require_sound(connection, source.name)
    verdict = verify(connection)
    if not verdict.balanced:
        raise MoveRefusedError(
            f"The books of {source.name} do not balance ({verdict.breaches[0]}); run cashback verify for details."
            " Nothing was moved."
        )
    return verdict


def _copy(
    connection: Connection, to: Connection, table: Table, *, source: Database, target: Database, advance: Advance
) -> int:
    """Copy one table a chunk at a time and read it back; return the number of its rows."""
    names, statement = [column.key for column in table.c], insert(table)
    sent, arrived = Tally(), Tally()
    for chunk in _chunks(connection, table):
        sent.add(chunk)
        with _about(target):
            execute_many(to, statement, names, chunk)
        advance(len(chunk))
    with _about(target):
        for chunk in _chunks(to, table):
            arrived.add(chunk)
        number_on(to, table)
    if sent != arrived:
        raise MoveRefusedError(
            f"Table {table.name} of {source.name} differs in {target.name}: {sent.rows} rows were sent,"
            f" {arrived.rows} arrived, or a value of another kind. Nothing was moved."
        )
    return sent.rows


def _chunks(connection: Connection, table: Table) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Stream a table's rows; a value that cannot be read is an error that names the table."""
    result = connection.execute(select(table), execution_options={"yield_per": ROWS_AT_ONCE})
    try:
        for partition in result.partitions():
            yield [tuple(row) for row in partition]
    except (TypeError, ValueError) as error:
        raise MoveRefusedError(
            f"Table {table.name} has a row that cannot be read ({error}). Nothing was moved."
        ) from error


def _counts(connection: Connection) -> dict[str, int]:
    return {_said(table): sum(map(len, _chunks(connection, table))) for table in metadata.sorted_tables}


def _said(table: Table) -> str:
    """Return a table's name without the prefix that keeps it apart from another bot's."""
    return table.name if table is cashback_origin else table.name.removeprefix(OWN)


def _note(to: Connection, source: Database, *, head: str, now: datetime) -> None:
    add_entry(to, at=now, actor="cli", action=ACTION, details={"from": source.name, "head": head})


@contextmanager
def _about(target: Database) -> Iterator[None]:
    """Translate errors of the target's driver; outside, errors are the source's."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise translated(error, target.location) from error
