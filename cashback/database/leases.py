"""Leases for tasks that only one of several processes may do: acquired, renewed and released by guarded updates.

They use no machine's clock. A holder changes `beat` while it lives; a process that sees the same beat for as long as
the row demands takes the lease over. Each acquisition raises the fence, and a holder's writes require its own fence.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, inspect, select, update

from cashback.database.dialect import insert_unless_there
from cashback.database.tables import leases
from cashback.domain.errors import LeaseLostError


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseState:
    """The state of a lease: its holder, None if it was released, and the proof that the holder lives."""

    holder: str | None
    fence: int
    beat: int
    milliseconds: int


def standing(connection: Connection, name: str) -> LeaseState | None:
    """Return the state of a lease; None if it was never held."""
    query = select(leases.c.holder, leases.c.fence, leases.c.beat, leases.c.milliseconds).where(leases.c.name == name)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else LeaseState(**row)


def find(connection: Connection, name: str) -> LeaseState | None:
    """Return the state of a lease in a ledger of any version; the oldest ones had no leases of this name."""
    return standing(connection, name) if inspect(connection).has_table(leases.name) else None


def take(connection: Connection, name: str, *, holder: str, milliseconds: int, seen: LeaseState | None) -> int | None:
    """Acquire a lease that is still in the given state, and return its new fence.

    None if another process was faster.
    """
    if seen is None:
        first = insert_unless_there(connection, leases).values(
            name=name, holder=holder, fence=1, beat=0, milliseconds=milliseconds
        )
        return 1 if connection.execute(first).rowcount == 1 else None
    moved = connection.execute(
        update(leases)
        .where(leases.c.name == name, leases.c.fence == seen.fence, leases.c.beat == seen.beat)
        .values(holder=holder, fence=seen.fence + 1, beat=0, milliseconds=milliseconds)
    )
    return seen.fence + 1 if moved.rowcount == 1 else None


def renew(connection: Connection, name: str, *, fence: int) -> bool:
    """Show that the holder lives; False if another process has taken the lease over."""
    moved = connection.execute(
        update(leases).where(leases.c.name == name, leases.c.fence == fence).values(beat=leases.c.beat + 1)
    )
    return bool(moved.rowcount == 1)


def release(connection: Connection, name: str, *, fence: int) -> None:
    """Release the lease for the next process. A lease that was taken over is left alone."""
    connection.execute(
        update(leases).where(leases.c.name == name, leases.c.fence == fence).values(holder=None, beat=leases.c.beat + 1)
    )


def require(connection: Connection, name: str, *, fence: int | None, until_commit: bool = False) -> None:
    """Raise LeaseLostError unless the lease is held under this fence.

    `until_commit` also blocks acquisition until then.
    """
    query = select(leases.c.fence).where(leases.c.name == name)
    if until_commit:
        # SQLite has no such clause and needs none: a writer is alone there.
        query = query.with_for_update(read=True)
    if fence is None or connection.scalars(query).one_or_none() != fence:
        raise LeaseLostError
