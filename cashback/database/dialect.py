"""All differences between SQLite and PostgreSQL: connections, triggers, some SQL, and the meaning of errors.

The rest of this package is one set of SQLAlchemy statements for both. SQLite runs in WAL mode: readers see the last
commit and never wait for the writer; writers wait for each other in `BEGIN IMMEDIATE`, up to the busy timeout. On
PostgreSQL a writer's transaction is SERIALIZABLE and is retried after a conflict (docs/decisions has the why).
"""

import random
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    Row,
    Table,
    create_engine,
    dialects,
    event,
    exc,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import functions
from sqlalchemy.sql.compiler import DDLCompiler, SQLCompiler
from sqlalchemy.sql.elements import Over

from cashback.database import temporary_files
from cashback.domain.errors import DatabaseUnavailableError
from cashback.domain.extras import Library

Location = Path | URL
"""An SQLite file, or the address of a PostgreSQL database."""

READERS: Final = 4
BUSY_TIMEOUT_SECONDS: Final = 30
WAL_RETRY_SECONDS: Final = 0.01
IS_A_LEDGER: Final = "SELECT 1 FROM sqlite_master WHERE name = 'cashback_origin'"
"""A file that is not a ledger yet keeps its journal mode: a failed adoption leaves it unchanged."""

FOR_ALL: Final = ("synchronous=FULL", "foreign_keys=ON")
FOR_THE_WRITER: Final = ("cache_size=-32768", "temp_store=MEMORY", "wal_autocheckpoint=32768")
FOR_READERS: Final = ("cache_size=-2048", "temp_store=FILE")
"""Pragmas. A reader caches little, and large sorts or joins go into a temporary file.

In a ledger that has grown, a chunk changes pages all over the file. The writer caches those of one transaction, and
copies them from the log into the file once for many: 128 MB of log, where SQLite's default is 4.
"""

SESSION: Final = "; ".join(
    f"SET LOCAL {setting}"
    for setting in (
        "timezone = 'UTC'",
        "datestyle = 'ISO'",
        "synchronous_commit = on",
        f"lock_timeout = '{BUSY_TIMEOUT_SECONDS}s'",
        f"idle_in_transaction_session_timeout = '{2 * BUSY_TIMEOUT_SECONDS}s'",
    )
)
"""Settings of each PostgreSQL transaction. A pooler such as PgBouncer may serve each by another connection, and refuses
settings at the connection's start.

Moments are read in UTC, and in the only style that the driver reads. Commits are on disk, even if the server's own
setting would lose the last ones in a crash. The timeouts limit the wait for a lock, and for a frozen holder.
"""

APPLICATION_NAME: Final = "cashback"
"""What the server lists a connection under, unless the address or PGAPPNAME says otherwise."""

ENCODING: Final = "UTF8"
"""Names, orders and sentences need all characters, which no other encoding of PostgreSQL's has."""

NO_ENCODING: Final = "SQL_ASCII"

PREPARE_THRESHOLD: Final = "prepare_threshold"
"""In an address it means that statements must not be prepared; other programs need it for poolers."""

MET_ANOTHER: Final = ("40001", "40P01")
"""SQLSTATEs of a transaction that conflicted with another one and did nothing: it is retried."""

PERHAPS_MET_ANOTHER: Final = ("23505", "42P07")
"""A key, or a table, that did not exist when it was checked: after a retry, the transaction sees its creator's row."""

ATTEMPTS: Final = 40
_SECRET_PARAMETER: Final = re.compile(r"([?&](?:password|sslpassword|oauth_client_secret)=)[^&]*", re.IGNORECASE)
LONGEST_PAUSE_SECONDS: Final = 0.5
_RAISED: Final = re.compile(r"RAISE\(ABORT, '((?:[^']|'')*)'\)")


