"""The ledger's state as metrics, read when Prometheus asks."""

from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from cashback.dashboard.metrics import UNKNOWN
from cashback.database.queries.overview import Overview
from cashback.database.queries.upkeep import Upkeep
from cashback.domain.model import BatchStatus, NotificationStatus, SlotStatus
from cashback.domain.money import money_style

NEVER: Final = 0.0


class LedgerMetrics:
    """Gauges of the ledger's state. Moments are in seconds since 1970, 0 for never."""

    def __init__(self, registry: CollectorRegistry, *, is_backed_up_by_us: bool) -> None:
        """`is_backed_up_by_us` is false for a ledger whose backups are a server's business."""
        self._is_backed_up_by_us = is_backed_up_by_us

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"cashback_{name}", text, labels, registry=registry)

        self._batches = gauge("batches", "Batches by state.", "status")
        self._payouts = gauge("payouts", "Payouts by state; planned are those of open batches.", "status")
        self._paid_cents = gauge("paid_cents", "Cents that batches have paid.")
        self._reversed_cents = gauge("reversed_cents", "Cents that reversals returned from wallets.")
        self._pending_cents = gauge("pending_cents", "Cents that a batch would pay now.")
        self._pending_referrers = gauge("pending_referrers", "Referrers that a batch would pay now.")
        self._minor_units = gauge("minor_units", "Cents of one unit of the currency: 100 for dollars, 1 for yen.")
        self._currency = gauge("currency", "The ledger's currency, as the label of a one.", "code")
        self._held_cents = gauge("held_cents", "Cents earned that are not payable yet.")
        self._messages = gauge("direct_messages", "Direct messages by state.", "status")
        self._slots = gauge("schedule_slots", "Schedule slots by status.", "status")
        self._is_known = gauge("next_slot_known", "0 if the weekly batch is on, but paused or not in force; else 1.")
        self._next_slot = gauge("next_slot_timestamp_seconds", "When the next weekly batch is due; 0 if unknown.")
        self._missed = gauge("last_missed_slot_timestamp_seconds", "When a slot was last decided as missed.")
        self._verified = gauge("last_verify_timestamp_seconds", "When the ledger was last verified; 0 if never.")
        self._breaches = gauge("last_verify_breaches", "Breaches that the last verify found.")
        self._backed_up = gauge("last_backup_timestamp_seconds", "When the ledger was last backed up; 0 if never.")
        self._waiting = gauge("waiting_purchases", "Purchases without a member that wait to be assigned.")
        self._withdrawals = gauge("open_withdrawals", "Withdrawals that wait for an admin.")
        self._withdrawals_cents = gauge("open_withdrawals_cents", "Cents of withdrawals that wait for an admin.")
        self._oldest_withdrawal = gauge(
            "oldest_withdrawal_timestamp_seconds", "When the oldest open withdrawal was requested."
        )
        self._as_of = gauge("snapshot_timestamp_seconds", "When the sums over the ledger were read.")

    def show(self, overview: Overview) -> None:
        """Set the gauges."""
        for batch_status in BatchStatus:
            self._batches.labels(batch_status).set(overview.batches.get(batch_status, 0))
        for status, count in overview.payouts.items():
            self._payouts.labels(status).set(count)
        for slot_status in SlotStatus:
            self._slots.labels(slot_status).set(overview.slots.get(slot_status, 0))
        messages = {**overview.settled_messages, NotificationStatus.QUEUED: overview.queued_messages}
        for message_status in NotificationStatus:
            self._messages.labels(message_status).set(messages.get(message_status, 0))
        self._paid_cents.set(overview.paid_cents)
        self._reversed_cents.set(overview.reversed_cents)
        self._withdrawals.set(overview.open_withdrawals)
        self._withdrawals_cents.set(overview.open_withdrawals_cents)
        self._pending_cents.set(overview.pending_cents)
        self._pending_referrers.set(overview.pending_users)
        self._minor_units.set(10 ** money_style().decimals)
        self._currency.labels(money_style().currency).set(1)
        self._held_cents.set(overview.held_cents)
        self._as_of.set(overview.as_of.timestamp())
        self._show_upkeep(overview.upkeep)

    def _show_upkeep(self, upkeep: Upkeep) -> None:
        self._verified.set(_seconds(upkeep.verified_at))
        self._breaches.set(upkeep.breaches)
        self._backed_up.set(_seconds(upkeep.backed_up_at) if self._is_backed_up_by_us else UNKNOWN)
        self._missed.set(_seconds(upkeep.missed_at))
        self._is_known.set(int(not upkeep.is_scheduled or upkeep.next_slot_at is not None))
        self._next_slot.set(_seconds(upkeep.next_slot_at))
        self._waiting.set(upkeep.waiting_purchases)
        oldest_at = upkeep.oldest_withdrawal_at
        self._oldest_withdrawal.set(UNKNOWN if oldest_at is None else oldest_at.timestamp())


def _seconds(moment: datetime | None) -> float:
    return NEVER if moment is None else moment.timestamp()
