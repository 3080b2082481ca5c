"""`migrate`: creates the ledger, adopts another bot's, or upgrades it."""

from pathlib import Path
from typing import Annotated

import anyio
import typer

from cashback.background.upgrade_backup import back_up_if_older
from cashback.database import schema
from cashback.settings import Settings
from cli.context import Place, found_in, ledger
from cli.options import ConfigOption, DatabaseOption, JsonOption
from cli.output import say, say_json


def command(
    context: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Bring the ledger to this program's schema and report what that took."""
    settings = Place.of(context, config, database).settings()
    name = ledger(settings).name
    planned, found = anyio.run(plan, settings)
    changes = schema.changes_since(found) if planned == "upgraded" and found else []
    if not as_json and changes:
        say(f"Database {name} has schema {found}. The upgrade to {schema.NEWEST} brings:", *changes)
    if dry_run:
        _show_plan(name, planned, changes, as_json=as_json)
        return 0
    action, before, copy = anyio.run(migrate, settings)
    if as_json:
        say_json(
            {
                "database": name,
                "action": action,
                "schema": schema.NEWEST,
                "schema_before": before,
                "backup": str(copy.absolute()) if copy else None,
                "changes": changes,
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


def _show_plan(name: str, planned: str, changes: list[str], *, as_json: bool) -> None:
    if as_json:
        say_json({"database": name, "action": "dry_run", "planned": planned, "changes": changes})
        return
    outcomes = {
        "created": f"would be created with schema {schema.NEWEST}",
        "adopted": f"would be adopted: it gets schema {schema.NEWEST}, and everything in it stays as it is",
        "upgraded": "would be backed up, if it is a file, and upgraded",
        "none": f"already has the newest schema ({schema.NEWEST})",
    }
    say(f"Database {name} {outcomes[planned]}. Nothing was changed.")


async def plan(settings: Settings) -> tuple[str, str | None]:
    """Return what `migrate` will do, and the schema that is there; nothing is changed."""
    before, tables = await found_in(ledger(settings))
    if before is None:
        return "adopted" if tables else "created", None
    return "none" if before == schema.NEWEST else "upgraded", before


async def migrate(settings: Settings) -> tuple[str, str | None, Path | None]:
    """Create, adopt or upgrade the ledger; return what was done, the schema before, and the backup of an older file."""
    database = ledger(settings, create=True, upgrade=True)
    before, tables = await found_in(database)
    copy = await back_up_if_older(database.location, database.now())
    async with database:
        if before is None:
            return "adopted" if tables else "created", before, copy
        return "none" if before == schema.NEWEST else "upgraded", before, copy
