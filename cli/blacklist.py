"""`blacklist`: bars a member from referral cashback, or lets the member earn again."""

from typing import Annotated

import anyio
import typer

from cashback.database.referral_program.blacklist import unblacklist
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.members import remark_if_unknown
from cli.options import ConfigOption, DatabaseOption, JsonOption, MemberArgument, ReasonOption
from cli.output import say, say_json


def command(
    context: typer.Context,
    *,
    user_id: MemberArgument,
    reason: ReasonOption = None,
    remove: Annotated[bool, typer.Option("--remove", help="Let the member earn again.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Change whether the member earns, and report whether that changed anything."""
    changed = anyio.run(_change, Place.of(context, config, database).settings(), user_id, reason, remove)
    if as_json:
        say_json({"user_id": user_id, "blacklisted": not remove, "changed": changed})
    elif remove:
        outcome = "is no longer blacklisted; what was pending is pending again" if changed else "was not blacklisted"
        say(f"Member {user_id} {outcome}.")
    else:
        outcome = "is blacklisted from referral cashback now" if changed else "was blacklisted already"
        say(f"Member {user_id} {outcome}.")
    return 0


async def _change(settings: Settings, user_id: int, reason: str | None, remove: bool) -> bool:  # noqa: FBT001 -- anyio.run passes by position
    async with ledger(settings, create=True) as database:
        await remark_if_unknown(database, user_id)
        if remove:
            return await database.write(unblacklist, user_id, actor="cli", now=database.now())
        return await database.blacklist_referral_user(user_id, reason=reason, actor="cli")
