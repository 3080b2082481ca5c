"""The postman on a virtual clock: pace, retries and pauses take no time, and happen at the second."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from shutil import copyfile
from typing import Any

import anyio
import pytest
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
from cashback.domain.model import Delivery, DeliveryStatus, PayoutNotice
from tests.conftest import FRIDAY, LedgerFixture, raw, run_batches

pytestmark = pytest.mark.anyio

SENT = Delivery(status=DeliveryStatus.SENT)
RETRY = Delivery(status=DeliveryStatus.RETRY, reason="503 from Discord")
UNDELIVERABLE = Delivery(status=DeliveryStatus.UNDELIVERABLE, reason="50007 cannot message this user")
BACK_OFF = Delivery(status=DeliveryStatus.BACK_OFF, reason="opening direct messages too fast")


@pytest.fixture
def anyio_backend() -> Any:  # noqa: ANN401 -- a name with options
    """Run on trio with a clock that jumps to the next deadline when everybody waits."""
    return "trio", {"clock": MockClock(autojump_threshold=0)}


class Post:
    """A messenger whose answers are written beforehand; it keeps whom it was to write to, and when."""

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
        """Answer what is written for this person; SENT where nothing more is."""
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
    """Open a ledger whose clock is trio's."""
    path = tmp_path / "cashback.db"
    copyfile(new_ledger, path)
    start = anyio.current_time()

    def now() -> datetime:
        return FRIDAY + timedelta(seconds=anyio.current_time() - start)

    async with Database(path, clock=now, inline=True) as database:
        till = LedgerFixture(database, now)
        yield till
        assert (await till.verify()).breaches == ()


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
    """Employ a postman."""
    return OutboxDispatcher(
        office.database, post, outbox_changed or WakeUp(), per_second=per_second, retry_attempts=retries
    )


