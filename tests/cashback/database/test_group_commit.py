"""Deliveries that wait for the ledger together share one commit, and none of them can spoil the others."""

from __future__ import annotations

import threading

import anyio
import pytest
from anyio import to_thread
from sqlalchemy import Connection

from cashback.database import Database
from cashback.database.errors import RowRefusedError
from cashback.database.group_commit import MOST_TOGETHER, GroupCommit
from cashback.database.shops import deliveries
from cashback.database.shops.deliveries import Incoming, Received, Recorded
from cashback.database.shops.events import DeliveryTerms, Reported
from cashback.domain.earning import ANY_TIME
from cashback.domain.errors import CashbackError, DatabaseUnavailableError
from cashback.domain.shop_events import EventKind, ShopEvent
from tests.conftest import FRIDAY, LedgerFixture, OpenDatabase

pytestmark = pytest.mark.anyio

REFERRER, MEMBER = 300000000000000003, 222222222222222222
TERMS = DeliveryTerms(currency="USD", rate_ppm=100_000, holding_days=0, unmatched_days=30, dates=ANY_TIME)


def order(number: int, *, digest: str = "a" * 64) -> Incoming:
    """Return the delivery of an order of $10.00, which earns $1.00. A digest of another length is refused."""
    paid = ShopEvent(
        kind=EventKind.PAID, order_id=str(number), amount_cents=1_000, currency="USD", buyer_id=MEMBER, at=FRIDAY
    )
    received = Received(
        shop="store",
        kind="api",
        digest=digest,
        event_id=f"event-{number}",
        topic="paid",
        events=(Reported(event=paid),),
    )
    return Incoming(received, TERMS, "shop:store", FRIDAY)


class BusyLedger:
    """Keeps the ledger busy until it is released, and collects what becomes of the deliveries that wait."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.group = GroupCommit(database, deliveries.record_all)
        self.results: dict[int, Recorded | CashbackError] = {}
        self._busy, self._free = threading.Event(), threading.Event()

    async def deliver(self, place: int, incoming: Incoming) -> None:
        """Deliver, and note the result or the error."""
        try:
            self.results[place] = await self.group.write(incoming)
        except CashbackError as error:
            self.results[place] = error

    def _hold(self, _connection: Connection) -> None:
        self._busy.set()
        self._free.wait(30)

    async def deliver_all(self, incoming: list[Incoming], *, gives_up: Incoming | None = None) -> None:
        """Deliver while the ledger is busy, so that all of these wait; return when each has its result.

        One that gives up comes first, and is cancelled while it waits.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.database.write, self._hold)
            await to_thread.run_sync(self._busy.wait, 30)
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as impatient:
                    if gives_up is not None:
                        impatient.start_soon(self.deliver, -1, gives_up)
                    await anyio.wait_all_tasks_blocked()
                    for place, one in enumerate(incoming):
                        tasks.start_soon(self.deliver, place, one)
                    await anyio.wait_all_tasks_blocked()
                    scope.cancel()
            self._free.set()

    def outcomes(self) -> list[str]:
        """Return what became of the deliveries, in the order in which they were delivered."""
        found = [self.results[place] for place in sorted(self.results)]
        return [str(one.outcome) if isinstance(one, Recorded) else type(one).__name__ for one in found]


async def counted(open_database: OpenDatabase, incoming: list[Incoming]) -> tuple[list[str], int, int]:
    """Deliver all while the ledger is busy; return what became of each, the commits, and the cents earned."""
    commits: list[str] = []
    async with open_database(failpoint=commits.append) as database:
        await database.create_referral(REFERRER, MEMBER)
        busy = BusyLedger(database)
        commits.clear()
        await busy.deliver_all(incoming)
        made = commits.count("after commit") - 1
        stats = await database.get_referral_stats(REFERRER)
    return busy.outcomes(), made, stats["total_earned_cents"]


async def test_deliveries_that_wait_together_share_one_commit(open_database: OpenDatabase) -> None:
    outcomes, commits, earned = await counted(open_database, [order(number) for number in range(20)])
    assert (outcomes, commits, earned) == (["counted"] * 20, 1, 2_000)


async def test_one_transaction_takes_a_limited_number(open_database: OpenDatabase) -> None:
    most = MOST_TOGETHER
    outcomes, commits, earned = await counted(open_database, [order(number) for number in range(2 * most + 1)])
    assert (set(outcomes), commits, earned) == ({"counted"}, 3, 100 * (2 * most + 1))


async def test_bad_delivery_changes_nothing_of_the_others(open_database: OpenDatabase) -> None:
    outcomes, _commits, earned = await counted(
        open_database, [order(1), order(2, digest="not a digest"), order(3), order(4)]
    )
    assert outcomes == ["counted", RowRefusedError.__name__, "counted", "counted"]
    assert earned == 300


async def test_same_event_twice_in_one_transaction_counts_once(open_database: OpenDatabase) -> None:
    outcomes, commits, earned = await counted(open_database, [order(1), order(1), order(2)])
    assert (outcomes, commits, earned) == (["counted", "repeated", "counted"], 1, 200)


async def test_bad_delivery_alone_is_refused_once(ledger: LedgerFixture) -> None:
    group = GroupCommit(ledger.database, deliveries.record_all)
    with pytest.raises(RowRefusedError):
        await group.write(order(1, digest="not a digest"))
    assert (await group.write(order(2))).outcome == "counted"


async def test_unusable_ledger_is_asked_once_and_refuses_all_that_wait(
    open_database: OpenDatabase,
) -> None:
    """What would have been counted is not answered so before the commit."""
    commits: list[str] = []

    def refuse(moment: str) -> None:
        commits.append(moment)
        if commits.count("before commit") == 2:
            raise DatabaseUnavailableError

    async with open_database(failpoint=refuse) as database:
        await database.create_referral(REFERRER, MEMBER)
        commits.clear()
        busy = BusyLedger(database)
        await busy.deliver_all([order(number) for number in range(3)])
        assert busy.outcomes() == [DatabaseUnavailableError.__name__] * 3
        assert commits.count("before commit") == 2
        assert (await database.get_referral_stats(REFERRER))["total_earned_cents"] == 0
        assert (await busy.group.write(order(1))).outcome == "counted"


async def test_call_that_is_cancelled_while_it_waits_leaves_the_others(open_database: OpenDatabase) -> None:
    async with open_database() as database:
        await database.create_referral(REFERRER, MEMBER)
        busy = BusyLedger(database)
        await busy.deliver_all([order(1), order(2)], gives_up=order(0))
        assert busy.outcomes() == ["counted", "counted"]
        assert (await database.get_referral_stats(REFERRER))["total_earned_cents"] == 200
