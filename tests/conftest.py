"""A ledger on a real file, a clock that is moved by hand, and the fixture with which a test earns, pays and looks."""

from __future__ import annotations

import gc
import os
import re
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import anyio
import freezegun
import psycopg
import pytest
import typer.main
from sqlalchemy.engine import URL

from cashback.background.wakeup import WakeUp
from cashback.database import Database, schema
from cashback.database.dialect import Location, make_engine, name_of
from cashback.database.engine import Failpoint, no_failpoint
from cashback.database.guards import create_guards
from cashback.database.integrity import reconciliation
from cashback.database.payouts import approvals, batches, proposals
from cashback.database.referral_program import referrals
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.domain.model import BatchReport, BatchSummary, ChunkCredited
from cashback.stop_signals import stop_signals
from pipeline.messages import RunBatch
from pipeline.runner import Pipeline, Runner
from stages import make_pipeline
from tests.frozen import FrozenTime, frozen_at
from tests.postgresql import Server, server
from tests.proofs import IN_CI, LONG
from verification.testbed import databases
from verification.testbed.databases import Ground
from verification.testbed.statement_cache import compile_once
from verification.testbed.template_cache import compile_templates_once

pytest_plugins = ["tests.description"]

FRIDAY = datetime(2026, 7, 3, 15, 0, tzinfo=UTC)
FIRST_BUYER = 900_000
ALL_OF_IT_PPM = 1_000_000
A_CENTURY = timedelta(days=36_500)
"""How long an approval must last if a process with the machine's own clock pays a batch of the test's clock."""

# Files in memory are as real, and need not wait for a disk; if memory is scarce they stay on the disk.
MEMORY = Path("/dev/shm")  # noqa: S108 -- pytest makes a folder of its own in it
MEMORY_NEEDED = 4 << 30
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


compile_once()
compile_templates_once()
# Each module that is looked through for clocks to freeze; these import some more when they are looked at, which would
# keep the frozen clock for good.
freezegun.configure(extend_ignore_list=["polar", "square"])
# A process builds the commands of its command line once; here one process stands for many.
typer.main.get_command = cache(typer.main.get_command)


@pytest.fixture(autouse=True, scope="session")
def stop_signals_of_this_process() -> Iterator[None]:
    """Let children inherit neither signals that a bot blocks here, nor a Ctrl-C that a background job ignores."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stop_signals, "hold", lambda: None)
        yield


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, moment: datetime = FRIDAY) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        """Return the moment."""
        return self.moment

    def advance(self, seconds: float) -> datetime:
        """Advance, or go back, and return the moment."""
        self.moment += timedelta(seconds=seconds)
        return self.moment


class Recorder:
    """An observer that records its calls."""

    def __init__(self) -> None:
        self.chunks: list[ChunkCredited] = []
        self.reports: list[BatchReport] = []
        self.interruptions: list[tuple[int, str]] = []

    async def progressed(self, chunk: ChunkCredited) -> None:
        """Keep the chunk."""
        self.chunks.append(chunk)

    async def finished(self, report: BatchReport) -> None:
        """Keep the report."""
        self.reports.append(report)

    async def interrupted(self, batch_number: int, reason: str) -> None:
        """Keep the reason."""
        self.interruptions.append((batch_number, reason))


REFUSED: Final = (sqlite3.IntegrityError, psycopg.IntegrityError)
"""The message of a constraint or a trigger to another program."""

A_REFUSAL: Final = re.compile(
    r"(CREATE TRIGGER \w+ BEFORE .+?)(?: WHEN (.+))? BEGIN SELECT RAISE\(ABORT, '(.+)'\); END", re.DOTALL
)


class Rows:
    """A connection past the program, to either database, that takes the one kind of parameters: `?`."""

    def __init__(self, connection: sqlite3.Connection | psycopg.Connection) -> None:
        self._connection = connection

    def execute(self, query: str, parameters: Sequence[object] = ()) -> Any:  # noqa: ANN401 -- either driver's cursor
        """Execute one statement, which commits by itself."""
        if isinstance(self._connection, sqlite3.Connection):
            return self._connection.execute(query, parameters)
        if query.startswith("DROP TRIGGER") and " ON " not in query:
            of = "SELECT tgrelid::regclass FROM pg_trigger WHERE tgname = %s"
            tables = self._connection.execute(of, [query.rsplit(maxsplit=1)[-1]]).fetchall()
            if not tables and "IF EXISTS" in query:
                return None
            query = f"{query} ON {tables[0][0]}"
        spoken = A_REFUSAL.sub(_as_postgresql_refuses, query)
        return self._connection.execute(spoken.replace("%", "%%").replace("?", "%s").encode(), parameters)

    def executescript(self, script: str) -> None:
        """Execute statements without parameters, in one go, past SQLite's CHECK constraints."""
        if isinstance(self._connection, sqlite3.Connection):
            self._connection.execute("PRAGMA ignore_check_constraints = ON")
            self._connection.executescript(script)
        else:
            self._connection.execute(script.encode())


