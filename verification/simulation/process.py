"""One process of the program: all that `bot.py` wires except Discord, from its start to its stop or its death."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final, Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

from cashback.background.outbox_dispatcher import OutboxDispatcher
from cashback.background.payout_retries import keep_retrying
from cashback.background.recovery import Recovery
from cashback.background.wakeup import WakeUp
from cashback.domain.errors import CashbackError
from cashback.services import AdminService
from cashback.settings import Settings
from pipeline.runner import Runner
from scheduler import Scheduler
from stages import make_pipeline
from verification.simulation.discord_model import DiscordModel, SimulatedMessenger
from verification.simulation.faulty_ledger import SimulatedLedger
from verification.simulation.process_faults import DiedError, ProcessFaults

T = TypeVar("T")

EXPIRY_SECONDS: Final = 100
SENDING_SECONDS: Final = 7


class GoneError(Exception):
    """The process ended before it had answered."""


@dataclass(slots=True)
class _Answer(Generic[T]):
    """A process's answer to a caller outside; empty if it ends before."""

    given: anyio.Event = field(default_factory=anyio.Event)
    values: list[T] = field(default_factory=list)
    error: CashbackError | None = None


class Process:
    """One process. `run` it; `ask` it from outside, like Discord's events and other programs."""

    def __init__(
        self,
        ledger: SimulatedLedger,
        settings: Settings,
        discord: DiscordModel,
        chance: Random,
        faults: ProcessFaults,
        tell: Callable[[str], Awaitable[None]],
    ) -> None:
        """`faults` decides the process's faults."""
        self.faults = ledger.faults = faults
        self.ledger = ledger
        self.up = self.was_up = False
        self._stopping = anyio.Event()
        referral = settings.referral_settings
        outbox_changed = WakeUp()
        self._runs = Recovery(ledger, summaries_changed=WakeUp(), batches_due=WakeUp(), post_line=tell)
        make = partial(
            make_pipeline,
            database=ledger,
            observer=self._runs,
            outbox_changed=outbox_changed,
            chunk_size=referral.chunk_size,
        )
        self._runner = Runner(make, self._runs)
        self.service = AdminService(ledger, settings, self._runs.wrap_submit(self._runner.submit))
        self._dispatcher = OutboxDispatcher(
            ledger,
            SimulatedMessenger(discord, faults, chance),
            outbox_changed,
            per_second=referral.dm_per_second,
            retry_attempts=referral.dm_retry_attempts,
        )
        self.scheduler = Scheduler(self.service, ledger, post_line=tell, wake=lambda: None)
        self._tasks: TaskGroup | None = None

    async def run(self) -> None:
        """Run until `stop` or death. Raises what the program raises, at its start or by a mistake in it."""
        try:
            async with self.ledger:
                await self._serve()
        except* DiedError:
            # The death of one task is the death of all.
            pass
        finally:
            self.up = False
            self._tasks = None

    async def _serve(self) -> None:
        async with self._runner, anyio.create_task_group() as tasks:
            self._tasks = tasks
            self.faults.on_death = tasks.cancel_scope.cancel
            self.faults.go_on()
            await self._runs.resubmit_unfinished()
            tasks.start_soon(self._dispatcher.run, name="dispatcher")
            tasks.start_soon(self._runner.run, name="runner")
            tasks.start_soon(self._runs.run, self._runner.submit, name="resumption")
            tasks.start_soon(self.scheduler.listen, name="weekly batch")
            tasks.start_soon(self._expire, name="expiry")
            tasks.start_soon(self._send_new_payouts, name="auto-withdrawals")
            tasks.start_soon(keep_retrying, self.service, name="retries")
            self.up = self.was_up = True
            try:
                await self._stopping.wait()
            finally:
                # Before the tasks have ended: they take no request any more.
                self.up = False
            tasks.cancel_scope.cancel()

    async def _expire(self) -> None:
        while True:
            with suppress(CashbackError):
                await self.service.expire()
            await anyio.sleep(EXPIRY_SECONDS)

    async def _send_new_payouts(self) -> None:
        while True:
            with suppress(CashbackError):
                await self.service.send_new_payouts()
            await anyio.sleep(SENDING_SECONDS)

    def stop(self) -> None:
        """Ask the process to stop."""
        self._stopping.set()

    async def ask(self, work: Callable[["Process"], Awaitable[T]]) -> T:
        """Let the process do something.

        Raises GoneError if it ends in the meantime, or the error that it refuses with.
        """
        if self._tasks is None or not self.up or self._stopping.is_set() or self.faults.is_dead:
            raise GoneError
        answer: _Answer[T] = _Answer()

        async def serve() -> None:
            try:
                answer.values.append(await work(self))
            except CashbackError as error:
                answer.error = error
            finally:
                answer.given.set()

        self._tasks.start_soon(serve, name="request")
        await answer.given.wait()
        if answer.error is not None:
            raise answer.error
        if not answer.values:
            raise GoneError
        return answer.values[0]
