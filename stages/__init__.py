"""The four stages of a run. Each stands alone: it knows the ledger and the messages, never another stage."""

from database.fenced import Ledger
from pipeline.messages import RunBatch
from pipeline.ports import Observer
from pipeline.runner import Pipeline
from stages.audit import Audit
from stages.crediting import Crediting
from stages.discovery import Discovery
from stages.notification import Bell, Notification


def make_pipeline(request: RunBatch, *, database: Ledger, observer: Observer, bell: Bell, chunk_size: int) -> Pipeline:
    """Put the four stages of one run together."""
    return Pipeline(
        discovery=Discovery(database, chunk_size=chunk_size),
        crediting=Crediting(database),
        notification=Notification(bell),
        audit=Audit(database, observer, request),
    )


__all__ = ["Bell", "make_pipeline"]