def located(location: str | Location) -> Location:
    """Parse a path, `sqlite:path`, or `postgresql+psycopg://user@host/name`. Raises DatabaseUnavailableError."""
    said = name_of(location, password=True) if isinstance(location, URL) else str(location)
    for prefix in ("sqlite+pysqlite:///", "sqlite:///"):
        if said.startswith(prefix):
            return Path(said.removeprefix(prefix))
    if "://" not in said:
        return Path(said.removeprefix("sqlite:"))
    kind = said.split("://", 1)[0]
    if kind not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise DatabaseUnavailableError(
            f"Database {kind}://… is of a kind that this program does not know; give a file's path, or an address of"
            " the form postgresql+psycopg://user@host/name."
        )
    try:
        address = make_url(said).set(drivername="postgresql+psycopg")
    except (exc.ArgumentError, ValueError) as error:
        raise DatabaseUnavailableError(
            f"Database {kind}://… is not an address; it has the form postgresql+psycopg://user@host:5432/name."
        ) from error
    if "@" in (address.host or ""):
        # What comes after the first @ of such a password would be shown as the host's name.
        raise DatabaseUnavailableError(f"Database {kind}://… has an @ in its user or password; write %40 for it.")
    return address


def name_of(location: Location, *, password: bool = False) -> str:
    """Return a database's name for people, without its password, which may also stand in the query of an address."""
    name = str(location) if isinstance(location, Path) else location.render_as_string(hide_password=not password)
    return name if password else _SECRET_PARAMETER.sub(r"\1***", name)


def make_engine(location: Location, *, writes: bool) -> Engine:
    """Return the engine of the one writer, or of the parallel readers; nothing is opened yet."""
    return _sqlite(location, writes=writes) if isinstance(location, Path) else _postgresql(location, writes=writes)


def _sqlite(path: Path, *, writes: bool) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=1 if writes else READERS,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_SECONDS},
    )
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        # The driver must not begin transactions on its own: this module defines how each begins.
        connection.isolation_level = None
        cursor = connection.cursor()
        if cursor.execute(IS_A_LEDGER).fetchone():
            _use_wal(cursor)
        for pragma in (*FOR_ALL, *(FOR_THE_WRITER if writes else FOR_READERS), *temporary_files.pragmas()):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        # Directly to the driver: SQLAlchemy's overhead exceeds the work of this statement.
        connection.connection.cursor().execute(begin)

    return engine


def _use_wal(cursor: DBAPICursor) -> None:
    """Put a file into WAL mode, permanently. If others do the same, SQLite reports "locked" at once: we try again."""
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(WAL_RETRY_SECONDS)
        else:
            return


def _postgresql(url: URL, *, writes: bool) -> Engine:
    try:
        engine = create_engine(
            url.difference_update_query([PREPARE_THRESHOLD]),
            poolclass=QueuePool,
            pool_size=1 if writes else READERS,
            max_overflow=0,
            # A connection that was cut while idle is replaced before use.
            pool_pre_ping=True,
            isolation_level="SERIALIZABLE" if writes else "REPEATABLE READ",
            # The driver forgets how many rows an INSERT … SELECT made, unless it is read at once.
            execution_options={"preserve_rowcount": True},
            connect_args={
                "fallback_application_name": APPLICATION_NAME,
                "connect_timeout": BUSY_TIMEOUT_SECONDS,
                "client_encoding": ENCODING,
            },
        )
    except ModuleNotFoundError as error:
        raise DatabaseUnavailableError(str(Library.POSTGRESQL.missing())) from error

    # Before SQLAlchemy's own first question, of which it cannot read the answer otherwise.
    @event.listens_for(engine, "first_connect", insert=True)
    def require_encoding(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != ENCODING:
            fault = "is none" if encoding == NO_ENCODING else "lacks characters"
            raise DatabaseUnavailableError(
                f"Database {name_of(url)} has the encoding {encoding}, which {fault}; create one with"
                f" `CREATE DATABASE name ENCODING '{ENCODING}' TEMPLATE template0`."
            )

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        connection.read_only = not writes
        if PREPARE_THRESHOLD in url.query or _is_pooled(connection):
            # A prepared statement belongs to one of the pooler's connections, and the next transaction may get another.
            connection.prepare_threshold = None

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        # Before anything that takes a snapshot. If the connection is cut just now, SQLAlchemy's error says so.
        connection.exec_driver_sql(SESSION)

    return engine


def _is_pooled(connection: DBAPIConnection) -> bool:
    """Return whether a pooler is between: it makes up the process number that the server would give."""
    cursor = connection.cursor()
    cursor.execute("SELECT pg_backend_pid()")
    row = cursor.fetchone()
    cursor.close()
    connection.rollback()
    return row is not None and row[0] != connection.info.backend_pid


class Patience:
    """Decides whether a failed transaction is retried, after a pause that grows."""

    def __init__(self) -> None:
        self._met = self._perhaps_met = 0

    def again(self, error: exc.DBAPIError) -> bool:
        """Return whether the error is a conflict with another transaction.

        The pause is random, so that the two separate.
        """
        state = sqlstate(error)
        self._met += state in MET_ANOTHER
        self._perhaps_met += state in PERHAPS_MET_ANOTHER
        if state in PERHAPS_MET_ANOTHER:
            return self._perhaps_met == 1
        if state not in MET_ANOTHER or self._met >= ATTEMPTS:
            return False
        longest = min(LONGEST_PAUSE_SECONDS, 0.002 * 2**self._met)
        time.sleep(random.uniform(0, longest))  # noqa: S311 -- a pause is no secret
        return True


def sqlstate(error: Exception) -> str | None:
    """Return PostgreSQL's five-character error code; None for SQLite."""
    return getattr(getattr(error, "orig", None), "sqlstate", None)


def insert_unless_there(connection: Connection, table: Table) -> Any:  # noqa: ANN401 -- either dialect's own Insert
    """Begin an INSERT that ignores rows whose key already exists."""
    return _insert_unless_there(connection.dialect.name, table)


@cache
def _insert_unless_there(dialect_name: str, table: Table) -> Any:  # noqa: ANN401 -- as above
    return _own_insert(dialect_name, table).on_conflict_do_nothing()


def insert_or_replace(connection: Connection, table: Table, **values: Any) -> Any:  # noqa: ANN401 -- as above
    """Begin an INSERT of one row that replaces a row with the same key."""
    statement = _own_insert(connection.dialect.name, table).values(**values)
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=values)


