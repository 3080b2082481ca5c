"""The bot that we ship: a small host of the extension, with a connection that lasts and an answer to stop signals.

Payouts do not depend on Discord: a batch continues while the connection is gone, and a stop finishes the current chunk.
"""

from cashback import early_start  # noqa: F401 -- it receives stop signals during the imports below

# isort: split
import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Final

import anyio

from cashback import logs
from cashback.cogs.gateway.client import CashbackClient
from cashback.cogs.gateway.connection import StartError, point_at, stay_connected
from cashback.database import Database
from cashback.domain.errors import CashbackError
from cashback.extension import first_of
from cashback.extension.hosted import Hosted
from cashback.extension.ledger import open_ledger
from cashback.extension.wiring import Reread, Services, required_admin_role
from cashback.settings import Settings, SettingsError, load
from cashback.standard_streams import open_missing
from cashback.stop_signals import stop_signals

CONFIGURATION_WRONG: Final = os.EX_CONFIG
"""The exit code that says to a service manager: a restart does not help."""

logger = logging.getLogger(__name__)


def make_client(settings: Settings) -> CashbackClient:
    """Return the client of the bot that we ship, not yet connected."""
    return CashbackClient(prefix=settings.bot_prefix, guild_ids=settings.guild_ids)


async def register_commands(settings: Settings, database: Database) -> int:
    """Register the slash commands without a connection to the gateway; return how many there are then."""
    services = Services.build(client := make_client(settings), settings, database)
    async with services.runner, client:
        await services.host.add()
        await client.login(required_token(settings))
        return await client.count_registered_commands()


def required_token(settings: Settings) -> str:
    """Return the bot's token. Raises StartError if it is not configured."""
    if settings.discord_token is None:
        raise StartError("DISCORD_TOKEN is not set; put the bot's token into the environment or into .env.")
    return settings.discord_token.get_secret_value()


async def serve(
    settings: Settings,
    database: Database,
    stop: anyio.Event,
    *,
    reread: Reread | None = None,
    restart: Callable[[], None] | None = None,
) -> None:
    """Run the bot on an open ledger until `stop` is set; then finish the current chunk and return.

    `reread` rereads the configuration when an admin reloads it; without it, the configuration stays as it is.
    `restart` starts the bot again when an admin has changed the settings.

    Raises StartError, alone or in a group, if Discord or the configuration prevents the start, and LedgerMovedError if
    the ledger was moved.
    """
    token = required_token(settings)
    if settings.discord_api_url is not None:
        point_at(settings.discord_api_url)
    client = make_client(settings)
    hosted = await Hosted.wired(client, settings, database, reread=reread, restart=restart)
    async with anyio.create_task_group() as tasks:
        await tasks.start(hosted.run, name="cashback")
        tasks.start_soon(stay_connected, client, token, hosted.services.needs, name="discord")
        await stop.wait()
        await hosted.stop()
        tasks.cancel_scope.cancel()


async def serve_until_signal(settings: Settings, *, reread: Reread | None = None) -> bool:
    """Open the ledger and run the bot until SIGTERM or SIGINT, or until it is to start again: then return True.

    Raises the errors of `serve`.
    """
    stop = anyio.Event()
    is_again = False
    loop = asyncio.get_running_loop()

    def restart() -> None:
        nonlocal is_again
        logger.info("the settings were changed: starting again after the current chunk")
        is_again = True
        stop.set()

    def stop_by(name: str) -> None:
        nonlocal is_again
        logger.info("%s: stopping after the current chunk", name)
        is_again = False
        loop.call_soon_threadsafe(stop.set)

    stop_signals.listen(stop_by)
    try:
        async with open_ledger(settings) as database:
            await serve(settings, database, stop, reread=reread, restart=restart if reread else None)
    finally:
        stop_signals.listen(None)
    return is_again


def main(settings: Settings, *, reread: Reread | None = None) -> int:
    """Run the bot until SIGTERM or SIGINT; return the exit code. An error is one line on standard error."""
    # Objects loaded by now live as long as the process: collecting them blocked the loop for 50 ms. Hardly any is
    # garbage, and looking for it would take a tenth of the start.
    gc.freeze()
    gc.enable()
    open_missing()
    stop_signals.hold()
    logs.set_up(level=settings.log_level)
    try:
        required_token(settings)
        required_admin_role(settings)
        while anyio.run(partial(serve_until_signal, settings, reread=reread), backend="asyncio") and reread is not None:
            settings = reread()
    except SettingsError as error:
        logs.write_line(f"error: {error}")
        return CONFIGURATION_WRONG
    except Exception as error:
        reason = first_of(error)
        if not isinstance(reason, CashbackError):
            # Python would write this itself, and wait for whoever reads standard error.
            logger.critical("the bot ends by a mistake in the program", exc_info=error)
            return 1
        logs.write_line(f"error: {' '.join(str(reason).split())}")
        return CONFIGURATION_WRONG if isinstance(reason, StartError) else 1
    logger.info("stopped")
    return 0


if __name__ == "__main__":
    try:
        loaded = load()
        for warning in loaded.warnings:
            logs.write_line(f"warning: {warning}")
        sys.exit(main(loaded, reread=load))
    except SettingsError as wrong:
        logs.write_line(f"error: {wrong}")
        sys.exit(CONFIGURATION_WRONG)
