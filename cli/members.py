"""Members that a command names: whether the ledger knows them, and whether they can be Discord accounts."""

from cashback.database import Database
from cashback.database.referral_program.people import known_among, strangers_among
from cashback.domain.errors import CashbackError
from cashback.domain.snowflakes import fault_of
from cli.output import remark


async def require_account(database: Database, user_id: int) -> None:
    """Raise CashbackError for an id that the ledger does not know and no Discord account can have."""
    strangers = await database.read(strangers_among, [user_id], database.now())
    if user_id in strangers:
        raise CashbackError(f"{user_id} {strangers[user_id]}, and the ledger does not know it; check the id.")


async def remark_if_unknown(database: Database, user_id: int) -> None:
    """Write a line if the ledger does not know a member."""
    if not await database.read(known_among, [user_id]):
        fault = fault_of(user_id, database.now())
        remark(f"note: the ledger does not know Member {user_id}{f', which {fault}' if fault else ''}")
