"""What members may see of one direct message: the rule that the worlds are judged by, at its edges."""

from __future__ import annotations

from random import Random

import pytest

from cashback.domain.model import NotificationStatus, PayoutNotice
from verification.simulation.discord_model import NONCE_SECONDS, DirectMessage, DiscordModel
from verification.simulation.ledger_model import LedgerModel
from verification.simulation.process_faults import ProcessFaults
from verification.simulation.randomness import CALM

NUMBER = 2
MEMBER = 9


def _process() -> ProcessFaults:
    return ProcessFaults(Random(1), CALM, lambda _line: None)


class _Member:
    """One member, credited with 5 cents; each repeat of the message comes too late to be recognized."""

    def __init__(self) -> None:
        self.discord = DiscordModel(model=LedgerModel(balances={MEMBER: 0}), seconds=lambda: 0.0)
        self.discord.model.move(1, MEMBER, 5)
        self._at = 0.0

    def is_shown(self, sender: ProcessFaults, *, answered: bool = False) -> list[str]:
        self._at += NONCE_SECONDS + 1
        notice = PayoutNotice(
            notification_id=NUMBER,
            batch_id="payout_x",
            user_id=MEMBER,
            amount_cents=5,
            referral_count=1,
            balance_after_cents=5,
            attempts=0,
            dm_channel_id=None,
        )
        self.discord.arrive(notice, DirectMessage(faults=sender, answered=answered, at=self._at))
        return self.discord.found


@pytest.fixture
def member() -> _Member:
    return _Member()


def test_message_unmarked_at_a_death_may_repeat(member: _Member) -> None:
    assert member.is_shown(_process()) == []
    assert member.is_shown(_process()) == []
    assert member.discord.repeats == 1


def test_delivered_message_must_not_repeat(member: _Member) -> None:
    sender = _process()
    member.is_shown(sender, answered=True)
    assert "by who knew" in member.is_shown(sender)[0]


@pytest.mark.parametrize("given_up", [NotificationStatus.FAILED, NotificationStatus.UNDELIVERABLE])
def test_one_of_two_senders_may_abandon_the_message(member: _Member, given_up: NotificationStatus) -> None:
    """Neither knew of the other: no lease keeps the worlds' processes apart."""
    member.is_shown(_process())
    other = _process()
    member.discord.settle(NUMBER, given_up, beside=[other])
    assert member.is_shown(other) == []


def test_abandoned_message_must_not_come_from_a_later_process(member: _Member) -> None:
    member.is_shown(_process())
    member.discord.settle(NUMBER, NotificationStatus.FAILED, beside=[_process()])
    assert "after it was settled" in member.is_shown(_process())[0]


def test_abandoning_process_must_not_send_again(member: _Member) -> None:
    member.is_shown(_process())
    settler = _process()
    member.discord.settle(NUMBER, NotificationStatus.FAILED, beside=[])
    assert "after it was settled" in member.is_shown(settler)[0]


def test_message_marked_as_sent_must_not_repeat(member: _Member) -> None:
    member.is_shown(_process())
    other = _process()
    member.discord.settle(NUMBER, NotificationStatus.SENT, beside=[other])
    assert "after it was settled" in member.is_shown(other)[0]


def test_abandoned_message_may_still_arrive_first(member: _Member) -> None:
    member.discord.settle(NUMBER, NotificationStatus.FAILED, beside=[_process()])
    assert member.is_shown(_process()) == []
