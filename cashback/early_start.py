"""Imported before all else by the programs: the bot receives stop signals before its other imports, which take seconds.

Imports make hardly any garbage, so the bot collects none until they are done (`bot.main`).

It asks how the process was started: in any other one, a test's for instance, importing the bot changes nothing.
"""

import gc
import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

from cashback.standard_streams import open_missing
from cashback.stop_signals import stop_signals

COMMANDS: Final = ("cashback", "-m", "__main__.py")
"""What the first argument of a process is that runs the command line."""

WITH_VALUE: Final = ("--config", "--database")
"""The options of the command line that may stand before the command, with a value each."""


def starts_bot(arguments: Sequence[str]) -> bool:
    """Return whether a process with these arguments is to run the bot."""
    program = PurePath(arguments[0]).name if arguments else ""
    return program == "bot.py" or (program in COMMANDS and _command_in(arguments[1:]) == "bot")


def _command_in(arguments: Sequence[str]) -> str | None:
    words = iter(arguments)
    for word in words:
        if word in WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None


if starts_bot(sys.argv):
    gc.disable()
    open_missing()
    stop_signals.hold()
