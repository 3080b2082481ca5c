"""Delivers events from the outbox: a task for each webhook, so that a slow or dead one holds up no other."""

import logging
from collections.abc import Mapping
from typing import Final

import anyio

from cashback.database import Database, events
from cashback.domain.errors import CashbackError
from cashback.events.sender import EventSender
from cashback.settings import WebhookSettings

POLL_SECONDS: Final = 2.0
AT_ONCE: Final = 20
ERROR_LENGTH: Final = 200

logger = logging.getLogger(__name__)


class EventDispatcher:
    """Sends each event at least once, in order as far as attempts succeed; a repeat has the same id."""

    def __init__(self, database: Database, targets: Mapping[str, WebhookSettings]) -> None:
        self._database = database
        self._targets = targets

    async def run(self) -> None:
        """Deliver until cancelled. Nothing is done if no webhook is configured and none was."""
        await self.put_in_force()
        async with anyio.create_task_group() as tasks:
            for name in self._targets:
                tasks.start_soon(self._deliver_all, name, name=f"webhook {name}")

    async def put_in_force(self) -> None:
        """Record which webhooks get which events; tried again until the ledger takes it."""
        wanted = {name: target.events for name, target in self._targets.items()}
        while True:
            try:
                await self._database.write(events.put_in_force, wanted, now=self._database.now())
            except CashbackError as error:
                logger.warning("webhooks wait: %s", error)
                await anyio.sleep(POLL_SECONDS)
            else:
                return

    async def _deliver_all(self, name: str) -> None:
        target = self._targets[name]
        if not target.secrets:
            logger.warning("webhook %s has no secret: set CASHBACK_WEBHOOK_SECRET_%s", name, name.upper())
        async with EventSender(target, self._database.now) as sender:
            while True:
                try:
                    await self.deliver_due(name, sender)
                except CashbackError as error:
                    logger.warning("webhook %s waits: %s", name, error)
                await anyio.sleep(POLL_SECONDS)

    async def deliver_due(self, name: str, sender: EventSender) -> None:
        """Send what is due to one webhook, and record each result."""
        for delivery in await self._database.read(events.due, name, now=self._database.now(), limit=AT_ONCE):
            error, is_final = await sender.send(delivery)
            if error is not None:
                logger.info("event %d to webhook %s was not delivered: %s", delivery.number, name, error)
                error = error[:ERROR_LENGTH]
            with anyio.CancelScope(shield=True):
                await self._database.write(
                    events.settle, delivery.number, error=error, now=self._database.now(), is_final=is_final
                )