def _as_postgresql_refuses(found: re.Match[str]) -> str:
    occasion, condition, reason = found.groups()
    return f"{occasion} FOR EACH ROW WHEN ({condition or 'TRUE'}) EXECUTE FUNCTION cashback_refuse('{reason}')"


@contextmanager
def raw(location: Location) -> Iterator[Rows]:
    """Open the ledger as another program would: each statement commits by itself.

    In SQLite foreign keys are not looked at; PostgreSQL always does.
    """
    if isinstance(location, URL):
        with closing(databases.connect(location)) as connected:
            yield Rows(connected)
        return
    connection = sqlite3.connect(location, isolation_level=None, timeout=10)
    connection.row_factory = sqlite3.Row
    try:
        yield Rows(connection)
    finally:
        connection.close()


def rows(location: Location, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Read rows as another program would. A moment is the text that SQLite keeps."""
    with raw(location) as connection:
        return [tuple(map(_as_kept, row)) for row in connection.execute(query, parameters)]


def everything_in(path: Path) -> list[str]:
    """List all that a file holds, as statements."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def _as_kept(value: object) -> object:
    return f"{value:%Y-%m-%d %H:%M:%S.%f}" if isinstance(value, datetime) else value


def names_in(folder: Path) -> list[str]:
    """List what is in a folder."""
    return sorted(path.name for path in folder.iterdir())


UNGUARDED: Final[set[Location]] = set()
"""Ledgers whose guards a test has dropped. `LedgerFixture.verify` puts them back first, as a careful editor would."""


def put_guards_back(location: Location) -> None:
    """Create the triggers again that `drop_guards` removed."""
    if location in UNGUARDED:
        UNGUARDED.discard(location)
        engine = make_engine(location, writes=True)
        with engine.begin() as connection:
            create_guards(connection)
        engine.dispose()


def drop_guards(location: Location) -> None:
    """Remove the triggers, and PostgreSQL's own checks, like a tampering user."""
    UNGUARDED.add(location)
    with raw(location) as connection:
        if isinstance(location, URL):
            triggers = "SELECT 'TRIGGER', tgname, tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal"
            checks = "FROM pg_constraint WHERE contype IN ('c', 'f') AND conrelid <> 0"
            keys = f"SELECT 'CONSTRAINT', conname, conrelid::regclass {checks}"
            for what, name, table in connection.execute(f"{triggers} UNION ALL {keys}").fetchall():
                alter = f"ALTER TABLE {table} " if what == "CONSTRAINT" else ""
                on = f" ON {table}" if what == "TRIGGER" else ""
                connection.execute(f"{alter}DROP {what} {name}{on}")
            return
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")


@contextmanager
def break_writes(location: Location, table: str) -> Iterator[None]:
    """Make every change of a table's rows fail inside the block."""
    with raw(location) as connection:
        connection.execute(f"ALTER TABLE {table} RENAME TO taken_away")
        yield
        connection.execute(f"ALTER TABLE taken_away RENAME TO {table}")


def lose_index_rows(path: Path, name: str = "cashback_wallet_transactions_one_per_payout") -> None:
    """Drop rows from an index, like a disk that lost a write. The file opens, and most of it reads well."""
    with raw(path) as connection:
        [(page,)] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,))
        [(size,)] = connection.execute("PRAGMA page_size")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    empty_leaf = b"\x0a" + b"\0" * 4 + int(size).to_bytes(2, "big") + b"\0"
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(empty_leaf)


