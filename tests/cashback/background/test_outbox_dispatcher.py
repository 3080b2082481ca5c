"""The outbox dispatcher on a virtual clock: pace, retries and pauses take no real time, and happen at the second."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from shutil import copyfile
from typing import Any

import anyio
import pytest
from sqlalchemy import Connection
from trio.testing import MockClock

from cashback.background.outbox_dispatcher import (
    BACK_OFF_SECONDS,
    MAX_IN_FLIGHT,
    POLL_SECONDS,
    RETRY_SECONDS,
    OutboxDispatcher,
)
from cashback.background.wakeup import WakeUp
from cashback.database import Database
from cashback.database.payouts import outbox
from cashback.domain.model import Delivery, DeliveryStatus, PayoutNotice
from tests.conftest import FRIDAY, LedgerFixture, raw, run_batches

pytestmark = pytest.mark.anyio

SENT = Delivery(status=DeliveryStatus.SENT)
RETRY = Delivery(status=DeliveryStatus.RETRY, reason="503 from Discord")
UNDELIVERABLE = Delivery(status=DeliveryStatus.UNDELIVERABLE, reason="50007 cannot message this user")
OUTAGE = Delivery(status=DeliveryStatus.RETRY, reason="503 from Discord", is_outage=True)
BACK_OFF = Delivery(status=DeliveryStatus.BACK_OFF, reason="opening direct messages too fast")


@pytest.fixture
def anyio_backend() -> Any:  # noqa: ANN401 -- a name with options
    """Run on trio with a clock that jumps to the next deadline when everybody waits."""
    return "trio", {"clock": MockClock(autojump_threshold=0)}


class Post:
    """A messenger with scripted results; it records the recipients and the moments."""

    def __init__(self, answers: dict[int, list[Delivery]] | None = None) -> None:
        self._answers = answers or {}
        self.sends: list[tuple[float, int]] = []
        self.notices: list[PayoutNotice] = []
        self._start = anyio.current_time()
        self.on_send: Callable[[], None] | None = None
        self.on_answer: Callable[[], None] | None = None
        self.takes_seconds: dict[int, float] = {}
        self.under_way: list[int] = []
        self.most_under_way = 0

    async def send(self, notice: PayoutNotice) -> Delivery:
        """Return the scripted result for this person; SENT if there is none left."""
        self.sends.append((round(anyio.current_time() - self._start, 3), notice.user_id))
        self.notices.append(notice)
        if self.on_send is not None:
            self.on_send()
        await self._take_time(notice.user_id)
        if self.on_answer is not None:
            self.on_answer()
        answers = self._answers.get(notice.user_id, [])
        return answers.pop(0) if answers else SENT

    async def _take_time(self, person: int) -> None:
        """Be under way for as long as is written for this person."""
        assert person not in self.under_way
        self.under_way.append(person)
        self.most_under_way = max(self.most_under_way, len(self.under_way))
        await anyio.sleep(self.takes_seconds.get(person, 0))
        self.under_way.remove(person)


@pytest.fixture
async def office(tmp_path: Path, new_ledger: Path) -> AsyncIterator[LedgerFixture]:
    """Open a ledger on trio's clock."""
    path = tmp_path / "cashback.db"
    copyfile(new_ledger, path)
    start = anyio.current_time()

    def now() -> datetime:
        return FRIDAY + timedelta(seconds=anyio.current_time() - start)

    async with Database(path, clock=now, inline=True) as database:
        ledger = LedgerFixture(database, now)
        yield ledger
        assert (await ledger.verify()).breaches == ()


async def paid(office: LedgerFixture, people: int, *, outbox_changed: WakeUp | None = None) -> int:
    """Pay so many referrers, so that their messages are queued; return the batch's number."""
    await office.earn_all((referrer, 100) for referrer in range(1, people + 1))
    number = await office.approved()
    await run_batches(office.database, number, outbox_changed=outbox_changed)
    return number


def dispatcher(
    office: LedgerFixture,
    post: Post,
    *,
    per_second: float = 1.0,
    retries: int = 3,
    outbox_changed: WakeUp | None = None,
) -> OutboxDispatcher:
    """Create a dispatcher."""
    return OutboxDispatcher(
        office.database, post, outbox_changed or WakeUp(), per_second=per_second, retry_attempts=retries
    )


