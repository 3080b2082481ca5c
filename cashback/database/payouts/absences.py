"""Members that left the server, and Discord accounts that are gone. Their cashback stays; a batch may exclude them."""

from datetime import datetime

from sqlalchemy import Connection, Select, delete, insert, select, update

from cashback.database.payouts import exclusions
from cashback.database.tables import absent_members
from cashback.domain.model import Absence, ExclusionReason


def note(connection: Connection, user_id: int, kind: Absence, now: datetime) -> bool:
    """Note that a member left or that an account is gone; False if that was noted already. Gone outweighs left."""
    known = absence_of(connection, user_id)
    if known in {kind, Absence.GONE}:
        return False
    if known is None:
        connection.execute(insert(absent_members).values(user_id=user_id, kind=kind, noted_at=now))
    else:
        connection.execute(
            update(absent_members).where(absent_members.c.user_id == user_id).values(kind=kind, noted_at=now)
        )
    return True


def note_return(connection: Connection, user_id: int) -> bool:
    """Note that a member is here again; False if no absence was noted."""
    return connection.execute(delete(absent_members).where(absent_members.c.user_id == user_id)).rowcount == 1


def absence_of(connection: Connection, user_id: int) -> Absence | None:
    """Return how a member is absent; None for a member that is here as far as is known."""
    kind = connection.scalars(select(absent_members.c.kind).where(absent_members.c.user_id == user_id)).one_or_none()
    return None if kind is None else Absence(kind)


def leave_out(
    connection: Connection, number: int, now: datetime, *, hold_leavers: bool, only: Select[int] | None
) -> int:
    """Exclude absent members from a batch, from one for some members only those; return how many."""
    left_out = 0
    for kind, reason in _reasons(hold_leavers=hold_leavers).items():
        among = select(absent_members.c.user_id).where(absent_members.c.kind == kind)
        if only is not None:
            among = among.where(absent_members.c.user_id.in_(only))
        if connection.execute(among.limit(1)).first() is not None:
            left_out += exclusions.leave_out(connection, number, among, reason, now)
    return left_out


def _reasons(*, hold_leavers: bool) -> dict[Absence, ExclusionReason]:
    held = {Absence.LEFT: ExclusionReason.LEFT_SERVER} if hold_leavers else {}
    return {Absence.GONE: ExclusionReason.ACCOUNT_GONE, **held}
