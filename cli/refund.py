"""`refund`: records a refund of an order."""

from dataclasses import asdict
from typing import Annotated, Final

import anyio
import typer

from cashback.database.referral_program.refunds import RecordedRefund, Refund, RefundOutcome, record_refund
from cashback.domain.money import dollars
from cashback.settings import Settings
from cashback.shops.ids import check_order_id
from cli.context import Place, ledger
from cli.options import ConfigOption, DatabaseOption, JsonOption, OrderArgument, ReasonOption, parse_amount
from cli.output import say, say_json

OUTCOMES: Final = {
    RefundOutcome.TAKEN_BACK: "It takes {taken} off the cashback of {referrer}{owed}.",
    RefundOutcome.NOBODY_EARNED: "It takes nothing off anybody: the purchase earned no cashback.",
    RefundOutcome.REPEATED: "It was known already and counts once.",
}


def command(
    context: typer.Context,
    *,
    order_id: OrderArgument,
    amount_cents: Annotated[
        int | None,
        typer.Argument(metavar="AMOUNT", parser=parse_amount, help="Dollars; otherwise what is left of the order."),
    ] = None,
    refund_id: Annotated[
        str | None, typer.Option("--refund-id", metavar="ID", help="The shop's id of the refund; it counts once.")
    ] = None,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Record the refund and show what it takes off the referrer's cashback."""
    wanted = Refund(
        order_id=check_order_id(order_id),
        amount_cents=amount_cents,
        refund_id=None if refund_id is None else check_order_id(refund_id, "refund_id"),
        reason=reason,
    )
    recorded = anyio.run(_record, Place.of(context, config, database).settings(), wanted)
    if as_json:
        say_json(asdict(recorded))
    else:
        outcome = OUTCOMES[recorded.outcome].format(
            taken=dollars(recorded.taken_cents),
            referrer=recorded.referrer_id,
            owed=f", who owes {dollars(recorded.owed_cents)} against later earnings" if recorded.owed_cents else "",
        )
        name = "Refund" if refund_id is None else f"Refund {recorded.refund_id}"
        say(f"{name}: {dollars(recorded.amount_cents)} of order {recorded.order_id}. {outcome}")
    return 0


async def _record(settings: Settings, wanted: Refund) -> RecordedRefund:
    async with ledger(settings) as database:
        return await database.write(record_refund, wanted, actor="cli", now=database.now())
