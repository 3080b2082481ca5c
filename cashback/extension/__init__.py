"""The extension: the program inside another bot, loaded with `await bot.load_extension("cashback")`."""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Final
from weakref import WeakKeyDictionary

import anyio
import anyio.abc

from cashback import settings as configuration
from cashback.cogs.gateway.gateway_status import Client
from cashback.domain.errors import CashbackError
from cashback.extend import Additions
from cashback.extension.hosted import Hosted
from cashback.extension.ledger import open_ledger
from cashback.settings import Settings, SettingsError

__all__ = ["attach", "detach"]

logger = logging.getLogger(__name__)


class Guest:
    """The program in a bot that is not ours: a task of its own in that bot's loop, since no task group outlives a call.

    The host's task that loads the extension is not the one that unloads it, so neither can own a task group.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stop = anyio.Event()
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when the bot has its commands. Raises the error that prevents it."""
        self._task = asyncio.create_task(self._live(), name="cashback")
        try:
            await asyncio.shield(self._started)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Finish the current chunk, and return when nothing runs any more."""
        self._stop.set()
        if self._task is not None:
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self._task])

    async def _live(self) -> None:
        """Run. An error at the start is the caller's; a later one is logged, and the bot goes on without us."""
        try:
            await self._run()
        except Exception as error:
            reason = first_of(error)
            if not self._started.done():
                self._started.set_exception(reason)
                return
            is_explained = isinstance(reason, CashbackError)
            logger.critical("cashback stopped: %s", reason, exc_info=None if is_explained else error)
        finally:
            if not self._started.done():
                self._started.cancel()

    async def _run(self) -> None:
        settings = settings_of(self._client)
        for warning in settings.warnings:
            logger.warning("%s", warning)
        async with open_ledger(settings) as database, anyio.create_task_group() as tasks:
            hosted = await Hosted.wired(
                self._client,
                settings,
                database,
                reread=partial(settings_of, self._client),
                additions=_additions_of(self._client),
            )
            await tasks.start(hosted.run, name="cashback")
            self._started.set_result(None)
            await self._stop.wait()
            await hosted.stop()


GUESTS: Final[WeakKeyDictionary[Client, Guest]] = WeakKeyDictionary()


async def attach(client: Client) -> None:
    """Start in a bot. Raises StartError, SettingsError or CashbackError; then nothing of us is in it."""
    guest = Guest(client)
    GUESTS[client] = guest
    await guest.start()


async def detach(client: Client) -> None:
    """Finish the current chunk and leave the bot as it was before. A second call waits for the first one.

    A bot that is closed twice at once unloads us twice, and must not close its connection before we are done.
    """
    guest = GUESTS.get(client)
    if guest is not None:
        await guest.stop()
        if GUESTS.get(client) is guest:
            del GUESTS[client]


def settings_of(client: Client) -> Settings:
    """Return the settings that the bot's author hands over as `cashback_settings`, or else those of config.json.

    They are the content of such a file as a mapping, settings loaded before, or a function that returns either. Raises
    SettingsError.
    """
    given = getattr(client, "cashback_settings", None)
    if callable(given):
        given = given()
    if given is None:
        return configuration.load()
    if isinstance(given, Mapping):
        return configuration.from_mapping(given, name="bot.cashback_settings")
    if not isinstance(given, Settings):
        raise SettingsError(
            f"bot.cashback_settings is a {type(given).__name__}, but may be the content of config.json as a dict, or"
            " what cashback.settings.load returned."
        )
    return given


def _additions_of(client: Client) -> Additions:
    additions = getattr(client, "cashback_additions", None)
    if additions is not None and not isinstance(additions, Additions):
        raise SettingsError(f"bot.cashback_additions is a {type(additions).__name__}, but may be cashback.Additions.")
    return additions or Additions()


def first_of(error: BaseException) -> BaseException:
    """Return an error, or the first one inside a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
