"""`migrate`: creates the ledger, adopts another bot's, or upgrades it."""

import anyio
import typer

from cashback.database import schema
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
    action, before = anyio.run(migrate, settings)
    name = ledger(settings).name
    if as_json:
        say_json({"database": name, "action": action, "schema": schema.NEWEST, "schema_before": before})
    else:
        outcomes = {
            "created": f"was created with schema {schema.NEWEST}",
            "adopted": f"was adopted; it now has schema {schema.NEWEST}, and everything in it is as it was",
            "upgraded": f"was upgraded from schema {before} to {schema.NEWEST}",
            "none": f"already has the newest schema ({schema.NEWEST}); nothing was changed",
        }
        say(f"Database {name} {outcomes[action]}.")
    return 0


async def migrate(settings: Settings) -> tuple[str, str | None]:
    """Create, adopt or upgrade the ledger; return what was done, and the schema before."""
    database = ledger(settings, create=True)
    before, tables = await found_in(database)
    async with database:
        if before is None:
            return "adopted" if tables else "created", before
        return "none" if before == schema.NEWEST else "upgraded", before