def _own_insert(dialect_name: str, table: Table) -> Any:  # noqa: ANN401 -- as above
    if dialect_name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 -- SQLite's users do not wait for it

    return postgresql.insert(table)


def create_temporary(connection: Connection, table: Table) -> None:
    """Create a temporary table, unless this connection has it. A pooler may give each transaction another one.

    On PostgreSQL it is emptied at the end of each transaction.
    """
    connection.exec_driver_sql(_creation(table, connection.dialect.name))


@cache
def _creation(table: Table, dialect_name: str) -> str:
    compiled = CreateTable(table, if_not_exists=True).compile(dialect=dialects.registry.load(dialect_name)())
    # As an option of the table, this would import PostgreSQL's dialect everywhere: 2 MB.
    return f"{compiled} {'' if dialect_name == 'sqlite' else 'ON COMMIT DELETE ROWS'}"


def next_in_line(connection: Connection, column: Column[int]) -> dict[str, int]:
    """Return the number after the highest, if the database's own numbering leaves gaps after a rollback.

    SQLite's does not, and it also detects that the last row was removed: for it the result is empty.
    """
    if connection.dialect.name == "sqlite":
        return {}
    return {column.name: connection.scalars(select(func.coalesce(func.max(column), 0) + 1)).one()}


def hold(connection: Connection, tables: Sequence[Table]) -> None:
    """Lock these tables against other writers until the transaction ends. It must be the transaction's first statement.

    It then sees all earlier commits. In SQLite the writer is alone anyway. PostgreSQL lets such a transaction stay idle
    while the other database commits.
    """
    if connection.dialect.name == "sqlite":
        return
    quoted = connection.dialect.identifier_preparer.format_table
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
    connection.exec_driver_sql(f"LOCK TABLE {', '.join(map(quoted, tables))} IN SHARE ROW EXCLUSIVE MODE")


def number_on(connection: Connection, table: Table) -> None:
    """Make a table's next rows continue after imported numbers; SQLite does so by itself."""
    column = table.autoincrement_column
    if connection.dialect.name == "sqlite" or column is None:
        return
    last = select(func.max(column)).scalar_subquery()
    connection.execute(select(func.setval(func.pg_get_serial_sequence(table.name, column.name), last)))


