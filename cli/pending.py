"""`pending`: what would be paid now, and what is held or owed."""

from typing import Any

import anyio
import typer

from cashback.database.referral_program.pending import held_and_owed
from cashback.domain.money import dollars
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.formatting import ranking
from cli.members import remark_if_unknown
from cli.options import ConfigOption, DatabaseOption, JsonOption, LimitOption, UserOption
from cli.output import counted, say, say_json


def command(
    context: typer.Context,
    *,
    user: UserOption = None,
    limit: LimitOption = 10,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Show what would be paid now, to everyone or to one referrer."""
    settings = Place.of(context, config, database).settings()
    if user is not None:
        _show_one(user, *anyio.run(_read_one, settings, user), limit=limit, as_json=as_json)
    else:
        _show_all(*anyio.run(_read_all, settings), limit=limit, as_json=as_json)
    return 0


def _show_all(rows: list[dict[str, int]], not_payable: dict[str, int], *, limit: int, as_json: bool) -> None:
    total_cents = sum(row["pending_cents"] for row in rows)
    if as_json:
        say_json({"users": len(rows), "total_cents": total_cents, **not_payable, "referrers": rows})
        return
    if not rows:
        say("No referral cashback is pending.")
    else:
        top = [(row["referrer_id"], row["pending_cents"], row["referral_count"]) for row in rows[:limit]]
        say(f"Pending: {dollars(total_cents)} to {counted(len(rows), 'user')}", "", *ranking(top, len(rows)))
    say(*_not_payable_lines(not_payable))


def _show_one(user_id: int, found: dict[str, Any], not_payable: dict[str, int], *, limit: int, as_json: bool) -> None:
    if as_json:
        say_json({"referrer_id": user_id, **found, **not_payable})
        return
    if found["is_blacklisted"]:
        say(f"Member {user_id} is blacklisted from referral cashback.")
    elif not found["pending_cents"]:
        say(f"Member {user_id} has no pending cashback.")
    else:
        details = found["referral_details"]
        say(f"Member {user_id}: {dollars(found['pending_cents'])} from {counted(found['referral_count'], 'referral')}")
        say(*(f"  {detail['user_id']}: {dollars(detail['amount_cents'])}" for detail in details[:limit]))
        if len(details) > limit:
            say(f"  …and {len(details) - limit:,} more")
    say(*_not_payable_lines(not_payable))


def _not_payable_lines(not_payable: dict[str, int]) -> list[str]:
    """Show what is held and what is owed, if anything is."""
    texts = {
        "held_cents": "Held until the holding period is over: {}",
        "owed_cents": "Owed after refunds, against later earnings of the same referral: {}",
    }
    return [text.format(dollars(not_payable[key])) for key, text in texts.items() if not_payable[key]]


async def _read_all(settings: Settings) -> tuple[list[dict[str, int]], dict[str, int]]:
    async with ledger(settings) as database:
        rows = await database.get_all_pending_referral_cashbacks()
        return rows, await database.read(held_and_owed, database.now())


async def _read_one(settings: Settings, user_id: int) -> tuple[dict[str, Any], dict[str, int]]:
    async with ledger(settings) as database:
        await remark_if_unknown(database, user_id)
        found = await database.get_pending_cashback_for_user(user_id)
        return found, await database.read(held_and_owed, database.now(), referrer_id=user_id)
