"""The lease on paying: of several bots on one ledger, one at a time runs batches, rings the slots and sends the DMs.

It is held for a term: taken, renewed while the duties run, and given back at a clean stop. Who only looks on takes it
over when the holder has not moved for as long as the holder said. Time here is the event loop's, which no one sets.
"""

import logging
import os
import re
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

import anyio

from cashback.database import Database, leases
from cashback.domain.errors import CashbackError, LeaseLostError

PAYING: Final = "paying"
RENEWALS: Final = 3
LOOKS: Final = 10
"""In the time that a lease lasts: how often its holder renews it, and how often others look at it."""

GIVE_BACK_SECONDS: Final = 3

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE: Final = "/proc/self/ns/pid"
HIDDEN: Final = "a machine that does not show which"

logger = logging.getLogger(__name__)

Duties = Callable[[], Coroutine[object, object, object]]
"""What only the holder does; cancelled when the lease is lost."""


class Lease:
    """Run `keep` in a task group; leave the block to give the lease back."""

    def __init__(self, database: Database, *, seconds: float, name: str = PAYING, holder: str | None = None) -> None:
        """Take the ledger, and for how long a holder that does not move keeps the lease."""
        self._database = database
        self._seconds = seconds
        self._name = name
        self._holder = holder or holder_name()
        self._fence: int | None = None
        self._until = 0.0
        self._seen: leases.LeaseState | None = None
        self._seen_at = 0.0

    @property
    def poll_seconds(self) -> float:
        """How often somebody who waits looks again."""
        return self._seconds / LOOKS

    @property
    def is_held(self) -> bool:
        """Whether this process holds the lease, as far as it knows."""
        return self._fence is not None

    @property
    def is_fresh(self) -> bool:
        """Whether nobody can have taken the lease over yet: it was renewed recently enough."""
        return self.is_held and anyio.current_time() < self._until

    async def keep(self, duties: Duties) -> None:
        """Take the lease whenever it is free and run the duties while it is held; until cancelled."""
        while True:
            try:
                is_taken = self.is_held or await self.take()
            except CashbackError as error:
                is_taken = False
                logger.warning("the lease on paying cannot be looked at: %s", error)
            if is_taken:
                logger.info("this process pays from now on (fence %s)", self._fence)
                await self._serve(duties)
                logger.warning("another process pays from now on; this one answers and looks on")
            await anyio.sleep(self.poll_seconds)

    async def _serve(self, duties: Duties) -> None:
        try:
            async with anyio.create_task_group() as term:
                term.start_soon(self._renew, term.cancel_scope, name="lease")
                term.start_soon(duties, name="duties")
        except* LeaseLostError:
            self._fence = None

    async def _renew(self, term: anyio.CancelScope) -> None:
        """Renew, and end the term when another holds the lease. A ledger that is away for a while ends nothing.

        Whatever this holder writes meanwhile is checked in its own transaction.
        """
        while True:
            await anyio.sleep(self._seconds / RENEWALS)
            try:
                if not await self.renew():
                    term.cancel()
                    return
            except CashbackError as error:
                logger.warning("the lease on paying could not be renewed: %s", error)

    async def take(self) -> bool:
        """Take the lease if it is free, or if its holder has not moved for as long as it said."""
        seen = await self._database.read(leases.standing, self._name)
        now = anyio.current_time()
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        if seen is not None and self._may_live(seen, now):
            return False
        # A cancellation must not lose the answer: nobody would give the lease back.
        with anyio.CancelScope(shield=True):
            self._fence = await self._database.write(
                leases.take,
                self._name,
                holder=self._holder,
                milliseconds=int(self._seconds * 1000),
                seen=seen,
            )
        self._until = now + self._seconds
        return self.is_held

    def _may_live(self, seen: leases.LeaseState, now: float) -> bool:
        """Tell whether the lease's holder may still be at work."""
        if seen.holder is None or _has_ended(seen.holder):
            return False
        return now - self._seen_at < seen.milliseconds / 1000

    async def renew(self) -> bool:
        """Renew the lease; False where it is lost."""
        if self._fence is None:
            return False
        began_at = anyio.current_time()
        if await self._database.write(leases.renew, self._name, fence=self._fence):
            self._until = began_at + self._seconds
        else:
            self._fence = None
        return self.is_held

    def require(self, connection: Any) -> None:  # noqa: ANN401 -- its type is the database package's
        """Raise LeaseLostError, inside a transaction that writes, where another process has taken over."""
        leases.require(connection, self._name, fence=self._fence, until_commit=True)

    async def assure(self) -> None:
        """Return only when nobody can have taken over: right before what cannot be undone. Raises LeaseLostError.

        A renewal that is late is waited for, and so is a ledger that cannot be used for a while.
        """
        while True:
            try:
                await self._database.read(leases.require, self._name, fence=self._fence)
            except LeaseLostError:
                raise
            except CashbackError as error:
                logger.warning("direct messages wait: %s", error)
            else:
                if self.is_fresh:
                    return
            await anyio.sleep(self.poll_seconds)

    async def __aenter__(self) -> Self:
        """Return the lease itself, which nobody holds yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lease back, so that the next process need not wait. A stop never fails for it."""
        if self._fence is None:
            return
        fence, self._fence = self._fence, None
        with anyio.move_on_after(GIVE_BACK_SECONDS, shield=True):
            try:
                await self._database.write(leases.give_back, self._name, fence=fence)
            except CashbackError as failure:
                logger.warning("the lease on paying was not given back; the next process waits for it: %s", failure)


def room() -> str | None:
    """Return what makes a process id unique: this boot of this machine, and in it the container. None if hidden.

    Where /proc hides the boot id or shows a masked one, two machines would look like one.
    """
    try:
        boot = UUID(BOOT_ID.read_text(encoding="ascii").strip())
        namespace = os.readlink(PID_NAMESPACE)
    except (OSError, ValueError):
        return None
    return f"{boot} {namespace}" if boot.int else None


def holder_name() -> str:
    """Return this process's name as a holder; what the system hides is left open, and is nobody's."""
    return f"{socket.gethostname()} process {os.getpid()} of {room() or HIDDEN}"


def _has_ended(holder: str) -> bool:
    """Return whether a holder has certainly ended: it ran where this process runs, and its id is free there.

    The kernel is asked, not /proc: a mount of it may hide the processes of other users (hidepid, ProtectProc), or
    show those of another container. A process that may not be signalled is there.
    """
    found = re.fullmatch(r".* process ([1-9]\d{0,8}) of (.+)", holder)
    if found is None or found[2] != room():
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