async def run_batches(
    database: Database, *numbers: int, chunk_size: int = 500, outbox_changed: WakeUp | None = None
) -> Recorder:
    """Send batches through the real runner and the real stages, one after the other, until all are done."""
    recorder = Recorder()

    def pipeline(request: RunBatch) -> Pipeline:
        return make_pipeline(
            request,
            database=database,
            observer=recorder,
            outbox_changed=outbox_changed or WakeUp(),
            chunk_size=chunk_size,
        )

    async with Runner(pipeline, recorder) as runner:
        for number in numbers:
            runner.submit(number)
        runner.close()
        with anyio.fail_after(50):
            await runner.run()
    return recorder


class LedgerFixture:
    """What a test does with a ledger. When the test is over the books must balance, unless it took `honest` away."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self.database = database
        self.clock = clock
        self.honest = True
        self._orders = 0
        self._buyers = FIRST_BUYER

    @property
    def path(self) -> Path:
        """The path of the file, for tests about a file."""
        return self.database.path

    @property
    def location(self) -> Location:
        """The location of the ledger."""
        return self.database.location

    async def earn(self, referrer_id: int, *amounts_cents: int) -> list[int]:
        """Give a referrer one new referral for each amount, with so many cents pending; return the buyers."""
        return await self.earn_all((referrer_id, amount_cents) for amount_cents in amounts_cents)

    async def earn_all(self, pairs: Iterable[tuple[int, int]]) -> list[int]:
        """Give each (referrer, cents) a new referral with so much pending; return the buyers."""
        pairs = list(pairs)
        buyers = [self._buyers + n for n in range(len(pairs))]
        self._buyers += len(pairs)
        people = [(referrer, buyer) for (referrer, _), buyer in zip(pairs, buyers, strict=True)]
        refusals = await self.database.write(referrals.create_referrals, people, self.clock())
        assert not any(refusals)
        await self.buy((buyer, cents) for buyer, (_, cents) in zip(buyers, pairs, strict=True))
        return buyers

    async def buy(self, purchases: Iterable[tuple[int, int]]) -> None:
        """Record purchases that earn the buyers' referrers so many cents more."""
        recorded = []
        for buyer_id, amount_cents in purchases:
            self._orders += 1
            recorded.append(Purchase(order_id=f"order-{self._orders}", buyer_id=buyer_id, amount_cents=amount_cents))
        await self.database.write(record_purchases, recorded, ALL_OF_IT_PPM, self.clock())

    async def propose(self, *, actor: str = "cli", target_user_id: int | None = None) -> BatchSummary:
        """Plan a batch that can be approved for two minutes."""
        now = self.clock()
        return await self.database.write(
            proposals.propose,
            actor=actor,
            now=now,
            expires_at=now + timedelta(seconds=120),
            target_user_id=target_user_id,
        )

    async def approve(self, number: int, *, actor: str = "cli", valid: timedelta = approvals.VALID) -> str:
        """Approve a batch; return its id."""
        batch_id = await self.database.write(approvals.approve, number, actor=actor, now=self.clock(), valid=valid)
        assert batch_id is not None, "another admin must approve it too"
        return batch_id

    async def approved(self, *, target_user_id: int | None = None, valid: timedelta = approvals.VALID) -> int:
        """Plan and approve a batch; return its number."""
        number = (await self.propose(target_user_id=target_user_id)).batch_number
        await self.approve(number, valid=valid)
        return number

    async def run(self, *numbers: int, chunk_size: int = 500) -> Recorder:
        """Run approved batches."""
        return await run_batches(self.database, *numbers, chunk_size=chunk_size)

    async def pay(self, *, target_user_id: int | None = None, chunk_size: int = 500) -> BatchReport:
        """Plan, approve and run a batch; return its report."""
        recorder = await self.run(await self.approved(target_user_id=target_user_id), chunk_size=chunk_size)
        assert recorder.interruptions == []
        return recorder.reports[0]

    async def report(self, number: int) -> BatchReport:
        """Read how a batch stands."""
        return await self.database.read(batches.report, number)

    async def pending(self, referrer_id: int) -> int:
        """Return what one referrer would be paid now."""
        return int((await self.database.get_pending_cashback_for_user(referrer_id))["pending_cents"])

    async def verify(self) -> reconciliation.Verdict:
        """Reconcile the books."""
        put_guards_back(self.location)
        return await self.database.read(reconciliation.verify)

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Read rows without the program."""
        return rows(self.location, query, *parameters)

    def balance(self, user_id: int) -> int:
        """Return a wallet's balance."""
        return int(self.rows("SELECT wallet_balance_cents FROM users WHERE discord_id = ?", user_id)[0][0])

    def payouts(self, number: int) -> list[tuple[Any, ...]]:
        """List a batch's payouts: referrer, status, paid cents, reason."""
        query = (
            "SELECT referrer_id, status, paid_cents, reason FROM cashback_payouts WHERE batch_number = ? ORDER"
            " BY referrer_id"
        )
        return self.rows(query, number)

    def money(self) -> dict[str, Sequence[tuple[Any, ...]]]:
        """Read all rows that a payout touches, to see whether anything moved."""
        tables = ("users", "referrals", "wallet_transactions", "cashback_payouts", "cashback_notifications")
        return {table: self.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}


