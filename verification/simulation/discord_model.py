"""A model of Discord: messages that arrive or do not, responses that come or do not, and what members have seen."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from random import Random
from typing import Final

import anyio

from cashback.domain.model import Delivery, DeliveryStatus, NotificationStatus, PayoutNotice
from verification.simulation.ledger_model import LedgerModel
from verification.simulation.process_faults import ProcessFaults

ANSWER_SECONDS: Final = (0.0, 0.1, 0.4, 2.0)
NONCE_SECONDS: Final = 120.0
"""For at least so long, Discord recognizes a repeated message by its nonce, and does not show the repeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectMessage:
    """A direct message that a member saw, the process that sent it, and whether that process had a response."""

    faults: ProcessFaults
    answered: bool
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The final mark of a direct message, and the processes that lived at the same time as the marking one."""

    status: NotificationStatus
    beside: Collection[ProcessFaults]


@dataclass(slots=True, kw_only=True)
class DiscordModel:
    """All messages that members have seen, by the number of the notification; `found` are violations."""

    model: LedgerModel
    seconds: Callable[[], float]
    seen: dict[int, list[DirectMessage]] = field(default_factory=dict)
    settled: dict[int, Settlement] = field(default_factory=dict)
    recognised: int = 0
    repeats: int = 0
    found: list[str] = field(default_factory=list)

    def arrive(self, notice: PayoutNotice, letter: DirectMessage) -> None:
        """Show a member a message. It must not come again if its sender knew that it had arrived.

        Within the nonce's time a repeat is not shown; later only the unmarked message of a process that is gone, or
        that got no response, may come again. If two processes then have it in flight, because no lease keeps them
        apart, one may abandon it, and the other's arrives; once it is marked as sent, none may.
        """
        before = self.seen.setdefault(notice.notification_id, [])
        if any(one.answered and one.faults is letter.faults for one in before):
            self.found.append(f"direct message {notice.notification_id} was sent again by who knew that it had arrived")
        if before and letter.at - before[-1].at <= NONCE_SECONDS:
            self.recognised += 1
            return
        self.repeats += bool(before)
        settlement = self.settled.get(notice.notification_id)
        if before and settlement is not None and not _may_be_under_way(settlement, letter.faults):
            self.found.append(f"direct message {notice.notification_id} was shown again after it was settled")
        before.append(letter)
        told = (notice.user_id, notice.amount_cents, notice.balance_after_cents)
        if told not in [move[1:] for move in self.model.moves]:
            self.found.append(f"a direct message tells {told[0]} of {told[1]} cents that make {told[2]}")

    def settle(self, number: int, status: NotificationStatus, beside: Collection[ProcessFaults]) -> None:
        """Record a message's mark; of two, the first counts."""
        self.settled.setdefault(number, Settlement(status=status, beside=beside))

    def unseen(self) -> list[int]:
        """List the messages that are marked as sent and that no member saw."""
        sent = [number for number, one in self.settled.items() if one.status is NotificationStatus.SENT]
        return [number for number in sent if number not in self.seen]


def _may_be_under_way(settlement: Settlement, faults: ProcessFaults) -> bool:
    """Return whether a process may still send what another abandoned: it had read it before, and knew of no arrival."""
    return settlement.status is not NotificationStatus.SENT and faults in settlement.beside


class SimulatedMessenger:
    """One process's connection to Discord."""

    def __init__(self, discord: DiscordModel, faults: ProcessFaults, chance: Random) -> None:
        """`discord` holds what members see; `chance` decides how long a response takes."""
        self._discord = discord
        self._faults = faults
        self._chance = chance

    async def send(self, notice: PayoutNotice) -> Delivery:
        """Send, and respond as Discord might."""
        self._faults.go_on()
        await anyio.sleep(self._chance.choice(ANSWER_SECONDS))
        self._faults.go_on()
        if self._faults.strikes("closed_door"):
            return Delivery(status=DeliveryStatus.UNDELIVERABLE, reason="403 50007")
        if self._faults.strikes("too_fast"):
            return Delivery(status=DeliveryStatus.BACK_OFF, reason="429 40003")
        if self._faults.strikes("refused_for_now", times=2):
            return Delivery(status=DeliveryStatus.RETRY, reason=self._chance.choice(("503", "timeout")))
        answered = not self._faults.strikes("answer_of_message_lost", times=2)
        self._discord.arrive(notice, DirectMessage(faults=self._faults, answered=answered, at=self._discord.seconds()))
        await anyio.sleep(self._chance.choice(ANSWER_SECONDS))
        self._faults.go_on()
        if not answered:
            return Delivery(status=DeliveryStatus.RETRY, reason="connection dropped")
        return Delivery(status=DeliveryStatus.SENT, dm_channel_id=notice.user_id)
