"""The four stages of a run. Each is independent: it knows the ledger and the messages, but no other stage."""

from cashback.background.chunk_size import ChunkSize
from cashback.background.wakeup import WakeUp
from cashback.database.fenced import LedgerPort
from cashback.domain.ports import Observer
from pipeline.messages import RunBatch
from pipeline.runner import Pipeline
from stages.audit import Audit
from stages.crediting import Crediting
from stages.discovery import Discovery
from stages.notification import Notification


def make_pipeline(
    request: RunBatch, *, database: LedgerPort, observer: Observer, outbox_changed: WakeUp, chunk_size: int
) -> Pipeline:
    """Assemble the four stages of one run. A chunk has at most `chunk_size` payouts."""
    sizes = ChunkSize(most=chunk_size)
    return Pipeline(
        discovery=Discovery(database, sizes),
        crediting=Crediting(database, sizes),
        notification=Notification(outbox_changed),
        audit=Audit(database, observer, request),
    )


__all__ = ["WakeUp", "make_pipeline"]
