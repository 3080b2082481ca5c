"""One run of a victim: a process that pays or resumes a batch, and delivers its direct messages.

It ends when all is done, or by SIGKILL at a chosen moment. The file of sends stands for Discord: a member saw each
message in it, whatever the ledger contains.
"""

import logging
import os
import signal
import sys
import threading
import traceback
from contextlib import closing, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any, Final

import anyio

from cashback import database as ledger
from cashback.background.outbox_dispatcher import OutboxDispatcher
from cashback.background.wakeup import WakeUp
from cashback.database import Database, audit_log
from cashback.database.payouts import approvals, batches, proposals, retries, runs
from cashback.database.referral_program import blacklist
from cashback.database.schedule import slots
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import BatchStatus, ChunkCredited, Delivery, DeliveryStatus, PayoutNotice
from cashback.domain.ports import NullObserver, utc_now
from pipeline.messages import RunBatch
from stages import make_pipeline
from verification.crash.expected_ledger import SLOT_AT, Origin
from verification.testbed.databases import connect, ledger_of, mend_wallet

CHUNK_SIZE: Final = 3
SENDS: Final = "sends.log"
ERROR: Final = "error.txt"
COUNTS: Final = "counts.txt"
_LEDGER: Final = Path(ledger.__file__).parent
_NO_STATEMENTS: Final = {"engine.py", "database.py", "tables.py", "errors.py"}
_WRITING_CODE: Final = frozenset(str(path) for path in _LEDGER.rglob("*.py") if path.name not in _NO_STATEMENTS)


class Kind(StrEnum):
    """What decides the moment of a SIGKILL. All but the first are counted and triggered inside the victim."""

    RANDOM_MOMENT = "at a random moment"
    BEFORE_COMMIT = "just before a commit"
    AFTER_COMMIT = "just after a commit"
    BETWEEN_STATEMENTS = "between two statements"
    AFTER_SEND = "after a send, before its mark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The n-th occasion of a kind ends the process; for a random moment, `seconds` after its start do."""

    kind: Kind
    nth: int = 0
    seconds: float = 0.0


class DeathTrigger:
    """Counts the occasions of a run, and ends the process at the chosen one."""

    def __init__(self, ending: Ending | None) -> None:
        """With `ending` None the victim lives."""
        self.counts = dict.fromkeys(Kind, 0)
        self._ending = ending

    def meet(self, kind: Kind) -> None:
        """Count an occasion, and die if it is the chosen one."""
        self.counts[kind] += 1
        if self._ending is not None and self._ending.kind is kind and self._ending.nth == self.counts[kind]:
            os.kill(os.getpid(), signal.SIGKILL)

    def at_commit(self, moment: str) -> None:
        """Act as the ledger's failpoint."""
        self.meet(Kind.BEFORE_COMMIT if moment == "before commit" else Kind.AFTER_COMMIT)

    def watch_statements(self) -> None:
        """Count each return of a function that writes statements: before and after each statement there is one."""

        def returned(frame: FrameType, event: str, _argument: Any) -> None:  # noqa: ANN401 -- whatever was returned
            if event == "return" and frame.f_code.co_filename in _WRITING_CODE:
                self.meet(Kind.BETWEEN_STATEMENTS)

        threading.setprofile(returned)
        sys.setprofile(returned)


class FileMessenger:
    """Delivers into a file that survives the process: one line "notification id, nonce, life" for each send."""

    def __init__(self, path: Path, life: int, death: DeathTrigger) -> None:
        """`life` is the number of this process; `death` counts each send."""
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._life = life
        self._death = death

    async def send(self, notice: PayoutNotice) -> Delivery:
        """Write the line and wait until it is on the disk."""
        os.write(self._file, f"{notice.notification_id} {notice.batch_id}:{notice.user_id} {self._life}\n".encode())
        os.fsync(self._file)
        self._death.meet(Kind.AFTER_SEND)
        return Delivery(status=DeliveryStatus.SENT)


