"""How one member's cashback stands, in words: pure functions from the ledger's facts to embeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import discord

from cashback.cogs.texts.embeds import FIELD_LENGTH, clip, counted, escaped, mention
from cashback.database.queries.members import LEFT_OUT, MemberAccount, PastPayout
from cashback.domain.model import Absence, ExclusionReason, PayoutStatus, SkipReason
from cashback.domain.money import dollars

REFERRALS_PER_PAGE: Final = 10

WHY: Final = "Why Something Is Not Paid"

REASONS: Final[dict[str, str]] = {
    SkipReason.NOTHING_PENDING: "nothing was owed any more",
    SkipReason.BLACKLISTED: "blacklisted",
    SkipReason.ABANDONED: "the batch was ended before its turn came",
    ExclusionReason.LEFT_SERVER: "not in the server at that time",
    ExclusionReason.ACCOUNT_GONE: "the Discord account could not be found",
    ExclusionReason.EXCLUDED: "left out by an admin",
    ExclusionReason.BELOW_MINIMUM: "below the least payout",
    ExclusionReason.OVER_USER_LIMIT: "the batch had as many members as it may have",
    ExclusionReason.OVER_TOTAL_LIMIT: "the batch paid as much as it may",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramTerms:
    """What the programme promises: the percentage that is used and shown, the least payout, the holding period."""

    cashback_percent: Decimal
    min_payout_cents: int
    holding_days: int
    holds_leavers: bool

    @property
    def percent(self) -> str:
        """The percentage as people write it: "0.5%", "10%"."""
        return f"{self.cashback_percent.normalize():f}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is said about one member. `referrer_id` is who brought the member."""

    standing: MemberAccount
    payouts: Sequence[PastPayout]
    taken_back: Sequence[dict[str, Any]]
    reversed: Sequence[dict[str, Any]]
    referrer_id: int | None
    wants_payout_dm: bool
    next_payout_at: datetime | None


def how_it_works(terms: ProgramTerms) -> str:
    """Say what is earned, when it is due, and from which amount it is paid."""
    lines = [f"Each purchase of a member who entered your code earns you **{terms.percent}** of it."]
    if terms.holding_days:
        lines.append(f"It becomes payable {counted(terms.holding_days, 'day')} after the purchase.")
    if terms.min_payout_cents > 1:
        lines.append(f"It is paid once it reaches {dollars(terms.min_payout_cents)}.")
    lines.append("It goes into your wallet by itself; you get a message when it does.")
    return "\n".join(lines)


def invitation(user_id: int, standing: MemberAccount, terms: ProgramTerms) -> discord.Embed:
    """Tell a member the code, what it is good for, and what it has brought so far."""
    embed = discord.Embed(title="🎟️ Your Referral Code", colour=discord.Colour.blurple())
    embed.description = f"`{user_id}`\nA new member enters it once: `/setref {user_id}`"
    _field(embed, "How It Works", [how_it_works(terms)])
    return _add_sums(embed, standing)


def _add_sums(embed: discord.Embed, standing: MemberAccount) -> discord.Embed:
    sums = {
        "Referrals": f"{standing.referral_count:,}",
        "They Spent": dollars(standing.total_spend_cents),
        "You Earned": dollars(standing.total_earned_cents),
    }
    for name, value in sums.items():
        embed.add_field(name=name, value=value, inline=True)
    return embed


def referrals(standing: MemberAccount, page: Sequence[dict[str, Any]], number: int) -> discord.Embed:
    """Show one page, counted from 0, of whom a member brought and what each of them earned."""
    embed = discord.Embed(title="👥 Your Referrals", colour=discord.Colour.blurple())
    _add_sums(embed, standing)
    if not standing.referral_count:
        embed.description = "Nobody has entered your code yet; `/invite` shows it."
        return embed
    lines = [_referral_line(number * REFERRALS_PER_PAGE + place, each) for place, each in enumerate(page, start=1)]
    _field(embed, "Who Came, and What You Earned", lines)
    return embed.set_footer(text=f"Page {number + 1} of {pages_of(standing)}")


