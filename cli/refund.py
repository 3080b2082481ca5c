"""`refund`: records a refund of an order."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final

import anyio
import typer

from cashback.database.referral_program.refunds import (
    RecordedRefund,
    Refund,
    RefundOutcome,
    find_order,
    record_refund,
)
from cashback.database.referral_program.shop_refunds import receive_refund
from cashback.domain.earning import MAIN, EarningDates, Origin
from cashback.domain.money import dollars, parse_typed_dollars
from cashback.settings import Settings
from cashback.shops.ids import check_order_id
from cli.context import Place, ledger
from cli.options import ConfigOption, DatabaseOption, JsonOption, OrderArgument, ReasonOption, parse_shop
from cli.output import UsageError, say, say_json

OUTCOMES: Final = {
    RefundOutcome.TAKEN_BACK: "It takes {taken} off the cashback of {referrer}{owed}.",
    RefundOutcome.NOBODY_EARNED: "It takes nothing off anybody: the purchase earned no cashback.",
    RefundOutcome.REPEATED: "It was known already and counts once.",
    RefundOutcome.KEPT: "It is kept and applied when its purchase comes.",
    RefundOutcome.GIVEN_BACK: "It is given back; the purchase earns again.",
}


def command(
    context: typer.Context,
    *,
    order_id: OrderArgument,
    amount: Annotated[
        str | None,
        typer.Argument(metavar="AMOUNT", help="In the currency; otherwise what is left of the order."),
    ] = None,
    refund_id: Annotated[
        str | None, typer.Option("--refund-id", metavar="ID", help="The shop's id of the refund; it counts once.")
    ] = None,
    in_all: Annotated[
        bool, typer.Option("--in-all", help="AMOUNT is all that was refunded of the order so far.")
    ] = False,
    given_back: Annotated[
        bool, typer.Option("--given-back", help="The refund was a dispute, and the shop has won it.")
    ] = False,
    shop: Annotated[
        str, typer.Option("--shop", metavar="NAME", parser=parse_shop, help="The shop, if there are several.")
    ] = MAIN,
    keep: Annotated[bool, typer.Option("--keep", help="Keep it if the purchase is not known yet.")] = False,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Record the refund and show what it takes off the referrer's cashback."""
    # The settings come first: an amount is read in their currency.
    settings = Place.of(context, config, database).settings()
    amount_cents = None if amount is None else parse_typed_dollars(amount)
    wanted = Refund(
        order_id=check_order_id(order_id),
        amount_cents=amount_cents,
        refund_id=None if refund_id is None else check_order_id(refund_id, "refund_id"),
        reason=reason,
        is_in_all=in_all,
        is_given_back=given_back,
    )
    if in_all and refund_id is not None:
        raise UsageError("--in-all and --refund-id do not go together")
    if given_back and (refund_id is None or amount_cents is not None or in_all):
        raise UsageError("--given-back needs the --refund-id of the dispute, and no AMOUNT")
    recorded = anyio.run(_record, settings, wanted, keep, shop)
    if as_json:
        say_json({name: fact for name, fact in asdict(recorded).items() if name != "asked_cents" or fact is not None})
    else:
        outcome = OUTCOMES[recorded.outcome].format(
            taken=dollars(recorded.taken_cents),
            referrer=recorded.referrer_id,
            owed=f", who owes {dollars(recorded.owed_cents)} against later earnings" if recorded.owed_cents else "",
        )
        asked = recorded.asked_cents
        less = "" if asked is None else f" That is what was left: {dollars(asked)} were asked for."
        shown = "" if recorded.outcome is RefundOutcome.KEPT else f"{dollars(recorded.amount_cents)} of "
        name = "Refund" if refund_id is None else f"Refund {recorded.refund_id}"
        say(f"{name}: {shown}order {recorded.order_id}. {outcome}{less}")
    return 0


async def _record(settings: Settings, wanted: Refund, keep: bool, shop: str) -> RecordedRefund:  # noqa: FBT001 -- anyio.run passes by position
    async with ledger(settings) as database:
        return await database.write(
            _record_or_keep,
            wanted,
            keep=keep,
            origin=Origin(source=shop),
            now=database.now(),
            dates=settings.referral_settings.earning_dates,
        )


def _record_or_keep(
    connection: Any,  # noqa: ANN401 -- SQLAlchemy's connection has its type in cashback/database/ alone
    wanted: Refund,
    *,
    keep: bool,
    origin: Origin,
    now: datetime,
    dates: EarningDates,
) -> RecordedRefund:
    """Record a refund. A mistyped order id must not be kept: only `--keep` keeps one of an order that is not known."""
    if not keep and find_order(connection, origin.source, wanted.order_id) is None:
        return record_refund(connection, wanted, actor="cli", now=now, origin=origin)
    return receive_refund(connection, wanted, actor="cli", now=now, origin=origin, dates=dates)
