"""Spends a night: a part of `make soak`."""

import time
from pathlib import Path
from typing import Final

import anyio

from cashback.domain.errors import NothingPendingError
from cashback.services import CLI
from verification.night import checks
from verification.night.ledgers import LockedFile, MortalLedger, on_server
from verification.night.people import sell, type_commands
from verification.night.scene import Night, opened
from verification.night.troubles import lose_bots, spoil_clocks, take_ledger_away
from verification.testbed.findings import Findings, Losses

WEEK_SECONDS: Final = 60
"""What a week takes: the minute around its slot, with trouble, and then calm until everything is done."""

CALM_SECONDS: Final = 240
TYPISTS: Final = 2
UNFINISHED: Final = (
    (
        "SELECT 'batch ' || number || ' is ' || status FROM cashback_payout_batches"
        " WHERE status IN ('approved', 'running', 'stopped')"
    ),
    "SELECT 'the direct message ' || id || ' is queued' FROM cashback_notifications WHERE status = 'queued'",
)


class UnfinishedError(Exception):
    """Something that was begun is not finished although all troubles have ended."""


async def spend(folder: Path, ledger: MortalLedger, *, weeks: int, seed: int) -> Findings:
    """Spend a night of so many weeks on a ledger; return what was found."""
    began = time.perf_counter()
    async with opened(folder, ledger, seed) as night:
        try:
            for _ in range(weeks):
                await _live_a_week(night)
            losses, violations = checks.losses(night), await checks.violations(night)
        except UnfinishedError as error:
            losses, violations = Losses(), [str(error)]
    return Findings(
        part=f"two bots, wrong clocks, a ledger that dies and typed commands together, on {ledger.kind}",
        seconds=time.perf_counter() - began,
        figures=_figures(night, weeks),
        losses=losses,
        violations=tuple(f"night {seed} on {ledger.kind}: {each}" for each in violations),
    )


async def _live_a_week(night: Night) -> None:
    night.begin_week()
    await _begin_work(night)
    until = anyio.current_time() + WEEK_SECONDS
    async with anyio.create_task_group() as tasks:
        for trouble in (lose_bots, spoil_clocks, take_ledger_away, sell, *[type_commands] * TYPISTS):
            tasks.start_soon(trouble, night, until)
    night.correct_clocks()
    await _begin_work(night)
    await _finish(night)
    await _pay_the_rest(night)
    for number, bot in enumerate(night.bots):
        if (code := await bot.stop()) != 0:
            raise UnfinishedError(f"bot {number} did not stop: exit code {code}")


async def _begin_work(night: Night) -> None:
    """Start the bots that do not run, and wait until all are at work. Raises UnfinishedError if that takes too long."""
    for bot in night.bots:
        bot.start()
    with anyio.move_on_after(CALM_SECONDS):
        while not all(bot.is_ready for bot in night.bots):  # noqa: ASYNC110 -- other processes
            await anyio.sleep(0.2)
        return
    raise UnfinishedError(f"the bots are not ready {CALM_SECONDS} s after their start")


async def _finish(night: Night) -> None:
    """Wait until everything that was begun is done. Raises UnfinishedError if it takes too long."""
    with anyio.move_on_after(CALM_SECONDS):
        while left := [text for query in UNFINISHED for (text,) in checks.rows(night, query)]:
            for (number,) in checks.rows(night, "SELECT number FROM cashback_payout_batches WHERE status = 'stopped'"):
                await night.service.resume(CLI, number)
            await anyio.sleep(0.5)
        return
    raise UnfinishedError(f"after {CALM_SECONDS} s of calm {'; '.join(left)}")


async def _pay_the_rest(night: Night) -> None:
    """Pay what the night has left, through the bots."""
    try:
        summary = await night.service.propose(CLI)
        await night.service.approve(CLI, summary.batch_number)
    except NothingPendingError:
        return
    await _finish(night)


def _figures(night: Night, weeks: int) -> tuple[tuple[str, int], ...]:
    def count(query: str) -> int:
        return int(checks.rows(night, query)[0][0] or 0)

    answered = sum(bool(checks.answers_to(night, each)) for each in night.typed)
    return (
        ("weekly slots", weeks),
        *sorted(night.happened.items()),
        ("commands typed", len(night.typed)),
        ("of these answered", answered),
        ("purchases", night.purchases),
        ("batches paid", count("SELECT count(*) FROM cashback_payout_batches WHERE status LIKE 'completed%'")),
        ("cents credited, each once", count("SELECT sum(paid_cents) FROM cashback_payouts WHERE status = 'credited'")),
        ("direct messages", sum(len(night.sandbox.direct_messages(each.id)) for each in night.referrers)),
    )


def run_night(folder: Path, kind: str, *, weeks: int, seed: int) -> Findings:
    """Spend a night on a `file` or a `server`."""
    folder.mkdir()

    async def on_a(ledger: MortalLedger) -> Findings:
        return await spend(folder, ledger, weeks=weeks, seed=seed)

    if kind == "file":
        return anyio.run(on_a, LockedFile(folder / "ledger"))
    with on_server(folder / "ledger") as ledger:
        return anyio.run(on_a, ledger)
