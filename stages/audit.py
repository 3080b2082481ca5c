"""Audit: follows a run to its end, closes the batch with its audit entry, and emits the report."""

from cashback.database.fenced import LedgerPort
from cashback.database.payouts import runs
from cashback.domain.model import BatchReport, ChunkCredited
from cashback.domain.ports import Observer
from pipeline.actor import Emit
from pipeline.messages import RunBatch


class Audit:
    """Follows one run. The report is built from the rows, not from counts made on the way."""

    def __init__(self, database: LedgerPort, observer: Observer, request: RunBatch) -> None:
        self._database = database
        self._observer = observer
        self._request = request

    async def handle(self, message: ChunkCredited, emit: Emit[BatchReport]) -> None:
        """Notify the observer that another chunk is settled."""
        await self._observer.progressed(message)

    async def finish(self, emit: Emit[BatchReport]) -> None:
        """Close the batch and emit its report. Raises StaleBatchError if payouts are still planned."""
        await emit(await self._database.write(runs.finish, self._request.batch_number, now=self._database.now()))
