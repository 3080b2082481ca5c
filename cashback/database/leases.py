"""Leases: which of several processes may do what only one may; taken, renewed and given back by guarded updates.

No clock of a machine is in them. A holder moves `beat` while it lives; who sees the same beat for as long as the row
says takes the lease over. Each taking raises the fence, and what a holder writes is written only under its own fence.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from cashback.database.dialect import insert_unless_there
from cashback.database.tables import leases
from cashback.domain.errors import LeaseLostError


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseState:
    """How a lease stands: its holder, None where it was given back, and what shows that the holder lives."""

    holder: str | None
    fence: int
    beat: int
    milliseconds: int


def standing(connection: Connection, name: str) -> LeaseState | None:
    """Tell how a lease stands; None where nobody ever held it."""
    query = select(leases.c.holder, leases.c.fence, leases.c.beat, leases.c.milliseconds).where(leases.c.name == name)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else LeaseState(**row)


def take(connection: Connection, name: str, *, holder: str, milliseconds: int, seen: LeaseState | None) -> int | None:
    """Take a lease that stands as it was seen, and return its new fence; None where somebody was faster."""
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
    """Show that the holder lives; False where another has taken the lease over."""
    moved = connection.execute(
        update(leases).where(leases.c.name == name, leases.c.fence == fence).values(beat=leases.c.beat + 1)
    )
    return bool(moved.rowcount == 1)


def give_back(connection: Connection, name: str, *, fence: int) -> None:
    """Let the next one take the lease at once. One that another has taken over is left alone."""
    connection.execute(
        update(leases).where(leases.c.name == name, leases.c.fence == fence).values(holder=None, beat=leases.c.beat + 1)
    )


def require(connection: Connection, name: str, *, fence: int | None, until_commit: bool = False) -> None:
    """Raise LeaseLostError unless a lease is still held under this fence; `until_commit` holds takers off so long."""
    query = select(leases.c.fence).where(leases.c.name == name)
    if until_commit:
        # SQLite has no such clause and needs none: who writes is alone there.
        query = query.with_for_update(read=True)
    if fence is None or connection.scalars(query).one_or_none() != fence:
        raise LeaseLostError
