"""The embeds about wallets and withdrawals: pure functions from the ledger's facts to embeds."""

from typing import Final

import discord

from cashback.cogs.texts.embeds import FIELD_LENGTH, clip, counted, escaped, mention, named
from cashback.domain.languages import tr
from cashback.domain.money import dollars
from cashback.domain.withdrawals import Wallet, WalletEntry, Withdrawal, WithdrawalStatus
from cashback.settings import WithdrawalSettings

STATES: Final = {
    WithdrawalStatus.REQUESTED: "⏳ Withdrawal Requested",
    WithdrawalStatus.PAID: "✅ Withdrawal Paid",
    WithdrawalStatus.DECLINED: "🚫 Withdrawal Declined",
    WithdrawalStatus.CANCELLED: "🚫 Withdrawal Cancelled",
}
COLOURS: Final = {
    WithdrawalStatus.REQUESTED: discord.Colour.gold(),
    WithdrawalStatus.PAID: discord.Colour.green(),
    WithdrawalStatus.DECLINED: discord.Colour.orange(),
    WithdrawalStatus.CANCELLED: discord.Colour.dark_grey(),
}


def wallet(shown: Wallet, terms: WithdrawalSettings) -> discord.Embed:
    """Show a member's balance, open request and newest transactions, and how to withdraw."""
    embed = discord.Embed(title="👛 Your Wallet", colour=discord.Colour.blurple())
    embed.add_field(name="Balance", value=dollars(shown.balance_cents))
    waiting = shown.open_withdrawal
    if waiting is not None:
        embed.add_field(name="Requested", value=f"{dollars(waiting.amount_cents)} by {waiting.method}")
    if shown.auto_withdrawal is not None:
        by = shown.auto_withdrawal.method
        embed.add_field(name="Each Payout", value=f"is sent by {by}; `/autowithdraw` `off` stops that")
    lines = [_line(entry) for entry in shown.entries] or ["No transactions found."]
    embed.add_field(name="Last Transactions", value=_fitted(lines), inline=False)
    embed.add_field(name="Withdraw", value=how_to_withdraw(terms), inline=False)
    return embed


def _line(entry: WalletEntry) -> str:
    day = f"{entry.at:%Y-%m-%d} " if entry.at is not None else ""
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
    methods = [
        f"`/withdraw` `{name}`{f' to {escaped(meaning)}' if meaning else ''}" for name, meaning in terms.methods.items()
    ]
    limits = f"From {dollars(terms.minimum_cents)}"
    limits += f" to {dollars(terms.maximum_cents)}" if terms.maximum_cents is not None else ""
    age = f"; your account must be {counted(terms.account_age_days, 'day')} old" if terms.account_age_days else ""
    methods.append("`/autowithdraw` sends each later payout by one of these.")
    return clip("\n".join([*methods, f"{limits}, one request at a time{age}."]), FIELD_LENGTH)


def withdrawal(shown: Withdrawal) -> discord.Embed:
    """Show a withdrawal to admins, without its destination: others may read the channel."""
    embed = discord.Embed(title=f"{STATES[shown.status]} · {shown.number}", colour=COLOURS[shown.status])
    lines = [
        f"**Member:** {mention(shown.user_id)} (`{shown.user_id}`)",
        f"**Amount:** {dollars(shown.amount_cents)}",
        f"**Method:** {shown.method}",
        f"**Requested:** {shown.requested_at:%Y-%m-%d %H:%M} UTC",
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
    """Tell the member what became of a withdrawal."""
    amount = dollars(shown.amount_cents)
    reason = f"\n**Reason:** {escaped(shown.reason)}" if shown.reason else ""
    texts = {
        WithdrawalStatus.REQUESTED: f"{amount} left your wallet and will be sent by {shown.method}; see `/wallet`.",
        WithdrawalStatus.PAID: f"{amount} was sent by {shown.method}.\n**Reference:** {escaped(shown.reference or '')}",
        WithdrawalStatus.DECLINED: f"{amount} is back in your wallet.{reason}",
        WithdrawalStatus.CANCELLED: f"{amount} is back in your wallet.{reason}",
    }
    return discord.Embed(title=STATES[shown.status], description=texts[shown.status], colour=COLOURS[shown.status])
