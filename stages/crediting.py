"""Crediting: moves the money of a chunk in one transaction; if that fails, payee by payee, a large one first in halves.

Several processes may credit one batch: a chunk that another process has locked is passed over, and tried again at the
end.
"""

import logging
import time
from collections import deque
from typing import Final

import anyio

from cashback.background.chunk_size import FIRST, ChunkSize
from cashback.database.errors import RowRefusedError
from cashback.database.fenced import LedgerPort
from cashback.database.payouts import crediting
from cashback.domain.errors import AlreadySettledError, ChunkLockedError, StoppedError
from cashback.domain.model import ChunkCredited, ChunkDiscovered
from pipeline.actor import Emit

POLL_SECONDS: Final = 0.1
"""How often a chunk is tried again that another process has locked."""

logger = logging.getLogger(__name__)


class Crediting:
    """Credits chunks. If one row is bad, only it fails, with its reason; the others of its chunk are paid."""

    def __init__(self, database: LedgerPort, chunk_size: ChunkSize) -> None:
        self._database = database
        self._chunk_size = chunk_size
        self._passed_over: deque[ChunkDiscovered] = deque()

    async def handle(self, message: ChunkDiscovered, emit: Emit[ChunkCredited]) -> None:
        """Credit a chunk and emit the outcome. A database that cannot be used at all ends the run.

        If an admin has stopped the batch, nothing more is settled: the chunk stays planned. If the command line has
        finished the batch in parallel, nothing is left.
        """
        try:
            await emit(await self._credit(message))
        except StoppedError:
            logger.info("batch %d was stopped; a chunk of it stays planned", message.batch_number)
        except AlreadySettledError:
            logger.info(
                "batch %d was finished by another process; a chunk of it was settled there", message.batch_number
            )
        except ChunkLockedError:
            self._passed_over.append(message)

    async def _credit(self, chunk: ChunkDiscovered) -> ChunkCredited:
        start = time.monotonic()
        try:
            credited = await self._database.write(crediting.credit_chunk, chunk, now=self._database.now())
        except RowRefusedError as error:
            logger.warning("batch %d: a chunk failed and is replayed payee by payee: %s", chunk.batch_number, error)
            return await self._replay(chunk)
        self._chunk_size.note(time.monotonic() - start, is_awaited=self._database.is_written)
        return credited

    async def _replay(self, chunk: ChunkDiscovered) -> ChunkCredited:
        people = await self._database.read(crediting.planned_referrers, chunk)
        if len(people) > FIRST:
            # One bad row spoils one half; the other is paid at once.
            middle = len(people) // 2
            halves = (people[:middle], people[middle:])
            settled = [await self._credit_part(chunk.batch_number, half[0], half[-1]) for half in halves]
        else:
            settled = [await self._credit_one(chunk.batch_number, referrer_id) for referrer_id in people]
        return ChunkCredited(
            batch_number=chunk.batch_number,
            credited=sum(each.credited for each in settled),
            credited_cents=sum(each.credited_cents for each in settled),
            failed=sum(each.failed for each in settled),
            skipped=sum(each.skipped for each in settled),
        )

    async def _credit_part(self, batch_number: int, first: int, last: int) -> ChunkCredited:
        part = ChunkDiscovered(batch_number=batch_number, first_referrer_id=first, last_referrer_id=last)
        try:
            return await self._credit(part)
        except ChunkLockedError:
            return self._pass_over(part)

    def _pass_over(self, chunk: ChunkDiscovered) -> ChunkCredited:
        self._passed_over.append(chunk)
        return ChunkCredited(batch_number=chunk.batch_number, credited=0, credited_cents=0, failed=0, skipped=0)

    async def _credit_one(self, batch_number: int, referrer_id: int) -> ChunkCredited:
        alone = ChunkDiscovered(batch_number=batch_number, first_referrer_id=referrer_id, last_referrer_id=referrer_id)
        now = self._database.now()
        try:
            return await self._database.write(crediting.credit_chunk, alone, now=now)
        except RowRefusedError as error:
            logger.warning("batch %d: the payout to %d failed: %s", batch_number, referrer_id, error)
            failed = await self._database.write(
                crediting.fail_payout, batch_number, referrer_id, reason=str(error), now=now
            )
            return ChunkCredited(batch_number=batch_number, credited=0, credited_cents=0, failed=failed, skipped=0)
        except ChunkLockedError:
            return self._pass_over(alone)

    async def finish(self, emit: Emit[ChunkCredited]) -> None:
        """Wait until the chunks locked by other processes are settled: by them, or here if one of them died."""
        while self._passed_over:
            chunk = self._passed_over.popleft()
            if await self._database.read(crediting.planned_referrers, chunk):
                await self.handle(chunk, emit)
            if chunk in self._passed_over:
                await anyio.sleep(POLL_SECONDS)
