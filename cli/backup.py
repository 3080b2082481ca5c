"""`backup`: copies the ledger."""

from pathlib import Path
from typing import Annotated

import anyio
import typer

from cashback.database.integrity import backup as copies
from cashback.database.integrity.backup import Backup
from cashback.domain.errors import CashbackError
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.options import ConfigOption, DatabaseOption, JsonOption
from cli.output import complain, counted, progress, remark, say, say_json


def command(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Copy the ledger to a file, read the copy back, and show what is in it."""
    settings = Place.of(context, config, database).settings()
    with progress("Copying and reading back", None):
        made = copies.make(ledger(settings).path, file, overwrite=overwrite)
    if made.verdict is not None:
        anyio.run(_note, settings, made)
    if as_json:
        say_json(
            {
                "file": str(made.path.absolute()),
                "size_bytes": made.size_bytes,
                "balanced": made.verdict and made.verdict.balanced,
                "breaches": made.verdict.breaches if made.verdict else [],
                "audit_head": made.verdict and made.verdict.audit_head,
            }
        )
    else:
        say(f"{made.path} now holds the ledger: {made.size_bytes:,} bytes, read back and sound.")
        say(*[f"Audit head: {made.verdict.audit_head}"] if made.verdict else [])
    return _judge(made)


def _judge(made: Backup) -> int:
    """Report books that do not balance: the copy was made all the same."""
    if made.verdict is None:
        remark("this program never used the file, so its books were not read and the backup is not in the audit log.")
        return 0
    if not made.verdict.balanced:
        breaches = counted(len(made.verdict.breaches), "breach", "breaches")
        complain(f"the books that were copied do not balance: {breaches}; `cashback verify` lists them.")
        return 3
    return 0


async def _note(settings: Settings, made: Backup) -> None:
    """Record the backup in the ledger; one that takes no entries, for example after its move, is copied too."""
    async with ledger(settings) as database:
        try:
            await database.write(copies.note, made, actor="cli", now=database.now())
        except CashbackError as error:
            remark(f"the ledger does not record this backup: {error}")
