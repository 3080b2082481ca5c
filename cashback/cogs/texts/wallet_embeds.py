"""The embeds about wallets and withdrawals: pure functions from the ledger's facts to embeds."""

from collections.abc import Iterable
from typing import Final

import discord

from cashback.cogs.texts.embeds import FIELD_LENGTH, clip, escaped, mention, named
from cashback.domain.languages import mark, tr, trn
from cashback.domain.money import dollars
from cashback.domain.withdrawals import BY_MEMBER, Wallet, WalletEntry, Withdrawal, WithdrawalStatus
from cashback.settings import WithdrawalSettings

STATES: Final = {
    WithdrawalStatus.REQUESTED: mark("⏳ Withdrawal Requested"),
    WithdrawalStatus.PAID: mark("✅ Withdrawal Paid"),
    WithdrawalStatus.DECLINED: mark("🚫 Withdrawal Declined"),
    WithdrawalStatus.CANCELLED: mark("🚫 Withdrawal Cancelled"),
}
AUTOMATIC: Final = mark("`/autowithdraw` sends each later payout by one of these.")
COLOURS: Final = {
    WithdrawalStatus.REQUESTED: discord.Colour.gold(),
    WithdrawalStatus.PAID: discord.Colour.green(),
    WithdrawalStatus.DECLINED: discord.Colour.orange(),
    WithdrawalStatus.CANCELLED: discord.Colour.dark_grey(),
}


def wallet(shown: Wallet, terms: WithdrawalSettings) -> discord.Embed:
    """Show a member's balance, open request and newest transactions, and how to withdraw."""
    embed = discord.Embed(title=tr("👛 Your Wallet"), colour=discord.Colour.blurple())
    embed.add_field(name=tr("Balance"), value=dollars(shown.balance_cents))
    waiting = shown.open_withdrawal
    if waiting is not None:
        embed.add_field(name=tr("Requested"), value=_by_method(waiting))
    if shown.auto_withdrawal is not None:
        text = tr("is sent by {method}; `/autowithdraw` `off` stops that", method=shown.auto_withdrawal.method)
        embed.add_field(name=tr("Each Payout"), value=text)
    lines = [_line(entry) for entry in shown.entries] or [tr("No transactions found.")]
    embed.add_field(name=tr("Last Transactions"), value=_fitted(lines), inline=False)
    embed.add_field(name=tr("Withdraw"), value=how_to_withdraw(terms), inline=False)
    return embed


def _line(entry: WalletEntry) -> str:
    day = f"{discord.utils.format_dt(entry.at, 'd')} " if entry.at is not None else ""
    sign = "+" if entry.amount_cents > 0 else ""
    return f"{day}**{sign}{dollars(entry.amount_cents)}** {escaped(clip(entry.text, 80))}"


def _fitted(lines: list[str]) -> str:
    """Join as many lines as a field takes."""
    text = ""
    for line in lines:
        if len(text) + len(line) + 1 > FIELD_LENGTH:
            break
        text += f"{line}\n"
    return text.rstrip("\n")


def how_to_withdraw(terms: WithdrawalSettings) -> str:
    """Explain the methods and the limits."""
    if not terms.enabled:
        return tr("Withdrawals are switched off here; ask an admin what you can use your balance for.")
    return clip("\n".join([*map(_method, terms.methods.items()), tr(AUTOMATIC), *_limits(terms)]), FIELD_LENGTH)


def _method(method: tuple[str, str | None]) -> str:
    name, meaning = method
    if meaning is None:
        return f"`/withdraw` `{name}`"
    return tr("`/withdraw` `{name}` to {meaning}", name=name, meaning=escaped(meaning))


def _limits(terms: WithdrawalSettings) -> Iterable[str]:
    least = dollars(terms.minimum_cents)
    if terms.maximum_cents is None:
        yield tr("From {least}, one request at a time.", least=least)
    else:
        yield tr("From {least} to {most}, one request at a time.", least=least, most=dollars(terms.maximum_cents))
    if terms.account_age_days:
        yield trn(
            "Your account must be {count} day old.", "Your account must be {count} days old.", terms.account_age_days
        )


def _by_method(shown: Withdrawal) -> str:
    return tr("{amount} by {method}", amount=dollars(shown.amount_cents), method=shown.method)


def withdrawal(shown: Withdrawal) -> discord.Embed:
    """Show a withdrawal to admins, without its destination: others may read the channel."""
    embed = discord.Embed(title=f"{STATES[shown.status]} · {shown.number}", colour=COLOURS[shown.status])
    lines = [
        f"**Member:** {mention(shown.user_id)} (`{shown.user_id}`)",
        f"**Amount:** {dollars(shown.amount_cents)}",
        f"**Method:** {shown.method}",
        f"**Requested:** {discord.utils.format_dt(shown.requested_at, 'f')}",
    ]
    if shown.is_open and shown.needs_second_approver is not None:
        first = f"approved by {named(shown.first_approved_by)}" if shown.first_approved_by else "not approved yet"
        lines.append(f"**Approval:** {shown.needs_second_approver} It is {first}.")
    if shown.reference is not None:
        lines.append(f"**Reference:** {escaped(shown.reference)}")
    if shown.reason is not None:
        lines.append(f"**Reason:** {escaped(shown.reason)}")
    if shown.decided_by is not None:
        lines.append(f"**By:** {named(shown.decided_by)}")
    embed.description = "\n".join(lines)
    return embed


def note(shown: Withdrawal) -> discord.Embed:
    """Inform the member of what became of a withdrawal."""
    title = tr(STATES[shown.status])
    return discord.Embed(title=title, description="\n".join(_note(shown)), colour=COLOURS[shown.status])


def _note(shown: Withdrawal) -> Iterable[str]:
    values = {"amount": dollars(shown.amount_cents), "method": shown.method}
    if shown.status is WithdrawalStatus.REQUESTED:
        yield tr("{amount} left your wallet and will be sent by {method}; see `/wallet`.", **values)
    elif shown.status is WithdrawalStatus.PAID:
        yield tr("{amount} was sent by {method}.", **values)
        yield tr("**Reference:** {reference}", reference=escaped(shown.reference or ""))
    else:
        yield tr("{amount} is back in your wallet.", amount=values["amount"])
        # Members who cancelled know why.
        if shown.reason and shown.reason != BY_MEMBER:
            yield tr("**Reason:** {reason}", reason=escaped(shown.reason))
