"""Reasons in words, the same on Discord, on the command line and in files."""

from typing import Final

from cashback.domain.model import ReasonCount
from cashback.domain.money import dollars

MAX_REASON_LENGTH: Final = 200
"""The longest reason that an admin may give, in characters."""

WORDS: Final = {
    "left_server": "left the server",
    "account_gone": "the Discord account is gone",
    "excluded": "excluded by the admin",
    "below_minimum": "below the smallest payout",
    "over_user_limit": "over the limit of members in a batch",
    "over_total_limit": "over the limit of a batch's total",
    "nothing_pending": "nothing was owed any more",
    "blacklisted": "blacklisted meanwhile",
    "given_up": "given up, still pending",
}


def in_words(reason: str) -> str:
    """Say a reason in words; one that is a sentence already stays as it is."""
    return WORDS.get(reason, reason)


def counted_reasons(reasons: tuple[ReasonCount, ...]) -> str:
    """Say how many each reason left unpaid, and their cents: "given up, still pending: 2, $3.00"."""
    return "; ".join(f"{in_words(each.reason)}: {each.count:,}, {dollars(each.cents)}" for each in reasons)