def create_refusal(connection: Connection, name: str, occasion: str, refusal: str) -> None:
    """Create a trigger, unless it is there, that refuses on an occasion such as `DELETE ON t WHEN OLD.x = 1`.

    A condition may ask other tables: `(SELECT …)`.
    """
    if connection.dialect.name == "sqlite":
        text_of_it = _sqlite_refusal(name, occasion, refusal)
        connection.exec_driver_sql(text_of_it.replace("CREATE TRIGGER", "CREATE TRIGGER IF NOT EXISTS", 1))
        return
    for statement in _postgresql_refusal(name, occasion, refusal):
        connection.execute(text(statement))


def _sqlite_refusal(name: str, occasion: str, refusal: str) -> str:
    # The standard's syntax is newer than some SQLite versions in use.
    condition = occasion.replace("IS DISTINCT FROM", "IS NOT")
    refusal = refusal.replace("'", "''")
    return f"CREATE TRIGGER {name} BEFORE {condition} BEGIN SELECT RAISE(ABORT, '{refusal}'); END"


RAISE: Final = "RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'check_violation';"


def _postgresql_refusal(name: str, occasion: str, refusal: str) -> list[str]:
    what, _, when = occasion.partition(" WHEN ")
    # SQLAlchemy would take `:name` for a parameter.
    refusal = refusal.replace("'", "''").replace(":", r"\:")
    statements = [
        f"CREATE OR REPLACE FUNCTION cashback_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {RAISE} END $$"
    ]
    trigger = f"CREATE OR REPLACE TRIGGER {name} BEFORE {what} FOR EACH ROW"
    if "(SELECT" in when:
        # A trigger's WHEN may not ask other tables here, a function may.
        row = "OLD" if what.startswith("DELETE") else "NEW"
        statements += [
            (
                f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN IF {when} THEN {RAISE} END IF; RETURN {row}; END $$"
            ),
            f"{trigger} EXECUTE FUNCTION {name}('{refusal}')",
        ]
    else:
        condition = f" WHEN ({when})" if when else ""
        statements.append(f"{trigger}{condition} EXECUTE FUNCTION cashback_refuse('{refusal}')")
    if what.startswith("DELETE"):
        # TRUNCATE fires no row triggers.
        emptied = what.replace("DELETE", "TRUNCATE")
        statements.append(
            f"CREATE OR REPLACE TRIGGER {name}_all BEFORE {emptied} EXECUTE FUNCTION cashback_refuse('{refusal}')"
        )
    return statements


