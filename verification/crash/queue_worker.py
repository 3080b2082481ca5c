"""One process at the queue of withdrawals, which does everything that moves wallets, until it is killed.

It asks, cancels, approves, pays, declines and adjusts; it pays cashback out, sends the payouts of the members that want
them each time, and delivers the events of all this to another program, whose part the journal plays.

It writes to a journal what it is about to do and what it was answered: whatever was answered must be in the ledger.
"""

import logging
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Final

import anyio

from cashback.database import Database, events
from cashback.database.dialect import located
from cashback.database.payouts import approvals, crediting, proposals, runs
from cashback.database.referral_program import purchases
from cashback.database.wallets import adjustments, auto_withdrawals, decisions, withdrawals
from cashback.domain.errors import CashbackError
from cashback.domain.model import ChunkDiscovered
from cashback.domain.ports import utc_now
from cashback.domain.withdrawals import Withdrawal
from pipeline.runner import explain

MEMBERS: Final = range(1, 7)
ADMINS: Final = (101, 102, 103, 1)
"""The last one is a member too, who must not decide on their own requests."""

WANT_IT_EACH_TIME: Final = range(4, 7)
"""These members' payouts become withdrawals."""

BUYER: Final = 1_000
"""The friend of a member has the member's id and this number more."""

AUTO: Final = "auto"
"""The method of withdrawals that payouts become."""

WEBHOOK: Final = "shop"
THRESHOLD_CENTS: Final = 300
AMOUNTS_CENTS: Final = (1, 100, 299, 300, 800)
ALL_OF_IT_PPM: Final = 1_000_000
TRIED, DONE, FAILED = "tried", "done", "failed"


