"""Metrics for Prometheus: events are counted when they happen, the ledger's state is read when asked."""

from collections.abc import Callable
from typing import Final

import anyio
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from cashback.dashboard.auth import is_same
from cashback.dashboard.client_address import is_loopback
from cashback.dashboard.health import Health
from cashback.dashboard.request_log import RequestLog
from cashback.dashboard.snapshot import Snapshot
from cashback.database.integrity.reconciliation import Verdict
from cashback.database.queries.overview import Overview
from cashback.domain.model import BatchReport, BatchStatus, ChunkCredited, Delivery, PayoutNotice, SlotStatus
from cashback.domain.ports import Messenger, Observer

CHUNK_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
PROXY_HEADERS: Final = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")


class Metrics:
    """The program's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"cashback_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"cashback_{name}", text, labels, registry=self.registry)

        self.settled = counter("payouts_settled", "Payouts settled since the start.", "outcome")
        self.credited_cents = counter("credited_cents", "Cents credited since the start.")
        self.runs = counter("runs", "Runs of batches that ended since the start.", "outcome")
        self.attempts = counter(
            "direct_message_attempts", "Attempts to send a direct message since the start.", "outcome"
        )
        self.intake_requests = counter("intake_requests", "Intake requests since the start, by status.", "status")
        self.dropped_log_lines = gauge(
            "dropped_log_lines", "Log lines about requests that were dropped since the start."
        )
        self.chunk_seconds = Histogram(
            "cashback_chunk_seconds",
            "Seconds from one settled chunk of a batch to the next.",
            buckets=CHUNK_BUCKETS,
            registry=self.registry,
        )
        self.batches = gauge("batches", "Batches by state.", "status")
        self.payouts = gauge("payouts", "Payouts by state; planned are those of open batches.", "status")
        self.paid_cents = gauge("paid_cents", "Cents that batches have paid.")
        self.reversed_cents = gauge("reversed_cents", "Cents that reversals returned from wallets.")
        self.withdrawals = gauge("open_withdrawals", "Withdrawals that wait for an admin.")
        self.withdrawals_cents = gauge("open_withdrawals_cents", "Cents of withdrawals that wait for an admin.")
        self.pending_cents = gauge("pending_cents", "Cents that a batch would pay now.")
        self.pending_referrers = gauge("pending_referrers", "Referrers that a batch would pay now.")
        self.held_cents = gauge("held_cents", "Cents earned that are not payable yet.")
        self.messages = gauge("direct_messages", "Direct messages by state.", "status")
        self.slots = gauge("schedule_slots", "Schedule slots by status.", "status")
        self.waiting = gauge("runner_batches", "Batches that the runner is processing or has queued.")
        self.lag_seconds = gauge("loop_lag_seconds", "How late the event loop last woke a sleeping task.")
        self.healthy = gauge("healthy", "1 if a part of the program is healthy, else 0.", "part")
        self.verified_at = gauge("last_verify_timestamp_seconds", "When the ledger was last verified; 0 if never.")
        self.breaches = gauge("last_verify_breaches", "Breaches that the last verify found.")
        self.as_of = gauge("snapshot_timestamp_seconds", "When the sums over the ledger were read.")

    def show(self, overview: Overview) -> None:
        """Set the gauges of the ledger's state."""
        for batch_status in BatchStatus:
            self.batches.labels(batch_status).set(overview.batches.get(batch_status, 0))
        for status, count in overview.payouts.items():
            self.payouts.labels(status).set(count)
        for slot_status in SlotStatus:
            self.slots.labels(slot_status).set(overview.slots.get(slot_status, 0))
        self.messages.labels("queued").set(overview.queued_messages)
        for status, count in overview.settled_messages.items():
            self.messages.labels(status).set(count)
        self.paid_cents.set(overview.paid_cents)
        self.reversed_cents.set(overview.reversed_cents)
        self.withdrawals.set(overview.open_withdrawals)
        self.withdrawals_cents.set(overview.open_withdrawals_cents)
        self.pending_cents.set(overview.pending_cents)
        self.pending_referrers.set(overview.pending_users)
        self.held_cents.set(overview.held_cents)
        self.as_of.set(overview.as_of.timestamp())

    def note_verdict(self, verdict: Verdict, at: float) -> None:
        """Record a verdict, with its time in seconds since 1970."""
        self.verified_at.set(at)
        self.breaches.set(len(verdict.breaches))


