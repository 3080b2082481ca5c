"""The embeds about one member: pure functions from the ledger's facts to embeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import discord

from cashback.cogs.texts.embeds import FIELD_LENGTH, clip, escaped, mention, success
from cashback.database.queries.members import LEFT_OUT, MemberAccount, PastPayout
from cashback.database.referral_program.blacklist import Blacklisting
from cashback.domain.languages import mark, tr, trn
from cashback.domain.model import Absence, ExclusionReason, PayoutStatus, SkipReason
from cashback.domain.money import dollars, grouped
from cashback.domain.reason_texts import MAX_REASON_LENGTH

REFERRALS_PER_PAGE: Final = 10

WHY: Final = mark("Why Something Is Not Paid")

REASONS: Final[dict[str, str]] = {
    SkipReason.NOTHING_PENDING: mark("nothing was pending any more"),
    SkipReason.BLACKLISTED: mark("blacklisted"),
    SkipReason.ABANDONED: mark("the batch was abandoned before this payout"),
    SkipReason.LAPSED: mark("the batch's approval lapsed before this payout; it is pending again"),
    ExclusionReason.LEFT_SERVER: mark("not in the server at that time"),
    ExclusionReason.ACCOUNT_GONE: mark("the Discord account could not be found"),
    ExclusionReason.EXCLUDED: mark("excluded by an admin"),
    ExclusionReason.BELOW_MINIMUM: mark("below the minimum payout"),
    ExclusionReason.OVER_USER_LIMIT: mark("over the limit of members in a batch"),
    ExclusionReason.OVER_TOTAL_LIMIT: mark("over the limit of a batch's total"),
    ExclusionReason.UNUSABLE_ROW: mark("a record has an unusable amount; please ask an admin"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramTerms:
    """The terms of the referral program, and what its texts name.

    `shows_spending` is whether a referrer sees the exact spending of their referrals.
    """

    cashback_percent: Decimal
    min_payout_cents: int
    holding_days: int
    withholds_leavers: bool
    shows_spending: bool
    withdrawals: bool
    prefix: str
    brand_name: str
    only_new_members_days: int = 0
    earns_for_days: int | None = None
    monthly_cap_cents: int | None = None

    @property
    def percent(self) -> str:
        """The percentage as text: "0.5%", "10%"."""
        return f"{self.cashback_percent.normalize():f}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All facts about one member. `referrer_id` is the member that invited them."""

    account: MemberAccount
    payouts: Sequence[PastPayout]
    refunds: Sequence[dict[str, Any]]
    reversals: Sequence[dict[str, Any]]
    referrer_id: int | None
    wants_payout_dm: bool
    next_payout_at: datetime | None


def how_it_works(terms: ProgramTerms) -> str:
    """Explain what is earned, when it is payable, and the minimum payout."""
    lines = [tr("You earn **{percent}** of each purchase by members who entered your code.", percent=terms.percent)]
    if terms.holding_days:
        lines.append(
            trn(
                "It is payable {count} day after the purchase (the holding period).",
                "It is payable {count} days after the purchase (the holding period).",
                terms.holding_days,
            )
        )
    lines += limits_of(terms)
    if terms.min_payout_cents > 1:
        amount = dollars(terms.min_payout_cents)
        lines.append(tr("It is paid when it reaches the minimum payout of {amount}.", amount=amount))
    lines.append(tr("It goes into your wallet automatically, and you get a message."))
    return "\n".join(lines)


def limits_of(terms: ProgramTerms) -> list[str]:
    """Explain whose code counts, how long a referral earns, and up to what."""
    lines = []
    if terms.only_new_members_days:
        lines.append(
            trn(
                "Only members who joined this server in the last {count} day can enter a code.",
                "Only members who joined this server in the last {count} days can enter a code.",
                terms.only_new_members_days,
            )
        )
    if terms.earns_for_days is not None:
        lines.append(
            trn(
                "A referral earns for {count} day; later purchases earn nothing.",
                "A referral earns for {count} days; later purchases earn nothing.",
                terms.earns_for_days,
            )
        )
    if terms.monthly_cap_cents is not None:
        cap = dollars(terms.monthly_cap_cents)
        lines.append(
            tr(
                "You earn at most {cap} by the purchases of one month; what is above it is not earned, also if one of"
                " them is refunded later.",
                cap=cap,
            )
        )
    return lines


