"""`migrate`: creates the ledger, adopts another bot's, or upgrades it."""

from pathlib import Path

import anyio
import typer

from cashback.database import schema
from cashback.database.integrity.upgrade_backup import back_up_if_older
from cashback.settings import Settings
from cli.context import Place, found_in, ledger
from cli.options import ConfigOption, DatabaseOption, JsonOption
from cli.output import say, say_json


def command(
    context: typer.Context,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Bring the ledger to this program's schema and report what that took."""
    settings = Place.of(context, config, database).settings()
    action, before, copy = anyio.run(migrate, settings)
    name = ledger(settings).name
    if as_json:
        say_json(
            {
                "database": name,
                "action": action,
                "schema": schema.NEWEST,
                "schema_before": before,
                "backup": str(copy.absolute()) if copy else None,
            }
        )
    else:
        outcomes = {
            "created": f"was created with schema {schema.NEWEST}",
            "adopted": f"was adopted; it now has schema {schema.NEWEST}, and everything in it is as it was",
            "upgraded": f"was upgraded from schema {before} to {schema.NEWEST}",
            "none": f"already has the newest schema ({schema.NEWEST}); nothing was changed",
        }
        say(*[f"{copy} now holds the ledger as it was before; nothing else was written yet."] if copy else [])
        say(f"Database {name} {outcomes[action]}.")
    return 0


async def migrate(settings: Settings) -> tuple[str, str | None, Path | None]:
    """Create, adopt or upgrade the ledger; return what was done, the schema before, and the backup of an older file."""
    database = ledger(settings, create=True, upgrade=True)
    before, tables = await found_in(database)
    copy = await back_up_if_older(database.location, database.now())
    async with database:
        if before is None:
            return "adopted" if tables else "created", before, copy
        return "none" if before == schema.NEWEST else "upgraded", before, copy