@pytest.fixture
def anyio_backend() -> Any:  # noqa: ANN401 -- a name, or a name with options
    """Run on asyncio, as discord.py and aiohttp do; what is pure anyio runs on trio too."""
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    """Stand at a Friday, three in the afternoon."""
    return Clock()


@pytest.fixture
async def frozen_time(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FrozenTime]:
    """Freeze time, for everything in this process, at a Friday, three in the afternoon; docs/howto/frozen-time.md."""
    async with frozen_at(FRIDAY, monkeypatch) as frozen:
        yield frozen


SQLITE, POSTGRESQL = "sqlite", "postgresql"
ON_BOTH: Final = (
    "tests/cashback/background/test_lease",
    "tests/cashback/database/",
    "tests/cashback/events/",
    "tests/cashback/services/",
    "tests/end_to_end/test_each_command_once",
    "tests/end_to_end/test_two_bots",
    "tests/pipeline/",
    "tests/stages/",
    "tests/test_scheduler",
    "tests/test_transactions_run_twice",
    "tests/verification/crash/test_concurrent",
    "tests/verification/crash/test_crash",
    "tests/verification/crash/test_disk",
    "tests/verification/crash/test_withdrawal_queue",
    "tests/verification/crash/test_workers",
)
"""These always run on both databases; the others run on SQLite alone, unless DATABASE_URL is set: then all do."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test of the money on both databases, unless its reason names a file."""
    ours = os.environ.get("DATABASE_URL") or metafunc.definition.nodeid.startswith(ON_BOTH)
    if ours and "kind" in metafunc.fixturenames and not metafunc.definition.get_closest_marker("about_a_file"):
        metafunc.parametrize("kind", [SQLITE, POSTGRESQL], indirect=True)


OBJECTS_BETWEEN_COLLECTIONS: Final = 5_000

