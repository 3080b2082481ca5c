"""Which batch the running task works on: a run says it once, and every line of the log written within it can tell."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(slots=True, kw_only=True)
class BatchInHand:
    """The batch of a run. Its ID is learnt in the run, and known to all tasks of it from then on."""

    number: int
    batch_id: str | None = None


log_context: Final[ContextVar[BatchInHand | None]] = ContextVar("log_context", default=None)
