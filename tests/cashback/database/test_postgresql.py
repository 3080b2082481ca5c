"""What only a server does: transactions that meet, connections that are cut, addresses that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import anyio
import psycopg
import pytest
from sqlalchemy import Connection, exc, make_url, select, text, update
from sqlalchemy.engine import URL

from cashback.database import Database, schema
from cashback.database.errors import translated
from cashback.database.integrity import backup
from cashback.database.tables import referral_purchases as purchases
from cashback.database.tables import users
from cashback.domain.errors import DatabaseUnavailableError
from tests.conftest import REFUSED, Clock, LedgerFixture, raw, rows
from tests.postgresql import Server
from verification.testbed.databases import started_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def address(postgresql: Server, new_ledger_on_server: URL) -> URL:
    return postgresql.create(new_ledger_on_server)


def read_then_write(connection: Connection) -> None:
    """Raise a balance in the way that loses one of two, unless transactions are as if one came after the other."""
    balance = connection.scalars(select(users.c.wallet_balance_cents).where(users.c.discord_id == 1)).one()
    connection.execute(update(users).where(users.c.discord_id == 1).values(wallet_balance_cents=balance + 1))


async def test_conflicting_transaction_is_retried(address: URL) -> None:
    async with Database(address) as one, Database(address) as other:
        await one.ensure_user(1)

        async def raise_it(database: Database) -> None:
            for _ in range(15):
                await database.write(read_then_write)

        async with anyio.create_task_group() as both:
            both.start_soon(raise_it, one)
            both.start_soon(raise_it, other)
    assert rows(address, "SELECT wallet_balance_cents FROM users") == [(30,)]


async def test_connection_cut_in_transaction_is_reported_and_next_use_works(
    address: URL,
) -> None:
    def be_cut(connection: Connection) -> None:
        read_then_write(connection)
        pid = connection.scalars(text("SELECT pg_backend_pid()")).one()
        with raw(address) as server:
            server.execute("SELECT pg_terminate_backend(?)", [pid])
        connection.execute(text("SELECT 1"))

    async with Database(address) as database:
        await database.ensure_user(1)
        with pytest.raises(DatabaseUnavailableError, match="then resume"):
            await database.write(be_cut)
        assert rows(address, "SELECT wallet_balance_cents FROM users") == [(0,)]
        await database.write(read_then_write)
        with raw(address) as server:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await database.write(read_then_write)
    assert rows(address, "SELECT wallet_balance_cents FROM users") == [(2,)]


async def test_connection_cut_as_a_transaction_begins_is_reported_and_next_use_works(
    address: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Database(address) as database:
        await database.ensure_user(1)
        with monkeypatch.context() as patch:
            patch.setattr("cashback.database.dialect.SESSION", "SELECT pg_terminate_backend(pg_backend_pid())")
            for use in (database.write, database.read):
                with pytest.raises(DatabaseUnavailableError):
                    await use(read_then_write)
        await database.write(read_then_write)
    assert rows(address, "SELECT wallet_balance_cents FROM users") == [(1,)]


async def test_new_database_can_be_opened_concurrently(postgresql: Server, clock: Clock) -> None:
    address = postgresql.create()

    async def open_it() -> None:
        async with Database(address, clock=clock):
            pass

    async with anyio.create_task_group() as both:
        for _ in range(2):
            both.start_soon(open_it)
    assert rows(address, "SELECT version_num FROM cashback_alembic_version") == [(schema.NEWEST,)]
    postgresql.drop(address)


OTHER_BOT = """
CREATE TABLE users (id BIGSERIAL PRIMARY KEY, discord_id BIGINT NOT NULL UNIQUE, wallet_balance_cents BIGINT NOT NULL
    DEFAULT 0, total_lifetime_spent_cents BIGINT NOT NULL DEFAULT 0, created_at TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE referrals (id BIGSERIAL PRIMARY KEY, referrer_user_id BIGINT NOT NULL, referred_user_id BIGINT NOT NULL
    UNIQUE, referred_total_spend_cents BIGINT DEFAULT 0, cashback_earned_cents BIGINT DEFAULT 0, cashback_paid_cents
    BIGINT DEFAULT 0, is_blacklisted INTEGER DEFAULT 0, created_at TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP);
CREATE INDEX idx_referrals_referrer ON referrals (referrer_user_id);
CREATE TABLE wallet_transactions (id BIGSERIAL PRIMARY KEY, user_discord_id BIGINT NOT NULL, amount_cents BIGINT NOT
    NULL, balance_after_cents BIGINT NOT NULL, transaction_type TEXT NOT NULL, description TEXT, order_id BIGINT,
    ticket_id BIGINT, staff_discord_id BIGINT, metadata TEXT, created_at TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE announcements (id BIGSERIAL PRIMARY KEY, title TEXT);
INSERT INTO users (discord_id) VALUES (10), (11);
INSERT INTO referrals (referrer_user_id, referred_user_id, cashback_earned_cents, cashback_paid_cents)
    VALUES (10, 11, 90, NULL);
"""


async def test_tables_of_other_bot_on_a_server_are_adopted(postgresql: Server, clock: Clock) -> None:
    address = postgresql.create()
    with raw(address) as server:
        server.executescript(OTHER_BOT)
    async with Database(address, clock=clock) as database:
        ledger = LedgerFixture(database, clock)
        assert (await ledger.pay()).total_cents == 90
        assert (await ledger.verify()).breaches == ()
    indexes = {
        name for (name,) in rows(address, "SELECT indexname::text FROM pg_indexes WHERE tablename = 'referrals'")
    }
    assert "cashback_referrals_by_referrer" not in indexes
    assert {"cashback_referrals_pending", "cashback_referrals_blacklisted"} < indexes
    postgresql.drop(address)


@pytest.mark.parametrize("table", ["wallet_transactions", "cashback_payouts", "cashback_audit_log"])
def test_append_only_tables_refuse_truncate(address: URL, table: str) -> None:
    with raw(address) as server, pytest.raises(REFUSED, match="only ever added to"):
        server.execute(f"TRUNCATE {table} CASCADE")


async def test_missing_server_is_named_without_its_password() -> None:
    with pytest.raises(DatabaseUnavailableError, match="cannot be reached") as refused:
        await Database("postgresql+psycopg://me:secret@127.0.0.1:1/cashback").connect()
    assert "secret" not in str(refused.value)


async def test_missing_database_is_named(address: URL) -> None:
    with pytest.raises(DatabaseUnavailableError, match="create it first"):
        await Database(address.set(database="no_such_database")).connect()


async def test_database_without_an_encoding_is_refused_with_the_remedy(postgresql: Server) -> None:
    with psycopg.connect(postgresql.address, autocommit=True) as server:
        server.execute("CREATE DATABASE bytes_only ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
        try:
            with pytest.raises(DatabaseUnavailableError, match="SQL_ASCII, which is none; create one with"):
                await Database(make_url(postgresql.address).set(database="bytes_only")).connect()
        finally:
            server.execute("DROP DATABASE bytes_only WITH (FORCE)")


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "EUC_JP"])
async def test_database_with_few_characters_is_refused_with_the_remedy(postgresql: Server, encoding: str) -> None:
    made = f"CREATE DATABASE few_characters ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    with psycopg.connect(postgresql.address, autocommit=True) as server:
        server.execute(made.encode())
        try:
            with pytest.raises(DatabaseUnavailableError, match=f"{encoding}, which lacks characters; create one with"):
                await Database(make_url(postgresql.address).set(database="few_characters")).connect()
        finally:
            server.execute("DROP DATABASE few_characters WITH (FORCE)")


@pytest.mark.parametrize("setting", ["client_encoding = 'LATIN1'", "datestyle = 'German'", "datestyle = 'SQL, DMY'"])
async def test_settings_of_the_database_change_neither_texts_nor_moments(
    address: URL, setting: str, clock: Clock
) -> None:
    with raw(address) as server:
        server.execute(f"ALTER DATABASE {address.database} SET {setting}")
    async with Database(address, clock=clock) as database:
        await database.create_referral(1, 2)
        assert await database.log_referral_purchase(2, "order — “é” 🧾", 1_000)
        recorded_at = await database.read(lambda connection: connection.scalars(select(purchases.c.recorded_at)).one())
    assert recorded_at == clock()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("ALTER DATABASE {name} SET search_path = 'nowhere'", "has no schema that this user may use; correct its"),
        ("REVOKE ALL ON SCHEMA public FROM public", "has no schema that this user may use; correct its"),
        ("REVOKE CONNECT ON DATABASE {name} FROM public", "does not let this user connect; GRANT CONNECT"),
        ("ALTER ROLE limited NOLOGIN", "does not let this user log in"),
    ],
)
async def test_missing_right_or_schema_is_said_with_the_remedy(
    postgresql: Server, limited_user: str, change: str, words: str
) -> None:
    url = postgresql.create()
    with raw(url) as server:
        server.execute(change.format(name=url.database))
    with pytest.raises(DatabaseUnavailableError, match=words) as refused:
        await Database(url.set(username=limited_user)).connect()
    assert len(str(refused.value).splitlines()) == 1
    postgresql.drop(url)


@pytest.fixture
def limited_user(postgresql: Server) -> Iterator[str]:
    """Create a user without rights; yield the name."""
    with psycopg.connect(postgresql.address, autocommit=True) as server:
        server.execute("DROP ROLE IF EXISTS limited")
        server.execute("CREATE ROLE limited LOGIN")
    yield "limited"
    with psycopg.connect(postgresql.address, autocommit=True) as server:
        server.execute("DROP ROLE limited")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://me@no-such-host.invalid/x", "is on a server whose name is not known"),
        ("postgresql://me@127.0.0.1:1/x?foo=bar", 'does not take .invalid connection option "foo"'),
        ("postgresql://me@127.0.0.1:1/x?sslmode=bogus", 'does not take .*invalid sslmode value: "bogus"'),
        ("postgresql://me:p@sesame@127.0.0.1:1/x", "has an @ in its user or password; write %40 for it"),
    ],
)
async def test_address_that_leads_nowhere_is_said_without_its_password(address: str, words: str) -> None:
    with pytest.raises(DatabaseUnavailableError, match=words) as refused:
        await Database(address).connect()
    assert "sesame" not in str(refused.value)


async def test_server_that_is_a_standby_is_said_to_be_one(clock: Clock) -> None:
    """As after a failover to the replica: it answers questions and takes no writes."""
    with started_server(Path(mkdtemp(prefix="cashback-standby-"))) as running:
        async with Database(running.get_uri(), clock=clock) as database:
            await database.create_referral(1, 2)
        running.stop()
        signal = running.pgdata / "standby.signal"
        signal.touch()
        signal.chmod(0o666)
        running.start()
        async with Database(running.get_uri(), clock=clock) as database:
            assert await database.get_referrer_for_user(2) == 1
            with pytest.raises(DatabaseUnavailableError, match="cannot be written: the server is a standby"):
                await database.create_referral(1, 3)


async def test_statement_that_the_server_cancels_names_the_setting(address: URL) -> None:
    with raw(address) as server:
        server.execute(f"ALTER DATABASE {address.database} SET statement_timeout = '100ms'")
    with pytest.raises(DatabaseUnavailableError, match="raise statement_timeout"):
        async with Database(address) as database:
            await database.read(lambda connection: connection.execute(text("SELECT pg_sleep(20)")).scalar())


def test_backup_on_server_names_the_alternative(address: URL, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match="pg_dump"):
        backup.make(Database(address).path, tmp_path / "copy.db")


async def test_commits_are_on_disk_despite_server_setting(address: URL) -> None:
    async with Database(address) as database:
        asked = await database.write(lambda connection: connection.execute(text("SHOW synchronous_commit")).scalar())
    assert asked == "on"


async def test_read_transaction_cannot_write(address: URL) -> None:
    async with Database(address) as database:
        with pytest.raises(DatabaseUnavailableError):
            await database.read(lambda connection: connection.execute(update(users).values(wallet_balance_cents=1)))


@pytest.mark.parametrize("harm", ["its connections are cut", "the server crashes"])
async def test_batch_losing_its_server_has_whole_chunks_and_completes(
    postgresql: Server, address: URL, clock: Clock, harm: str
) -> None:
    """In the middle of the second chunk, when its rows are written and not committed."""
    chunks = [0, 0]

    def fail(moment: str) -> None:
        if not number or moment != "before commit":
            return
        chunks[0] += bool(rows(address, "SELECT 1 FROM cashback_payout_batches WHERE status = 'running'"))
        if chunks[0] == 2 and not chunks[1]:
            chunks[1] = 1
            if harm == "the server crashes":
                postgresql.crash()
                return
            with raw(address) as server:
                server.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )

    number = 0
    async with Database(address, clock=clock, failpoint=fail) as database:
        ledger = LedgerFixture(database, clock)
        await ledger.earn_all((referrer, 100 + referrer) for referrer in range(1, 8))
        number = await ledger.approved()
        cut = await ledger.run(number, chunk_size=2)
        assert chunks[1] == 1
        assert [told for told, _ in cut.interruptions] == [number]
        assert (await ledger.verify()).breaches == ()
        [(paid,)] = ledger.rows("SELECT count(*) FROM wallet_transactions")
        assert (paid % 2, paid < 7) == (0, True)
        report = (await ledger.run(number, chunk_size=2)).reports[0]
        assert (report.users_paid, report.total_cents) == (7, 728)
        assert [ledger.balance(referrer) for referrer in range(1, 8)] == [100 + referrer for referrer in range(1, 8)]
        assert ledger.rows("SELECT count(*), count(DISTINCT user_id) FROM cashback_notifications") == [(7, 7)]
        assert (await ledger.verify()).breaches == ()


async def test_address_with_the_short_name_is_accepted(address: URL) -> None:
    short = address.set(drivername="postgres").render_as_string(hide_password=False)
    async with Database(short) as database:
        await database.ensure_user(1)
    assert rows(address, "SELECT count(*) FROM users") == [(1,)]


@pytest.mark.parametrize(("query", "name"), [({}, "cashback"), ({"application_name": "mine"}, "mine")])
async def test_the_server_lists_connections_by_the_programs_name(
    address: URL, query: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGAPPNAME", raising=False)
    async with Database(address.update_query_dict(query)) as database:
        shown = await database.read(lambda connection: connection.execute(text("SHOW application_name")).scalar())
    assert shown == name


@pytest.fixture
def limited(address: URL) -> Iterator[URL]:
    """Create a user with a password and one connection; yield the address with it."""
    with raw(address) as server:
        server.execute("DROP ROLE IF EXISTS limited")
        server.execute("CREATE ROLE limited LOGIN SUPERUSER PASSWORD 'right'")
        server.execute(f"ALTER DATABASE {address.database} CONNECTION LIMIT 0")
        server.execute("ALTER ROLE limited NOSUPERUSER")
    yield address.set(username="limited", password="right")  # noqa: S106 -- of a user of this test
    with raw(address) as server:
        server.execute("DROP ROLE limited")


async def test_too_many_connections_is_said_in_one_line(limited: URL) -> None:
    with pytest.raises(DatabaseUnavailableError, match="has too many connections; end a program") as refused:
        await Database(limited).connect()
    assert len(str(refused.value).splitlines()) == 1
    assert "right" not in str(refused.value)


REFUSED_CONNECTIONS = [
    ("FATAL:  sorry, too many clients already", "too many connections"),
    ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", "too many connections"),
    ('FATAL:  too many connections for role "cashback"', "too many connections"),
    ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "a", database "b", no encryption', "sslmode=require"),
    ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "a", database "b", SSL on', "pg_hba.conf"),
    ("failed: server does not support SSL, but SSL was required", "has no SSL"),
    ('failed: root certificate file "/root.crt" does not exist', "certificate"),
    ('FATAL:  password authentication failed for user "cashback"', "refuses this user or password"),
    ("FATAL:  SASL authentication failed", "refuses this user or password"),
    ("fe_sendauth: no password supplied", "asks for a password"),
    ('FATAL:  database "cashbck" does not exist', "create it first"),
    ('FATAL:  role "nobody" does not exist', "the user does not exist"),
    ("FATAL:  the database system is starting up", "is starting"),
]


@pytest.mark.parametrize(("answer", "words"), REFUSED_CONNECTIONS)
def test_refused_connections_are_said_in_one_line(answer: str, words: str) -> None:
    error = exc.OperationalError(
        "", {}, Exception(f'connection failed: connection to server at "db", port 5432 {answer}')
    )
    line = str(translated(error, make_url("postgresql+psycopg://a:secret@db/ledger")))
    assert words in line
    assert "secret" not in line
    assert len(line.splitlines()) == 1