class CountingObserver:
    """An observer that counts, then calls the next observer."""

    def __init__(self, metrics: Metrics, following: Observer) -> None:
        self._metrics = metrics
        self._next = following
        self._last: tuple[int, float] | None = None

    async def progressed(self, chunk: ChunkCredited) -> None:
        """Count a chunk, and the time since the previous chunk of the same batch."""
        now = anyio.current_time()
        if self._last is not None and self._last[0] == chunk.batch_number:
            self._metrics.chunk_seconds.observe(now - self._last[1])
        self._last = (chunk.batch_number, now)
        for outcome, count in (("credited", chunk.credited), ("failed", chunk.failed), ("skipped", chunk.skipped)):
            self._metrics.settled.labels(outcome).inc(count)
        self._metrics.credited_cents.inc(chunk.credited_cents)
        await self._next.progressed(chunk)

    async def finished(self, report: BatchReport) -> None:
        """Count a run that ended with its batch."""
        self._last = None
        self._metrics.runs.labels(report.status).inc()
        await self._next.finished(report)

    async def interrupted(self, batch_number: int, reason: str) -> None:
        """Count a run that ended early."""
        self._last = None
        self._metrics.runs.labels("interrupted").inc()
        await self._next.interrupted(batch_number, reason)


class CountingMessenger:
    """A messenger that counts attempts by outcome."""

    def __init__(self, metrics: Metrics, following: Messenger) -> None:
        self._metrics = metrics
        self._next = following

    async def send(self, notice: PayoutNotice) -> Delivery:
        """Send a message, and count the outcome."""
        delivery = await self._next.send(notice)
        self._metrics.attempts.labels(delivery.status).inc()
        return delivery


def _may_read(request: web.Request, token: str | None) -> bool:
    """Return whether a request may read the metrics: with the token or, if none is set, from this machine only."""
    if token is not None:
        sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return is_same(sent, token)
    if any(name in request.headers for name in PROXY_HEADERS):
        # A proxy on this machine passed on a request from another machine.
        return False
    # A page of another site can make its own name point to this machine, but not send another Host.
    host = request.host.rpartition(":")[0] if request.host.rpartition(":")[2].isdigit() else request.host
    return is_loopback(request.remote or "") and (host.lower() == "localhost" or is_loopback(host))


class MetricsPage:
    """`/metrics`: it shares the pages' sums over the ledger, so that frequent scrapes cost nothing."""

    def __init__(
        self,
        metrics: Metrics,
        snapshot: Snapshot,
        health: Health,
        waiting: Callable[[], int],
        request_log: RequestLog,
        token: str | None,
    ) -> None:
        self._request_log = request_log
        self._metrics = metrics
        self._snapshot = snapshot
        self._health = health
        self._waiting = waiting
        self._token = token

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [web.get("/metrics", self.show)]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Answer with all metrics. Raises HTTPForbidden."""
        if not _may_read(request, self._token):
            raise web.HTTPForbidden(reason="The metrics may be read from this machine only, or with the metrics token")
        self._metrics.show(await self._snapshot.get())
        self._metrics.waiting.set(self._waiting())
        self._metrics.dropped_log_lines.set(self._request_log.dropped)
        self._metrics.lag_seconds.set(self._health.lag_seconds)
        for check in await self._health.checks():
            self._metrics.healthy.labels(check.name).set(int(check.is_healthy))
        return web.Response(body=generate_latest(self._metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