NEVER_WAIT: Final = ("tests/verification/simulation/test_seeds", "tests/cashback/database/test_rules_of_the_money")
"""These keep cores busy for the longest."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Omit trio on PostgreSQL: its driver waits in threads, which are the same for either loop.

    Tests that never wait come first: the bot's tests, which wait now and then, run in parallel, and no core is idle at
    the end.
    """
    left_out = [item for item in items if {"trio", POSTGRESQL} <= _parameters(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    for item in items:
        if item.nodeid.startswith((*LONG, *IN_CI)) or POSTGRESQL in _parameters(item):
            item.add_marker("proof")
        if item.nodeid.startswith(IN_CI) and POSTGRESQL not in _parameters(item):
            item.add_marker("ci")
        if getattr(getattr(item, "function", None), "is_hypothesis_test", False):
            item.add_marker("property")
    items.sort(key=lambda item: not item.nodeid.startswith(NEVER_WAIT))


def pytest_collection_finish() -> None:
    """Let the collector leave alone what was imported and collected, and come less often: it took a fourteenth."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)


def _parameters(item: pytest.Item) -> set[object]:
    """List the test's parameters that are names: what a fixture or a mark draws from a list."""
    drawn = getattr(item, "callspec", None)
    return {value for value in drawn.params.values() if isinstance(value, str)} if drawn else set()


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """Return the database of the test."""
    return str(getattr(request, "param", SQLITE))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """Start a PostgreSQL server once, or use the one that DATABASE_URL names."""
    with server() as running:
        yield running


def _create(location: Location) -> None:
    """Create a ledger without an event loop: the first caller may be in one already."""
    engine = make_engine(location, writes=True)
    with engine.begin() as connection:
        schema.upgrade(connection, name_of(location), FRIDAY)
    engine.dispose()


@pytest.fixture
def ground(kind: str, request: pytest.FixtureRequest) -> Ground:
    """Return the ground for processes under test to keep their ledgers, on the test's database."""
    if kind == SQLITE:
        return databases.Files()
    running: Server = request.getfixturevalue("postgresql")
    return databases.Server(running.address)


@pytest.fixture(scope="session")
def new_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a new ledger once; each test gets its own copy of the file."""
    path = tmp_path_factory.mktemp("ledger") / "new.db"
    _create(path)
    return path


@pytest.fixture(scope="session")
def new_ledger_on_server(postgresql: Server) -> Iterator[URL]:
    """Make a new ledger once on the server; each test gets its own copy."""
    url = postgresql.create()
    _create(url)
    yield url
    postgresql.drop(url)


@pytest.fixture
def location(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Location]:
    """Create an unused ledger on the test's database; return its location."""
    if kind == SQLITE:
        path = tmp_path / "cashback.db"
        shutil.copyfile(request.getfixturevalue("new_ledger"), path)
        yield path
        return
    running: Server = request.getfixturevalue("postgresql")
    url = running.create(request.getfixturevalue("new_ledger_on_server"))
    yield url
    running.drop(url)


OpenDatabase = Callable[..., Database]


@pytest.fixture
def open_database(location: Location, clock: Clock) -> OpenDatabase:
    """Return a maker of ledgers, all on one file or server; each is still to be connected."""

    def make(*, inline: bool = False, failpoint: Failpoint = no_failpoint) -> Database:
        return Database(location, clock=clock, inline=inline, failpoint=failpoint)

    return make


@pytest.fixture
async def database(open_database: OpenDatabase) -> AsyncIterator[Database]:
    """Open a new ledger."""
    async with open_database() as opened:
        yield opened


@pytest.fixture
async def ledger(database: Database, clock: Clock) -> AsyncIterator[LedgerFixture]:
    """Open a ledger fixture on a new ledger, and see at the end that the books balance."""
    opened = LedgerFixture(database, clock)
    yield opened
    if opened.honest:
        assert (await opened.verify()).breaches == ()
