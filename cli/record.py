"""The small commands that write: `purchase`, `refund`, `blacklist` and `migrate`."""

from dataclasses import asdict

import anyio

from cashback.database import schema
from cashback.database.referral_program.blacklist import unblacklist
from cashback.database.referral_program.purchases import Purchase, PurchaseOutcome, RecordedPurchase
from cashback.database.referral_program.refunds import RecordedRefund, Refund, RefundOutcome, record_refund
from cashback.domain.errors import PurchaseRefusedError
from cashback.domain.money import dollars
from cashback.settings import Settings
from cashback.shops.ids import check_order_id
from cli.context import Place, found_in, ledger
from cli.output import moment, say, say_json

OUTCOMES = {
    PurchaseOutcome.EARNED: "It earned the buyer's referrer {}.",
    PurchaseOutcome.NOBODY_EARNS: "It earned nothing: nobody referred the buyer, or the referrer is blacklisted.",
    PurchaseOutcome.REPEATED: "It was known already and counts once.",
}
REFUND_OUTCOMES = {
    RefundOutcome.TAKEN_BACK: "It takes {taken} off the cashback of {referrer}{owed}.",
    RefundOutcome.NOBODY_EARNED: "It takes nothing off anybody: the purchase earned nobody cashback.",
    RefundOutcome.REPEATED: "It was known already and counts once.",
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
        outcome = {"earned_cents": earned_cents, "payable_at": recorded.payable_at, "outcome": recorded.outcome}
        say_json({**facts, **outcome})
    else:
        held = f" It is payable from {moment(recorded.payable_at)}." if recorded.payable_at else ""
        said = OUTCOMES[recorded.outcome].format(dollars(recorded.earned_cents))
        say(f"Order {bought.order_id} of {dollars(amount_cents)} by {buyer_id}. {said}{held}")
    return 0


async def _record(settings: Settings, bought: Purchase) -> RecordedPurchase:
    async with ledger(settings, create=True) as database:
        [recorded] = await database.record_purchases([bought])
        return recorded


def refund(
    place: Place, order_id: str, amount_cents: int | None, *, refund_id: str | None, reason: str | None, as_json: bool
) -> int:
    """Record a refund of an order, of what is left where no amount is given, and say what it takes off whom."""
    wanted = Refund(
        order_id=check_order_id(order_id),
        amount_cents=amount_cents,
        refund_id=None if refund_id is None else check_order_id(refund_id, "refund_id"),
        reason=reason,
    )
    recorded = anyio.run(_refund, place.settings(), wanted)
    if as_json:
        say_json(asdict(recorded))
    else:
        said = REFUND_OUTCOMES[recorded.outcome].format(
            taken=dollars(recorded.taken_cents),
            referrer=recorded.referrer_id,
            owed=f", who owes {dollars(recorded.owed_cents)} against later earnings" if recorded.owed_cents else "",
        )
        say(f"Refund {recorded.refund_id}: {dollars(recorded.amount_cents)} of order {recorded.order_id}. {said}")
    return 0


async def _refund(settings: Settings, wanted: Refund) -> RecordedRefund:
    async with ledger(settings) as database:
        return await database.write(record_refund, wanted, actor="cli", now=database.now())


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


async def _blacklist(settings: Settings, user_id: int, reason: str | None, remove: bool) -> bool:  # noqa: FBT001 -- anyio.run passes by position
    async with ledger(settings, create=True) as database:
        if remove:
            return await database.write(unblacklist, user_id, actor="cli", now=database.now())
        return await database.blacklist_referral_user(user_id, reason=reason, actor="cli")


def migrate(place: Place, *, as_json: bool) -> int:
    """Bring the ledger to this program's schema and say what that took."""
    settings = place.settings()
    action, before = anyio.run(_migrate, settings)
    if as_json:
        say_json(
            {"database": ledger(settings).name, "action": action, "schema": schema.NEWEST, "schema_before": before}
        )
    else:
        said = {
            "created": f"was created with schema {schema.NEWEST}",
            "adopted": f"was adopted; it has schema {schema.NEWEST} now, and all that it held is as it was",
            "upgraded": f"was upgraded from schema {before} to {schema.NEWEST}",
            "none": f"has the newest schema already ({schema.NEWEST}); nothing was changed",
        }
        say(f"Database {ledger(settings).name} {said[action]}.")
    return 0


async def _migrate(settings: Settings) -> tuple[str, str | None]:
    database = ledger(settings, create=True)
    before, tables = await found_in(database)
    async with database:
        if before is None:
            return "adopted" if tables else "created", before
        return "none" if before == schema.NEWEST else "upgraded", before
