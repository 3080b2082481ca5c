"""`purchase`: records one purchase."""

from typing import Annotated, Final

import anyio
import typer

from cashback.database.referral_program.purchases import Purchase, PurchaseOutcome, RecordedPurchase
from cashback.database.referral_program.reports import COMMAND, report_purchases
from cashback.domain.errors import PurchaseRefusedError
from cashback.domain.money import dollars, parse_typed_dollars
from cashback.settings import Settings
from cashback.shops.ids import check_order_id
from cli.context import Place, ledger
from cli.members import require_account
from cli.options import ConfigOption, DatabaseOption, JsonOption, OrderArgument, parse_id
from cli.output import moment, say, say_json

OUTCOMES: Final = {
    PurchaseOutcome.EARNED: "It earned the buyer's referrer {}.",
    PurchaseOutcome.NOBODY_EARNS: "It earned nothing: the buyer has no referrer, or the referrer is blacklisted.",
    PurchaseOutcome.REPEATED: "It was known already and counts once.",
}


def command(
    context: typer.Context,
    *,
    order_id: OrderArgument,
    buyer_id: Annotated[int, typer.Argument(metavar="BUYER-ID", parser=parse_id, help="The buyer's Discord id.")],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="In the currency, for example 12.34.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Record the purchase and show what it earned."""
    # The settings come first: an amount is read in their currency.
    settings = Place.of(context, config, database).settings()
    amount_cents = parse_typed_dollars(amount)
    bought = Purchase(order_id=check_order_id(order_id), buyer_id=buyer_id, amount_cents=amount_cents)
    recorded = anyio.run(_record, settings, bought)
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
        earned = OUTCOMES[recorded.outcome].format(dollars(recorded.earned_cents))
        say(f"Order {bought.order_id} of {dollars(amount_cents)} by {buyer_id}. {earned}{held}")
    return 0


async def _record(settings: Settings, bought: Purchase) -> RecordedPurchase:
    terms = settings.referral_settings
    async with ledger(settings, create=True) as database:
        await require_account(database, bought.buyer_id)
        [recorded] = await database.write(
            report_purchases,
            [bought],
            terms.rate_ppm,
            database.now(),
            actor="cli",
            kind=COMMAND,
            holding_days=terms.holding_days,
            dates=terms.earning_dates,
        )
        return recorded
