"""The payment lease: of several bots on one ledger, one at a time runs batches, opens the slots and sends the DMs.

A process acquires it, renews it while its duties run, and releases it at a clean stop. A standby takes over when the
holder has not renewed for as long as the holder announced. The times are the event loop's, which no clock change
affects.
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
"""How often the lease is renewed by its holder, and read by others, within its duration."""

GIVE_BACK_SECONDS: Final = 3

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE: Final = Path("/proc/self/ns/pid")
HIDDEN: Final = "a machine that does not show which"

logger = logging.getLogger(__name__)

Duties = Callable[[], Coroutine[object, object, object]]
"""The work that only the holder does; it is cancelled when the lease is lost."""


class Lease:
    """Run `keep` in a task group; leaving the block releases the lease."""

    def __init__(self, database: Database, *, seconds: float, name: str = PAYING, holder: str | None = None) -> None:
        """`seconds`: other processes may take over after a holder has not renewed the lease for so long."""
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
        """How often a standby reads the lease."""
        return self._seconds / LOOKS

    @property
    def is_held(self) -> bool:
        """Whether this process holds the lease, as far as it knows."""
        return self._fence is not None

    @property
    def is_fresh(self) -> bool:
        """Whether the lease was renewed so recently that no other process can have taken it over yet."""
        return self.is_held and anyio.current_time() < self._until

    async def keep(self, duties: Duties) -> None:
        """Acquire the lease whenever it is free and run the duties while it is held; until cancelled."""
        while True:
            try:
                is_taken = self.is_held or await self.take()
            except CashbackError as error:
                is_taken = False
                logger.warning("the payment lease cannot be read: %s", error)
            if is_taken:
                logger.info("this process pays from now on (fence %s)", self._fence)
                await self._serve(duties)
                logger.warning("another process pays from now on; this one stands by")
            await anyio.sleep(self.poll_seconds)

    async def _serve(self, duties: Duties) -> None:
        try:
            async with anyio.create_task_group() as term:
                term.start_soon(self._renew, term.cancel_scope, name="lease")
                term.start_soon(duties, name="duties")
        except* LeaseLostError:
            self._fence = None

    async def _renew(self, term: anyio.CancelScope) -> None:
        """Renew the lease until another process holds it; a ledger that is unavailable for a while does not end it.

        In the meantime, each write of this holder checks the lease in its own transaction.
        """
        while True:
            await anyio.sleep(self._seconds / RENEWALS)
            try:
                if not await self.renew():
                    term.cancel()
                    return
            except CashbackError as error:
                logger.warning("the payment lease could not be renewed: %s", error)

    async def take(self) -> bool:
        """Acquire the lease if it is free, or if its holder has not renewed it for as long as it announced."""
        seen = await self._database.read(leases.standing, self._name)
        now = anyio.current_time()
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        if seen is not None and self._may_live(seen, now):
            return False
        # If a cancellation lost the answer, the lease would not be released.
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
        """Return whether the lease's holder may still be at work."""
        if seen.holder is None or has_ended(seen.holder):
            return False
        return now - self._seen_at < seen.milliseconds / 1000

    async def renew(self) -> bool:
        """Renew the lease; return False if it is lost."""
        if self._fence is None:
            return False
        began_at = anyio.current_time()
        if await self._database.write(leases.renew, self._name, fence=self._fence):
            self._until = began_at + self._seconds
        else:
            self._fence = None
        return self.is_held

    def require(self, connection: Any) -> None:  # noqa: ANN401 -- its type is the database package's
        """Raise LeaseLostError, inside a transaction that writes, if another process has taken over."""
        leases.require(connection, self._name, fence=self._fence, until_commit=True)

    async def assure(self) -> None:
        """Return once no other process can have taken over, right before an irreversible step.

        Raises LeaseLostError. Waits for a late renewal, and for a ledger that is unavailable for a while.
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
        """Return the lease itself, not yet held."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lease, so that the next process need not wait. A failure here never fails the stop."""
        if self._fence is None:
            return
        fence, self._fence = self._fence, None
        with anyio.move_on_after(GIVE_BACK_SECONDS, shield=True):
            try:
                await self._database.write(leases.release, self._name, fence=fence)
            except CashbackError as failure:
                logger.warning("the payment lease was not released; the next process waits for it: %s", failure)


def room() -> str | None:
    """Return what makes a process id unique: this boot of this machine, and in it the container. None if hidden.

    Where /proc hides the boot id or shows a masked one, two machines would look like one.
    """
    try:
        boot = UUID(BOOT_ID.read_text(encoding="ascii").strip())
        namespace = PID_NAMESPACE.readlink()
    except (OSError, ValueError):
        return None
    return f"{boot} {namespace}" if boot.int else None


def holder_name() -> str:
    """Return this process's name as a holder; what the system hides is left open, and is nobody's."""
    return f"{socket.gethostname()} process {os.getpid()} of {room() or HIDDEN}"


def has_ended(holder: str) -> bool:
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
