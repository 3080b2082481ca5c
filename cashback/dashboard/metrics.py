"""Metrics for Prometheus: what happened since the start is counted as it happens, what stands is read when asked."""

import hmac
import ipaddress
from collections.abc import Callable
from typing import Final

import anyio
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from cashback.dashboard.health import Health
from cashback.dashboard.snapshot import Snapshot
from cashback.database.integrity.reconciliation import Verdict
from cashback.database.queries.overview import Overview
from cashback.domain.model import BatchReport, BatchStatus, ChunkCredited, Delivery, PayoutNotice, SlotStatus
from cashback.domain.ports import Messenger, Observer

CHUNK_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Keeps the numbers, in a registry of its own."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"cashback_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"cashback_{name}", text, labels, registry=self.registry)

        self.settled = counter("payouts_settled", "Payouts settled since the start.", "outcome")
        self.credited_cents = counter("credited_cents", "Cents credited since the start.")
        self.runs = counter("runs", "Recovery of batches that ended since the start.", "outcome")
        self.attempts = counter(
            "direct_message_attempts", "Attempts to send a direct message since the start.", "outcome"
        )
        self.taken_in = counter("intake_requests", "Requests to the intake since the start, by status.", "status")
        self.chunk_seconds = Histogram(
            "cashback_chunk_seconds",
            "Seconds from one settled chunk of a batch to the next.",
            buckets=CHUNK_BUCKETS,
            registry=self.registry,
        )
        self.batches = gauge("batches", "Batches by state.", "status")
        self.payouts = gauge("payouts", "Payouts by state; planned are those of open batches.", "status")
        self.paid_cents = gauge("paid_cents", "Cents that finished batches have paid.")
        self.pending_cents = gauge("pending_cents", "Cents that a batch would pay now.")
        self.pending_referrers = gauge("pending_referrers", "Referrers whom a batch would pay now.")
        self.held_cents = gauge("held_cents", "Cents earned that are not payable yet.")
        self.messages = gauge("direct_messages", "Direct messages by state.", "status")
        self.slots = gauge("schedule_slots", "Scheduled moments by what became of them.", "status")
        self.waiting = gauge("runner_batches", "Batches that the runner has in hand or waiting.")
        self.lag_seconds = gauge("loop_lag_seconds", "How late the event loop woke who slept last.")
        self.is_well = gauge("healthy", "1 where a part of the program is well, else 0.", "part")
        self.verified_at = gauge("last_verify_timestamp_seconds", "When the books were last verified; 0 for never.")
        self.breaches = gauge("last_verify_breaches", "Breaches that the last verify found.")
        self.as_of = gauge("snapshot_timestamp_seconds", "When the sums over the ledger were read.")

    def show(self, glance: Overview) -> None:
        """Take over what the ledger holds."""
        for batch_status in BatchStatus:
            self.batches.labels(batch_status).set(glance.batches.get(batch_status, 0))
        for status, count in glance.payouts.items():
            self.payouts.labels(status).set(count)
        for slot_status in SlotStatus:
            self.slots.labels(slot_status).set(glance.slots.get(slot_status, 0))
        self.messages.labels("queued").set(glance.queued_messages)
        for status, count in glance.settled_messages.items():
            self.messages.labels(status).set(count)
        self.paid_cents.set(glance.paid_cents)
        self.pending_cents.set(glance.pending_cents)
        self.pending_referrers.set(glance.pending_users)
        self.held_cents.set(glance.held_cents)
        self.as_of.set(glance.as_of.timestamp())

    def note_verdict(self, verdict: Verdict, at: float) -> None:
        """Take note of a proof of the books, at seconds since 1970."""
        self.verified_at.set(at)
        self.breaches.set(len(verdict.breaches))


class CountingObserver:
    """An observer that counts, and tells the one behind it."""

    def __init__(self, metrics: Metrics, behind: Observer) -> None:
        """Take the numbers, and who else watches."""
        self._metrics = metrics
        self._behind = behind
        self._last: tuple[int, float] | None = None

    async def progressed(self, chunk: ChunkCredited) -> None:
        """Count a chunk, and the time since the one before of the same batch."""
        now = anyio.current_time()
        if self._last is not None and self._last[0] == chunk.batch_number:
            self._metrics.chunk_seconds.observe(now - self._last[1])
        self._last = (chunk.batch_number, now)
        for outcome, count in (("credited", chunk.credited), ("failed", chunk.failed), ("skipped", chunk.skipped)):
            self._metrics.settled.labels(outcome).inc(count)
        self._metrics.credited_cents.inc(chunk.credited_cents)
        await self._behind.progressed(chunk)

    async def finished(self, report: BatchReport) -> None:
        """Count a run that ended with its batch."""
        self._last = None
        self._metrics.runs.labels(report.status).inc()
        await self._behind.finished(report)

    async def interrupted(self, batch_number: int, reason: str) -> None:
        """Count a run that ended early."""
        self._last = None
        self._metrics.runs.labels("interrupted").inc()
        await self._behind.interrupted(batch_number, reason)


class CountingMessenger:
    """A messenger that counts how attempts end."""

    def __init__(self, metrics: Metrics, behind: Messenger) -> None:
        """Take the numbers, and who delivers."""
        self._metrics = metrics
        self._behind = behind

    async def send(self, notice: PayoutNotice) -> Delivery:
        """Have a message sent, and count how that ended."""
        delivery = await self._behind.send(notice)
        self._metrics.attempts.labels(delivery.status).inc()
        return delivery


def _may_read(request: web.Request, token: str | None) -> bool:
    """Tell whether who asks may read the metrics: who sends the token or, where there is none, this machine itself."""
    if token is not None:
        sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(sent.encode(), token.encode())
    if {"X-Forwarded-For", "Forwarded"} & set(request.headers):
        # It comes through a server on this machine, from somewhere else.
        return False
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


class MetricsPage:
    """`/metrics`: the sums over the ledger are those that the pages show, so that asking often costs nothing."""

    def __init__(
        self, metrics: Metrics, snapshot: Snapshot, health: Health, waiting: Callable[[], int], token: str | None
    ) -> None:
        """Take the numbers, what they are read from, and the token of who may ask."""
        self._metrics = metrics
        self._snapshot = snapshot
        self._health = health
        self._waiting = waiting
        self._token = token

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [web.get("/metrics", self.show)]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Answer with all numbers, to whoever may read them."""
        if not _may_read(request, self._token):
            raise web.HTTPForbidden(reason="Only this machine, or who has the token, may read the metrics")
        self._metrics.show(await self._snapshot.get())
        self._metrics.waiting.set(self._waiting())
        self._metrics.lag_seconds.set(self._health.lag_seconds)
        for check in await self._health.checks():
            self._metrics.is_well.labels(check.name).set(int(check.is_well))
        return web.Response(body=generate_latest(self._metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
