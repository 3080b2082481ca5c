"""What travels between the floors: requests in the imperative, facts in the past tense, and the states of the money.

Amounts are whole cents, ids are Discord snowflakes (positive 63-bit integers), moments are aware UTC datetimes.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class BatchMode(StrEnum):
    """Whom a batch pays."""

    BATCH = "batch"
    INDIVIDUAL = "individual"


class BatchStatus(StrEnum):
    """Where a batch stands. The arrows between these are drawn in docs/explanation/architecture.md."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    RUNNING = "running"
    STOPPED = "stopped"
    COMPLETED = "completed"
    COMPLETED_WITH_FAILURES = "completed_with_failures"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    LAPSED = "lapsed"


class PayoutStatus(StrEnum):
    """Where one referrer's payout stands."""

    PLANNED = "planned"
    CREDITED = "credited"
    FAILED = "failed"
    SKIPPED = "skipped"


class NotificationStatus(StrEnum):
    """Where one direct message stands."""

    QUEUED = "queued"
    SENT = "sent"
    UNDELIVERABLE = "undeliverable"
    FAILED = "failed"
    MUTED = "muted"


class SlotStatus(StrEnum):
    """What became of a scheduled moment."""

    BATCHED = "batched"
    NOTHING_PENDING = "nothing_pending"
    SKIPPED = "skipped"
    MISSED = "missed"


class SkipReason(StrEnum):
    """Why a planned payout paid nothing although nothing failed."""

    NOTHING_PENDING = "nothing_pending"
    BLACKLISTED = "blacklisted"
    GIVEN_UP = "given_up"
    LAPSED = "lapsed"


class ExclusionReason(StrEnum):
    """Why a referrer with pending cashback was left out of a batch; the cashback stays pending."""

    LEFT_SERVER = "left_server"
    ACCOUNT_GONE = "account_gone"
    EXCLUDED = "excluded"
    BELOW_MINIMUM = "below_minimum"
    OVER_USER_LIMIT = "over_user_limit"
    OVER_TOTAL_LIMIT = "over_total_limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Whom an admin names for a batch: nobody but these, or everyone but those. Both empty: everyone."""

    only: frozenset[int] = frozenset()
    exclude: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """Under which terms a batch is planned. None switches a limit, or a reason to look twice, off.

    `max_*` leave out what does not fit. From `approval_threshold_cents` on, and with `gate_unusual` where anything is
    unusual, a second admin must approve within `approval_hours`. Unusual is a total of more than `unusual_factor` times
    the median of the last batches, one referrer with more than `unusual_share_percent` of it, or `new_account_cents`
    for accounts that are known for less than `new_account_days`.
    """

    max_users: int | None = None
    max_total_cents: int | None = None
    approval_threshold_cents: int | None = None
    approval_hours: int = 24
    approval_valid_days: int = 14
    gate_unusual: bool = False
    unusual_factor: int | None = None
    unusual_share_percent: int | None = None
    new_account_cents: int | None = None
    new_account_days: int = 7


class Absence(StrEnum):
    """How a member is absent: no longer in the server, or the Discord account is gone."""

    LEFT = "left"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkDiscovered:
    """Discovery found planned payouts: those of this batch from first to last referrer, both included."""

    batch_number: int
    first_referrer_id: int
    last_referrer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkCredited:
    """Crediting settled a chunk. Its commit lies behind it."""

    batch_number: int
    credited: int
    credited_cents: int
    failed: int
    skipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonCount:
    """How many referrers one reason left unpaid, and how many cents in all were theirs; those stay pending."""

    reason: str
    count: int
    cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPayout:
    """One line of a summary: what the batch would pay to whom, from how many referrals."""

    referrer_id: int
    approved_cents: int
    referral_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSummary:
    """What an admin sees before the Confirm, read from the stored plan.

    `selected_count` is how many an admin named where it was only them, `left_out` counts who was left out by reason,
    `unusual` says what is unusual in words, and `needs_second_approver` why another admin must approve as well, if so.
    `token` is what the message's buttons carry, and `plan` the plan's fingerprint: the plan shown is the plan paid.
    """

    batch_number: int
    mode: BatchMode
    target_user_id: int | None
    users: int
    total_cents: int
    top: tuple[PlannedPayout, ...]
    proposed_at: datetime
    expires_at: datetime | None
    status: BatchStatus = BatchStatus.PROPOSED
    proposed_by: str = ""
    selected_count: int | None = None
    left_out: tuple[ReasonCount, ...] = ()
    unusual: tuple[str, ...] = ()
    needs_second_approver: str | None = None
    first_approved_by: str | None = None
    token: str = ""
    plan: str = ""

    @property
    def is_waiting(self) -> bool:
        """Whether the first approval is there and another admin's is waited for."""
        return self.first_approved_by is not None

    @property
    def average_cents(self) -> int:
        """The mean payout in whole cents, half a cent rounding up."""
        return (2 * self.total_cents + self.users) // (2 * self.users) if self.users else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutFailure:
    """A payout that could not be made; its cashback is still pending."""

    referrer_id: int
    approved_cents: int
    reason: str


