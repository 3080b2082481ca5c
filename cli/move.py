"""`move`: moves the ledger to another database, and closes the old one."""

from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import typer

from cashback.database import Database
from cashback.database.integrity import moving
from cashback.database.integrity.moving import Move, MoveRefusedError
from cashback.domain.errors import DatabaseUnavailableError
from cli.context import quiet_logging
from cli.options import JsonOption
from cli.output import Advance, counted, progress, remark, say, say_json


def command(
    *,
    source: Annotated[str, typer.Option("--from", metavar="DATABASE", help="The ledger: a file, or an address.")],
    target: Annotated[
        str, typer.Option("--to", metavar="DATABASE", help="The new database: empty, or one that does not exist yet.")
    ],
    stop_other_bot: Annotated[
        bool,
        typer.Option("--stop-other-bot", help="Close a ledger that another bot shares, and its tables to that bot."),
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Move the ledger, and show what the new one holds."""
    quiet_logging()
    old, new = Database(source, must_exist=True), Database(target)
    if isinstance(old.location, Path) and not old.location.is_file():
        raise DatabaseUnavailableError(f"Database {old.name} does not exist; there is nothing to move.")
    if _location(old) == _location(new):
        raise MoveRefusedError(f"{old.name} is both the source and the target; name another target.")
    with progress("Moving rows", None) as advance:
        moved = anyio.run(partial(_move, old, new, advance, stop_other_bot=stop_other_bot))
    if as_json:
        say_json(
            {
                "from": old.name,
                "to": new.name,
                "action": "none" if moved.again else "moved",
                "rows": moved.rows,
                "left_behind": moved.left,
                "balanced": moved.verdict.balanced,
                "credited_cents": moved.verdict.credited_cents,
                "audit_head": moved.verdict.audit_head,
            }
        )
        return 0
    rows = counted(sum(moved.rows.values()), "row")
    if moved.again:
        say(f"The ledger was moved to {new.name} before; it has {rows}. Nothing was changed.")
    else:
        say(f"Moved {rows} from {old.name} to {new.name}; each was read back, and the books balance in both.")
    say(f"Set CASHBACK_DATABASE to the new address. {old.name} is closed: it can be read, and takes no change.")
    if stop_other_bot:
        remark("another bot that still uses it can read there, and nothing that it writes is taken: stop it.")
    if moved.left:
        remark(f"tables of another program were left behind: {', '.join(moved.left)}.")
    return 0


def _location(database: Database) -> object:
    return database.location.resolve() if isinstance(database.location, Path) else database.location


async def _move(old: Database, new: Database, advance: Advance, *, stop_other_bot: bool) -> Move:
    async with old, new:
        return await moving.move(old, new, advance, stop_other_bot=stop_other_bot)
