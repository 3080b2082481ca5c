"""The tables. `users`, `referrals` and `wallet_transactions` have an Apex Core bot's columns; the rest is ours.

Our tables, indexes, triggers and columns in shared tables begin with `cashback_`: any other name may become the other
bot's. A column of a shared table that begins so without being ours (`cashback_earned_cents`) is one that it has.

Money is whole cents, ids of people are Discord snowflakes, moments are UTC. What guards the money stands here as
constraints and, where SQLite has no constraint for it, in `cashback/database/guards.py` as triggers.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    and_,
    literal_column,
    not_,
    text,
)

from cashback.database.dialect import is_whole
from cashback.domain.events import EventStatus
from cashback.domain.model import (
    Absence,
    BatchMode,
    BatchStatus,
    NotificationStatus,
    PayoutStatus,
    ReversalStatus,
    SlotStatus,
)
from cashback.domain.withdrawals import WithdrawalStatus

metadata = MetaData()

OWN: Final = "cashback_"
"""What the name of everything of ours begins with."""

Key = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit integer that SQLite takes as an alias of the rowid where it is the primary key."""


LENGTH_WITHOUT_ZONE: Final = len("2026-01-31 15:00:00.000000")


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        message = f"{value!r} has no time zone"
        raise ValueError(message)
    return value.astimezone(UTC)


@lru_cache(maxsize=1024)
def _as_text(value: datetime | None) -> str | None:
    """Write a moment; the rows of one transaction share theirs."""
    return None if value is None else _in_utc(value).isoformat(" ", "microseconds")[:LENGTH_WITHOUT_ZONE]


@lru_cache(maxsize=1024)
def _from_text(value: str | None) -> datetime | None:
    """Read a moment; rows that one transaction wrote share theirs."""
    if value is None:
        return None
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime, kept as text `YYYY-MM-DD HH:MM:SS.ffffff` in SQLite. A naive one is an error."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive moment and turn any other to UTC."""
        return None if value is None else _in_utc(value)

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any] | None:
        """For SQLite write the text at once: SQLAlchemy's own way costs an import a tenth of its time."""
        return _as_text if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        """From SQLite read the text at once, for the same reason."""
        return _from_text if dialect.name == "sqlite" else super().result_processor(dialect, coltype)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give every moment its time zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


NOW = text("CURRENT_TIMESTAMP")

users = Table(
    "users",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("discord_id", BigInteger, nullable=False, unique=True),
    Column("wallet_balance_cents", BigInteger, nullable=False, server_default="0"),
    Column("total_lifetime_spent_cents", BigInteger, nullable=False, server_default="0"),
    Column("has_client_role", Integer, nullable=False, server_default="0"),
    Column("manually_assigned_roles", Text),
    Column("created_at", Moment, server_default=NOW),
    Column("updated_at", Moment, server_default=NOW),
    sqlite_autoincrement=True,
)

referrals = Table(
    "referrals",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("referrer_user_id", BigInteger, ForeignKey("users.discord_id"), nullable=False),
    Column("referred_user_id", BigInteger, ForeignKey("users.discord_id"), nullable=False, unique=True),
    Column("referred_total_spend_cents", BigInteger, nullable=False, server_default="0"),
    Column("cashback_earned_cents", BigInteger, nullable=False, server_default="0"),
    Column("cashback_paid_cents", BigInteger, nullable=False, server_default="0"),
    Column("is_blacklisted", Integer, nullable=False, server_default="0"),
    Column("created_at", Moment, server_default=NOW),
    # Ours: millionths of a cent that purchases earned beyond the whole cents; carried to the next purchase.
    Column("cashback_carry_ppm", Integer, nullable=False, server_default="0"),
    # Ours: what of the paid cents no payout of ours stands behind: paid before adoption, or marked by another bot.
    Column("cashback_paid_elsewhere_cents", BigInteger, nullable=False, server_default="0"),
    # Ours: until when some of what purchases earned is held; NULL where nothing ever was.
    Column("cashback_held_until", Moment),
    # Ours: by how much refunds have lowered the earnings, in all.
    Column("cashback_refunded_cents", BigInteger, nullable=False, server_default="0"),
    # Ours: what reversals took back of the paid cents and no refund has taken off since. It is not payable again.
    Column("cashback_forfeited_cents", BigInteger, nullable=False, server_default="0"),
    # Ours: what refunds took of cashback that the referrer had been paid: still owed, or recovered from later earnings.
    Column("cashback_charged_cents", BigInteger, nullable=False, server_default="0"),
    # Ours: when an admin unlinked the two. What was earned stays; later purchases earn nothing.
    Column("cashback_unlinked_at", Moment),
    # Ours: the import, delivery or command that brought it; NULL for a command on Discord.
    Column("cashback_intake_number", BigInteger),
    sqlite_autoincrement=True,
)

