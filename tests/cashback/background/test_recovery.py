"""What the runner could not finish is handed to it again."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest

from cashback.background.recovery import Recovery
from cashback.background.wakeup import WakeUp
from cashback.domain.errors import BusyError
from tests.conftest import LedgerFixture

pytestmark = pytest.mark.anyio


class Inbox:
    """A runner's inbox that is full as often as a test wants."""

    def __init__(self, *, full: int = 0) -> None:
        self.taken: list[int] = []
        self._refusals: Iterator[None] = iter([None] * full)
        self.changed = anyio.Event()

    def submit(self, batch_number: int) -> int:
        """Accept a batch, or refuse it."""
        for _ in self._refusals:
            raise BusyError
        self.taken.append(batch_number)
        self.changed.set()
        return 0


async def say_nothing(_line: str) -> None:
    """Post nothing: there is no audit channel."""


async def test_interrupted_batch_is_resubmitted_after_a_pause(ledger: LedgerFixture) -> None:
    await ledger.earn(10**17, 100)
    number = await ledger.approved()
    runs, inbox = (
        Recovery(
            ledger.database,
            summaries_changed=WakeUp(),
            batches_due=WakeUp(),
            post_line=say_nothing,
            resume_seconds=0.01,
        ),
        Inbox(full=2),
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(runs.run, inbox.submit)
        await runs.interrupted(number, "the disk is full")
        assert runs.reasons == {number: "the disk is full"}
        with anyio.fail_after(5):
            await inbox.changed.wait()
        tasks.cancel_scope.cancel()
    assert inbox.taken == [number]


async def test_batch_settled_elsewhere_is_not_resubmitted(ledger: LedgerFixture) -> None:
    await ledger.earn(10**17, 100)
    report = await ledger.pay()
    summaries_changed, inbox = WakeUp(), Inbox()
    runs = Recovery(ledger.database, summaries_changed=summaries_changed, batches_due=WakeUp(), post_line=say_nothing)
    await runs.interrupted(report.batch_number, "somebody else was faster")
    await summaries_changed.wait(0)
    runs.take_up(report.batch_number)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(runs.run, inbox.submit)
        with anyio.fail_after(5):
            await summaries_changed.wait(60)
        tasks.cancel_scope.cancel()
    assert (inbox.taken, runs.reasons) == ([], {})


async def test_batch_refused_by_full_inbox_is_submitted_later(ledger: LedgerFixture) -> None:
    await ledger.earn(10**17, 100)
    number = await ledger.approved()
    runs, inbox = (
        Recovery(
            ledger.database,
            summaries_changed=WakeUp(),
            batches_due=WakeUp(),
            post_line=say_nothing,
            resume_seconds=0.01,
        ),
        Inbox(full=1),
    )
    submit = runs.wrap_submit(inbox.submit)
    with pytest.raises(BusyError):
        submit(number)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(runs.run, submit)
        with anyio.fail_after(5):
            await inbox.changed.wait()
        tasks.cancel_scope.cancel()
    assert inbox.taken == [number]
