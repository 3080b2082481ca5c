"""Eight processes at one queue of withdrawals, killed by SIGKILL between any two commits, and what must hold then.

Judged from outside: each cent that a member had at the start or was paid is in the wallet, requested or paid, whatever
a process was answered is in the ledger, once, no payout is sent twice, and each event is queued as often as it
happened.
"""

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from typing import Any, Final

import anyio

from cashback.database import Database, events
from cashback.database.dialect import Location, name_of
from cashback.database.integrity import reconciliation
from cashback.database.referral_program import referrals
from cashback.database.wallets import adjustments, auto_withdrawals
from cashback.domain.events import Event
from cashback.domain.ports import utc_now
from cashback.domain.withdrawals import WithdrawalStatus
from verification.crash.crash import context
from verification.crash.queue_worker import (
    AUTO,
    BUYER,
    DONE,
    FAILED,
    MEMBERS,
    TRIED,
    WANT_IT_EACH_TIME,
    WEBHOOK,
    work,
)
from verification.testbed.databases import Ground, connect
from verification.testbed.findings import Findings, Losses

PROCESSES: Final = 8
ROUNDS: Final = 25
FIRST_CENTS: Final = 1_000
LATEST_DEATH: Final = 30
LONGEST_SECONDS: Final = 120
JOURNAL: Final = "journal.txt"
START: Final = "start"


async def fill(location: Location) -> None:
    """Create a ledger in which each member has a friend and something in the wallet; another program listens."""
    async with Database(location) as database:
        await database.write(events.put_in_force, {WEBHOOK: tuple(Event)}, now=utc_now())
        pairs = [(member, BUYER + member) for member in MEMBERS]
        await database.write(referrals.create_referrals, pairs, utc_now())
        for member in MEMBERS:
            await database.ensure_user(member)
            await database.write(
                adjustments.adjust,
                user_id=member,
                cents=FIRST_CENTS,
                reason=START,
                actor="cli",
                actor_id=None,
                approver_id=None,
                now=utc_now(),
            )
        for member in WANT_IT_EACH_TIME:
            await database.write(auto_withdrawals.switch_on, member, AUTO, None, actor="cli", now=utc_now())


def let_loose(folder: Path, location: Location, *, kills: int, chance: Random) -> int:
    """Keep eight processes at the queue until so many were killed, then let them end; return the number of processes.

    Raises RuntimeError if one fails, or does not end in time.
    """
    name, started, killed = name_of(location, password=True), 0, 0
    running: dict[int, ForkServerProcess] = {}
    try:
        while running or killed < kills:
            while len(running) < PROCESSES and killed < kills:
                die_at = chance.randint(1, LATEST_DEATH)
                process = context().Process(
                    target=work, args=(name, str(folder / JOURNAL), f"{chance.random():.9f}", ROUNDS, die_at)
                )
                process.start()
                running[process.sentinel] = process
                started += 1
            ended = wait(list(running), LONGEST_SECONDS)
            if not ended:
                raise RuntimeError("the processes at the queue of withdrawals hang")
            for sentinel in ended:
                killed += _end(running.pop(sentinel))  # type: ignore[arg-type]  # sentinels are numbers here
    finally:
        for process in running.values():
            process.kill()
            process.join()
    return started


def _end(process: ForkServerProcess) -> bool:
    """Return whether a process that has ended was killed. Raises RuntimeError if it failed."""
    process.join()
    code = process.exitcode
    process.close()
    if code not in {0, -signal.SIGKILL}:
        raise RuntimeError(f"a process at the queue of withdrawals failed: exit code {code}")
    return code != 0


@dataclass(frozen=True, slots=True)
class Told:
    """The journal's lines by their kind, each without its first two words."""

    tried: dict[str, list[list[str]]]
    done: dict[str, list[list[str]]]
    failed: list[str]


def read_journal(folder: Path) -> Told:
    """Read what the processes tried, and what they were answered."""
    told = Told({}, {}, [])
    for line in (folder / JOURNAL).read_text(encoding="utf-8").splitlines():
        state, kind, *words = line.split(" ")
        if state == FAILED:
            told.failed.append(line)
        else:
            {TRIED: told.tried, DONE: told.done}[state].setdefault(kind, []).append(words)
    return told


def look(folder: Path, location: Location) -> tuple[Losses, list[str]]:
    """Compare the rows with what the members had and what the processes were answered, and reconcile the ledger."""
    told = read_journal(folder)
    with closing(connect(location)) as connection:
        surplus = list(_surplus(connection))
        found = [f"a process failed: {line}" for line in told.failed]
        found += [f"member {member} has {cents} cents too many" for member, cents in surplus if cents]
        found += _unanswered(connection, told)
        found += _sent_twice(connection)
        found += _wrong_events(connection, told)
    found += anyio.run(_breaches, location)
    losses = Losses(
        double_payments=sum(cents > 0 for _, cents in surplus), lost_cents=-sum(min(cents, 0) for _, cents in surplus)
    )
    return losses, found


def _surplus(connection: Any) -> Iterator[tuple[int, int]]:  # noqa: ANN401 -- either driver's
    """Yield for each member the cents in the wallet, requested and paid, less those that were put in."""
    query = (
        "SELECT u.discord_id, u.wallet_balance_cents, CAST(coalesce((SELECT sum(w.amount_cents)"
        " FROM cashback_withdrawals w WHERE w.user_id = u.discord_id AND w.status IN ('requested', 'paid')), 0)"
        " AS BIGINT), CAST((SELECT coalesce(sum(a.amount_cents), 0) FROM cashback_wallet_adjustments a"
        " WHERE a.user_id = u.discord_id) + (SELECT coalesce(sum(p.paid_cents), 0) FROM cashback_payouts p"
        " WHERE p.referrer_id = u.discord_id) AS BIGINT) FROM users u"
    )
    for member, held, asked, put_in in connection.execute(query).fetchall():
        yield member, held + asked - put_in


