"""Discovery: streams a batch's planned payouts in key order, a chunk at a time."""

from database import Database, batches, crediting
from pipeline.actor import Emit
from pipeline.errors import StaleBatchError
from pipeline.messages import ChunkDiscovered, RunBatch


class Discovery:
    """Starts the batch, then finds what is still planned; after a crash that is what the crash left."""

    def __init__(self, database: Database, *, chunk_size: int) -> None:
        """Take the ledger and the number of payouts that share a transaction."""
        self._database = database
        self._chunk_size = chunk_size

    async def handle(self, message: RunBatch, emit: Emit[ChunkDiscovered]) -> None:
        """Move the batch to running and emit its chunks. Raises StaleBatchError where it may not run."""
        number = message.batch_number
        if not await self._database.write(batches.start, number, now=self._database.now()):
            refusal = f"Batch number {number} is not approved, or it is finished already; it was not run."
            raise StaleBatchError(refusal)
        last = 0
        while True:
            chunk = await self._database.read(
                crediting.next_chunk, number, after_referrer_id=last, size=self._chunk_size
            )
            if chunk is None:
                return
            await emit(chunk)
            last = chunk.last_referrer_id

    async def finish(self, emit: Emit[ChunkDiscovered]) -> None:
        """Do nothing: what was found has been emitted."""
