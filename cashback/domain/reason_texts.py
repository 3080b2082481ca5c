"""Texts of the stored reasons, the same on Discord, on the command line and in files."""

from typing import Final

from cashback.domain.model import ReasonCount
from cashback.domain.money import dollars, grouped

MAX_REASON_LENGTH: Final = 200
"""The longest reason that an admin may give, in characters."""

WORDS: Final = {
    "left_server": "left the server",
    "account_gone": "the Discord account is gone",
    "excluded": "excluded by the admin",
    "below_minimum": "below the minimum payout",
    "over_user_limit": "over the limit of members in a batch",
    "over_total_limit": "over the limit of a batch's total",
    "unusable_row": "a row of theirs has an unusable id or amount, see cashback doctor",
    "nothing_pending": "nothing was owed any more",
    "blacklisted": "blacklisted meanwhile",
    "given_up": "abandoned, still pending",
    "lapsed": "the approval lapsed, still pending",
}


def in_words(reason: str) -> str:
    """Return a reason's text; a reason that is already a sentence is returned unchanged."""
    return WORDS.get(reason, reason)


def counted_reasons(reasons: tuple[ReasonCount, ...]) -> str:
    """Format how many each reason excluded, and their cents: "abandoned, still pending: 2, $3.00"."""
    return "; ".join(f"{in_words(each.reason)}: {grouped(each.count)}, {dollars(each.cents)}" for each in reasons)
