"""Which batch the running task works on: a run sets it once, and every line logged within the run carries it."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(slots=True, kw_only=True)
class BatchInHand:
    """The batch of a run. Its ID becomes known during the run, and then to all of its tasks."""

    number: int
    batch_id: str | None = None


log_context: Final[ContextVar[BatchInHand | None]] = ContextVar("log_context", default=None)
