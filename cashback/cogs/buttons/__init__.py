"""The buttons under the bot's messages. Their custom ids are stored by Discord and never change."""

from typing import Final

from cashback.cogs.buttons.confirm import DecisionButton
from cashback.cogs.buttons.history_pager import HistoryButton, PayoutsButton
from cashback.cogs.buttons.member_pages import MemberPageButton, PageButton
from cashback.cogs.buttons.presses import ClaimedButton
from cashback.cogs.buttons.reversals import ReversalButton
from cashback.cogs.buttons.services import ButtonServices
from cashback.cogs.buttons.skip_slot import SkipSlotButton, UnskipSlotButton
from cashback.cogs.buttons.undo import ResumeScheduleButton, UnblacklistButton
from cashback.cogs.buttons.withdrawals import WithdrawalButton

BUTTONS: Final[tuple[type[ClaimedButton], ...]] = (
    DecisionButton,
    HistoryButton,
    MemberPageButton,
    PageButton,
    PayoutsButton,
    ResumeScheduleButton,
    ReversalButton,
    SkipSlotButton,
    UnblacklistButton,
    UnskipSlotButton,
    WithdrawalButton,
)

__all__ = ["BUTTONS", "ButtonServices"]
