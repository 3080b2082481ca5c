"""What each purchase earned, and the answer about one order: pure functions from facts to embeds."""

from collections.abc import Sequence
from typing import Final

import discord

from cashback.cogs.texts.embeds import DESCRIPTION_LENGTH, clip, escaped, mention
from cashback.cogs.texts.member_embeds import ProgramTerms
from cashback.database.queries.earnings import PurchaseFacts, PurchaseState
from cashback.domain.languages import mark, tr
from cashback.domain.money import dollars

PURCHASES_PER_PAGE: Final = 10
ORDER_LENGTH: Final = 60

STATES: Final = {
    PurchaseState.PAID: mark("paid into the wallet"),
    PurchaseState.PENDING: mark("pending, paid with the next payout"),
    PurchaseState.HELD: mark("in the holding period until {day}"),
    PurchaseState.REFUNDED: mark("refunded, so it earns nothing"),
    PurchaseState.BELOW_CENT: mark("less than {least}; it counts with the next purchase"),
    PurchaseState.BLACKLISTED: mark("not paid, because the referrer is blacklisted"),
    PurchaseState.TOO_EARLY: mark("not counted, because it was made before the referral code was entered"),
    PurchaseState.NOT_EARNING: mark(
        "it earns nothing: it was made before the program started or after the referral's time, the referrer's limit"
        " for the month was reached, or the referrer was blacklisted"
    ),
    PurchaseState.UNLINKED: mark("not counted, because an admin unlinked the referral"),
    PurchaseState.WAITING: mark("not counted yet; it counts from the next payout on"),
    PurchaseState.UNREFERRED: mark("not counted, because the buyer entered no referral code"),
}
EARNING: Final = frozenset({PurchaseState.PAID, PurchaseState.PENDING, PurchaseState.HELD, PurchaseState.BLACKLISTED})


def history(page: Sequence[PurchaseFacts], number: int, pages: int, terms: ProgramTerms) -> discord.Embed:
    """Show one page, counted from 0, of the purchases of a member's referrals."""
    embed = discord.Embed(title=tr("🧾 What Each Purchase Earned"), colour=discord.Colour.blurple())
    if not page:
        embed.description = tr("No purchases of your referrals were reported yet; `/invite` shows your code.")
        return embed
    embed.description = clip("\n".join(_line(each, terms) for each in page), DESCRIPTION_LENGTH)
    return embed.set_footer(text=tr("Page {number} of {pages}", number=number + 1, pages=pages))


def _line(each: PurchaseFacts, terms: ProgramTerms) -> str:
    day = discord.utils.format_dt(each.purchased_at, "d")
    spent = f" ({dollars(each.amount_cents)})" if terms.shows_spending else ""
    earned = f"**{dollars(each.earned_cents)}** " if each.state in EARNING else ""
    return f"{day} {mention(each.buyer_id)}{spent}: {earned}{_state(each)}"


def _state(each: PurchaseFacts) -> str:
    day = discord.utils.format_dt(each.payable_at, "D") if each.payable_at is not None else ""
    return tr(STATES[each.state], day=day, least=dollars(1))


def orders(name: str, found: Sequence[PurchaseFacts], user_id: int) -> discord.Embed:
    """Answer what became of an order. More than one shop may have an order of this name."""
    shown = escaped(clip(name, ORDER_LENGTH))
    embed = discord.Embed(title=tr("🧾 One Order"), colour=discord.Colour.blurple())
    if not found:
        embed.description = tr(
            "No order {order} of yours, or of your referrals, was reported. The shop reports paid orders that name a"
            " Discord account; if it should be there, give an admin the order's number.",
            order=shown,
        )
        return embed
    embed.description = clip("\n".join(_order(shown, each, user_id) for each in found), DESCRIPTION_LENGTH)
    return embed


def _order(shown: str, each: PurchaseFacts, user_id: int) -> str:
    values = {
        "order": shown,
        "day": discord.utils.format_dt(each.purchased_at, "D"),
        "buyer": mention(each.buyer_id),
        "state": _state(each),
    }
    if each.buyer_id == user_id:
        if each.state in EARNING:
            return tr("Your order {order} of {day}: what it earns your referrer is {state}.", **values)
        return tr("Your order {order} of {day}: {state}.", **values)
    if each.state in EARNING:
        earned = dollars(each.earned_cents)
        return tr("Order {order} by {buyer} of {day} earned you {earned}: {state}.", earned=earned, **values)
    return tr("Order {order} by {buyer} of {day}: {state}.", **values)
