"""The four stages of a run. Each stands alone: it knows the ledger and the messages, never another stage."""

from cashback.background.wakeup import Bell
from cashback.database.fenced import Ledger
from cashback.domain.ports import Observer
from pipeline.messages import RunBatch
from pipeline.runner import Pipeline
from stages.audit import Audit
from stages.crediting import Crediting
from stages.discovery import Discovery
from stages.notification import Notification


def make_pipeline(request: RunBatch, *, database: Ledger, observer: Observer, bell: Bell, chunk_size: int) -> Pipeline:
    """Put the four stages of one run together."""
    return Pipeline(
        discovery=Discovery(database, chunk_size=chunk_size),
        crediting=Crediting(database),
        notification=Notification(bell),
        audit=Audit(database, observer, request),
    )


__all__ = ["Bell", "make_pipeline"]
