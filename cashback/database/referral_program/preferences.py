"""A member's preferences: direct messages about payouts, which do not affect the payment, and the language."""

from sqlalchemy import Connection, insert, select, update

from cashback.database.referral_program.people import check_id
from cashback.database.tables import notification_preferences
from cashback.domain.money import ENGLISH


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


def language_of(connection: Connection, user_id: int) -> str:
    """Return a member's language, as far as it is known."""
    query = select(notification_preferences.c.language).where(notification_preferences.c.user_id == user_id)
    return connection.scalars(query).one_or_none() or ENGLISH


def note_language(connection: Connection, user_id: int, language: str) -> None:
    """Store a member's language."""
    check_id(user_id, "Member")
    if language_of(connection, user_id) == language:
        return
    stored = None if language == ENGLISH else language
    of_member = notification_preferences.c.user_id == user_id
    changed = connection.execute(update(notification_preferences).where(of_member).values(language=stored))
    if not changed.rowcount:
        connection.execute(insert(notification_preferences).values(user_id=user_id, language=stored))