def invitation(
    user_id: int, account: MemberAccount, terms: ProgramTerms, next_payout_at: datetime | None
) -> discord.Embed:
    """Show a member's code, a sentence to share, how it works, the next payday, and what it has earned so far."""
    embed = discord.Embed(title=tr("🎟️ Your Referral Code"), colour=discord.Colour.blurple())
    embed.description = f"`{user_id}`\n" + tr("A new member enters it once: `/setref {code}`", code=user_id)
    _field(embed, tr("Copy and Share"), [f"```\n{sentence_to_share(user_id, terms)}\n```"])
    _field(embed, tr("How It Works"), [how_it_works(terms)])
    _field(embed, tr("Next Payday"), [payday(next_payout_at)])
    return _add_sums(embed, account, terms)


def sentence_to_share(user_id: int, terms: ProgramTerms) -> str:
    """Return a sentence that a member sends to a friend. Its command works when it is typed, or pasted alone."""
    brand = terms.brand_name.replace("`", "'")
    return tr(
        "I invite you to {brand}. Type this once in any channel of the server: {prefix}setref {code}",
        brand=brand,
        prefix=terms.prefix,
        code=user_id,
    )


def payday(next_payout_at: datetime | None) -> str:
    """Return when the next weekly batch pays."""
    if next_payout_at is None:
        return tr("No date is scheduled; an admin starts the payouts.")
    return _moment(next_payout_at)


def consent(terms: ProgramTerms) -> str:
    """Explain what entering a code means, and which numbers the referrer sees of the member."""
    lines = [
        tr("A code counts once: only an admin can change it later."),
        tr("Your referrer earns **{percent}** of what you buy. It costs you nothing.", percent=terms.percent),
    ]
    if terms.shows_spending:
        lines.append(
            tr(
                "Your referrer sees that you joined, how much you spent in all, and when and how much your purchases"
                " earned; not what you bought."
            )
        )
    else:
        lines.append(
            tr(
                "Your referrer sees that you joined, and when and how much your purchases earned; not what you bought"
                " or what you spent."
            )
        )
    return "\n".join(lines)


def before_code(terms: ProgramTerms) -> discord.Embed:
    """Explain what entering a code means, to a member that has not named one."""
    text = tr(
        "Enter the code with `/setref code`. It is the number that `/invite` shows to the member who invited you."
    )
    return discord.Embed(
        title=tr("🎟️ Enter a Referral Code"), description=f"{consent(terms)}\n\n{text}", colour=discord.Colour.blurple()
    )


def code_entered(referrer_id: int, terms: ProgramTerms) -> discord.Embed:
    """Confirm to a member whose code was recorded, and what that means."""
    text = tr("You were invited by {referrer}.", referrer=mention(referrer_id))
    return success(tr("Referral Recorded"), f"{text}\n{consent(terms)}")


def code_used(member_id: int, terms: ProgramTerms) -> discord.Embed:
    """Inform a referrer that a member entered their code."""
    text = tr(
        "{member} entered your code. You earn {percent} of what they buy from now on.",
        member=mention(member_id),
        percent=terms.percent,
    )
    return success(tr("New Referral"), text)


def _add_sums(embed: discord.Embed, account: MemberAccount, terms: ProgramTerms) -> discord.Embed:
    sums = {tr("Referrals"): grouped(account.referral_count)}
    if terms.shows_spending:
        sums[tr("They Spent")] = dollars(account.total_spend_cents)
    sums[tr("You Earned")] = dollars(account.total_earned_cents)
    for name, value in sums.items():
        embed.add_field(name=name, value=value, inline=True)
    return embed


def referrals(
    account: MemberAccount, page: Sequence[dict[str, Any]], number: int, terms: ProgramTerms
) -> discord.Embed:
    """Show one page, counted from 0, of a member's referrals and what each of them earned."""
    embed = discord.Embed(title=tr("👥 Your Referrals"), colour=discord.Colour.blurple())
    _add_sums(embed, account, terms)
    if not account.referral_count:
        embed.description = tr("You have no referrals yet; `/invite` shows your code.")
        return embed
    first = number * REFERRALS_PER_PAGE
    lines = [_referral_line(first + place, each, terms) for place, each in enumerate(page, start=1)]
    _field(embed, tr("Members and What You Earned"), lines)
    return embed.set_footer(text=tr("Page {number} of {pages}", number=number + 1, pages=pages_of(account)))


