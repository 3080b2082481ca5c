"""Claims on commands: of several bots with one token, each of which hears every command, only one acts on it.

The id is that of the message or interaction, which Discord gives once. A constraint decides between two claims.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, select

from cashback.database.dialect import insert_unless_there
from cashback.database.tables import command_claims

KEPT: Final = 10_000
"""How many of the newest claims are kept. Discord repeats only events of the last minutes."""


def claim(connection: Connection, event_id: int, *, now: datetime) -> bool:
    """Claim a message or interaction; return False if it is already claimed. Claims beyond KEPT are removed."""
    insert = insert_unless_there(connection, command_claims).values(id=event_id, claimed_at=now)
    is_won = connection.execute(insert).rowcount == 1
    newest_first = select(command_claims.c.id).order_by(command_claims.c.id.desc())
    oldest_kept = connection.scalars(newest_first.limit(1).offset(KEPT - 1)).one_or_none()
    if oldest_kept is not None:
        connection.execute(delete(command_claims).where(command_claims.c.id < oldest_kept))
    return is_won
