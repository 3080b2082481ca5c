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


def starts_bot(arguments: Sequence[str]) -> bool:
    """Return whether a process with these arguments is to run the bot."""
    program = PurePath(arguments[0]).name if arguments else ""
    return program == "bot.py" or (program in COMMANDS and "bot" in arguments[1:])


if starts_bot(sys.argv):
    gc.disable()
    open_missing()
    stop_signals.hold()