@asynccontextmanager
async def at_work(one: OutboxDispatcher) -> AsyncIterator[None]:
    """Run the dispatcher during the block."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run, name="dispatcher")
        yield
        tasks.cancel_scope.cancel()


def states(office: LedgerFixture) -> list[tuple[Any, ...]]:
    """List the messages: person, state, attempts."""
    return office.rows("SELECT user_id, status, attempts FROM cashback_notifications ORDER BY user_id")


async def test_messages_keep_the_configured_pace(office: LedgerFixture) -> None:
    """One that is late may be followed at once by the next; more than that one is never made up for."""
    number = await paid(office, 5)
    await anyio.sleep(100)
    post = Post()
    assert await dispatcher(office, post, per_second=2).deliver_due() == 5
    assert post.sends == [(0, 1), (0, 2), (0.5, 3), (1.0, 4), (1.5, 5)]
    assert (await office.report(number)).dm_sent == 5


async def test_pause_is_not_followed_by_a_burst(office: LedgerFixture) -> None:
    post = Post()
    one = dispatcher(office, post)
    await paid(office, 2)
    await one.deliver_due()
    await anyio.sleep(1000)
    await paid(office, 4)
    before = len(post.sends)
    await one.deliver_due()
    times = [time for time, _ in post.sends[before:]]
    assert max(times.count(time) for time in times) <= 2
    assert times[-1] - times[0] >= 2


async def test_notice_contains_all_fields_of_its_text(office: LedgerFixture) -> None:
    await office.earn(1, 70, 30)
    await office.pay()
    post = Post()
    await dispatcher(office, post).deliver_due()
    [notice] = post.notices
    assert (
        notice.user_id,
        notice.batch_id,
        notice.amount_cents,
        notice.referral_count,
        notice.balance_after_cents,
    ) == (
        1,
        "BATCH-20260703-150000",
        100,
        2,
        100,
    )


async def test_failed_send_is_retried_after_growing_pauses(office: LedgerFixture) -> None:
    await paid(office, 1)
    post = Post({1: [RETRY, RETRY, RETRY]})
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(600)
    assert [time for time, _ in post.sends] == [0, 30, 90, 210]
    assert states(office) == [(1, "sent", 4)]
    assert [notice.attempts for notice in post.notices] == [0, 1, 2, 3]


async def test_message_fails_permanently_after_its_retries(office: LedgerFixture) -> None:
    number = await paid(office, 1)
    post = Post({1: [RETRY] * 100})
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(86_400)
    assert len(post.sends) == 4
    assert states(office) == [(1, "failed", 4)]
    assert office.rows("SELECT last_error FROM cashback_notifications") == [("503 from Discord",)]
    report = await office.report(number)
    assert (report.dm_failed, report.users_paid, report.status) == (1, 1, "completed")


async def test_message_postponed_by_a_clock_that_was_ahead_is_sent_once_it_is_right(office: LedgerFixture) -> None:
    await paid(office, 2)
    post = Post({1: [RETRY], 2: [RETRY]})
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(5)
        with raw(office.location) as connection:
            connection.execute(
                "UPDATE cashback_notifications SET next_attempt_at ="
                " CASE user_id WHEN 1 THEN '2026-09-01 15:00:00.000000' ELSE '2026-07-03 15:45:00.000000' END"
            )
        await anyio.sleep(120)
    assert states(office) == [(1, "sent", 2), (2, "sent", 2)]


async def test_zero_retries_fail_at_the_first_attempt(office: LedgerFixture) -> None:
    await paid(office, 1)
    post = Post({1: [RETRY]})
    async with at_work(dispatcher(office, post, retries=0)):
        await anyio.sleep(600)
    assert states(office) == [(1, "failed", 1)]


async def test_retried_message_does_not_block_others(office: LedgerFixture) -> None:
    await paid(office, 3)
    post = Post({1: [RETRY]})
    async with at_work(dispatcher(office, post, per_second=10)):
        await anyio.sleep(29)
        assert [person for _, person in post.sends] == [1, 2, 3]
        await anyio.sleep(2)
    assert [person for _, person in post.sends] == [1, 2, 3, 1]


async def test_slow_message_does_not_block_new_messages(office: LedgerFixture) -> None:
    outbox_changed, post = WakeUp(), Post()
    post.takes_seconds = {1: 50}
    await paid(office, 1)
    async with at_work(dispatcher(office, post, per_second=10, outbox_changed=outbox_changed)):
        await anyio.sleep(5)
        assert post.under_way == [1]
        await office.earn_all((referrer, 100) for referrer in (2, 3))
        await run_batches(office.database, await office.approved(), outbox_changed=outbox_changed)
        await anyio.sleep(1)
        assert [(person, status) for person, status, _ in states(office)] == [(1, "queued"), (2, "sent"), (3, "sent")]
        await anyio.sleep(45)
    assert [person for _, person in post.sends] == [1, 2, 3]
    assert {status for _, status, _ in states(office)} == {"sent"}


async def test_undeliverable_message_is_not_retried(office: LedgerFixture) -> None:
    number = await paid(office, 2)
    post = Post({1: [UNDELIVERABLE]})
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(3600)
    assert [person for _, person in post.sends] == [1, 2]
    assert states(office) == [(1, "undeliverable", 1), (2, "sent", 1)]
    assert (await office.report(number)).dm_undeliverable == 1


async def test_back_off_pauses_all_and_loses_no_message(office: LedgerFixture) -> None:
    await paid(office, 3)
    post = Post({2: [BACK_OFF]})
    async with at_work(dispatcher(office, post, per_second=10)):
        await anyio.sleep(BACK_OFF_SECONDS - 10)
        assert [person for _, person in post.sends] == [1, 2]
        await anyio.sleep(60)
    assert post.sends[2][0] >= BACK_OFF_SECONDS
    assert sorted(person for _, person in post.sends[2:]) == [2, 3]
    assert [state for _, state, _ in states(office)] == ["sent"] * 3


async def test_wake_up_starts_delivery_at_once(office: LedgerFixture) -> None:
    outbox_changed, post = WakeUp(), Post()
    async with at_work(dispatcher(office, post, outbox_changed=outbox_changed)):
        await anyio.sleep(7)
        await paid(office, 1, outbox_changed=outbox_changed)
        await anyio.sleep(1)
    assert post.sends == [(7, 1)]


async def test_message_of_other_process_is_found_by_polling(office: LedgerFixture) -> None:
    post = Post()
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(1)
        await paid(office, 1)
        await anyio.sleep(POLL_SECONDS + 1)
    assert [person for _, person in post.sends] == [1]


async def test_restart_delivers_the_rest_once(office: LedgerFixture) -> None:
    await paid(office, 10)
    post = Post()
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(4.5)
    done = [person for _, person in post.sends]
    assert 0 < len(done) < 10
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(60)
    assert [person for _, person in post.sends] == list(range(1, 11))


async def ended_at(office: LedgerFixture, post: Post, when: str) -> None:
    """Run a dispatcher and cancel it as the second message is sent, or as it is answered."""
    async with anyio.create_task_group() as tasks:

        def end() -> None:
            if len(post.sends) == 2:
                tasks.cancel_scope.cancel()

        setattr(post, when, end)
        tasks.start_soon(dispatcher(office, post).run, name="dispatcher")
    setattr(post, when, None)
    post.under_way.clear()


async def test_crash_before_the_response_repeats_one_message(office: LedgerFixture) -> None:
    """At least once: the one window in which a message may come twice."""
    await paid(office, 3)
    post = Post()
    await ended_at(office, post, "on_send")
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(60)
    assert [person for _, person in post.sends] == [1, 2, 2, 3]


async def test_answered_message_is_recorded_despite_stop(office: LedgerFixture) -> None:
    await paid(office, 3)
    post = Post()
    await ended_at(office, post, "on_answer")
    assert [state for _, state, _ in states(office)] == ["sent", "sent", "queued"]
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(60)
    assert [person for _, person in post.sends] == [1, 2, 3]


async def test_slow_message_is_sent_once_and_blocks_no_other(office: LedgerFixture) -> None:
    await paid(office, 200)
    post = Post()
    post.takes_seconds = {3: 1000}
    async with at_work(dispatcher(office, post, per_second=10)):
        await anyio.sleep(21)
        assert [person for _, person in post.sends] == list(range(1, 201))
        assert [row for row in states(office) if row[1] != "sent"] == [(3, "queued", 0)]
        await anyio.sleep(1000)
    assert len(post.sends) == 200
    assert states(office)[2] == (3, "sent", 1)


async def test_messages_in_flight_are_limited(office: LedgerFixture) -> None:
    await paid(office, 60)
    post = Post()
    post.takes_seconds = dict.fromkeys(range(1, 61), 2)
    assert await dispatcher(office, post, per_second=10).deliver_due() == 60
    assert post.most_under_way == MAX_IN_FLIGHT
    assert post.sends[-1][0] == pytest.approx((60 / MAX_IN_FLIGHT - 1) * 2, abs=1)
    assert [state for _, state, _ in states(office)] == ["sent"] * 60


async def test_back_off_also_pauses_waiting_messages(office: LedgerFixture) -> None:
    """One answer comes while three others are under way and the next ones wait: nothing new goes out."""
    await paid(office, 20)
    post = Post({1: [BACK_OFF]})
    post.takes_seconds = dict.fromkeys(range(1, 21), 1)
    async with at_work(dispatcher(office, post, per_second=10)):
        await anyio.sleep(BACK_OFF_SECONDS)
        assert [person for _, person in post.sends] == [1, 2, 3, 4]
        await anyio.sleep(60)
    assert sorted(person for _, person in post.sends[4:]) == [1, *range(5, 21)]
    assert min(time for time, _ in post.sends[4:]) == 1 + BACK_OFF_SECONDS
    assert [state for _, state, _ in states(office)] == ["sent"] * 20


async def test_send_during_ledger_outage_is_recorded_afterwards(office: LedgerFixture) -> None:
    await paid(office, 2)
    post = Post()
    with raw(office.location) as connection:

        def take_away() -> None:
            connection.execute("ALTER TABLE cashback_notifications RENAME TO away")
            post.on_answer = None

        post.on_answer = take_away
        async with at_work(dispatcher(office, post)):
            await anyio.sleep(RETRY_SECONDS / 2)
            connection.execute("ALTER TABLE away RENAME TO cashback_notifications")
            await anyio.sleep(RETRY_SECONDS)
    assert [person for _, person in post.sends] == [1, 2]
    assert [state for _, state, _ in states(office)] == ["sent", "sent"]


async def test_results_that_waited_for_the_ledger_are_recorded_at_once(
    office: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await paid(office, 3 * MAX_IN_FLIGHT)
    post, recorded = Post(), list[int]()
    settle = outbox.settle

    def count(connection: Connection, settled: Sequence[outbox.Settled]) -> None:
        settle(connection, settled)
        recorded.append(len(settled))

    monkeypatch.setattr(outbox, "settle", count)
    with raw(office.location) as connection:

        def take_away() -> None:
            connection.execute("ALTER TABLE cashback_notifications RENAME TO away")
            post.on_answer = None

        post.on_answer = take_away
        async with at_work(dispatcher(office, post, per_second=10)):
            await anyio.sleep(RETRY_SECONDS / 2)
            # A sender waits for its own result: no more are in doubt than were in flight.
            assert len(post.sends) == MAX_IN_FLIGHT
            connection.execute("ALTER TABLE away RENAME TO cashback_notifications")
            await anyio.sleep(2 * RETRY_SECONDS)
    assert recorded[0] == MAX_IN_FLIGHT
    assert [person for _, person in post.sends] == list(range(1, 3 * MAX_IN_FLIGHT + 1))
    assert {state for _, state, _ in states(office)} == {"sent"}


async def test_dm_channel_is_reused_for_the_next_message(office: LedgerFixture) -> None:
    await paid(office, 1)
    post = Post({1: [Delivery(status=DeliveryStatus.SENT, dm_channel_id=777)]})
    await dispatcher(office, post).deliver_due()
    await paid(office, 1)
    await dispatcher(office, post).deliver_due()
    assert [notice.dm_channel_id for notice in post.notices] == [None, 777]


async def test_unavailable_ledger_does_not_end_delivery(office: LedgerFixture) -> None:
    await paid(office, 2)
    post = Post()
    with raw(office.location) as connection:
        connection.execute("ALTER TABLE cashback_notifications RENAME TO away")
        async with at_work(dispatcher(office, post)):
            await anyio.sleep(100)
            assert post.sends == []
            connection.execute("ALTER TABLE away RENAME TO cashback_notifications")
            await anyio.sleep(60)
    assert [person for _, person in post.sends] == [1, 2]


async def test_hundreds_of_messages_are_delivered_in_order(office: LedgerFixture) -> None:
    await paid(office, 230)
    post = Post()
    assert await dispatcher(office, post, per_second=50).deliver_due() == 230
    assert [person for _, person in post.sends] == list(range(1, 231))
    assert post.sends[-1][0] == pytest.approx(229 / 50, abs=0.05)


async def test_untried_messages_go_before_retried_ones(office: LedgerFixture) -> None:
    await paid(office, 4)
    post = Post({1: [RETRY, RETRY], 2: [RETRY, RETRY]})
    post.takes_seconds = {1: 25, 2: 25}
    outbox_changed = WakeUp()
    async with at_work(dispatcher(office, post, per_second=0.1, outbox_changed=outbox_changed)):
        await anyio.sleep(45)
        await office.earn_all((referrer, 100) for referrer in range(5, 15))
        await run_batches(office.database, await office.approved(), outbox_changed=outbox_changed)
        await anyio.sleep(300)
    order = [person for _, person in post.sends]
    assert order.index(14) < order.index(1, 1)


async def test_an_outage_of_the_service_uses_up_no_attempts(office: LedgerFixture) -> None:
    await paid(office, 2)
    post = Post({1: [OUTAGE] * 60})
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(6 * 3600)
        assert states(office) == [(1, "queued", 0), (2, "sent", 1)]
        await anyio.sleep(12 * 3600)
    assert states(office) == [(1, "sent", 1), (2, "sent", 1)]
    pauses = [later - earlier for (earlier, _), (later, _) in zip(post.sends[2:], post.sends[3:], strict=False)]
    assert max(pauses) <= 930


async def test_a_refusal_after_an_outage_has_all_its_attempts(office: LedgerFixture) -> None:
    await paid(office, 1)
    post = Post({1: [*[OUTAGE] * 10, *[RETRY] * 100]})
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(86_400)
    assert len(post.sends) == 14
    assert states(office) == [(1, "failed", 4)]
