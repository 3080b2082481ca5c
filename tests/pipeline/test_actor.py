"""An actor: one message at a time, and the end of work is a channel closing."""

from __future__ import annotations

import anyio
import pytest

from pipeline.actor import Emit, run_actor

pytestmark = pytest.mark.anyio


class Doubling:
    """A stage that emits each number twice, and a last message at the end."""

    def __init__(self, bad: int | None = None) -> None:
        self.bad = bad
        self.at_once = 0

    async def handle(self, message: int, emit: Emit[int]) -> None:
        """Emit the number twice."""
        self.at_once += 1
        assert self.at_once == 1
        if message == self.bad:
            raise ZeroDivisionError
        await emit(message)
        await anyio.lowlevel.checkpoint()
        await emit(message)
        self.at_once -= 1

    async def finish(self, emit: Emit[int]) -> None:
        """Emit a last number."""
        await emit(-1)


async def test_messages_are_handled_in_order_until_the_inbox_closes() -> None:
    send, inbox = anyio.create_memory_object_stream[int](10)
    outbox, receive = anyio.create_memory_object_stream[int](1)
    async with send:
        for number in range(3):
            await send.send(number)
    with anyio.fail_after(5):
        async with receive, anyio.create_task_group() as tasks:
            tasks.start_soon(run_actor, Doubling(), inbox, outbox, name="doubling")
            assert [number async for number in receive] == [0, 0, 1, 1, 2, 2, -1]
    assert inbox.statistics().open_receive_streams == 0


async def test_exception_ends_the_actor_and_closes_both_channels() -> None:
    send, inbox = anyio.create_memory_object_stream[int](10)
    outbox, receive = anyio.create_memory_object_stream[int](10)
    async with send, receive:
        for number in range(3):
            await send.send(number)
        with pytest.raises(ZeroDivisionError):
            await run_actor(Doubling(bad=1), inbox, outbox)
        assert [number async for number in receive] == [0, 0]
        with pytest.raises(anyio.BrokenResourceError):
            await send.send(3)


async def test_slow_reader_blocks_the_actor() -> None:
    send, inbox = anyio.create_memory_object_stream[int](100)
    outbox, receive = anyio.create_memory_object_stream[int](4)
    async with send:
        for number in range(100):
            await send.send(number)
    async with receive, anyio.create_task_group() as tasks:
        tasks.start_soon(run_actor, Doubling(), inbox, outbox, name="doubling")
        await anyio.wait_all_tasks_blocked()
        assert receive.statistics().current_buffer_used == 4
        assert inbox.statistics().current_buffer_used >= 97
        tasks.cancel_scope.cancel()
    assert inbox.statistics().open_receive_streams == 0
