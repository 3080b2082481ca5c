"""Discovery: streams a batch's planned payouts in key order, a chunk at a time."""

from typing import Final

from cashback.background.chunk_size import ChunkSize
from cashback.database.fenced import LedgerPort
from cashback.database.payouts import batches, crediting, runs
from cashback.database.referral_program.people import BEFORE_ALL
from cashback.domain.errors import StaleBatchError
from cashback.domain.log_context import log_context
from cashback.domain.model import BatchStatus, ChunkDiscovered
from pipeline.actor import Emit
from pipeline.messages import RunBatch

ANSWERED: Final = (*batches.FINISHED, BatchStatus.STOPPED)
"""States that a batch may have reached while it waited for the runner. Then its report is the answer."""


class Discovery:
    """Starts the batch, then finds its planned payouts; after a crash, these are the ones the crash left."""

    def __init__(self, database: LedgerPort, chunk_size: ChunkSize) -> None:
        """`chunk_size` says how many payouts share a transaction."""
        self._database = database
        self._chunk_size = chunk_size

    async def handle(self, message: RunBatch, emit: Emit[ChunkDiscovered]) -> None:
        """Set the batch to running and emit its chunks. Raises StaleBatchError if it may not run."""
        number = message.batch_number
        if await self._database.write(runs.start, number, now=self._database.now()) is runs.Start.NOT_STARTED:
            status = (await self._database.read(batches.report, number, failures=0)).status
            if status in ANSWERED:
                # It was submitted twice, another process was first, or an admin has stopped it.
                return
            refusal = f"Batch number {number} is {status}, not approved; it was not run."
            raise StaleBatchError(refusal)
        batch = log_context.get()
        if batch is not None:
            batch.batch_id = (await self._database.read(batches.find, number)).batch_id
        last = BEFORE_ALL
        while True:
            chunk = await self._database.read(
                crediting.next_chunk, number, after_referrer_id=last, size=self._chunk_size.now
            )
            if chunk is None:
                return
            await emit(chunk)
            last = chunk.last_referrer_id

    async def finish(self, emit: Emit[ChunkDiscovered]) -> None:
        """Do nothing: all chunks have been emitted."""
