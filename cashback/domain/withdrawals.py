"""Facts about wallets: withdrawals with their states, adjustments, and the entries of a wallet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from cashback.domain.languages import mark

DISCORD_EPOCH: Final = datetime(2015, 1, 1, tzinfo=UTC)
MAX_DESTINATION_LENGTH: Final = 200
MAX_REFERENCE_LENGTH: Final = 100
BY_MEMBER: Final = mark("cancelled by the member")
"""The reason of a request that its member cancelled, as it is stored."""


class WithdrawalStatus(StrEnum):
    """The state of a withdrawal."""

    REQUESTED = "requested"
    PAID = "paid"
    DECLINED = "declined"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """A member's request to get money out of the wallet, and what became of it.

    The amount left the wallet when the member asked. `destination` is encrypted, and None if the method needs none or
    it was erased. `reference` is the transfer's, `reason` the decline's or cancellation's.
    """

    number: int
    user_id: int
    method: str
    amount_cents: int
    status: WithdrawalStatus
    destination: str | None
    requested_at: datetime
    needs_second_approver: str | None
    first_approved_by: str | None
    decided_by: str | None
    decided_at: datetime | None
    reference: str | None
    reason: str | None
    erased_at: datetime | None
    exported_at: datetime | None = None

    @property
    def version(self) -> str:
        """A text that changes with the amount. After a restore another request may have the same number."""
        return f"{self.amount_cents}-{self.requested_at:%Y%m%d%H%M%S%f}"

    @property
    def is_open(self) -> bool:
        """Whether it still waits for a decision."""
        return self.status is WithdrawalStatus.REQUESTED

    @property
    def is_in_hand(self) -> bool:
        """Whether an admin has begun with it: it is approved once, or in a list for a bank."""
        return self.first_approved_by is not None or self.exported_at is not None

    @property
    def needs_first_approval(self) -> bool:
        """Whether it needs two admins and none has approved it yet."""
        return self.is_open and self.needs_second_approver is not None and self.first_approved_by is None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedWithdrawal:
    """A withdrawal in a list for a bank, with its destination in clear.

    `audit_head` is the digest of the audit entry that recorded the list: no other ledger has it.
    """

    withdrawal: Withdrawal
    destination: str | None
    audit_head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoWithdrawal:
    """A member's wish that each payout is sent. `destination` is encrypted."""

    user_id: int
    method: str
    destination: str | None
    after_transaction_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletEntry:
    """One transaction of a wallet, with its text for people."""

    number: int
    user_id: int
    at: datetime | None
    amount_cents: int
    balance_after_cents: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletLine:
    """A wallet in the list of all: what it holds, and what is requested of it."""

    user_id: int
    balance_cents: int
    requested_cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """A member's wallet: the balance, the newest entries first, and the newest withdrawals first."""

    user_id: int
    balance_cents: int
    entries: Sequence[WalletEntry]
    withdrawals: Sequence[Withdrawal]
    auto_withdrawal: AutoWithdrawal | None = None

    @property
    def open_withdrawal(self) -> Withdrawal | None:
        """The withdrawal that waits for a decision."""
        return next((each for each in self.withdrawals if each.is_open), None)


def account_age(user_id: int, now: datetime) -> timedelta:
    """Return the age of a Discord account; its id contains the moment of its creation."""
    return now - (DISCORD_EPOCH + timedelta(milliseconds=user_id >> 22))