@asynccontextmanager
async def at_work(one: OutboxDispatcher) -> AsyncIterator[None]:
    """Let the postman work beside the test."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run, name="dispatcher")
        yield
        tasks.cancel_scope.cancel()


def states(office: LedgerFixture) -> list[tuple[Any, ...]]:
    """List the messages: person, state, attempts."""
    return office.rows("SELECT user_id, status, attempts FROM cashback_notifications ORDER BY user_id")


async def test_messages_keep_the_pace_that_is_asked_for(office: LedgerFixture) -> None:
    """One that is late may be followed at once by the next; more than that one is never made up for."""
    number = await paid(office, 5)
    await anyio.sleep(100)
    post = Post()
    assert await dispatcher(office, post, per_second=2).deliver_due() == 5
    assert post.sends == [(0, 1), (0, 2), (0.5, 3), (1.0, 4), (1.5, 5)]
    assert (await office.report(number)).dm_sent == 5


async def test_a_pause_earns_no_burst(office: LedgerFixture) -> None:
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


async def test_a_notice_carries_all_that_its_text_needs(office: LedgerFixture) -> None:
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


async def test_a_failed_send_is_tried_again_after_longer_and_longer_pauses(office: LedgerFixture) -> None:
    await paid(office, 1)
    post = Post({1: [RETRY, RETRY, RETRY]})
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(600)
    assert [time for time, _ in post.sends] == [0, 30, 90, 210]
    assert states(office) == [(1, "sent", 4)]
    assert [notice.attempts for notice in post.notices] == [0, 1, 2, 3]


async def test_after_its_retries_a_message_is_failed_and_never_sent_again(office: LedgerFixture) -> None:
    number = await paid(office, 1)
    post = Post({1: [RETRY] * 100})
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(86_400)
    assert len(post.sends) == 4
    assert states(office) == [(1, "failed", 4)]
    assert office.rows("SELECT last_error FROM cashback_notifications") == [("503 from Discord",)]
    report = await office.report(number)
    assert (report.dm_failed, report.users_paid, report.status) == (1, 1, "completed")


async def test_without_retries_the_first_failure_is_the_last(office: LedgerFixture) -> None:
    await paid(office, 1)
    post = Post({1: [RETRY]})
    async with at_work(dispatcher(office, post, retries=0)):
        await anyio.sleep(600)
    assert states(office) == [(1, "failed", 1)]


async def test_one_who_is_tried_again_holds_up_nobody(office: LedgerFixture) -> None:
    await paid(office, 3)
    post = Post({1: [RETRY]})
    async with at_work(dispatcher(office, post, per_second=10)):
        await anyio.sleep(29)
        assert [person for _, person in post.sends] == [1, 2, 3]
        await anyio.sleep(2)
    assert [person for _, person in post.sends] == [1, 2, 3, 1]


async def test_a_message_that_takes_its_time_holds_up_nobody_who_is_credited_meanwhile(office: LedgerFixture) -> None:
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


async def test_who_takes_no_messages_is_not_tried_again(office: LedgerFixture) -> None:
    number = await paid(office, 2)
    post = Post({1: [UNDELIVERABLE]})
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(3600)
    assert [person for _, person in post.sends] == [1, 2]
    assert states(office) == [(1, "undeliverable", 1), (2, "sent", 1)]
    assert (await office.report(number)).dm_undeliverable == 1


async def test_a_back_off_pauses_everybody_and_loses_no_message(office: LedgerFixture) -> None:
    await paid(office, 3)
    post = Post({2: [BACK_OFF]})
    async with at_work(dispatcher(office, post, per_second=10)):
        await anyio.sleep(BACK_OFF_SECONDS - 10)
        assert [person for _, person in post.sends] == [1, 2]
        await anyio.sleep(60)
    assert post.sends[2][0] >= BACK_OFF_SECONDS
    assert sorted(person for _, person in post.sends[2:]) == [2, 3]
    assert [state for _, state, _ in states(office)] == ["sent"] * 3


async def test_the_bell_wakes_the_postman_at_once(office: LedgerFixture) -> None:
    outbox_changed, post = WakeUp(), Post()
    async with at_work(dispatcher(office, post, outbox_changed=outbox_changed)):
        await anyio.sleep(7)
        await paid(office, 1, outbox_changed=outbox_changed)
        await anyio.sleep(1)
    assert post.sends == [(7, 1)]


async def test_what_another_process_has_queued_is_found_without_a_bell(office: LedgerFixture) -> None:
    post = Post()
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(1)
        await paid(office, 1)
        await anyio.sleep(POLL_SECONDS + 1)
    assert [person for _, person in post.sends] == [1]


async def test_a_restart_delivers_what_is_left_and_nothing_twice(office: LedgerFixture) -> None:
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
    """Let a postman begin and be ended as the second message is sent, or as it is answered."""
    async with anyio.create_task_group() as tasks:

        def end() -> None:
            if len(post.sends) == 2:
                tasks.cancel_scope.cancel()

        setattr(post, when, end)
        tasks.start_soon(dispatcher(office, post).run, name="dispatcher")
    setattr(post, when, None)
    post.under_way.clear()


async def test_an_end_between_sending_and_the_answer_repeats_that_one_message_only(office: LedgerFixture) -> None:
    """At least once: the one window in which a message may come twice."""
    await paid(office, 3)
    post = Post()
    await ended_at(office, post, "on_send")
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(60)
    assert [person for _, person in post.sends] == [1, 2, 2, 3]


async def test_what_was_answered_is_noted_although_the_end_was_called_for(office: LedgerFixture) -> None:
    await paid(office, 3)
    post = Post()
    await ended_at(office, post, "on_answer")
    assert [state for _, state, _ in states(office)] == ["sent", "sent", "queued"]
    async with at_work(dispatcher(office, post)):
        await anyio.sleep(60)
    assert [person for _, person in post.sends] == [1, 2, 3]


async def test_a_slow_message_holds_up_nobody_and_is_sent_once(office: LedgerFixture) -> None:
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


async def test_a_few_messages_are_under_way_at_once_and_never_more(office: LedgerFixture) -> None:
    await paid(office, 60)
    post = Post()
    post.takes_seconds = dict.fromkeys(range(1, 61), 2)
    assert await dispatcher(office, post, per_second=10).deliver_due() == 60
    assert post.most_under_way == MAX_IN_FLIGHT
    assert post.sends[-1][0] == pytest.approx((60 / MAX_IN_FLIGHT - 1) * 2, abs=1)
    assert [state for _, state, _ in states(office)] == ["sent"] * 60


async def test_a_back_off_stops_those_too_who_wait_for_their_turn(office: LedgerFixture) -> None:
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


async def test_what_was_sent_while_the_ledger_is_away_is_noted_when_it_is_back(office: LedgerFixture) -> None:
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


async def test_a_channel_is_remembered_for_the_next_message(office: LedgerFixture) -> None:
    await paid(office, 1)
    post = Post({1: [Delivery(status=DeliveryStatus.SENT, dm_channel_id=777)]})
    await dispatcher(office, post).deliver_due()
    await paid(office, 1)
    await dispatcher(office, post).deliver_due()
    assert [notice.dm_channel_id for notice in post.notices] == [None, 777]


async def test_a_ledger_that_is_away_for_a_while_ends_nothing(office: LedgerFixture) -> None:
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


async def test_hundreds_of_messages_are_all_delivered_in_the_order_of_their_queue(office: LedgerFixture) -> None:
    await paid(office, 230)
    post = Post()
    assert await dispatcher(office, post, per_second=50).deliver_due() == 230
    assert [person for _, person in post.sends] == list(range(1, 231))
    assert post.sends[-1][0] == pytest.approx(229 / 50, abs=0.05)
