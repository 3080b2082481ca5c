"""Crediting through the whole pipeline (propose, approve, discover, credit, queue, audit) against two baselines.

Both baselines write the same rows set by set and know them beforehand (`baselines.py`). The first writes into the same
tables: what the program takes beyond it is the price of finding out what to pay, and of checking it at the moment of
writing. The second writes into bare tables: beyond it the program also pays for its constraints, triggers and indexes.

Before its clock the program pays one member: a process compiles its statements with its first batch, some 45 ms once,
and a bot runs for weeks.

How the time for a payout grows is a line of its own: one large community against as many payouts to small ones. They
alternate like all else, and last equally long, so that the machine's noise affects both.
"""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import anyio

from cashback.background.wakeup import WakeUp
from cashback.database import Database
from cashback.database.payouts import approvals, proposals
from cashback.domain.model import BatchReport
from cashback.domain.ports import NullObserver
from cashback.settings import ReferralSettings
from pipeline.messages import RunBatch
from stages import make_pipeline
from verification.bench.baselines import credit_bare, credit_known
from verification.bench.datasets import FIRST_REFERRER, adopted, adopted_shuffled, all_pending, shuffled
from verification.bench.measuring import Case, Result
from verification.bench.stopwatch import Spent, stopwatch

CHUNK: Final = ReferralSettings().chunk_size
SMALL: Final = 10_000
MIDDLE: Final = 100_000
LARGEST: Final = 1_000_000
TIMES_KNOWN: Final = 1.4
TIMES_BARE: Final = 2.0
"""Half of its speed."""
TIMES_BARE_SHUFFLED: Final = 1 / 1.2
MOST_WRITTEN_MB: Final = 1_500
CREDIT: Final = "credit"
GROWTH: Final = f"credit, not {SMALL:,} at a time"
MOST_GROWTH: Final = 1.2

ORDERED, SHUFFLED, ADOPTED, ADOPTED_SHUFFLED = "ordered", "shuffled", "adopted", "adopted shuffled"
KINDS: Final = {ORDERED: all_pending, SHUFFLED: shuffled, ADOPTED: adopted, ADOPTED_SHUFFLED: adopted_shuffled}


async def pay(database: Database, *, target_user_id: int | None = None) -> BatchReport:
    """Pay everything that is pending, only to one member if named."""
    now = database.now()
    summary = await database.write(
        proposals.propose, actor="bench", now=now, expires_at=None, target_user_id=target_user_id
    )
    await database.write(approvals.approve, summary.batch_number, actor="bench", now=now)
    request = RunBatch(batch_number=summary.batch_number)
    pipeline = make_pipeline(
        request, database=database, observer=NullObserver(), outbox_changed=WakeUp(), chunk_size=CHUNK
    )
    return await pipeline.run(request)


async def _pay(path: Path) -> Spent:
    async with Database(path) as database:
        await pay(database, target_user_id=FIRST_REFERRER)
        with stopwatch() as spent:
            await pay(database)
        return spent


def credit(path: Path) -> dict[str, Spent]:
    """Pay everything that is pending through the pipeline."""
    return {"": anyio.run(_pay, path)}


def credit_small(path: Path, communities: int) -> dict[str, Spent]:
    """Pay so many communities of `SMALL`, each in a ledger of its own next to this path, through the pipeline."""
    fresh, ledger = path.with_name("small.db"), path.with_name("small-measured.db")
    if not fresh.exists():
        all_pending(fresh, SMALL)
    each: list[Spent] = []
    for _ in range(communities):
        shutil.copy(fresh, ledger)
        each.append(anyio.run(_pay, ledger))
    return {
        "": Spent(
            seconds=sum(spent.seconds for spent in each),
            cpu_seconds=sum(spent.cpu_seconds or 0 for spent in each),
            written_mb=sum(spent.written_mb or 0 for spent in each),
        )
    }


def cases(*, full: bool) -> list[Case]:
    """Pay communities of each kind and of growing size, and the largest one against many small ones."""
    sizes = [(SMALL, 15), (MIDDLE, 3)] + ([(LARGEST, 2)] if full else [])
    beside_known = [
        Case(
            name=f"{CREDIT}, {kind}",
            rows=referrers,
            prepare=prepare,
            program=credit,
            baseline=credit_known,
            cpu_times={"": TIMES_KNOWN},
            rounds=rounds,
        )
        for kind, prepare in KINDS.items()
        for referrers, rounds in (sizes if kind == ORDERED else sizes[1:])
    ]
    beside_bare = [
        Case(
            name=f"{CREDIT} beside bare tables, {kind}",
            rows=MIDDLE,
            prepare=KINDS[kind],
            program=credit,
            baseline=credit_bare,
            cpu_times={"": times},
            written_mb={"": most_mb} if most_mb else {},
            rounds=3,
        )
        for kind, times, most_mb in ((ADOPTED, TIMES_BARE, 0), (ADOPTED_SHUFFLED, TIMES_BARE_SHUFFLED, MOST_WRITTEN_MB))
    ]
    largest, _ = sizes[-1]
    beside_small = Case(
        name=GROWTH,
        rows=largest,
        prepare=all_pending,
        program=credit,
        baseline=partial(credit_small, communities=largest // SMALL),
        cpu_times={"": MOST_GROWTH},
        rounds=3,
    )
    return [*beside_known, *beside_bare, beside_small]


def memory(results: Sequence[Result]) -> str:
    """Describe how the memory grows from the smallest community to the largest."""
    small, *_, large = [result for result in results if result.case.name == f"{CREDIT}, {ORDERED}"]
    more_mb = large.program.peak_mb - small.program.peak_mb
    return (
        f"From {small.case.rows:,} to {large.case.rows:,} payouts the peak memory grows by {more_mb:.0f} MB (at most"
        f" 30) to {large.program.peak_mb:.0f} MB (at most 150)."
    )
