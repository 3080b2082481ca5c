"""What may be done to a batch that was approved."""

from database import batches
from desk.actors import Actor
from desk.door import Door
from pipeline.errors import StaleBatchError


class Runs(Door):
    """Hands unfinished batches to the runner."""

    async def resume(self, actor: Actor, batch_number: int | None = None) -> list[int]:
        """Hand every approved but unfinished batch to the runner, or the one that is named; return their numbers.

        Raises StaleBatchError where the one that is named has nothing left to pay.
        """
        await self.require_admin(actor, "resume batches")
        waiting = await self._database.read(batches.unfinished)
        if batch_number is not None:
            if batch_number not in waiting:
                report = await self._database.read(batches.report, batch_number)
                message = f"Batch {report.batch_id or batch_number} is {report.status}; there is nothing to resume."
                raise StaleBatchError(message)
            waiting = [batch_number]
        for number in waiting:
            self._submit(number)
        return waiting
