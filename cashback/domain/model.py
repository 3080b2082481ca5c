"""The data that the layers exchange: requests (imperative), facts (past tense), and the states of the money.

Amounts are whole cents, ids are Discord snowflakes (positive 63-bit integers), moments are aware UTC datetimes.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cashback.domain.earning import ANY_TIME, EarningDates


class BatchMode(StrEnum):
    """Which referrers a batch pays."""

    BATCH = "batch"
    INDIVIDUAL = "individual"


class BatchStatus(StrEnum):
    """The state of a batch. docs/explanation/architecture.md shows the transitions."""

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
    """The state of one referrer's payout."""

    PLANNED = "planned"
    CREDITED = "credited"
    FAILED = "failed"
    SKIPPED = "skipped"


class NotificationStatus(StrEnum):
    """The state of one direct message."""

    QUEUED = "queued"
    SENT = "sent"
    UNDELIVERABLE = "undeliverable"
    FAILED = "failed"
    MUTED = "muted"


class SlotStatus(StrEnum):
    """The outcome of a scheduled moment."""

    BATCHED = "batched"
    NOTHING_PENDING = "nothing_pending"
    SKIPPED = "skipped"
    MISSED = "missed"


class SkipReason(StrEnum):
    """Why a planned payout was skipped although nothing failed."""

    NOTHING_PENDING = "nothing_pending"
    BLACKLISTED = "blacklisted"
    ABANDONED = "given_up"
    LAPSED = "lapsed"


class ExclusionReason(StrEnum):
    """Why a referrer with pending cashback was excluded from a batch; the cashback stays pending."""

    LEFT_SERVER = "left_server"
    ACCOUNT_GONE = "account_gone"
    EXCLUDED = "excluded"
    BELOW_MINIMUM = "below_minimum"
    OVER_USER_LIMIT = "over_user_limit"
    OVER_TOTAL_LIMIT = "over_total_limit"
    UNUSABLE_ROW = "unusable_row"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The members that an admin names for a batch: only these, or everyone except those. Both empty: everyone."""

    only: frozenset[int] = frozenset()
    exclude: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """The limits under which a batch is planned. None switches a limit, or a reason for a second approval, off.

    `max_*` exclude what exceeds them. From `approval_threshold_cents` on, and with `gate_unusual` if the batch is
    flagged, a second admin must approve within `approval_hours`. A batch is flagged if its total is more than
    `unusual_factor` times the median of the last batches, if one referrer gets more than `unusual_share_percent` of it,
    or if accounts known for less than `new_account_days` get `new_account_cents`.
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
    dates: EarningDates = ANY_TIME


class Absence(StrEnum):
    """How a member is absent: no longer in the server, or the Discord account is gone."""

    LEFT = "left"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkDiscovered:
    """Discovery found planned payouts of this batch, from first to last referrer inclusive."""

    batch_number: int
    first_referrer_id: int
    last_referrer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkCredited:
    """Crediting settled a chunk and committed it."""

    batch_number: int
    credited: int
    credited_cents: int
    failed: int
    skipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonCount:
    """How many referrers were not paid for one reason, and their total in cents; it stays pending."""

    reason: str
    count: int
    cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPayout:
    """One line of a summary: a referrer, the cents to pay, and from how many referrals."""

    referrer_id: int
    approved_cents: int
    referral_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSummary:
    """What an admin sees before the Confirm, read from the stored plan.

    `selected_count` is how many members the admin named if only those are paid, `left_out` counts the excluded by
    reason, `unusual` lists the flagged facts as texts, and `needs_second_approver` is the reason if another admin must
    approve as well. The message's buttons carry `token`. `plan` begins the plan's fingerprint: the plan that is shown
    is the plan that is paid.
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
        """Whether the first approval is given and another admin's is missing."""
        return self.first_approved_by is not None

    @property
    def average_cents(self) -> int:
        """The mean payout in whole cents, rounded half up."""
        return (2 * self.total_cents + self.users) // (2 * self.users) if self.users else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutFailure:
    """A payout that failed; its cashback is still pending."""

    referrer_id: int
    approved_cents: int
    reason: str


class ReversalStatus(StrEnum):
    """The state of a reversal of payouts."""

    PROPOSED = "proposed"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """Payouts to be reversed, or already reversed: one if there is a `referrer_id`, else all that a batch credited.

    `planned_*` is what was credited, `reversed_cents` what the wallets held of it, and `shortfall_cents` the rest;
    `coverable_cents` is what the wallets hold beforehand. `proposed_by`, `first_approved_by` and `approved_by` are
    actors.
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
    """A failed payout still open; `attempts` counts the runs that tried it."""

    batch_number: int
    batch_id: str
    referrer_id: int
    approved_cents: int
    attempts: int
    reason: str
    failed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """A batch as its rows show it at the moment of reading.

    `failures` holds at most the requested number of failures; `failed` counts them all. `skips` are the skipped payouts
    by reason, `left_out` the referrers that were not planned at all. If a second approver was needed, `approved_by` is
    that admin and `first_approved_by` the one who asked for the batch. `approved_by` and `proposed_by` are actors
    ("discord:<id>", "cli", "schedule"). `dm_*` count the batch's direct messages by state.
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

    @property
    def net_cents(self) -> int:
        """The cents that were paid and not reversed."""
        return self.total_cents - self.reversed_cents


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidWeek:
    """One week from its Monday, midnight UTC: the cents paid by batches that ended in it, and the cents reversed."""

    monday: datetime
    paid_cents: int
    reversed_cents: int

    @property
    def net_cents(self) -> int:
        """The cents paid, less those reversed; negative if more was reversed."""
        return self.paid_cents - self.reversed_cents


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutNotice:
    """One queued direct message about a payout, with everything its text needs.

    `was_absent`: the member is recorded as gone; a delivered message shows otherwise. `is_retry`: the message was
    postponed before.
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
    is_retry: bool = False
    language: str = "en"


class DeliveryStatus(StrEnum):
    """The result of one attempt to send a direct message."""

    SENT = "sent"
    UNDELIVERABLE = "undeliverable"
    RETRY = "retry"
    BACK_OFF = "back_off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The outcome of one attempt to send a direct message.

    BACK_OFF means that all direct messages must pause because the service asked for it. `absence` is what a refusal
    shows about the member. `is_outage`: the service failed, so this does not count as an attempt.
    """

    status: DeliveryStatus
    reason: str | None = None
    dm_channel_id: int | None = None
    absence: Absence | None = None
    is_outage: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRecord:
    """A decided slot: with its batch, or with the reason if there is none."""

    slot_at: datetime
    status: SlotStatus
    batch_id: str | None
    reason: str | None
    decided_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingPreview:
    """What a batch would pay now: how many users, the total, and the largest payouts.

    `left_out` counts by reason the referrers with pending cashback that it would exclude.
    """

    users: int
    total_cents: int
    top: tuple[PlannedPayout, ...]
    left_out: tuple[ReasonCount, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOverview:
    """The weekly batch at a glance. If it is switched off, `rule` is "off" and there is no next slot.

    `next_slot_at` is the next slot that is not skipped; while the schedule is paused, it is skipped when it comes.
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
    """A posted notice to be edited; `record` is what was decided, None if the rule changed or a skip was undone."""

    slot_at: datetime
    channel_id: int
    message_id: int
    record: SlotRecord | None
