"""Stages as actors: each owns its ends of two bounded memory channels; closing a channel ends the work."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

CHANNEL_SIZE = 4
"""Messages that may wait between two stages. A message names up to a chunk of payouts, it does not carry them."""

Received_contra = TypeVar("Received_contra", contravariant=True)
Emitted = TypeVar("Emitted")
Emitted_co = TypeVar("Emitted_co", covariant=True)
In = TypeVar("In")
Out = TypeVar("Out")

Emit = Callable[[Emitted], Awaitable[None]]


class Stage(Protocol[Received_contra, Emitted_co]):
    """One step of the pipeline. Expected failures become messages; an exception ends the whole run."""

    async def handle(self, message: Received_contra, emit: Emit[Emitted_co]) -> None:
        """Act on one message and emit what follows from it."""
        ...

    async def finish(self, emit: Emit[Emitted_co]) -> None:
        """Act once after the last message."""
        ...


async def run_actor(
    stage: Stage[In, Out], inbox: MemoryObjectReceiveStream[In], outbox: MemoryObjectSendStream[Out]
) -> None:
    """Pass a stage the messages of its inbox, one at a time, until that closes; then close its outbox.

    If the next stage has ended early, this one just ends: the next one's error is the one that is reported.
    """
    async with inbox, outbox:
        with suppress(anyio.BrokenResourceError):
            async for message in inbox:
                await stage.handle(message, outbox.send)
            await stage.finish(outbox.send)
