"""Actions on an approved batch: stop it, resume it, retry its failed payouts, abandon the rest."""

from datetime import timedelta

from cashback.database.payouts import batches, retries, runs
from cashback.domain.errors import BusyError, StaleBatchError
from cashback.domain.model import BatchReport
from cashback.services.actors import SYSTEM, Actor
from cashback.services.base import Service


class Runs(Service):
    """Hands batches to the runner, and stops them. Any admin may: only approved payouts are paid."""

    async def resume(self, actor: Actor, batch_number: int | None = None, *, token: str | None = None) -> list[int]:
        """Hand every approved but unfinished batch to the runner, or the one that is named; return their numbers.

        A batch that an admin has stopped is resumed only if it is named. Raises StaleBatchError if the named batch has
        nothing left to pay.
        """
        await self.require_admin(actor, "resume batches")
        waiting = await self._database.read(batches.unfinished)
        if batch_number is not None and batch_number not in waiting:
            now = self._database.now()
            await self._database.write(runs.resume, batch_number, actor=str(actor), now=now, token=token)
        if batch_number is not None:
            waiting = [batch_number]
        for number in waiting:
            self._submit(number)
        return waiting

    async def stop(self, actor: Actor, batch_number: int, *, token: str | None = None) -> BatchReport:
        """Stop a batch after the chunk in hand, in whichever process it runs. Raises StaleBatchError."""
        await self.require_admin(actor, f"stop batch number {batch_number}")
        now = self._database.now()
        await self._database.write(runs.stop, batch_number, actor=str(actor), now=now, token=token)
        return await self._database.read(batches.report, batch_number)

    async def abandon(self, actor: Actor, batch_number: int, *, token: str | None = None) -> BatchReport:
        """Abandon the rest of a stopped batch, or the failed payouts of a finished one. Raises StaleBatchError."""
        await self.require_admin(actor, f"abandon the rest of batch number {batch_number}")
        now = self._database.now()
        return await self._database.write(runs.abandon, batch_number, actor=str(actor), now=now, token=token)

    async def retry(
        self, actor: Actor, batch_number: int, *, why: str | None = None, token: str | None = None
    ) -> BatchReport:
        """Retry only the failed payouts of a finished batch. Raises StaleBatchError or BusyError."""
        await self.require_admin(actor, f"retry batch number {batch_number}")
        return await self._retry(actor, batch_number, why, token=token)

    async def retry_due(self) -> list[int]:
        """Retry the batches with failed payouts that are due for it; return their numbers."""
        now = self._database.now()
        referral = self._settings.referral_settings
        pause = timedelta(minutes=referral.payout_retry_minutes)
        due = await self._database.read(retries.due, now=now, attempts=referral.payout_retry_attempts, pause=pause)
        retried = []
        for number in due:
            try:
                await self._retry(SYSTEM, number, "tried again by the program")
            except (StaleBatchError, BusyError):
                # Another process was faster, or the batch waits for the runner like any other.
                continue
            retried.append(number)
        return retried

    async def _retry(
        self, actor: Actor, batch_number: int, why: str | None, *, token: str | None = None
    ) -> BatchReport:
        now = self._database.now()
        await self._database.write(retries.begin, batch_number, actor=str(actor), why=why, now=now, token=token)
        self._submit(batch_number)
        return await self._database.read(batches.report, batch_number)
