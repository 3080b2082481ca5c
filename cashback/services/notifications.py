"""Direct messages that failed: queue them again, for a batch, a member or all."""

from cashback.database.payouts import outbox
from cashback.services.actors import Actor
from cashback.services.base import Service


class Notifications(Service):
    """Queues direct messages again. Any admin may: a message moves no money."""

    async def retry_notifications(
        self, actor: Actor, *, batch_number: int | None = None, user_id: int | None = None
    ) -> int:
        """Queue failed direct messages again, and a named member's undeliverable ones; return how many.

        Without a batch and a member these are all failed ones. Raises UnknownBatchError.
        """
        await self.require_admin(actor, "retry direct messages")
        return await self._database.write(
            outbox.requeue, batch_number=batch_number, user_id=user_id, actor=str(actor), now=self._database.now()
        )

    async def retry_notifications_of_batch(self, actor: Actor, batch_number: int) -> int:
        """Queue a batch's failed direct messages again; return how many. Raises UnknownBatchError."""
        return await self.retry_notifications(actor, batch_number=batch_number)