def live(folder: str, life: int, blacklisted_id: int, origin: Origin, ending: Ending | None) -> None:
    """Run once: the body of the process. Errors are written next to the ledger, for the harness to read."""
    logging.disable(logging.CRITICAL)
    death = DeathTrigger(ending)
    if ending is None or ending.kind is Kind.BETWEEN_STATEMENTS:
        death.watch_statements()
    try:
        anyio.run(_live, Path(folder), life, blacklisted_id, origin, death)
    except BaseException:
        (Path(folder) / ERROR).write_text(traceback.format_exc(), encoding="utf-8")
        raise
    (Path(folder) / COUNTS).write_text("\n".join(map(str, death.counts.values())), encoding="utf-8")


async def _live(folder: Path, life: int, blacklisted_id: int, origin: Origin, death: DeathTrigger) -> None:
    outbox_changed, settled = WakeUp(), anyio.Event()
    async with Database(ledger_of(folder), failpoint=death.at_commit) as database:
        messenger = FileMessenger(folder / SENDS, life, death)
        dispatcher = OutboxDispatcher(database, messenger, outbox_changed, per_second=1e9, retry_attempts=3)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_deliver, dispatcher, outbox_changed, settled)
            await APPROVING[origin](database, blacklisted_id)
            while await _step(database, outbox_changed, is_desk=origin is Origin.DESK):
                pass
            settled.set()
            outbox_changed.set()


async def _step(database: Database, outbox_changed: WakeUp, *, is_desk: bool) -> bool:
    """Take the step that the batch's state asks for; False if there is none."""
    [batch] = await database.read(batches.history, limit=1)
    number, status = batch["number"], batch["status"]
    if status in {BatchStatus.APPROVED, BatchStatus.RUNNING}:
        observer = Stopper(database) if is_desk and not await _was_stopped(database) else NullObserver()
        request = RunBatch(batch_number=number)
        pipeline = make_pipeline(
            request, database=database, observer=observer, outbox_changed=outbox_changed, chunk_size=CHUNK_SIZE
        )
        await pipeline.run(request)
        return True
    if status == BatchStatus.STOPPED:
        await database.write(runs.resume, number, actor="soak", now=utc_now())
        return True
    if is_desk and status == BatchStatus.COMPLETED_WITH_FAILURES:
        with closing(connect(database.location)) as connection:
            mend_wallet(connection)
        await database.write(retries.begin, number, actor="soak", why="the wallet is mended", now=utc_now())
        return True
    return False


class Stopper(NullObserver):
    """An admin that stops the batch when the first chunk is paid, unless that was the last."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def progressed(self, chunk: ChunkCredited) -> None:
        """Stop the batch."""
        with suppress(StaleBatchError):
            await self._database.write(runs.stop, chunk.batch_number, actor="soak", now=utc_now())


async def _was_stopped(database: Database) -> bool:
    entries = await database.read(audit_log.entries, limit=100)
    return any(entry["action"] == "batch_stopped" for entry in entries)


async def _deliver(dispatcher: OutboxDispatcher, outbox_changed: WakeUp, settled: anyio.Event) -> None:
    """Deliver during the run, and once more when everything is settled."""
    while True:
        last = settled.is_set()
        await dispatcher.deliver_due()
        if last:
            return
        # The dispatcher receives wake-ups while a message is being sent, too.
        if not settled.is_set():
            await outbox_changed.wait(60)


async def _confirm(database: Database, blacklisted_id: int) -> None:
    """Bring an admin's batch to `approved`, from wherever the last run left it; a member is blacklisted in between."""
    if not await database.read(batches.history, limit=1):
        await database.write(proposals.propose, actor="soak", now=utc_now(), expires_at=None)
    [batch] = await database.read(batches.history, limit=1)
    if batch["status"] == BatchStatus.PROPOSED:
        await database.write(blacklist.blacklist, blacklisted_id, reason=None, actor="soak", now=utc_now())
        await database.write(approvals.approve, batch["number"], actor="soak", now=utc_now())


async def _ring(database: Database, blacklisted_id: int) -> None:
    """Decide the slot, as every start does; a member is blacklisted before any payout."""
    await database.write(slots.pay, SLOT_AT, now=utc_now(), min_payout_cents=1)
    await database.write(blacklist.blacklist, blacklisted_id, reason=None, actor="soak", now=utc_now())


APPROVING: Final = {Origin.ADMIN: _confirm, Origin.DESK: _confirm, Origin.SLOT: _ring}