def pages_of(account: MemberAccount) -> int:
    """Return the number of pages of a member's referrals, at least 1."""
    return max(1, -(-account.referral_count // REFERRALS_PER_PAGE))


def _referral_line(place: int, referral: dict[str, Any], terms: ProgramTerms) -> str:
    pending, held = referral["pending_cents"], referral["held_cents"]
    notes = [tr("{amount} pending", amount=dollars(pending))] if pending > 0 else []
    notes += [tr("{amount} in the holding period", amount=dollars(held))] if held else []
    notes += [tr("{amount} owed after a refund", amount=dollars(-pending))] if pending < 0 else []
    notes += [tr("unlinked")] if referral["unlinked_at"] is not None else []
    values = {"member": mention(referral["referred_user_id"]), "earned": dollars(referral["earned_cents"])}
    if terms.shows_spending:
        text = tr("{member} - {earned} earned, {spent} spent", spent=dollars(referral["spend_cents"]), **values)
    else:
        text = tr("{member} - {earned} earned", **values)
    text = f"{place}. {text}"
    return f"{text} ({', '.join(notes)})" if notes else text


def profile(facts: Facts, *, shows_spending: bool) -> discord.Embed:
    """Show a member's profile."""
    account = facts.account
    embed = discord.Embed(title=tr("👤 Referral Profile"), colour=discord.Colour.blurple())
    embed.description = f"{mention(account.user_id)} (`{account.user_id}`)"
    values = {
        tr("Wallet Balance"): dollars(account.wallet_cents),
        tr("Pending"): dollars(account.pending_cents),
        tr("In Holding Period"): dollars(account.held_cents),
        tr("Referrals"): grouped(account.referral_count),
        **({tr("They Spent"): dollars(account.total_spend_cents)} if shows_spending else {}),
        tr("Earned"): dollars(account.total_earned_cents),
        tr("Paid"): dollars(account.total_paid_cents),
        **({tr("Reversed"): dollars(account.reversed_cents)} if account.reversed_cents else {}),
        tr("Referred By"): mention(facts.referrer_id) if facts.referrer_id else tr("nobody"),
        tr("Blacklisted"): tr("yes") if account.blacklisting else tr("no"),
    }
    for name, value in values.items():
        embed.add_field(name=name, value=value, inline=True)
    return embed


def cashback(facts: Facts, terms: ProgramTerms) -> discord.Embed:
    """Show a member what is pending, when it is paid, what was paid, and why the rest was not."""
    account = facts.account
    embed = discord.Embed(title=tr("💰 Your Referral Cashback"), colour=discord.Colour.gold())
    values = {
        tr("Pending"): dollars(account.pending_cents),
        tr("In Holding Period"): dollars(account.held_cents),
        tr("Wallet Balance"): dollars(account.wallet_cents),
        tr("Earned So Far"): dollars(account.total_earned_cents),
        tr("Paid So Far"): dollars(account.total_paid_cents),
    }
    for name, value in values.items():
        embed.add_field(name=name, value=value, inline=True)
    _field(embed, tr("Next Payout"), [_next_payout(facts, terms)])
    reasons = [*nothing_yet(account), *why_not(facts, terms)]
    if reasons:
        _field(embed, tr(WHY), [f"• {reason}" for reason in reasons])
    _field(embed, tr("Last Payouts"), [_payout_line(payout) for payout in facts.payouts] or [tr("None yet.")])
    _field(embed, tr("How to Get the Money"), [how_to_get_it(terms)])
    if facts.wants_payout_dm:
        return embed.set_footer(text=tr("Messages about payouts are on: /cashback notifications"))
    return embed.set_footer(text=tr("Messages about payouts are off: /cashback notifications"))


def admin_view(facts: Facts, terms: ProgramTerms) -> discord.Embed:
    """Show an admin the facts about a member."""
    embed = profile(facts, shows_spending=True)
    embed.title = "📊 Referral Statistics"
    reasons = list(why_not(facts, terms))
    if reasons:
        _field(embed, tr(WHY), [f"• {reason}" for reason in reasons])
    _field(embed, tr("Last Payouts"), [_payout_line(payout) for payout in facts.payouts] or [tr("None yet.")])
    return embed


def _next_payout(facts: Facts, terms: ProgramTerms) -> str:
    moment = payday(facts.next_payout_at)
    if facts.next_payout_at is None:
        return moment
    if facts.account.pending_cents >= terms.min_payout_cents and not list(_obstacles(facts.account, terms)):
        return tr("{moment}: {amount}, as of now.", moment=moment, amount=dollars(facts.account.pending_cents))
    return tr("{moment}; you have nothing to be paid yet.", moment=moment)


def _moment(moment: datetime) -> str:
    return f"{discord.utils.format_dt(moment, 'f')} ({discord.utils.format_dt(moment, 'R')})"


def how_to_get_it(terms: ProgramTerms) -> str:
    """Explain how the cashback reaches the member."""
    if terms.withdrawals:
        return tr("Payouts go into your wallet. `/wallet` shows the balance, and `/withdraw` gets it out.")
    return tr("Payouts go into your wallet; `/wallet` shows the balance. Ask an admin what you can use it for.")


def nothing_yet(account: MemberAccount) -> Iterable[str]:
    """Return why a member has not earned anything."""
    if account.total_earned_cents:
        return
    if account.referral_count:
        yield tr("Your referrals have not bought anything that counts; `/cashback history` lists their purchases.")
    else:
        yield tr("Nobody has entered your code; `/invite` shows it.")


def why_not(facts: Facts, terms: ProgramTerms) -> Iterable[str]:
    """Return each reason why cashback is not paid."""
    account = facts.account
    yield from _obstacles(account, terms)
    if 0 < account.pending_cents < terms.min_payout_cents:
        yield tr(
            "{amount} is below the minimum payout of {minimum}; it stays yours and is paid when you have earned"
            " enough.",
            amount=dollars(account.pending_cents),
            minimum=dollars(terms.min_payout_cents),
        )
    if account.held_cents and account.held_next_at and account.held_until:
        yield _held(account.held_cents, account.held_next_at, account.held_until)
    if account.owed_cents:
        yield tr(
            "{amount} that had already been paid was reversed by a refund; your next earnings are deducted from it.",
            amount=dollars(account.owed_cents),
        )
    for row in facts.refunds:
        yield tr(
            "A refund on {day} reversed {amount} of the earned cashback.",
            day=_day(row["refunded_at"]),
            amount=dollars(row["taken_cents"]),
        )
    for row in facts.reversals:
        yield tr(
            "An admin reversed {amount} of {batch} on {day}: {reason}",
            amount=dollars(row["taken_cents"]),
            batch=f"`{row['batch_id']}`",
            day=_day(row["reversed_at"]),
            reason=escaped(clip(row["reason"], MAX_REASON_LENGTH)),
        )


def _held(cents: int, next_at: datetime, until: datetime) -> str:
    values = {"amount": dollars(cents), "day": _day(until)}
    if next_at == until:
        return tr("{amount} is in the holding period until {day}, in case of a refund.", **values)
    return tr(
        "{amount} is in the holding period until {day}, in case of a refund; the first part is payable on {first}.",
        first=_day(next_at),
        **values,
    )


def _day(moment: datetime) -> str:
    return discord.utils.format_dt(moment, "D")


def _obstacles(account: MemberAccount, terms: ProgramTerms) -> Iterable[str]:
    """Return each reason why nothing is paid at all."""
    if account.blacklisting is not None:
        yield _blacklisted(account.blacklisting)
    if account.absence is Absence.GONE:
        yield tr("The Discord account was not found; pending cashback is withheld until it is back.")
    elif account.absence is Absence.LEFT and terms.withholds_leavers:
        yield tr("Not in the server; pending cashback is withheld until the member is back.")


def _blacklisted(blacklisting: Blacklisting) -> str:
    reason = escaped(clip(blacklisting.reason, MAX_REASON_LENGTH)) if blacklisting.reason else ""
    since = _day(blacklisting.blacklisted_at) if blacklisting.blacklisted_at else ""
    until = tr("Nothing is earned or paid until an admin ends it.")
    if since and reason:
        first = tr("Blacklisted from referral cashback since {day}: {reason}.", day=since, reason=reason)
    elif since:
        first = tr("Blacklisted from referral cashback since {day}.", day=since)
    elif reason:
        first = tr("Blacklisted from referral cashback: {reason}.", reason=reason)
    else:
        first = tr("Blacklisted from referral cashback.")
    return f"{first} {until}"


def _payout_line(payout: PastPayout) -> str:
    day = discord.utils.format_dt(payout.at, "d") if payout.at else ""
    values = {"amount": dollars(payout.cents), "batch": f"`{payout.batch_id}`"}
    if payout.status == PayoutStatus.CREDITED:
        if not day:
            return tr("✅ {amount} - {batch}", **values)
        return tr("✅ {amount} on {day} - {batch}", day=day, **values)
    if payout.status == PayoutStatus.FAILED:
        reason = tr("the payout failed; it is still pending and will be tried again")
        return _not_paid("⚠️", day, reason, values)
    if payout.status in {PayoutStatus.SKIPPED, LEFT_OUT}:
        known = REASONS.get(payout.reason or "")
        reason = tr(known) if known else escaped((payout.reason or tr("unknown reason")).replace("_", " "))
        return _not_paid("⏭️", day, reason, values)
    return tr("⏳ {amount} - {batch}: being paid", **values)


def _not_paid(sign: str, day: str, reason: str, values: dict[str, str]) -> str:
    if not day:
        return tr("{sign} {amount} not paid - {batch}: {reason}", sign=sign, reason=reason, **values)
    return tr("{sign} {amount} not paid on {day} - {batch}: {reason}", sign=sign, day=day, reason=reason, **values)


def _field(embed: discord.Embed, name: str, lines: Iterable[str]) -> None:
    embed.add_field(name=name, value=clip("\n".join(lines), FIELD_LENGTH), inline=False)
