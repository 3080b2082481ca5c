"""Looks whether a bot, of whatever version, pays from a ledger: it must not be upgraded or replaced under the bot."""

import anyio

from cashback.background.lease import LOOKS, PAYING, has_ended
from cashback.database import leases
from cashback.database.dialect import Location, name_of
from cashback.database.engine import ConnectionOwner
from cashback.domain.errors import CashbackError


class BotRunningError(CashbackError):
    """A bot is running on the ledger."""


async def require_stopped(location: Location) -> None:
    """Raise BotRunningError if a bot pays from the ledger. Nothing is written: the ledger may be of another version.

    If it is not known whether the lease's holder lives, wait as long as a standby would.
    """
    owner = ConnectionOwner(location)
    try:
        seen = await owner.read(leases.find, PAYING)
        if seen is None or seen.holder is None or has_ended(seen.holder):
            return
        with anyio.move_on_after(seen.milliseconds / 1000):
            while (now := await owner.read(leases.find, PAYING)) == seen:  # noqa: ASYNC110 -- only the row tells
                await anyio.sleep(seen.milliseconds / 1000 / LOOKS)
            if now is not None and now.holder is not None:
                raise BotRunningError(
                    f"A bot is running on {name_of(location)}; stop it, and every other program that uses the ledger."
                )
    finally:
        owner.close()
