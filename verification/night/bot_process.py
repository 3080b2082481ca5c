"""The bot as its users start it, with a clock that others set: `python -m verification.night.bot_process CLOCK`."""

import sys
from pathlib import Path

from cashback import early_start  # noqa: F401 -- as bot.py does: it receives stop signals during the imports below

# isort: split
from cashback.domain import ports
from verification.night.clock import SharedClock

# The only place that reads the machine's clock; the modules below take it from there.
ports.utc_now = SharedClock(Path(sys.argv[1]))

# isort: split
import bot  # noqa: E402 -- see above
from cashback.settings import load  # noqa: E402 -- see above

if __name__ == "__main__":
    sys.exit(bot.main(load(), reread=load))
