"""The small commands that write: `purchase`, `blacklist` and `migrate`."""

from pathlib import Path

import anyio

from console.csvfile import check_order_id
from console.output import say, say_json
from console.session import Place, ledger
from database import schema
from database.blacklist import unblacklist
from database.engine import Door
from database.purchases import Purchase, PurchaseOutcome, RecordedPurchase, record_purchases
from pipeline.errors import PurchaseRefusedError
from pipeline.money import dollars
from settings import Settings

OUTCOMES = {
    PurchaseOutcome.EARNED: "It earned the buyer's referrer {}.",
    PurchaseOutcome.NOBODY_EARNS: "It earned nothing: nobody referred the buyer, or the referrer is blacklisted.",
    PurchaseOutcome.REPEATED: "It was known already and counts once.",
}


def purchase(place: Place, order_id: str, buyer_id: int, amount_cents: int, *, as_json: bool) -> int:
    """Record one purchase and say what it earned."""
    bought = Purchase(order_id=check_order_id(order_id), buyer_id=buyer_id, amount_cents=amount_cents)
    recorded = anyio.run(_record, place.settings(), bought)
    if recorded.outcome is PurchaseOutcome.CONFLICTING:
        raise PurchaseRefusedError(
            f"Order {bought.order_id} is known with another buyer or amount; nothing was changed."
        )
    if as_json:
        earned_cents = recorded.earned_cents if recorded.outcome is PurchaseOutcome.EARNED else None
        facts = {"order_id": bought.order_id, "buyer_id": buyer_id, "amount_cents": amount_cents}
        say_json({**facts, "earned_cents": earned_cents, "outcome": recorded.outcome})
    else:
        said = OUTCOMES[recorded.outcome].format(dollars(recorded.earned_cents))
        say(f"Order {bought.order_id} of {dollars(amount_cents)} by {buyer_id}. {said}")
    return 0


async def _record(settings: Settings, bought: Purchase) -> RecordedPurchase:
    async with ledger(settings) as database:
        rate_ppm = settings.referral_settings.rate_ppm
        [recorded] = await database.write(record_purchases, [bought], rate_ppm, database.now())
        return recorded


def blacklist(place: Place, user_id: int, *, reason: str | None, remove: bool, as_json: bool) -> int:
    """Bar a member from referral cashback, or let one earn again."""
    changed = anyio.run(_blacklist, place.settings(), user_id, reason, remove)
    if as_json:
        say_json({"user_id": user_id, "blacklisted": not remove, "changed": changed})
    elif remove:
        said = "is no longer blacklisted; what was pending is pending again" if changed else "was not blacklisted"
        say(f"Member {user_id} {said}.")
    else:
        said = "is blacklisted from referral cashback now" if changed else "was blacklisted already"
        say(f"Member {user_id} {said}.")
    return 0


async def _blacklist(settings: Settings, user_id: int, reason: str | None, remove: bool) -> bool:  # noqa: FBT001
    async with ledger(settings) as database:
        if remove:
            return await database.write(unblacklist, user_id, actor="cli", now=database.now())
        return await database.blacklist_referral_user(user_id, reason=reason, actor="cli")


def migrate(place: Place, *, as_json: bool) -> int:
    """Bring the ledger to this program's schema and say what that took."""
    settings = place.settings()
    action, before = anyio.run(_migrate, settings)
    if as_json:
        say_json({"database": settings.database, "action": action, "schema": schema.NEWEST, "schema_before": before})
    else:
        said = {
            "created": f"was created with schema {schema.NEWEST}",
            "adopted": f"was adopted; it has schema {schema.NEWEST} now, and all that it held is as it was",
            "upgraded": f"was upgraded from schema {before} to {schema.NEWEST}",
            "none": f"has the newest schema already ({schema.NEWEST}); nothing was changed",
        }
        say(f"Database {settings.database} {said[action]}.")
    return 0


async def _migrate(settings: Settings) -> tuple[str, str | None]:
    database = ledger(settings)
    tables, before = 0, None
    if _holds_something(database.path):
        door = Door(database.path)
        try:
            before, tables = await door.read(schema.revision_of), await door.read(schema.count_tables)
        finally:
            door.close()
    async with database:
        if before is None:
            return "adopted" if tables else "created", before
        return "none" if before == schema.NEWEST else "upgraded", before


def _holds_something(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
