"""PostgreSQL behind PgBouncer in transaction mode: each transaction may get another of the server's connections."""

from __future__ import annotations

import anyio
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from cashback.database import Database
from cashback.domain.errors import DatabaseUnavailableError
from cashback.domain.model import BatchStatus
from tests.conftest import Clock, LedgerFixture, run_batches
from tests.pgbouncer import pooled
from tests.postgresql import Server

pytestmark = pytest.mark.anyio

PEOPLE = 6_000


@pytest.fixture
def address(postgresql: Server, new_ledger_on_server: URL) -> URL:
    return postgresql.create(new_ledger_on_server)


async def test_two_workers_behind_a_pooler_pay_six_thousand(address: URL, clock: Clock) -> None:
    with pooled(address) as through:
        async with Database(through, clock=clock) as one, Database(through, clock=clock) as other:
            ledger = LedgerFixture(one, clock)
            await ledger.earn_all((person, 100) for person in range(1, PEOPLE + 1))
            number = await ledger.approved()
            async with anyio.create_task_group() as workers:
                for database in (one, other):
                    workers.start_soon(lambda each: run_batches(each, number, chunk_size=200), database)
            report = await ledger.report(number)
            assert (report.status, report.users_paid) == (BatchStatus.COMPLETED, PEOPLE)
            assert (await ledger.verify()).breaches == ()


async def test_each_transaction_behind_a_pooler_has_its_settings(address: URL) -> None:
    def settings(connection: Connection) -> list[str]:
        names = ("TimeZone", "synchronous_commit", "transaction_isolation", "transaction_read_only")
        return [str(connection.execute(text(f"SHOW {name}")).scalar()) for name in names]

    with pooled(address) as through:
        async with Database(through) as database:
            for _ in range(5):
                assert await database.write(settings) == ["UTC", "on", "serializable", "off"]
                assert await database.read(settings) == ["UTC", "on", "repeatable read", "on"]


async def test_statements_repeated_behind_a_pooler_are_not_prepared(address: URL) -> None:
    with pooled(address) as through:
        async with Database(through) as one, Database(through) as other:
            for person in range(1, 30):
                await one.ensure_user(person)
                await other.ensure_user(person)
            assert (
                await one.read(lambda connection: connection.execute(text("SELECT count(*) FROM users")).scalar()) == 29
            )


@pytest.mark.parametrize(
    ("change", "more", "words"),
    [
        ({"database": "elsewhere"}, "", "the pooler knows"),
        ({"query": {"options": "-c jit=off"}}, "", "remove `options`"),
        ({}, "max_client_conn = 1", "too many connections"),
        ({"query": {"sslmode": "require"}}, "", "has no SSL"),
    ],
)
async def test_refusals_of_a_pooler_are_one_line_with_the_remedy(
    address: URL, change: dict[str, object], more: str, words: str
) -> None:
    async def use_two(wanted: URL) -> None:
        async with Database(wanted) as first, Database(wanted) as second:
            await first.ensure_user(1)
            await second.ensure_user(2)

    with pooled(address, more) as through, pytest.raises(DatabaseUnavailableError, match=words) as refused:
        await use_two(through.set(**change))  # type: ignore[arg-type]
    assert len(str(refused.value).splitlines()) == 1


async def test_an_address_may_say_that_nothing_is_prepared(address: URL) -> None:
    async with Database(address.update_query_dict({"prepare_threshold": "0"})) as database:
        for person in range(1, 10):
            await database.ensure_user(person)
        prepared = await database.write(
            lambda connection: connection.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar()
        )
    assert prepared == 0
