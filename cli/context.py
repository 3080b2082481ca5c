"""What every command needs: the settings and the ledger."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import typer

from cashback import settings as configuration
from cashback.database import Database, schema
from cashback.database.engine import ConnectionOwner
from cashback.domain.errors import CashbackError
from cashback.domain.money import use_money_style
from cashback.domain.ports import Clock, utc_now
from cashback.settings import Settings, SettingsError
from cli.output import recorded, remark


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The configuration and the ledger, if the command line names them."""

    config: Path | None = None
    database: str | None = None

    @classmethod
    def of(cls, context: typer.Context, config: Path | None, database: str | None) -> "Place":
        """Join the options before the command with those after it; those after it take precedence."""
        general_config, general_database = context.obj
        return cls(config=config or general_config, database=database or general_database)

    def settings(self) -> Settings:
        """Read the settings and print their warnings. Raises CashbackError if one is wrong."""
        quiet_logging()
        try:
            loaded = configuration.load(self.config, self.database, os.environ)
        except SettingsError as error:
            raise CashbackError(str(error)) from error
        for warning in loaded.warnings:
            remark(f"warning: {warning}")
        use_money_style(loaded.money_style)
        return loaded


def ledger(settings: Settings, *, create: bool = False, upgrade: bool = False, clock: Clock = utc_now) -> Database:
    """Return the ledger that the settings name; `async with` opens it.

    A ledger that does not exist is refused, unless the command is one that creates it: a mistyped name must not make an
    empty ledger, in which nothing is pending and every book balances. A ledger of an older version is refused, unless
    the command is one that upgrades it: reading must not change a ledger that an older bot still uses.
    """
    terms = settings.referral_settings
    return Database(
        settings.database,
        rate_ppm=terms.rate_ppm,
        holding_days=terms.holding_days,
        dates=terms.earning_dates,
        currency=settings.counted_in,
        must_exist=not create,
        may_upgrade=upgrade,
        clock=clock,
        failpoint=_note_commit,
    )


def _note_commit(moment: str) -> None:
    if moment == "after commit":
        recorded.set()


async def found_in(database: Database) -> tuple[str | None, int]:
    """Return a database's schema, None if this program never used it, and its number of tables; create nothing."""
    if not schema.may_hold_tables(database.location):
        return None, 0
    owner = ConnectionOwner(database.location)
    try:
        return await owner.read(schema.revision_of), await owner.read(schema.count_tables)
    finally:
        owner.close()


def quiet_logging() -> None:
    """Keep log records off the terminal: a command prints what its user must know."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
