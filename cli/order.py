"""`order`: lists the orders that wait for a member, and assigns one."""

from dataclasses import asdict
from typing import Annotated, Any, Final

import anyio
import typer

from cashback.database.referral_program.purchases import PurchaseOutcome, RecordedPurchase
from cashback.database.referral_program.unmatched import Waiting
from cashback.domain.earning import MAIN
from cashback.domain.money import dollars
from cashback.domain.ports import NullObserver
from cashback.services import CLI
from cashback.settings import Settings
from cashback.shops.ids import check_order_id
from cli.context import Place
from cli.options import ConfigOption, DatabaseOption, JsonOption, ReasonOption, parse_id, parse_shop
from cli.output import UsageError, counted, moment, say, say_json
from cli.payment_session import open_payment_session

USAGE: Final = "Say `order waiting` or `order assign ORDER-ID MEMBER-ID`"


def command(
    context: typer.Context,
    *,
    words: Annotated[
        list[str],
        typer.Argument(metavar="waiting | assign ORDER-ID MEMBER-ID", help="What to do, and with which order."),
    ],
    shop: Annotated[
        str, typer.Option("--shop", metavar="NAME", parser=parse_shop, help="The shop, if there are several.")
    ] = MAIN,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """List the waiting orders, or assign one to its member."""
    settings_of = Place.of(context, config, database).settings
    match words:
        case ["waiting"]:
            _say_waiting(anyio.run(_waiting, settings_of()), as_json=as_json)
        case ["assign", order_id, member]:
            member_id = parse_id(member)
            order_id = check_order_id(order_id)
            recorded = anyio.run(_assign, settings_of(), order_id, member_id, shop, reason)
            _say_assigned(recorded, order_id, member_id, as_json=as_json)
        case _:
            raise UsageError(USAGE)
    return 0


def _say_waiting(waiting: list[Waiting], *, as_json: bool) -> None:
    if as_json:
        say_json({"waiting": [_waiting_json(each) for each in waiting]})
        return
    total = sum(each.amount_cents for each in waiting)
    say(f"{counted(len(waiting), 'order')} wait for a member: {dollars(total)}." if waiting else "No orders wait.")
    for each in waiting:
        shop = "" if each.source == MAIN else f" of {each.source}"
        say(
            f"  {each.order_id}{shop}: {dollars(each.amount_cents)}, bought {moment(each.purchased_at)},"
            f" waits until {moment(each.waits_until)}"
        )
    if waiting:
        say("Assign one with `cashback order assign ORDER-ID MEMBER-ID`.")


def _waiting_json(waiting: Waiting) -> dict[str, Any]:
    facts = asdict(waiting)
    return {"shop": facts.pop("source"), **facts}


def _say_assigned(recorded: RecordedPurchase, order_id: str, member_id: int, *, as_json: bool) -> None:
    earned_cents = recorded.earned_cents if recorded.outcome is PurchaseOutcome.EARNED else None
    if as_json:
        facts = {"order_id": order_id, "buyer_id": member_id, "outcome": recorded.outcome}
        say_json({**facts, "earned_cents": earned_cents, "payable_at": recorded.payable_at})
        return
    earned = (
        "It earned nothing: the member has no referrer, or the referrer is blacklisted."
        if earned_cents is None
        else f"It earned the member's referrer {dollars(earned_cents)}."
    )
    say(f"Order {order_id} is the purchase of {member_id} now. {earned}")


async def _waiting(settings: Settings) -> list[Waiting]:
    async with open_payment_session(settings, NullObserver()) as session:
        return await session.service.waiting_orders(CLI)


async def _assign(
    settings: Settings, order_id: str, member_id: int, source: str, reason: str | None
) -> RecordedPurchase:
    async with open_payment_session(settings, NullObserver()) as session:
        return await session.service.assign_order(CLI, order_id, member_id, source=source, reason=reason)
