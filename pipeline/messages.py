"""Messages that only the pipeline and its stages exchange; the shared facts are in `cashback.domain.model`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBatch:
    """Request: pay the approved batch with this number."""

    batch_number: int
