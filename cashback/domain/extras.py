"""Libraries that only some installations need: each is asked for in one line when it is first used."""

import importlib
import sys
from enum import Enum
from importlib.util import find_spec
from types import ModuleType

from cashback.domain.errors import CashbackError


class MissingLibraryError(CashbackError):
    """A library that is not part of the smallest installation is needed and not installed."""

    def __init__(self, use: str, library: str) -> None:
        """`use` begins the sentence, such as "Charts need"; `library` is what pip installs."""
        name = library.partition("[")[0]
        super().__init__(
            f"{use} the library {name}, which is not installed; install it with:"
            f" python3 -m pip --python {sys.executable} install '{library}'"
        )


class Library(Enum):
    """The optional libraries: how a sentence about the need begins, and what pip installs."""

    CHARTS = ("Charts need", "matplotlib")
    SPREADSHEETS = ("XLSX files need", "openpyxl")
    ENCRYPTION = ("Destinations of withdrawals need", "cryptography")
    POSTGRESQL = ("Databases on PostgreSQL need", "psycopg[binary]")

    def load(self, module: str) -> ModuleType:
        """Import a module of this library. Raises MissingLibraryError if the library is not installed."""
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            # A library that is there and lacks something itself fails as it is.
            if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
                raise
            raise self.missing() from error

    def require(self, module: str) -> None:
        """Raise MissingLibraryError if a module is not installed, without importing it."""
        try:
            found = find_spec(module)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise self.missing()

    def missing(self) -> MissingLibraryError:
        """Return the error that says how to install this library."""
        return MissingLibraryError(*self.value)
