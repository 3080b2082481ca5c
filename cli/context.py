"""What every command needs: the settings, the ledger, and finding a batch by its ID."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from cashback import settings as configuration
from cashback.database import Database
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


def ledger(settings: Settings) -> Database:
    """Return the ledger that the settings name; it is opened by `async with`."""
    terms = settings.referral_settings
    return Database(settings.database, rate_ppm=terms.rate_ppm, holding_days=terms.holding_days)


def quiet_logging() -> None:
    """Keep log records off the terminal: what a person must know, a command says itself."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
