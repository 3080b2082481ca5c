"""`bot`: runs the bot until SIGTERM or Ctrl-C."""

import typer

from cashback.domain.errors import CashbackError
from cli.context import Place
from cli.options import ConfigOption, DatabaseOption
from cli.output import complain


def command(context: typer.Context, *, config: ConfigOption = None, database: DatabaseOption = None) -> int:
    """Run the bot."""
    import bot  # noqa: PLC0415 -- the command's help does without Discord

    place = Place.of(context, config, database)
    try:
        settings = place.settings()
    except CashbackError as wrong:
        complain(wrong)
        return bot.CONFIGURATION_WRONG
    return bot.main(settings, reread=place.settings)