def missing_refusals(connection: Connection, wanted: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Name each trigger, given by its name with occasion and refusal, that is not there as `create_refusal` made it.

    Of PostgreSQL's the condition is not compared: the server writes it in its own words.
    """
    if connection.dialect.name == "sqlite":
        query = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        made = {row.name: row.sql for row in connection.execute(query)}
        yield from (name for name, what in wanted.items() if made.get(name) != _sqlite_refusal(name, *what))
        return
    query = text(
        "SELECT t.tgname, pg_get_triggerdef(t.oid) AS made, t.tgenabled::text AS enabled, f.prosrc FROM pg_trigger t"
        " JOIN pg_proc f ON f.oid = t.tgfoid WHERE NOT t.tgisinternal"
    )
    there = {row.tgname: row for row in connection.execute(query)}
    yield from (name for name, (_, refusal) in wanted.items() if not _refuses(there.get(name), refusal))


def _refuses(trigger: Row[Any] | None, refusal: str) -> bool:
    """Return whether a trigger of PostgreSQL's is enabled and refuses with this text."""
    if trigger is None or trigger.enabled != "O" or "('{}')".format(refusal.replace("'", "''")) not in trigger.made:
        return False
    return "RAISE EXCEPTION '%', TG_ARGV[0]" in trigger.prosrc


def refusal_of(connection: Connection, name: str) -> str | None:
    """Return the text with which a trigger made by `create_refusal` refuses; None if there is no such trigger."""
    if connection.dialect.name == "sqlite":
        query = text("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = :name")
        statement = connection.scalars(query, {"name": name}).one_or_none()
        found = _RAISED.search(statement or "")
        return found[1].replace("''", "'") if found else None
    query = text("SELECT tgargs FROM pg_trigger WHERE tgname = :name AND NOT tgisinternal LIMIT 1")
    arguments = connection.scalars(query, {"name": name}).one_or_none()
    return None if arguments is None else bytes(arguments).split(b"\0")[0].decode()


def lift_refusal(connection: Connection, name: str, occasion: str) -> None:
    """Drop a trigger that `create_refusal` made, if it is there."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
        return
    table = occasion.partition(" WHEN ")[0].rpartition(" ON ")[2]
    if connection.scalar(select(func.to_regclass(table))) is not None:
        for each in (name, f"{name}_all"):
            connection.execute(text(f"DROP TRIGGER IF EXISTS {each} ON {table}"))


def goes_on_beside_others(connection: Connection) -> bool:
    """Begin a transaction that locks its rows only; False if a writer is alone anyway, as in SQLite.

    It must come first in the transaction. Each of its statements sees one snapshot, and a row that was changed since
    causes a retry; SERIALIZABLE would also abort on rows that merely share a page with another's.
    """
    if connection.dialect.name == "sqlite":
        return False
    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    return True


def damages(connection: Connection, *, shown: int) -> Sequence[str]:
    """List the damages that SQLite finds in its file.

    PostgreSQL checks its own pages, by checksums, as it reads them.
    """
    if connection.dialect.name != "sqlite":
        return []
    found = connection.exec_driver_sql(f"PRAGMA integrity_check({shown})").scalars()
    return [" ".join(line.split()) for line in found if line != "ok"]


class json_values(functions.GenericFunction[str]):  # noqa: N801 -- the name of a function in SQL
    """The members of a JSON list, a row each, in the column `value`."""

    inherit_cache = True


@compiles(json_values, "sqlite")
def _json_each(element: json_values, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401 -- SQLAlchemy's own
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(json_values, "postgresql")
def _json_array_elements(element: json_values, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401 -- as above
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **kw)} AS JSON))"


class is_whole(functions.GenericFunction[bool]):  # noqa: N801 -- as above
    """Whether a value is an integer; SQLite keeps text and fractions in columns of integers too."""

    type = Boolean()
    inherit_cache = True


@compiles(is_whole, "sqlite")
def _typeof(element: is_whole, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401 -- as above
    return f"(typeof({compiler.process(element.clauses, **kw)}) = 'integer')"


@compiles(is_whole, "postgresql")
def _is_not_null(element: is_whole, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401 -- as above
    return f"(({compiler.process(element.clauses, **kw)}) IS NOT NULL)"


LARGEST_SUM: Final = 2**63 - 1
IS_BOUND: Final = ContextVar("is_bound", default=False)
"""Whether sums that do not fit 64 bits become the nearest number that fits, in statements compiled now."""


@compiles(functions.sum, "postgresql")
def _whole_sum(element: functions.sum[Any], compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401 -- as above
    """Keep a sum an integer.

    PostgreSQL makes a numeric of it, which divides into fractions. All of ours fit 64 bits.
    """
    in_window = kw.pop("in_window", False)
    summed = compiler.visit_function(element, **kw)
    return summed if in_window else _as_bigint(summed)


@compiles(Over, "postgresql")
def _whole_window(element: Over[Any], compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401 -- as above
    is_sum = isinstance(element.element, functions.sum)
    told: str = compiler.visit_over(element, **kw, **({"in_window": True} if is_sum else {}))  # type: ignore[no-untyped-call]
    return _as_bigint(told) if is_sum else told


def _as_bigint(summed: str) -> str:
    if not IS_BOUND.get():
        return f"CAST({summed} AS BIGINT)"
    return (
        f"CAST(CASE WHEN {summed} > {LARGEST_SUM} THEN {LARGEST_SUM} WHEN {summed} < -{LARGEST_SUM} THEN -{LARGEST_SUM}"
        f" ELSE {summed} END AS BIGINT)"
    )


@compiles(CreateIndex, "postgresql")
def _with_condition(element: CreateIndex, compiler: DDLCompiler, **kw: Any) -> str:  # noqa: ANN401 -- as above
    """Give a partial index its condition, which is declared for SQLite."""
    options = element.element.dialect_options
    if options["postgresql"]["where"] is None:
        options["postgresql"]["where"] = options["sqlite"]["where"]
    told: str = compiler.visit_create_index(element, **kw)  # type: ignore[no-untyped-call]
    return told
