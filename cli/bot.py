"""`bot`: runs the bot until SIGTERM or Ctrl-C."""

import typer

import bot
from cli.context import Place
from cli.options import ConfigOption, DatabaseOption


def command(context: typer.Context, *, config: ConfigOption = None, database: DatabaseOption = None) -> int:
    """Run the bot."""
    place = Place.of(context, config, database)
    return bot.main(place.settings(), reread=place.settings)
