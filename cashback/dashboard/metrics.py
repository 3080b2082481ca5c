"""The process's own metrics for Prometheus: events are counted when they happen, by counters that begin at 0."""

from collections.abc import Iterable
from importlib import metadata
from typing import Final

import anyio
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from cashback.database import schema
from cashback.domain.model import (
    BatchReport,
    BatchStatus,
    ChunkCredited,
    Delivery,
    DeliveryStatus,
    PayoutNotice,
    PayoutStatus,
)
from cashback.domain.ports import Messenger, Observer

CHUNK_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
INTERRUPTED: Final = "interrupted"
OUTCOMES: Final = (PayoutStatus.CREDITED, PayoutStatus.FAILED, PayoutStatus.SKIPPED)
RUN_OUTCOMES: Final = (
    BatchStatus.COMPLETED,
    BatchStatus.COMPLETED_WITH_FAILURES,
    BatchStatus.STOPPED,
    BatchStatus.LAPSED,
    INTERRUPTED,
)
INTAKE_STATUSES: Final = (200, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 500, 503)
UNKNOWN: Final = float("nan")
"""The value of a gauge that means nothing in this process: no rule is true of it."""


class Metrics:
    """The process's metrics, in a registry of their own."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        """`keys` are the names of the shops' keys, whose refused deliveries are counted."""
        self.registry = CollectorRegistry()
        self.keys = frozenset(keys)

        def counter(name: str, text: str, label: str, values: Iterable[object]) -> Counter:
            made = Counter(f"cashback_{name}", text, [label], registry=self.registry)
            for value in values:
                # A counter that is born with its first event shows no increase to Prometheus.
                made.labels(value)
            return made

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"cashback_{name}", text, labels, registry=self.registry)

        self.settled = counter("payouts_settled", "Payouts settled since the start.", "outcome", OUTCOMES)
        self.credited_cents = Counter(
            "cashback_credited_cents", "Cents credited since the start.", registry=self.registry
        )
        self.runs = counter("runs", "Runs of batches that ended since the start.", "outcome", RUN_OUTCOMES)
        self.attempts = counter(
            "direct_message_attempts",
            "Attempts to send a direct message since the start.",
            "outcome",
            DeliveryStatus,
        )
        self.intake_requests = counter(
            "intake_requests", "Intake requests since the start, by status.", "status", INTAKE_STATUSES
        )
        self.deliveries_refused = counter(
            "deliveries_refused", "Deliveries refused since the start, by the shop's key.", "key", sorted(self.keys)
        )
        self.chunk_seconds = Histogram(
            "cashback_chunk_seconds",
            "Seconds from one settled chunk of a batch to the next.",
            buckets=CHUNK_BUCKETS,
            registry=self.registry,
        )
        self.dropped_log_lines = gauge("dropped_log_lines", "Log lines that were dropped since the start.")
        self.waiting = gauge("runner_batches", "Batches that the runner is processing or has queued.")
        self.lag_seconds = gauge("loop_lag_seconds", "How late the event loop last woke a sleeping task.")
        self.healthy = gauge("healthy", "1 if a part of the program is healthy, else 0.", "part")
        self.lease_held = gauge("lease_held", "1 if this process pays, 0 if it stands by.")
        self.clock_doubted = gauge("clock_doubted", "1 if the clock is wrong by Discord's time, else 0.")
        build = gauge("build_info", "1, with the program's version and its schema as labels.", "version", "schema")
        build.labels(version(), schema.NEWEST).set(1)

    def count_delivery(self, key: str, status: int) -> None:
        """Count an answer to a shop. A refusal counts for the shop's key if there is one of that name."""
        self.intake_requests.labels(status).inc()
        if key in self.keys and status in range(400, 500):
            self.deliveries_refused.labels(key).inc()


def version() -> str:
    """Return the program's version, "unknown" if it runs without being installed."""
    try:
        return metadata.version("cashback")
    except metadata.PackageNotFoundError:
        return "unknown"


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
        for outcome, count in zip(OUTCOMES, (chunk.credited, chunk.failed, chunk.skipped), strict=True):
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
        self._metrics.runs.labels(INTERRUPTED).inc()
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