def pages_of(standing: MemberAccount) -> int:
    """Count a member's pages of referrals, at least one."""
    return max(1, -(-standing.referral_count // REFERRALS_PER_PAGE))


def _referral_line(place: int, referral: dict[str, Any]) -> str:
    notes = [f"{dollars(referral['pending_cents'])} pending"] if referral["pending_cents"] > 0 else []
    notes += [f"{dollars(referral['held_cents'])} on hold"] if referral["held_cents"] else []
    notes += [f"{dollars(-referral['pending_cents'])} owed after a refund"] if referral["pending_cents"] < 0 else []
    notes += ["unlinked"] if referral["unlinked_at"] is not None else []
    spent, earned = dollars(referral["spend_cents"]), dollars(referral["earned_cents"])
    text = f"{place}. {mention(referral['referred_user_id'])} - {earned} earned, {spent} spent"
    return f"{text} ({', '.join(notes)})" if notes else text


def profile(facts: Facts) -> discord.Embed:
    """Show who a member is in the programme."""
    standing = facts.standing
    embed = discord.Embed(title="👤 Referral Profile", colour=discord.Colour.blurple())
    embed.description = f"{mention(standing.user_id)} (`{standing.user_id}`)"
    values = {
        "Wallet Balance": dollars(standing.wallet_cents),
        "Pending": dollars(standing.pending_cents),
        "On Hold": dollars(standing.held_cents),
        "Referrals": f"{standing.referral_count:,}",
        "They Spent": dollars(standing.total_spend_cents),
        "Earned": dollars(standing.total_earned_cents),
        "Paid": dollars(standing.total_paid_cents),
        "Referred By": mention(facts.referrer_id) if facts.referrer_id else "nobody",
        "Blacklisted": "yes" if standing.blacklisting else "no",
    }
    for name, value in values.items():
        embed.add_field(name=name, value=value, inline=True)
    return embed


def cashback(facts: Facts, terms: ProgramTerms) -> discord.Embed:
    """Show a member what is pending, when it is paid, what was paid, and why something was not."""
    standing = facts.standing
    embed = discord.Embed(title="💰 Your Referral Cashback", colour=discord.Colour.gold())
    values = {
        "Pending": dollars(standing.pending_cents),
        "On Hold": dollars(standing.held_cents),
        "Wallet Balance": dollars(standing.wallet_cents),
    }
    for name, value in values.items():
        embed.add_field(name=name, value=value, inline=True)
    _field(embed, "Next Payout", [_next_payout(facts, terms)])
    reasons = list(why_not(facts, terms))
    if reasons:
        _field(embed, WHY, [f"• {reason}" for reason in reasons])
    _field(embed, "Last Payouts", [_payout_line(payout) for payout in facts.payouts] or ["None yet."])
    switch = "on" if facts.wants_payout_dm else "off"
    return embed.set_footer(text=f"Messages about payouts are {switch}: /cashback notifications")


def admin_view(facts: Facts, terms: ProgramTerms) -> discord.Embed:
    """Show an admin the same facts about a member."""
    embed = profile(facts)
    embed.title = "📊 Referral Statistics"
    reasons = list(why_not(facts, terms))
    if reasons:
        _field(embed, WHY, [f"• {reason}" for reason in reasons])
    _field(embed, "Last Payouts", [_payout_line(payout) for payout in facts.payouts] or ["None yet."])
    return embed


def _next_payout(facts: Facts, terms: ProgramTerms) -> str:
    if facts.next_payout_at is None:
        return "There is no date; an admin starts the payouts."
    moment = _moment(facts.next_payout_at)
    if facts.standing.pending_cents >= terms.min_payout_cents and not list(_obstacles(facts.standing, terms)):
        return f"{moment}: {dollars(facts.standing.pending_cents)} as things stand."
    return f"{moment}; nothing of yours is payable as things stand."


def _moment(moment: datetime) -> str:
    return f"{discord.utils.format_dt(moment, 'f')} ({discord.utils.format_dt(moment, 'R')})"


def why_not(facts: Facts, terms: ProgramTerms) -> Iterable[str]:
    """Say each reason for which something is not paid."""
    standing = facts.standing
    yield from _obstacles(standing, terms)
    if 0 < standing.pending_cents < terms.min_payout_cents:
        yield (
            f"{dollars(standing.pending_cents)} is below the least payout of {dollars(terms.min_payout_cents)};"
            " it stays yours and is paid when there is enough."
        )
    if standing.held_cents and standing.held_next_at and standing.held_until:
        until = discord.utils.format_dt(standing.held_until, "D")
        first = discord.utils.format_dt(standing.held_next_at, "D")
        some = f"; the first of it is payable on {first}" if standing.held_next_at != standing.held_until else ""
        yield f"{dollars(standing.held_cents)} is on hold until {until}, in case of a refund{some}."
    if standing.owed_cents:
        yield (
            f"{dollars(standing.owed_cents)} that had been paid was taken back by a refund; what is earned next goes"
            " against it."
        )
    for taken in facts.taken_back:
        day = discord.utils.format_dt(taken["refunded_at"], "D")
        yield f"A refund on {day} took back {dollars(taken['taken_cents'])} of what had been earned."
    for taken in facts.reversed:
        day = discord.utils.format_dt(taken["reversed_at"], "D")
        amount, reason = dollars(taken["taken_cents"]), escaped(clip(taken["reason"], 200))
        yield f"An admin took back {amount} of `{taken['batch_id']}` on {day}: {reason}"


def _obstacles(standing: MemberAccount, terms: ProgramTerms) -> Iterable[str]:
    """Say what keeps all of it from being paid."""
    if standing.blacklisting is not None:
        since = standing.blacklisting.blacklisted_at
        reason = standing.blacklisting.reason
        when = f" since {discord.utils.format_dt(since, 'D')}" if since else ""
        why = f": {escaped(clip(reason, 200))}" if reason else ""
        yield f"Blacklisted from referral cashback{when}{why}. Nothing is earned or paid until an admin lifts that."
    if standing.absence is Absence.GONE:
        yield "The Discord account could not be found; what is pending waits until it is there again."
    elif standing.absence is Absence.LEFT and terms.holds_leavers:
        yield "Not in the server; what is pending waits until the member is back."


def _payout_line(payout: PastPayout) -> str:
    day = f" on {discord.utils.format_dt(payout.at, 'd')}" if payout.at else ""
    amount, batch = dollars(payout.cents), f"`{payout.batch_id}`"
    if payout.status == PayoutStatus.CREDITED:
        return f"✅ {amount}{day} - {batch}"
    if payout.status == PayoutStatus.FAILED:
        return f"⚠️ {amount} not paid{day} - {batch}: the payout failed; it is still pending and will be tried again"
    if payout.status in {PayoutStatus.SKIPPED, LEFT_OUT}:
        reason = REASONS.get(payout.reason or "", escaped((payout.reason or "no reason is known").replace("_", " ")))
        return f"⏭️ {amount} not paid{day} - {batch}: {reason}"
    return f"⏳ {amount} - {batch}: being paid"


def _field(embed: discord.Embed, name: str, lines: Iterable[str]) -> None:
    embed.add_field(name=name, value=clip("\n".join(lines), FIELD_LENGTH), inline=False)