class Journal:
    """Lines that survive the process: the system has them as soon as they are written."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, *words: object) -> None:
        """Append a line."""
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


def work(location: str, journal: str, name: str, rounds: int, die_at: int | None) -> None:
    """Work at the queue. `die_at` is the number of the moment, before or after a commit, at which the process dies."""
    logging.disable(logging.CRITICAL)
    moments = 0

    def failpoint(_moment: str) -> None:
        nonlocal moments
        moments += 1
        if moments == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    anyio.run(_work, location, Journal(Path(journal)), name, rounds, failpoint)


async def _work(location: str, journal: Journal, name: str, rounds: int, failpoint: Callable[[str], None]) -> None:
    chance = Random(name)  # noqa: S311 -- chosen, not secret
    async with Database(located(location), inline=True, failpoint=failpoint) as database:
        worker = Worker(database, journal, chance, name)
        for number in range(rounds):
            await worker.act(number)


class Worker:
    """Does one thing after the other."""

    def __init__(self, database: Database, journal: Journal, chance: Random, name: str) -> None:
        self._database = database
        self._journal = journal
        self._chance = chance
        self._name = name

    async def act(self, number: int) -> None:
        """Do something to a wallet, or to a request in the queue."""
        queue = await self._database.read(withdrawals.queue)
        if not queue or self._chance.random() < 0.6:  # noqa: PLR2004 -- three in five
            act = self._chance.choice((self._ask, self._adjust, self._pay_out, self._send_each_time, self._deliver))
            await act(f"{self._name}-{number}", self._chance.choice(MEMBERS))
            return
        shown = self._chance.choice(queue)
        kinds = {"approve": self._approve, "pay": self._pay, "decline": self._decline, "cancel": self._cancel}
        kind = self._chance.choice(list(kinds))
        mark = f"{self._name}-{number}"
        await self._see(kind, (shown.number, mark), kinds[kind](shown, mark))

    async def _see(self, kind: str, words: tuple[object, ...], work: Awaitable[object]) -> None:
        """Write down what is tried and what came of it. A refusal is a valid answer, every other failure is not."""
        self._journal.write(TRIED, kind, *words)
        try:
            await work
        except CashbackError:
            return
        except Exception as error:  # noqa: BLE001 -- whatever it is, the check reports it
            self._journal.write(FAILED, kind, *words, explain(error))
            return
        self._journal.write(DONE, kind, *words)

    async def _ask(self, mark: str, member: int) -> None:
        cents = self._chance.choice(AMOUNTS_CENTS)
        asking = self._database.write(
            withdrawals.request,
            user_id=member,
            cents=cents,
            method=mark,
            destination=None,
            actor=f"discord:{member}",
            now=utc_now(),
            approval_threshold_cents=THRESHOLD_CENTS,
        )
        await self._see("ask", (mark, member, cents), asking)

    async def _adjust(self, mark: str, member: int) -> None:
        cents, admin = self._chance.choice((-400, -50, 50, 400)), self._chance.choice(ADMINS)
        adjusting = self._database.write(
            adjustments.adjust,
            user_id=member,
            cents=cents,
            reason=mark,
            actor=f"discord:{admin}",
            actor_id=admin,
            approver_id=self._chance.choice((None, *ADMINS)),
            now=utc_now(),
            approval_threshold_cents=THRESHOLD_CENTS,
        )
        await self._see("adjust", (mark, member, cents), adjusting)

    async def _pay_out(self, mark: str, member: int) -> None:
        cents = self._chance.choice(AMOUNTS_CENTS)
        await self._see("earn", (mark, member, cents), pay_out(self._database, member, mark, cents))

    async def _send_each_time(self, mark: str, _member: int) -> None:
        """Send what is due, as the process that pays does; here eight do it at once."""
        for member in await self._database.read(auto_withdrawals.due):
            waiting = await self._database.read(withdrawals.open_of, member)
            sending = self._database.write(
                auto_withdrawals.send,
                member,
                adds_to=waiting.version if waiting is not None and waiting.method == AUTO else None,
                minimum_cents=1,
                maximum_cents=None,
                now=utc_now(),
                approval_threshold_cents=THRESHOLD_CENTS,
            )
            await self._see("send", (mark, member), sending)

    async def _deliver(self, _mark: str, _member: int) -> None:
        """Deliver a few events, as the process that pays does; one in four is not taken."""
        for delivery in await self._database.read(events.due, WEBHOOK, now=utc_now(), limit=3):
            error = "it answered 500" if self._chance.random() < 0.25 else None  # noqa: PLR2004 -- one in four
            kind = "event" if error is None else "event-refused"
            settling = self._database.write(events.settle, delivery.number, error=error, now=utc_now())
            await self._see(kind, (delivery.number,), settling)

    async def _approve(self, shown: Withdrawal, _mark: str) -> None:
        admin = self._chance.choice(ADMINS)
        await self._database.write(
            decisions.approve_first, shown.number, actor=f"discord:{admin}", approver_id=admin, now=utc_now()
        )

    async def _pay(self, shown: Withdrawal, mark: str) -> None:
        admin = self._chance.choice(ADMINS)
        await self._database.write(
            decisions.pay,
            shown.number,
            reference=mark,
            actor=f"discord:{admin}",
            approver_id=admin,
            now=utc_now(),
            version=shown.version,
        )

    async def _decline(self, shown: Withdrawal, mark: str) -> None:
        admin = self._chance.choice(ADMINS)
        await self._database.write(
            decisions.decline, shown.number, reason=mark, actor=f"discord:{admin}", approver_id=admin, now=utc_now()
        )

    async def _cancel(self, shown: Withdrawal, mark: str) -> None:
        await self._database.write(
            decisions.cancel, shown.number, reason=mark, actor=f"discord:{shown.user_id}", now=utc_now()
        )


async def pay_out(database: Database, member: int, order_id: str, cents: int) -> None:
    """Let a member's friend buy, and pay the cashback."""
    bought = purchases.Purchase(order_id=order_id, buyer_id=BUYER + member, amount_cents=cents)
    await database.write(purchases.log_purchase, bought, ALL_OF_IT_PPM, utc_now())
    until = utc_now() + timedelta(hours=1)
    shown = await database.write(proposals.propose, actor="cli", now=utc_now(), expires_at=until, target_user_id=member)
    batch = shown.batch_number
    await database.write(approvals.approve, batch, actor="cli", now=utc_now())
    await database.write(runs.start, batch, now=utc_now())
    chunk = ChunkDiscovered(batch_number=batch, first_referrer_id=member, last_referrer_id=member)
    await database.write(crediting.credit_chunk, chunk, now=utc_now())
    await database.write(runs.finish, batch, now=utc_now())
