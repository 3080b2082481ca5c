"""`order`: shows an order, corrects it, and lists or assigns those that wait for a member."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple

import anyio
import typer

from cashback.database.referral_program.purchases import PurchaseOutcome, RecordedPurchase
from cashback.database.referral_program.unmatched import Waiting
from cashback.domain.earning import MAIN
from cashback.domain.errors import CashbackError
from cashback.domain.money import dollars, parse_typed_dollars
from cashback.domain.orders import OrderFacts, order_lines, why_not_paid
from cashback.domain.ports import NullObserver
from cashback.services import CLI
from cashback.settings import Settings
from cashback.shops.ids import check_order_id
from cli.context import Place
from cli.options import ConfigOption, DatabaseOption, JsonOption, ReasonOption, parse_id, parse_shop
from cli.output import UsageError, counted, moment, say, say_json
from cli.payment_session import PaymentSession, open_payment_session

USAGE: Final = (
    "Say `order ORDER-ID`, `order waiting`, `order assign ORDER-ID MEMBER-ID`, `order reassign ORDER-ID MEMBER-ID"
    " --reason TEXT` or `order amount ORDER-ID AMOUNT --reason TEXT`"
)


def command(
    context: typer.Context,
    *,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="ORDER-ID | waiting | assign | reassign | amount",
            help="The order; or what to do, the order, and its member or AMOUNT.",
        ),
    ],
    shop: Annotated[
        str | None, typer.Option("--shop", metavar="NAME", parser=parse_shop, help="The shop, if there are several.")
    ] = None,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Show, assign or correct an order, or list those that wait."""
    settings_of = Place.of(context, config, database).settings
    match words:
        case ["waiting"]:
            _say_waiting(anyio.run(_waiting, settings_of()), as_json=as_json)
        case ["assign", order_id, member]:
            member_id, order_id = parse_id(member), check_order_id(order_id)
            recorded = anyio.run(_assign, settings_of(), order_id, member_id, shop or MAIN, reason)
            _say_assigned(recorded, order_id, member_id, as_json=as_json)
        case ["reassign" | "amount" as what, order_id, value]:
            if reason is None:
                raise UsageError("A correction needs --reason TEXT")
            read = parse_id if what == "reassign" else parse_typed_dollars
            # The settings come first: an amount is read in their currency.
            settings = settings_of()
            wanted = _Correction(what, check_order_id(order_id), read(value), shop or MAIN, reason)
            _say_order(*anyio.run(_correct, settings, wanted), as_json=as_json)
        case [order_id]:
            _say_order(*anyio.run(_find, settings_of(), check_order_id(order_id), shop), as_json=as_json)
        case _:
            raise UsageError(USAGE)
    return 0


class _Correction(NamedTuple):
    what: str
    order_id: str
    value: int
    source: str
    reason: str


def _say_order(found: list[OrderFacts], now: datetime, *, as_json: bool) -> None:
    if as_json:
        say_json({"orders": [_order_json(each, now) for each in found]})
        return
    for order in found:
        say(*order_lines(order, now))


def _order_json(order: OrderFacts, now: datetime) -> dict[str, Any]:
    facts = asdict(order)
    parts = [
        {
            **part,
            "pending_cents": each.pending_cents,
            "paid": [{"batch": batch_id, "cents": cents} for batch_id, cents in each.paid],
        }
        for part, each in zip(facts.pop("parts"), order.parts, strict=True)
    ]
    return {
        "shop": facts.pop("source"),
        **facts,
        "buyer_id": order.buyer_id,
        "parts": parts,
        "why_not_paid": why_not_paid(order, now),
    }


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


async def _find(settings: Settings, order_id: str, source: str | None) -> tuple[list[OrderFacts], datetime]:
    async with open_payment_session(settings, NullObserver()) as session:
        return await _found(session, order_id, source)


async def _found(session: PaymentSession, order_id: str, source: str | None) -> tuple[list[OrderFacts], datetime]:
    found = await session.service.find_orders(order_id, source=source)
    if not found:
        of = f" of shop {source}" if source is not None else ""
        raise CashbackError(f"Order {order_id}{of} is not known; check the id.")
    return found, session.database.now()


async def _correct(settings: Settings, wanted: _Correction) -> tuple[list[OrderFacts], datetime]:
    async with open_payment_session(settings, NullObserver()) as session:
        service, order_id = session.service, wanted.order_id
        if wanted.what == "reassign":
            await service.reassign_order(CLI, order_id, wanted.value, reason=wanted.reason, source=wanted.source)
        else:
            await service.correct_order_amount(CLI, order_id, wanted.value, reason=wanted.reason, source=wanted.source)
        return await _found(session, order_id, wanted.source)
