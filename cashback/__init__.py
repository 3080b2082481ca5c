"""The library, and the extension: `from cashback import Database`, or `await bot.load_extension("cashback")`.

`Database` and the extension are imported when they are first asked for: a command that only prints its help does not
wait for SQLAlchemy, and a bot that only uses `Database` does not wait for the rest.
"""

import sys
from typing import TYPE_CHECKING, Any

from cashback.domain.errors import CashbackError

if TYPE_CHECKING:
    from cashback.cogs.gateway.gateway_status import Client
    from cashback.database import Database

__all__ = ["CashbackError", "Database", "setup", "teardown"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- the protocol of module attributes
    """Import `Database` on first use."""
    if name == "Database":
        from cashback.database import Database  # noqa: PLC0415 -- the point of this function

        return Database
    # discord.py executes this file once more when the extension is loaded. The new module has no attributes for the
    # modules that were imported before.
    if (loaded := sys.modules.get(f"cashback.{name}")) is not None:
        return loaded
    raise AttributeError(f"module 'cashback' has no attribute {name!r}")


async def setup(bot: "Client") -> None:
    """Start in a bot; discord.py calls this. An error is one line, and leaves the bot as it was."""
    globals()["__name__"] = "cashback"
    from cashback.own_modules import own_modules  # noqa: PLC0415 -- only the extension needs it

    with own_modules():
        from cashback.extension import attach  # noqa: PLC0415 -- a bot that only uses Database does not wait for it
    await attach(bot)


async def teardown(bot: "Client") -> None:
    """Finish the current chunk and leave the bot as it was before; discord.py calls this."""
    from cashback.extension import detach  # noqa: PLC0415 -- as above

    await detach(bot)
    # discord.py now forgets the modules whose names begin with this one. They are the library's, too: a bot that holds
    # a Database or has caught a CashbackError would then meet a second class of the same name.
    globals()["__name__"] = "cashback (unloaded)"