wallet_transactions = Table(
    "wallet_transactions",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("user_discord_id", BigInteger, ForeignKey("users.discord_id"), nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    Column("balance_after_cents", BigInteger, nullable=False),
    Column("transaction_type", Text, nullable=False),
    Column("description", Text),
    Column("order_id", BigInteger),
    Column("ticket_id", BigInteger),
    Column("staff_discord_id", BigInteger),
    Column("metadata", Text, key="details"),
    Column("created_at", Moment, server_default=NOW),
    # Ours: the batch that a payout's transaction belongs to; unique with the user, see below.
    Column("cashback_payout_batch_number", BigInteger),
    sqlite_autoincrement=True,
)

APPROVED_BY_TWO: Final = (
    "needs_second_approver IS NULL OR status IN ('proposed', 'cancelled', 'expired')"
    " OR (first_approved_by IS NOT NULL AND approved_by IS NOT NULL AND approver_id IS NOT NULL"
    " AND proposed_by NOT LIKE '%:' || approver_id AND first_approved_by NOT LIKE '%:' || approver_id)"
)
"""Actors are "discord:<id>", "cli:<id>" and the like: the same person from elsewhere is the same person."""

payout_batches = Table(
    "cashback_payout_batches",
    metadata,
    Column("number", Key, primary_key=True, autoincrement=True),
    Column("batch_id", Text, unique=True),
    # Random, and in the buttons of its messages: an old message, or another ledger's, decides nothing about this batch.
    # NULL in batches of programs before it.
    Column("token", Text),
    Column("mode", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("target_user_id", BigInteger),
    Column("slot_at", Moment, unique=True),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at", Moment, nullable=False),
    Column("expires_at", Moment),
    # Why a second admin must approve, NULL where one is enough; the first approval then only waits for it.
    Column("needs_second_approver", Text),
    Column("first_approved_by", Text),
    Column("first_approved_at", Moment),
    Column("approved_by", Text),
    Column("approver_id", BigInteger),
    Column("approved_at", Moment),
    # When the approval is too old to pay anything more; NULL until it is given.
    Column("lapses_at", Moment),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    # How many an admin named if the batch is for nobody else; why it is flagged, a line each.
    Column("selected_count", BigInteger),
    Column("unusual", Text),
    Column("left_out_count", BigInteger, nullable=False, server_default="0"),
    Column("planned_count", BigInteger, nullable=False, server_default="0"),
    Column("planned_cents", BigInteger, nullable=False, server_default="0"),
    Column("credited_count", BigInteger, nullable=False, server_default="0"),
    Column("credited_cents", BigInteger, nullable=False, server_default="0"),
    Column("failed_count", BigInteger, nullable=False, server_default="0"),
    Column("skipped_count", BigInteger, nullable=False, server_default="0"),
    _one_of("mode", BatchMode),
    _one_of("status", BatchStatus),
    CheckConstraint("(mode = 'individual') = (target_user_id IS NOT NULL)", name="target_matches_mode"),
    CheckConstraint("batch_id IS NOT NULL OR status IN ('proposed', 'cancelled', 'expired')", name="paid_has_id"),
    CheckConstraint(APPROVED_BY_TWO, name="approved_by_two"),
    sqlite_autoincrement=True,
)

payouts = Table(
    "cashback_payouts",
    metadata,
    Column("batch_number", BigInteger, ForeignKey("cashback_payout_batches.number"), primary_key=True),
    Column("referrer_id", BigInteger, ForeignKey("users.discord_id"), primary_key=True),
    Column("status", Text, nullable=False, server_default="planned"),
    Column("approved_cents", BigInteger, nullable=False),
    Column("referral_count", BigInteger, nullable=False),
    Column("paid_cents", BigInteger, nullable=False, server_default="0"),
    Column("reason", Text),
    Column("settled_at", Moment),
    _one_of("status", PayoutStatus),
    CheckConstraint("approved_cents > 0", name="approves_something"),
    CheckConstraint("paid_cents BETWEEN 0 AND approved_cents", name="never_more_than_approved"),
    CheckConstraint("(status = 'credited') = (paid_cents > 0)", name="credited_means_paid"),
    sqlite_with_rowid=False,
)

payout_shares = Table(
    "cashback_payout_shares",
    metadata,
    Column("batch_number", BigInteger, primary_key=True),
    Column("referrer_id", BigInteger, primary_key=True),
    Column("referral_id", BigInteger, ForeignKey("referrals.id"), primary_key=True),
    # As planned: what of the referral's earnings was payable, and what refunds had taken off before.
    Column("payable_cents", BigInteger, nullable=False),
    Column("refunded_cents", BigInteger, nullable=False, server_default="0"),
    # What the payout paid of this referral, and what a reversal took back of that.
    Column("paid_cents", BigInteger, nullable=False, server_default="0"),
    Column("returned_cents", BigInteger, nullable=False, server_default="0"),
    # What refunds took off of what was paid and not given back: still owed, or recovered from later earnings.
    Column("charged_cents", BigInteger, nullable=False, server_default="0"),
    # What was given back although no refund took it off.
    Column("forfeited_cents", BigInteger, nullable=False, server_default="0"),
    ForeignKeyConstraint(
        ["batch_number", "referrer_id"], ["cashback_payouts.batch_number", "cashback_payouts.referrer_id"]
    ),
    CheckConstraint("paid_cents >= 0 AND paid_cents <= payable_cents", name="pays_no_more_than_was_shown"),
    CheckConstraint("returned_cents BETWEEN 0 AND paid_cents", name="returned_once"),
    sqlite_with_rowid=False,
)

payout_exclusions = Table(
    "cashback_payout_exclusions",
    metadata,
    Column("batch_number", BigInteger, ForeignKey("cashback_payout_batches.number"), primary_key=True),
    Column("referrer_id", BigInteger, primary_key=True),
    # What would have been paid, had the referrer not been excluded from this batch.
    Column("pending_cents", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    # How many batches in a row a limit has left the referrer out; the longest goes first in the next.
    Column("turns", Integer, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

payout_attempts = Table(
    "cashback_payout_attempts",
    metadata,
    Column("batch_number", BigInteger, primary_key=True),
    Column("referrer_id", BigInteger, primary_key=True),
    # The retries of a payout, from 1; its first attempt was the batch's own run.
    Column("attempt", Integer, primary_key=True),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("why", Text),
    # Why the attempt before this one failed: the payout itself keeps only its last reason.
    Column("failed_before", Text),
    # NULL while the retry is under way.
    Column("outcome", Text),
    Column("reason", Text),
    Column("settled_at", Moment),
    ForeignKeyConstraint(
        ["batch_number", "referrer_id"], ["cashback_payouts.batch_number", "cashback_payouts.referrer_id"]
    ),
    CheckConstraint("attempt > 0", name="retries_count_from_one"),
    CheckConstraint("outcome IN ('credited', 'failed', 'skipped')", name="outcome_known"),
    CheckConstraint("(outcome IS NULL) = (settled_at IS NULL)", name="settled_has_moment"),
    sqlite_with_rowid=False,
)

reversals = Table(
    "cashback_reversals",
    metadata,
    Column("number", Key, primary_key=True, autoincrement=True),
    # As a batch's.
    Column("token", Text),
    Column("batch_number", BigInteger, ForeignKey("cashback_payout_batches.number"), nullable=False),
    # NULL if all that the batch credited is taken back.
    Column("referrer_id", BigInteger),
    Column("reason", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("needs_second_approver", Text),
    Column("first_approved_by", Text),
    Column("approved_by", Text),
    Column("approver_id", BigInteger),
    Column("finished_at", Moment),
    Column("planned_count", BigInteger, nullable=False),
    Column("planned_cents", BigInteger, nullable=False),
    Column("reversed_cents", BigInteger, nullable=False, server_default="0"),
    Column("shortfall_cents", BigInteger, nullable=False, server_default="0"),
    _one_of("status", ReversalStatus),
    CheckConstraint("planned_count > 0 AND planned_cents > 0", name="takes_something"),
    CheckConstraint(
        "status <> 'done' OR (approved_by IS NOT NULL AND reversed_cents + shortfall_cents = planned_cents)",
        name="done_adds_up",
    ),
    CheckConstraint(
        "needs_second_approver IS NULL OR status <> 'done' OR (first_approved_by IS NOT NULL"
        " AND approver_id IS NOT NULL AND proposed_by NOT LIKE '%:' || approver_id"
        " AND first_approved_by NOT LIKE '%:' || approver_id)",
        name="approved_by_two",
    ),
    sqlite_autoincrement=True,
)

payout_reversals = Table(
    "cashback_payout_reversals",
    metadata,
    # The key of the payout: it is taken back once.
    Column("batch_number", BigInteger, primary_key=True),
    Column("referrer_id", BigInteger, primary_key=True),
    Column("reversal_number", BigInteger, ForeignKey("cashback_reversals.number"), nullable=False),
    # What the wallet held of the payout, what it did not, and what refunds had recovered of it before.
    Column("amount_cents", BigInteger, nullable=False),
    Column("shortfall_cents", BigInteger, nullable=False),
    Column("recovered_cents", BigInteger, nullable=False, server_default="0"),
    Column("transaction_id", BigInteger, ForeignKey("wallet_transactions.id"), unique=True),
    ForeignKeyConstraint(
        ["batch_number", "referrer_id"], ["cashback_payouts.batch_number", "cashback_payouts.referrer_id"]
    ),
    CheckConstraint("amount_cents >= 0 AND shortfall_cents >= 0", name="takes_no_more_than_there_is"),
    CheckConstraint("(amount_cents > 0) = (transaction_id IS NOT NULL)", name="taken_by_transaction"),
    sqlite_with_rowid=False,
)

notifications = Table(
    "cashback_notifications",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("batch_number", BigInteger, ForeignKey("cashback_payout_batches.number"), nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("status", Text, nullable=False, server_default="queued"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", Moment),
    Column("last_error", Text),
    Column("sent_at", Moment),
    _one_of("status", NotificationStatus),
    UniqueConstraint("batch_number", "user_id", name="one_notice_per_payout"),
)

outbox_counts = Table(
    "cashback_outbox_counts",
    metadata,
    # What became of a batch's messages whose rows are no longer kept.
    Column("batch_number", BigInteger, ForeignKey("cashback_payout_batches.number"), primary_key=True),
    Column("status", Text, primary_key=True),
    Column("messages", BigInteger, nullable=False),
    CheckConstraint("status IN ('sent', 'muted')", name="done_with"),
    CheckConstraint("messages > 0", name="counts_something"),
    sqlite_with_rowid=False,
)

dm_channels = Table(
    "cashback_dm_channels",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("channel_id", BigInteger, nullable=False),
)

notification_preferences = Table(
    "cashback_notification_preferences",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("payout_dm", Integer, nullable=False, server_default="1"),
    # The member's language on Discord when they last used a command or button; NULL is English.
    Column("language", Text),
)

referral_blacklist = Table(
    "cashback_referral_blacklist",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", Text),
    Column("blacklisted_by", Text, nullable=False),
    Column("blacklisted_at", Moment, nullable=False),
)

intakes = Table(
    "cashback_intakes",
    metadata,
    Column("number", Key, primary_key=True, autoincrement=True),
    Column("source", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    # SHA-256 of the files or the body.
    Column("digest", Text),
    Column("rows", BigInteger, nullable=False, server_default="0"),
    Column("cents", BigInteger, nullable=False, server_default="0"),
    Column("undone_at", Moment),
    CheckConstraint("kind IN ('import', 'delivery', 'command')", name="kind_known"),
    sqlite_autoincrement=True,
)

referral_purchases = Table(
    "cashback_referral_purchases",
    metadata,
    Column("order_id", Text, nullable=False),
    Column("buyer_id", BigInteger, nullable=False),
    # NULL if the buyer had no referrer at that time. With a rate, the purchase is counted when a referral comes.
    Column("referral_id", BigInteger, ForeignKey("referrals.id")),
    Column("amount_cents", BigInteger, nullable=False),
    Column("rate_ppm", Integer, nullable=False),
    Column("earned_cents", BigInteger, nullable=False),
    Column("purchased_at", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    # NULL where what it earned was payable at once.
    Column("payable_at", Moment),
    Column("refunded_cents", BigInteger, nullable=False, server_default="0"),
    # The shop, and the import, delivery or command; NULL for what was recorded before there were intakes.
    Column("source", Text, nullable=False, server_default="main"),
    Column("intake_number", BigInteger),
    # The correction that made this row: it continues the order that the correction names.
    Column("correction_number", BigInteger),
    PrimaryKeyConstraint("source", "order_id"),
    CheckConstraint("amount_cents >= 0", name="amount_not_negative"),
    CheckConstraint("refunded_cents BETWEEN 0 AND amount_cents", name="never_refunded_beyond_its_amount"),
    CheckConstraint("rate_ppm BETWEEN 0 AND 1000000", name="rate_is_a_share"),
    sqlite_with_rowid=False,
)

referral_refunds = Table(
    "cashback_referral_refunds",
    metadata,
    Column("refund_id", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("referral_id", BigInteger, ForeignKey("referrals.id")),
    Column("amount_cents", BigInteger, nullable=False),
    # By how many whole cents the referral's earnings fell; the rest of what it takes is in the carry.
    Column("taken_cents", BigInteger, nullable=False),
    Column("reason", Text),
    Column("refunded_by", Text, nullable=False),
    Column("refunded_at", Moment, nullable=False),
    Column("source", Text, nullable=False, server_default="main"),
    Column("intake_number", BigInteger),
    # A correction takes off what is left of a row; a shop's refund has none.
    Column("correction_number", BigInteger),
    # What the shop asked for if less was left; and the refund's own id in the further rows that it was taken from.
    Column("asked_cents", BigInteger),
    Column("part_of", Text),
    PrimaryKeyConstraint("source", "refund_id"),
    ForeignKeyConstraint(
        ["source", "order_id"], ["cashback_referral_purchases.source", "cashback_referral_purchases.order_id"]
    ),
    CheckConstraint("amount_cents > 0", name="refunds_something"),
    CheckConstraint("taken_cents >= 0", name="never_gives"),
    sqlite_with_rowid=False,
)

unmatched_purchases = Table(
    "cashback_unmatched_purchases",
    metadata,
    Column("source", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    Column("rate_ppm", Integer, nullable=False),
    Column("purchased_at", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("waits_until", Moment, nullable=False),
    Column("intake_number", BigInteger),
    # NULL while it waits; then the member whose purchase it is, which is an ordinary purchase from then on.
    Column("buyer_id", BigInteger),
    Column("settled_at", Moment),
    Column("settled_by", Text),
    PrimaryKeyConstraint("source", "order_id"),
    CheckConstraint("amount_cents >= 0", name="amount_not_negative"),
    CheckConstraint("rate_ppm BETWEEN 0 AND 1000000", name="rate_is_a_share"),
    CheckConstraint("(buyer_id IS NULL) = (settled_at IS NULL)", name="settled_once"),
    sqlite_with_rowid=False,
)

unmatched_hints = Table(
    "cashback_unmatched_hints",
    metadata,
    # A keyed hash of something that the shop knows of the buyer: never the thing itself.
    Column("hint", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    PrimaryKeyConstraint("hint", "source", "order_id"),
    ForeignKeyConstraint(
        ["source", "order_id"], ["cashback_unmatched_purchases.source", "cashback_unmatched_purchases.order_id"]
    ),
    CheckConstraint("length(hint) = 64", name="hashed"),
    sqlite_with_rowid=False,
)

kept_refunds = Table(
    "cashback_kept_refunds",
    metadata,
    Column("number", Key, primary_key=True, autoincrement=True),
    Column("source", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("refund_id", Text, nullable=False),
    # An amount, the sum of all refunds so far, or a dispute that was won before its loss was known.
    Column("kind", Text, nullable=False),
    # NULL for the whole order.
    Column("amount_cents", BigInteger),
    Column("reason", Text),
    Column("kept_by", Text, nullable=False),
    Column("kept_at", Moment, nullable=False),
    Column("intake_number", BigInteger),
    # When its purchase came.
    Column("applied_at", Moment),
    UniqueConstraint("source", "refund_id", "kind", name="kept_once"),
    CheckConstraint("kind IN ('refund', 'in_all', 'given_back')", name="kind_known"),
    CheckConstraint("amount_cents > 0", name="refunds_something"),
    sqlite_autoincrement=True,
)

order_corrections = Table(
    "cashback_order_corrections",
    metadata,
    Column("number", Key, primary_key=True, autoincrement=True),
    Column("source", Text, nullable=False),
    # The order as it was first recorded.
    Column("order_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # The order's buyer and amount from then on; of a dispute that was won, what it gives back.
    Column("buyer_id", BigInteger, nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    # The refund that was given back, once.
    Column("refund_id", Text),
    Column("reason", Text),
    Column("made_by", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    ForeignKeyConstraint(
        ["source", "order_id"], ["cashback_referral_purchases.source", "cashback_referral_purchases.order_id"]
    ),
    UniqueConstraint("source", "refund_id", name="given_back_once"),
    CheckConstraint("kind IN ('given_back', 'reassigned', 'amount')", name="kind_known"),
    CheckConstraint("amount_cents >= 0", name="amount_not_negative"),
    CheckConstraint("(kind = 'given_back') = (refund_id IS NOT NULL)", name="gives_back_a_refund"),
    sqlite_autoincrement=True,
)

refund_facts = Table(
    "cashback_refund_facts",
    metadata,
    Column("source", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    # What a shop's delivery says of an order: a refund, the sum of all refunds, a dispute, or a dispute that was won.
    Column("kind", Text, nullable=False),
    # The shop's id of the refund or dispute; of a sum, its cents.
    Column("refund_id", Text, nullable=False),
    # NULL for the whole order.
    Column("amount_cents", BigInteger),
    Column("recorded_at", Moment, nullable=False),
    Column("intake_number", BigInteger),
    PrimaryKeyConstraint("source", "order_id", "kind", "refund_id"),
    CheckConstraint("kind IN ('refunded', 'refunded_in_all', 'disputed', 'dispute_won')", name="kind_known"),
    CheckConstraint("amount_cents >= 0", name="never_gives"),
    sqlite_with_rowid=False,
)

shop_deliveries = Table(
    "cashback_shop_deliveries",
    metadata,
    Column("number", Key, primary_key=True, autoincrement=True),
    Column("shop", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", Moment, nullable=False),
    # SHA-256 of the body.
    Column("digest", Text, nullable=False),
    # The shop's id of the event; if it has none, the digest.
    Column("event_id", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("intake_number", BigInteger),
    # What was read of it, as JSON; erased after 30 days.
    Column("events", Text),
    CheckConstraint("length(digest) = 64", name="has_a_digest"),
    sqlite_autoincrement=True,
)

member_emails = Table(
    "cashback_member_emails",
    metadata,
    # A keyed hash: the address itself is not stored.
    Column("email_hash", Text, primary_key=True),
    Column("member_id", BigInteger, nullable=False),
    Column("linked_at", Moment, nullable=False),
    CheckConstraint("length(email_hash) = 64", name="hashed"),
    sqlite_with_rowid=False,
)

buyer_emails = Table(
    "cashback_buyer_emails",
    metadata,
    # Under which e-mails purchases came with a member's id: several mean that the member's link may be spread.
    Column("member_id", BigInteger, nullable=False),
    Column("email_hash", Text, nullable=False),
    Column("first_at", Moment, nullable=False),
    PrimaryKeyConstraint("member_id", "email_hash"),
    CheckConstraint("length(email_hash) = 64", name="hashed"),
    sqlite_with_rowid=False,
)

order_claims = Table(
    "cashback_order_claims",
    metadata,
    Column("number", Key, primary_key=True, autoincrement=True),
    Column("member_id", BigInteger, nullable=False),
    Column("at", Moment, nullable=False),
    Column("was_right", Boolean, nullable=False),
    sqlite_autoincrement=True,
)

absent_members = Table(
    "cashback_absent_members",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("noted_at", Moment, nullable=False),
    _one_of("kind", Absence),
)

member_names = Table(
    "cashback_member_names",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    # NULL if Discord did not know the member in our servers when asked.
    Column("name", Text),
    # In small letters, for the search.
    Column("searched_name", Text),
    # Discord's name of the picture, and the picture, small.
    Column("avatar_key", Text),
    Column("avatar_base64", Text),
    Column("seen_at", Moment, nullable=False),
)

schedule_slots = Table(
    "cashback_schedule_slots",
    metadata,
    Column("slot_at", Moment, primary_key=True),
    Column("status", Text, nullable=False),
    Column("batch_number", BigInteger, ForeignKey("cashback_payout_batches.number"), unique=True),
    Column("reason", Text),
    Column("decided_by", Text, nullable=False),
    Column("decided_at", Moment, nullable=False),
    _one_of("status", SlotStatus),
    CheckConstraint("(status = 'batched') = (batch_number IS NOT NULL)", name="batched_has_batch"),
)

schedule_state = Table(
    "cashback_schedule_state",
    metadata,
    Column("id", Integer, primary_key=True),
    # The rule in force, as "friday 15:00" or "off", and since when: slots before that moment are nobody's.
    Column("rule", Text, nullable=False),
    Column("in_force_since", Moment, nullable=False),
    Column("grace_hours", Integer, nullable=False),
    Column("notice_hours", Integer, nullable=False),
    Column("paused_by", Text),
    Column("paused_reason", Text),
    Column("paused_at", Moment),
    CheckConstraint("id = 1", name="one_schedule"),
)

audit_log = Table(
    "cashback_audit_log",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("batch_number", BigInteger),
    Column("details", Text, nullable=False),
    Column("digest", Text, nullable=False),
)

withdrawals = Table(
    "cashback_withdrawals",
    metadata,
    Column("number", Key, primary_key=True, autoincrement=True),
    Column("user_id", BigInteger, ForeignKey("users.discord_id"), nullable=False),
    Column("method", Text, nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    # Encrypted with a key that is not in the ledger; NULL if the method needs none, and again once it is erased.
    Column("destination", Text),
    Column("requested_at", Moment, nullable=False),
    Column("needs_second_approver", Text),
    Column("first_approved_by", Text),
    Column("decided_by", Text),
    # The admin's id; NULL for the member's own cancellation and for an admin without a name.
    Column("decider_id", BigInteger),
    Column("decided_at", Moment),
    Column("reference", Text),
    Column("reason", Text),
    Column("erased_at", Moment),
    # The status that the member was last informed of; a running bot sends what is missing.
    Column("told_status", Text),
    # The transaction that took the amount out of the wallet, and the one that returned it.
    Column("debit_id", BigInteger, ForeignKey("wallet_transactions.id"), nullable=False, unique=True),
    Column("return_id", BigInteger, ForeignKey("wallet_transactions.id"), unique=True),
    # When it was last in a list for a bank: its member does not cancel it any more, and nothing is added to it.
    Column("exported_at", Moment),
    _one_of("status", WithdrawalStatus),
    CheckConstraint("amount_cents > 0", name="takes_something"),
    CheckConstraint("(status = 'requested') = (decided_at IS NULL)", name="decided_once"),
    CheckConstraint("(status IN ('declined', 'cancelled')) = (return_id IS NOT NULL)", name="returned_unless_paid"),
    CheckConstraint("(status = 'paid') = (reference IS NOT NULL)", name="paid_by_a_transfer"),
    CheckConstraint("decider_id IS NULL OR decider_id <> user_id", name="nobody_decides_on_their_own"),
    CheckConstraint(
        "needs_second_approver IS NULL OR status <> 'paid' OR (first_approved_by IS NOT NULL"
        " AND decider_id IS NOT NULL AND first_approved_by NOT LIKE '%:' || decider_id)",
        name="approved_by_two",
    ),
    CheckConstraint("first_approved_by NOT LIKE '%:' || user_id", name="nobody_approves_their_own"),
    sqlite_autoincrement=True,
)

withdrawal_additions = Table(
    "cashback_withdrawal_additions",
    metadata,
    # The transaction that took the addition out of the wallet.
    Column("debit_id", BigInteger, ForeignKey("wallet_transactions.id"), primary_key=True, autoincrement=False),
    Column("number", BigInteger, ForeignKey("cashback_withdrawals.number"), nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    Column("added_at", Moment, nullable=False),
    CheckConstraint("amount_cents > 0", name="adds_something"),
    sqlite_with_rowid=False,
)

auto_withdrawals = Table(
    "cashback_auto_withdrawals",
    metadata,
    Column("user_id", BigInteger, ForeignKey("users.discord_id"), primary_key=True, autoincrement=False),
    Column("method", Text, nullable=False),
    # Encrypted like a withdrawal's.
    Column("destination", Text),
    # Payouts up to this transaction were sent, or stay in the wallet.
    Column("after_transaction_id", BigInteger, nullable=False),
    Column("set_at", Moment, nullable=False),
    sqlite_with_rowid=False,
)

webhooks = Table(
    "cashback_webhooks",
    metadata,
    Column("name", Text, primary_key=True),
    # The events that it gets, separated by spaces.
    Column("events", Text, nullable=False),
    sqlite_with_rowid=False,
)

webhook_deliveries = Table(
    "cashback_webhook_deliveries",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("webhook", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    Column("batch_number", BigInteger),
    Column("withdrawal_number", BigInteger),
    Column("happened_at", Moment, nullable=False),
    Column("status", Text, nullable=False, server_default="queued"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", Moment),
    Column("last_error", Text),
    Column("settled_at", Moment),
    _one_of("status", EventStatus),
    CheckConstraint("(batch_number IS NULL) <> (withdrawal_number IS NULL)", name="about_one_thing"),
    sqlite_autoincrement=True,
)

wallet_adjustments = Table(
    "cashback_wallet_adjustments",
    metadata,
    Column("transaction_id", BigInteger, ForeignKey("wallet_transactions.id"), primary_key=True, autoincrement=False),
    Column("user_id", BigInteger, ForeignKey("users.discord_id"), nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("needs_second_approver", Text),
    Column("approver_id", BigInteger),
    Column("made_at", Moment, nullable=False),
    CheckConstraint("amount_cents <> 0", name="changes_something"),
    CheckConstraint(
        "needs_second_approver IS NULL OR (approver_id IS NOT NULL AND made_by NOT LIKE '%:' || approver_id)",
        name="approved_by_two",
    ),
    CheckConstraint(
        "(approver_id IS NULL OR approver_id <> user_id) AND made_by NOT LIKE '%:' || user_id",
        name="nobody_adjusts_their_own",
    ),
    sqlite_with_rowid=False,
)

announcements = Table(
    "cashback_announcements",
    metadata,
    Column("batch_number", BigInteger, ForeignKey("cashback_payout_batches.number"), primary_key=True),
    # A batch's summary, which is brought up to date until it is final, or its one entry in the audit channel.
    Column("kind", Text, primary_key=True),
    Column("channel_id", BigInteger, nullable=False),
    # NULL from the moment that somebody is about to post until the post is known to be there.
    Column("message_id", BigInteger),
    Column("is_final", Integer, nullable=False, server_default="0"),
    CheckConstraint("kind IN ('summary', 'audit')", name="kind_known"),
    sqlite_with_rowid=False,
)

dashboard_links = Table(
    "cashback_dashboard_links",
    metadata,
    # What is in the link is kept as a digest only: reading the file signs in nobody.
    Column("digest", Text, primary_key=True),
    # NULL for whoever sits at the program's own terminal.
    Column("user_id", BigInteger),
    Column("issued_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("used_at", Moment),
    sqlite_with_rowid=False,
)

dashboard_sessions = Table(
    "cashback_dashboard_sessions",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("user_id", BigInteger),
    Column("began_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("ended_at", Moment),
    sqlite_with_rowid=False,
)

slot_posts = Table(
    "cashback_slot_posts",
    metadata,
    Column("slot_at", Moment, primary_key=True),
    # The notice ahead of a slot, or the line that says why a slot made no batch.
    Column("kind", Text, primary_key=True),
    Column("channel_id", BigInteger, nullable=False),
    # NULL from the moment that somebody is about to post until the post is known to be there.
    Column("message_id", BigInteger),
    Column("is_final", Integer, nullable=False, server_default="0"),
    CheckConstraint("kind IN ('notice', 'outcome')", name="kind_known"),
    sqlite_with_rowid=False,
)

leases = Table(
    "cashback_leases",
    metadata,
    Column("name", Text, primary_key=True),
    # NULL where it was given back: then the next one need not wait.
    Column("holder", Text),
    # Raised by each taking: what a holder writes is written under its own fence only.
    Column("fence", BigInteger, nullable=False),
    # Moved by its holder while that lives; one that has not moved for so many milliseconds is taken over.
    Column("beat", BigInteger, nullable=False),
    Column("milliseconds", BigInteger, nullable=False),
    CheckConstraint("fence > 0", name="fence_positive"),
    sqlite_with_rowid=False,
)

command_claims = Table(
    "cashback_command_claims",
    metadata,
    # The id of the message or interaction: the bot that inserts it is the one that acts.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("claimed_at", Moment, nullable=False),
    sqlite_with_rowid=False,
)

last_verification = Table(
    "cashback_last_verification",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("verified_at", Moment, nullable=False),
    Column("verified_by", Text, nullable=False),
    Column("breaches", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="the_last_one"),
)

cashback_origin = Table(
    "cashback_origin",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("adopted", Integer, nullable=False),
    Column("started_at", Moment, nullable=False),
    # The ISO code and the number of decimals; NULL until the first row that may hold an amount.
    Column("currency", Text),
    Column("decimals", Integer),
)

unpaid = referrals.c.cashback_earned_cents > referrals.c.cashback_paid_cents
"""Whether a referral earned more than was paid; what may be paid now is asked in `referral_program/pending.py`."""

overpaid = referrals.c.cashback_earned_cents < referrals.c.cashback_paid_cents

LARGEST_CENTS: Final = 10**14
"""A million million dollars. Sums of many thousands of such amounts fit 64 bits."""

_LEAST, _NOTHING, _MOST = (literal_column(str(cents), BigInteger) for cents in (-LARGEST_CENTS, 0, LARGEST_CENTS))
has_usable_amounts = and_(
    is_whole(referrals.c.cashback_earned_cents),
    is_whole(referrals.c.cashback_paid_cents),
    referrals.c.cashback_earned_cents.between(_LEAST, _MOST),
    referrals.c.cashback_paid_cents.between(_NOTHING, _MOST),
)
"""Whether a referral's amounts are whole cents. SQLite keeps any value in any column; NULL is not a whole number."""

has_unusable_amounts = not_(has_usable_amounts)
is_flagged = referrals.c.is_blacklisted != literal_column("0")
is_waiting = and_(referral_purchases.c.referral_id.is_(None), referral_purchases.c.rate_ppm > literal_column("0"))
"""A purchase whose buyer had no referrer at that time."""

is_unmatched = unmatched_purchases.c.buyer_id.is_(None)
is_kept = kept_refunds.c.applied_at.is_(None)
is_correcting = referral_purchases.c.correction_number.is_not(None)
is_done_with = shop_deliveries.c.outcome.not_in(
    [literal_column(f"'{outcome}'") for outcome in ("unreadable", "excluded", "conflicting")]
)
holds_events = shop_deliveries.c.events.is_not(None)
is_refunded = referral_purchases.c.refunded_cents > literal_column("0")
# SQLite takes a partial index only where the query says its condition with the same constants, not with parameters.
is_queued = notifications.c.status == literal_column("'queued'")
is_settled = notifications.c.status != literal_column("'queued'")
is_open = payout_batches.c.status.in_([literal_column(f"'{status}'") for status in ("proposed", "approved", "running")])
# As one text, so that SQLite sees the index's condition in the query.
is_untold = literal_column("coalesce(told_status, '') <> status", Boolean)
is_delivery_queued = webhook_deliveries.c.status == literal_column("'queued'")
is_requested = withdrawals.c.status == literal_column("'requested'")
is_not_paid = payouts.c.status.in_((literal_column("'failed'"), literal_column("'skipped'")))
has_failures = payout_batches.c.status == literal_column("'completed_with_failures'")
is_upkeep = literal_column("action IN ('backup_made', 'head_posted')", Boolean)
"""An audit entry about the ledger's care, of which the newest is asked for often."""


def _index(
    name: str, *columns: ColumnElement[Any], where: ColumnElement[bool] | None = None, unique: bool = False
) -> Index:
    """Declare an index; on both databases it holds only the rows that meet the condition.

    `dialect.py` takes it over for PostgreSQL. To say it here, too, would import that dialect in every process.
    """
    return Index(f"{OWN}{name}", *columns, unique=unique, sqlite_where=where)


INDEXES: Final = (
    _index("payout_batches_failed", payout_batches.c.number, where=has_failures),
    _index("payout_batches_open", payout_batches.c.number, where=is_open),
    # Payouts are shown largest first, a page at a time. Neither index changes when a payout is credited.
    _index("payouts_largest", payouts.c.batch_number, payouts.c.approved_cents.desc(), payouts.c.referrer_id),
    _index(
        "payouts_not_paid",
        payouts.c.batch_number,
        payouts.c.status,
        payouts.c.approved_cents.desc(),
        payouts.c.referrer_id,
        where=is_not_paid,
    ),
    # Refunds charge few payouts; a reversal asks what later payouts of the same referral are charged.
    _index(
        "payout_shares_charged",
        payout_shares.c.referral_id,
        payout_shares.c.batch_number,
        where=payout_shares.c.charged_cents > literal_column("0"),
    ),
    _index("notifications_queued", notifications.c.id, where=is_queued),
    # Each credited payout has one direct message: what is settled is counted from this index, the rest is queued.
    _index("notifications_settled", notifications.c.batch_number, notifications.c.status, where=is_settled),
    _index("audit_log_by_batch", audit_log.c.batch_number, audit_log.c.id),
    _index("audit_log_upkeep", audit_log.c.action, audit_log.c.id, where=is_upkeep),
    _index("referrals_by_referrer", referrals.c.referrer_user_id),
    # Discovery and crediting cost what is pending, not what is stored.
    _index("referrals_pending", referrals.c.referrer_user_id, referrals.c.id, where=unpaid),
    _index("referrals_overpaid", referrals.c.referrer_user_id, where=overpaid),
    # Another bot's rows that nobody can be paid by; a batch names their referrers.
    _index("referrals_unusable", referrals.c.referrer_user_id, where=has_unusable_amounts),
    _index("referrals_held", referrals.c.cashback_held_until, where=referrals.c.cashback_held_until.is_not(None)),
    # The last of its table: of indexes that SQLite holds for equal it takes the youngest, and this one is small.
    _index("referrals_blacklisted", referrals.c.referrer_user_id, where=is_flagged),
    _index(
        "referral_purchases_by_referral",
        referral_purchases.c.referral_id,
        referral_purchases.c.payable_at,
        where=referral_purchases.c.referral_id.is_not(None),
    ),
    _index(
        "referral_purchases_refunded", referral_purchases.c.source, referral_purchases.c.order_id, where=is_refunded
    ),
    _index("referral_purchases_waiting", referral_purchases.c.buyer_id, where=is_waiting),
    _index("referral_purchases_correcting", referral_purchases.c.correction_number, where=is_correcting),
    _index("order_corrections_by_order", order_corrections.c.source, order_corrections.c.order_id),
    _index("kept_refunds_by_order", kept_refunds.c.source, kept_refunds.c.order_id, where=is_kept),
    _index("unmatched_purchases_waiting", unmatched_purchases.c.waits_until, where=is_unmatched),
    _index("unmatched_hints_by_order", unmatched_hints.c.source, unmatched_hints.c.order_id),
    # What could not be read or was excluded may come again, once its cause is corrected.
    _index("shop_deliveries_once", shop_deliveries.c.shop, shop_deliveries.c.event_id, where=is_done_with, unique=True),
    _index("shop_deliveries_to_erase", shop_deliveries.c.at, where=holds_events),
    _index("order_claims_by_member", order_claims.c.member_id, order_claims.c.at),
    _index("referral_refunds_by_order", referral_refunds.c.source, referral_refunds.c.order_id),
    _index("referral_refunds_by_referral", referral_refunds.c.referral_id),
    _index("withdrawals_one_open", withdrawals.c.user_id, where=is_requested, unique=True),
    _index("withdrawals_open", withdrawals.c.number, where=is_requested),
    # A running bot asks for both every second.
    _index("withdrawals_untold", withdrawals.c.number, where=is_untold),
    _index("withdrawals_to_erase", withdrawals.c.decided_at, where=withdrawals.c.destination.is_not(None)),
    _index(
        "webhook_deliveries_queued", webhook_deliveries.c.webhook, webhook_deliveries.c.id, where=is_delivery_queued
    ),
    _index("withdrawal_additions_by_number", withdrawal_additions.c.number),
    _index("withdrawals_by_user", withdrawals.c.user_id, withdrawals.c.number),
    _index("member_names_searched", member_names.c.searched_name),
    _index("wallet_transactions_by_user", wallet_transactions.c.user_discord_id),
    # One transaction for one payout, by constraint; in key order, so that a batch appends to the index.
    _index(
        "wallet_transactions_one_per_payout",
        wallet_transactions.c.cashback_payout_batch_number,
        wallet_transactions.c.user_discord_id,
        where=wallet_transactions.c.cashback_payout_batch_number.is_not(None),
        unique=True,
    ),
)
"""In the order in which they are created."""
