"""A member's preferences: whether to get a direct message about payouts. It does not affect the payment."""

from sqlalchemy import Connection, insert, select, update

from cashback.database.referral_program.people import check_id
from cashback.database.tables import notification_preferences


def wants_payout_dm(connection: Connection, user_id: int) -> bool:
    """Return whether a member wants direct messages about payouts; the default is yes."""
    query = select(notification_preferences.c.payout_dm).where(notification_preferences.c.user_id == user_id)
    wanted = connection.scalars(query).one_or_none()
    return wanted is None or bool(wanted)


def set_payout_dm(connection: Connection, user_id: int, *, wanted: bool) -> bool:
    """Store whether a member wants direct messages about payouts; return False if unchanged.

    Payments are not affected.
    """
    check_id(user_id, "Member")
    if wants_payout_dm(connection, user_id) == wanted:
        return False
    of_member = notification_preferences.c.user_id == user_id
    changed = connection.execute(update(notification_preferences).where(of_member).values(payout_dm=int(wanted)))
    if not changed.rowcount:
        connection.execute(insert(notification_preferences).values(user_id=user_id, payout_dm=int(wanted)))
    return True
