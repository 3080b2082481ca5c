"""`pending`: what would be paid now, and what is held or owed."""

from typing import Any, TypeGuard

import anyio
import typer

from cashback.database import Database
from cashback.database.referral_program.pending import held_and_owed
from cashback.domain.errors import CashbackError
from cashback.domain.model import PendingPreview
from cashback.domain.money import dollars, grouped
from cashback.domain.reason_texts import counted_reasons
from cashback.services import AdminService
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.formatting import ranking
from cli.members import remark_if_unknown
from cli.options import ConfigOption, DatabaseOption, JsonOption, LimitOption, UserOption
from cli.output import counted, recorded, remark, say, say_json


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


def _show_all(
    rows: list[dict[str, int]],
    not_payable: dict[str, int],
    payable: PendingPreview | None,
    *,
    limit: int,
    as_json: bool,
) -> None:
    total_cents = sum(row["pending_cents"] for row in rows)
    if as_json:
        listed = {"users": len(rows), "total_cents": total_cents, **not_payable, "referrers": rows}
        say_json({**listed, **_payable_json(payable, total_cents)})
        return
    if not rows:
        say("No referral cashback is pending.")
    else:
        top = [(row["referrer_id"], row["pending_cents"], row["referral_count"]) for row in rows[:limit]]
        say(f"Pending: {dollars(total_cents)} to {counted(len(rows), 'user')}", "", *ranking(top, len(rows)))
    say(*_payable_lines(payable, total_cents), *_not_payable_lines(not_payable))


def _differs(payable: PendingPreview | None, pending_cents: int) -> TypeGuard[PendingPreview]:
    """Return whether the settings exclude any of what is pending."""
    return payable is not None and (payable.total_cents != pending_cents or bool(payable.left_out))


def _payable_json(payable: PendingPreview | None, pending_cents: int) -> dict[str, Any]:
    if not _differs(payable, pending_cents):
        return {}
    left_out = [{"reason": each.reason, "count": each.count, "cents": each.cents} for each in payable.left_out]
    return {"payable_users": payable.users, "payable_cents": payable.total_cents, "left_out": left_out}


def _payable_lines(payable: PendingPreview | None, pending_cents: int) -> list[str]:
    """Show what `pay` would pay, if the settings exclude any of what is pending."""
    if not _differs(payable, pending_cents):
        return []
    excluded = f"; excluded: {counted_reasons(payable.left_out)}" if payable.left_out else ""
    return [f"`cashback pay` would pay {dollars(payable.total_cents)} to {counted(payable.users, 'user')}{excluded}"]


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
            say(f"  …and {grouped(len(details) - limit)} more")
    say(*_not_payable_lines(not_payable))


def _not_payable_lines(not_payable: dict[str, int]) -> list[str]:
    """Show what is held and what is owed, if anything is."""
    texts = {
        "held_cents": "Held until the holding period is over: {}",
        "owed_cents": "Owed after refunds, against later earnings of the same referral: {}",
    }
    return [text.format(dollars(not_payable[key])) for key, text in texts.items() if not_payable[key]]


async def _read_all(settings: Settings) -> tuple[list[dict[str, int]], dict[str, int], PendingPreview | None]:
    async with ledger(settings) as database:
        rows = await database.get_all_pending_referral_cashbacks()
        return rows, await database.read(held_and_owed, database.now()), await _read_payable(settings, database)


async def _read_payable(settings: Settings, database: Database) -> PendingPreview | None:
    """Return what `pay` would pay; None for a ledger that takes no writes, for example after its move."""
    try:
        return await AdminService(database, settings, lambda _number: 0).preview()
    except CashbackError as error:
        remark(f"what `cashback pay` would pay is not known: {error}")
        return None
    finally:
        # Nothing of the plan stays.
        recorded.clear()


async def _read_one(settings: Settings, user_id: int) -> tuple[dict[str, Any], dict[str, int]]:
    async with ledger(settings) as database:
        await remark_if_unknown(database, user_id)
        found = await database.get_pending_cashback_for_user(user_id)
        return found, await database.read(held_and_owed, database.now(), referrer_id=user_id)