class ReversalStatus(StrEnum):
    """Where the taking back of payouts stands."""

    PROPOSED = "proposed"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """Payouts that are to be taken back, or were: one, where there is a `referrer_id`, or all that a batch credited.

    `planned_*` is what was credited, `reversed_cents` what the wallets held of it, and `shortfall_cents` the rest: what
    `coverable_cents` says before. An actor stands in `proposed_by`, `first_approved_by` and `approved_by`.
    """

    number: int
    batch_number: int
    batch_id: str
    token: str
    referrer_id: int | None
    reason: str
    status: ReversalStatus
    proposed_by: str
    expires_at: datetime
    needs_second_approver: str | None
    first_approved_by: str | None
    approved_by: str | None
    planned_count: int
    planned_cents: int
    coverable_cents: int
    reversed_cents: int
    shortfall_cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFailure:
    """A failed payout that nobody has dealt with yet; `attempts` counts the runs that tried it."""

    batch_number: int
    batch_id: str
    referrer_id: int
    approved_cents: int
    attempts: int
    reason: str
    failed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """A batch as its rows tell it, at the moment of reading.

    `failures` holds at most the number of failures that was asked for; `failed` counts them all. `skips` are the
    skipped ones by reason, `left_out` who was not planned at all. Where a second approver was needed, `approved_by` is
    that one and `first_approved_by` who asked for the batch. `approved_by` and
    `proposed_by` are actors ("discord:<id>", "cli", "schedule"). `dm_*` count the batch's direct messages by state.
    """

    batch_number: int
    batch_id: str | None
    status: BatchStatus
    mode: BatchMode
    target_user_id: int | None
    proposed_by: str
    approved_by: str | None
    proposed_at: datetime
    finished_at: datetime | None
    users_planned: int
    approved_cents: int
    users_paid: int
    total_cents: int
    failed: int
    skipped: int
    skips: tuple[ReasonCount, ...] = ()
    left_out: tuple[ReasonCount, ...] = ()
    needs_second_approver: str | None = None
    first_approved_by: str | None = None
    token: str = ""
    lapses_at: datetime | None = None
    reversed_count: int = 0
    reversed_cents: int = 0
    shortfall_cents: int = 0
    failures: tuple[PayoutFailure, ...] = ()
    dm_queued: int = 0
    dm_sent: int = 0
    dm_undeliverable: int = 0
    dm_failed: int = 0
    dm_muted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutNotice:
    """One queued direct message about a payout, with everything its text needs.

    `was_absent`: the member is noted as gone; a message that arrives says otherwise.
    """

    notification_id: int
    user_id: int
    batch_id: str
    amount_cents: int
    referral_count: int
    balance_after_cents: int
    attempts: int
    dm_channel_id: int | None
    was_absent: bool = False


class DeliveryStatus(StrEnum):
    """How one attempt to send a direct message ended."""

    SENT = "sent"
    UNDELIVERABLE = "undeliverable"
    RETRY = "retry"
    BACK_OFF = "back_off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The outcome of one attempt to send a direct message.

    BACK_OFF means that the whole run of direct messages must pause: the service asked for it. `absence` is what a
    refusal says about the member.
    """

    status: DeliveryStatus
    reason: str | None = None
    dm_channel_id: int | None = None
    absence: Absence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRecord:
    """A scheduled moment that was decided, and how: with the batch that it made, or the reason why there is none."""

    slot_at: datetime
    status: SlotStatus
    batch_id: str | None
    reason: str | None
    decided_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingPreview:
    """What a batch of this moment would pay: how many users, how much in all, and the largest payouts.

    `left_out` counts by reason who would be left out of it although cashback is pending.
    """

    users: int
    total_cents: int
    top: tuple[PlannedPayout, ...]
    left_out: tuple[ReasonCount, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOverview:
    """The weekly batch at a glance. `rule` is "off" where it is switched off; then there is no next slot.

    `next_slot_at` is the next slot that nobody has skipped; while the schedule is paused, it is skipped when it comes.
    """

    rule: str
    grace_hours: int
    notice_hours: int
    next_slot_at: datetime | None
    paused_by: str | None
    paused_reason: str | None
    latest: tuple[SlotRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenNotice:
    """A notice that was posted, whose slot is over: decided as `record` says, or None where the rule was changed."""

    slot_at: datetime
    channel_id: int
    message_id: int
    record: SlotRecord | None
