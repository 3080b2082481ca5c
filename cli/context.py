"""What every command needs: the settings, the ledger, and finding a batch by its ID."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from cashback import settings as configuration
from cashback.database import Database, schema
from cashback.database.engine import ConnectionOwner
from cashback.domain.errors import CashbackError
from cashback.settings import Settings, SettingsError
from cli.output import remark


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the configuration and the ledger are, as far as the command line says so."""

    config: Path | None = None
    database: str | None = None

    def settings(self) -> Settings:
        """Read the settings and pass their warnings on. Raises CashbackError where one is wrong."""
        quiet_logging()
        try:
            loaded = configuration.load(self.config, self.database, os.environ)
        except SettingsError as error:
            raise CashbackError(str(error)) from error
        for warning in loaded.warnings:
            remark(f"warning: {warning}")
        return loaded


def ledger(settings: Settings, *, create: bool = False) -> Database:
    """Return the ledger that the settings name; it is opened by `async with`.

    A ledger that is not there is refused, unless the command is one that creates it: a mistyped name must not make an
    empty ledger, in which nothing is pending and every book balances.
    """
    terms = settings.referral_settings
    return Database(settings.database, rate_ppm=terms.rate_ppm, holding_days=terms.holding_days, must_exist=not create)


async def found_in(database: Database) -> tuple[str | None, int]:
    """Return the schema that a database stands at, None if this program never used it, and how many tables it has.

    Nothing is created.
    """
    if not schema.may_hold_tables(database.location):
        return None, 0
    door = ConnectionOwner(database.location)
    try:
        return await door.read(schema.revision_of), await door.read(schema.count_tables)
    finally:
        door.close()


def quiet_logging() -> None:
    """Keep log records off the terminal: what a person must know, a command says itself."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