def _unanswered(connection: Any, told: Told) -> Iterator[str]:  # noqa: ANN401 -- as above
    """Find answers that are not in the ledger, rows that nobody tried to write, and what was done twice."""
    marks = {
        "ask": f"SELECT method FROM cashback_withdrawals WHERE method <> '{AUTO}'",  # noqa: S608 -- our own
        "earn": "SELECT order_id FROM cashback_referral_purchases",
        "adjust": f"SELECT reason FROM cashback_wallet_adjustments WHERE reason <> '{START}'",  # noqa: S608 -- our own
        "pay": "SELECT reference FROM cashback_withdrawals WHERE status = 'paid'",
        "decline": "SELECT reason FROM cashback_withdrawals WHERE status = 'declined'",
        "cancel": "SELECT reason FROM cashback_withdrawals WHERE status = 'cancelled'",
    }
    for kind, query in marks.items():
        place = 0 if kind in {"ask", "adjust", "earn"} else 1
        rows = Counter(mark for (mark,) in connection.execute(query).fetchall())
        tried = {words[place] for words in told.tried.get(kind, [])}
        done = {words[place] for words in told.done.get(kind, [])}
        yield from (f"{kind} {mark} was answered and is not in the ledger" for mark in done - rows.keys())
        yield from (f"{kind} {mark} is in the ledger and nobody tried it" for mark in rows.keys() - tried)
        yield from (f"{kind} {mark} is in the ledger {count} times" for mark, count in rows.items() if count > 1)


def _sent_twice(connection: Any) -> Iterator[str]:  # noqa: ANN401 -- as above
    """Find members of whose payouts more was sent than was paid."""
    query = "SELECT referrer_id, CAST(sum(paid_cents) AS BIGINT) FROM cashback_payouts GROUP BY referrer_id"
    paid = dict(connection.execute(query).fetchall())
    sent: Counter[int] = Counter()
    query = f"SELECT details FROM cashback_audit_log WHERE actor = '{auto_withdrawals.ACTOR}'"  # noqa: S608 -- our own
    for (details,) in connection.execute(query).fetchall():
        entry = json.loads(details)
        sent[entry["user_id"]] += entry["amount_cents"]
    for member, cents in sent.items():
        if cents > paid.get(member, 0):
            yield f"member {member} was sent {cents} cents of {paid.get(member, 0)} that were paid out"


def _wrong_events(connection: Any, told: Told) -> Iterator[str]:  # noqa: ANN401 -- as above
    """Find events that are missing or too many, and deliveries that are recorded and reached nobody."""
    query = "SELECT referrer_id, paid_cents FROM cashback_payouts WHERE status = 'credited'"
    happened = Counter((str(Event.PAYOUT_CREDITED), *row) for row in connection.execute(query).fetchall())
    additions: dict[int, list[int]] = {}
    query = "SELECT number, amount_cents FROM cashback_withdrawal_additions ORDER BY debit_id"
    for number, cents in connection.execute(query).fetchall():
        additions.setdefault(number, []).append(cents)
    query = "SELECT number, user_id, amount_cents, status FROM cashback_withdrawals"
    for number, member, cents, status in connection.execute(query).fetchall():
        asked = cents - sum(additions.get(number, []))
        for total in accumulate([asked, *additions.get(number, [])]):
            happened[str(Event.WITHDRAWAL_REQUESTED), member, total] += 1
        if status != WithdrawalStatus.REQUESTED:
            happened[f"withdrawal.{status}", member, cents] += 1
    query = "SELECT event, user_id, amount_cents FROM cashback_webhook_deliveries"
    queued = Counter(tuple(row) for row in connection.execute(query).fetchall())
    for event in sorted(happened | queued):
        if happened[event] != queued[event]:
            yield f"{' '.join(map(str, event))} happened {happened[event]} times, {queued[event]} events are queued"
    arrived = {words[0] for words in told.tried.get("event", [])}
    query = "SELECT id FROM cashback_webhook_deliveries WHERE status = 'delivered'"
    for (number,) in connection.execute(query).fetchall():
        if str(number) not in arrived:
            yield f"event {number} is recorded as delivered and reached nobody"


async def _breaches(location: Location) -> tuple[str, ...]:
    async with Database(location) as database:
        return (await database.read(reconciliation.verify)).breaches


def run_queues(
    folder: Path, ground: Ground, *, kills: int, seed: int, watch: Callable[[int], None] = lambda _: None
) -> Findings:
    """Kill processes at one queue so often; return the findings."""
    began = time.perf_counter()
    here = folder / "queue"
    location = ground.create(here)
    anyio.run(fill, location)
    started = let_loose(here, location, kills=kills, chance=Random(seed))  # noqa: S311 -- the seed is the point
    watch(kills)
    losses, violations = look(here, location)
    told = read_journal(here)
    ground.clear(here)
    return Findings(
        part=f"eight processes at one queue of withdrawals, ended by SIGKILL, on {ground.kind}",
        seconds=time.perf_counter() - began,
        figures=(
            ("kills between two commits", kills),
            ("processes started", started),
            *((f"answered: {kind}", len(lines)) for kind, lines in sorted(told.done.items())),
        ),
        losses=losses,
        violations=tuple(violations),
    )
