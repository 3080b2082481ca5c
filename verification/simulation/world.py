"""A world: one file, the computers that run the program on it, the wall clock, and all observations."""

import sqlite3
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, TypeVar

import anyio

from cashback.domain.calendar import Rule
from cashback.domain.errors import CashbackError, DatabaseUnavailableError
from cashback.domain.model import ChunkCredited
from cashback.services import Actor, Source
from cashback.services.schedule import schedule_of
from cashback.settings import Settings
from pipeline.runner import explain
from verification.simulation.backup import Backup
from verification.simulation.discord_model import DiscordModel
from verification.simulation.faulty_ledger import Committed, SimulatedLedger
from verification.simulation.invariants import inspect, inspect_end, undecided_slots
from verification.simulation.ledger_model import BROKEN, LedgerModel
from verification.simulation.model_updates import enter
from verification.simulation.process import GoneError, Process
from verification.simulation.process_faults import ProcessFaults
from verification.simulation.randomness import CALM, FaultRates

T = TypeVar("T")

START: Final = datetime(2026, 1, 5, tzinfo=UTC)
ADMIN_ROLE: Final = 10**17 + 77
RESTART_SECONDS: Final = 5
PATIENCE_SECONDS: Final = 20


class ViolationError(BaseException):
    """A promise was broken; the story up to here is the proof. The program under test must not handle it."""


class Clock:
    """The wall clock: it follows the virtual time, and may be set, also back."""

    def __init__(self, start: datetime) -> None:
        """Start at a moment; needs a running loop."""
        self._start = start
        self._began = anyio.current_time()
        self._offset = self._passed = timedelta()
        self.latest = start

    def __call__(self) -> datetime:
        """Return the moment."""
        moment = self._start + self._offset + timedelta(seconds=anyio.current_time() - self._began)
        self.latest = max(self.latest, moment)
        return moment

    def move(self, by: timedelta) -> None:
        """Set the clock."""
        self._offset += by

    def move_to(self, moment: datetime) -> None:
        """Let time pass until a moment; while nothing runs, or while it sleeps."""
        missing = max(moment - self(), timedelta())
        self._offset += missing
        self._passed += missing

    def seconds(self) -> float:
        """Return how many seconds the world has existed, whatever the clock shows."""
        return anyio.current_time() - self._began + self._passed.total_seconds()


@dataclass(slots=True, kw_only=True)
class Seen:
    """The figures of a world."""

    lives: int = 0
    deaths: int = 0
    commits: int = 0
    years: dict[int, Counter[str]] = field(default_factory=dict)
    """By the calendar's years: commits by their function, `credited_cents`, and `deaths`."""

    def count(self, year: int, what: str, amount: int = 1) -> None:
        """Count something in a year."""
        self.years.setdefault(year, Counter())[what] += amount


@dataclass(frozen=True, slots=True)
class End:
    """The rows of an ended world."""

    at: datetime
    paid_cents: int
    paid_elsewhere_cents: int
    carried_millionths: int
    audit_head: str | None


class World:
    """Everything of one seed."""

    def __init__(
        self,
        computers: Sequence[SimulatedLedger],
        chance: Random,
        settings: Settings,
        fault_rates: FaultRates,
        *,
        watch_closely: bool = False,
        look_after_each_life: bool = True,
        story_lines: int | None = None,
    ) -> None:
        """Create a world on `computers` with one empty ledger. With `watch_closely` it is checked after each commit.

        Otherwise it is checked after each process has ended, unless `look_after_each_life` is false: then the world's
        creator checks it. `story_lines` is how much of the story is kept, counted from its end; None for all of it.
        """
        self.chance = chance
        self.settings = settings
        self.fault_rates = fault_rates
        self.clock = Clock(START)
        self.model = LedgerModel(min_payout_cents=settings.referral_settings.min_payout_cents)
        self.discord = DiscordModel(model=self.model, seconds=self.clock.seconds)
        self._story: deque[tuple[datetime, str | Committed]] = deque(maxlen=story_lines)
        self.lives: list[Process] = []
        self.seen = Seen()
        self.end = End(START, 0, 0, 0, None)
        self._watch_closely = watch_closely
        self._look_after_each_life = look_after_each_life
        # Its name is random in each run, and the same seed must give the same story.
        self._folder = f"{computers[0].path.parent}/"
        self._rows = sqlite3.connect(computers[0].path, isolation_level=None)
        self._computers = computers
        for computer in computers:
            computer.clock, computer.witness, computer.draw_token = self.clock, self._witness, self._draw_token
        self._backup: Backup | None = None

    @property
    def rule(self) -> Rule:
        """The rule of the weekly batch."""
        rule = schedule_of(self.settings.referral_settings).rule
        assert rule is not None  # noqa: S101 -- the worlds have one
        return rule

    @property
    def minimum_cents(self) -> int:
        """The smallest withdrawal."""
        return self.settings.withdrawals.minimum_cents

    def tell(self, line: str | Committed) -> None:
        """Add a line to the story."""
        self._story.append((self.clock(), line))

    def story(self) -> list[str]:
        """Return the story as text."""
        return [f"{at:%Y-%m-%d %H:%M:%S.%f} {str(line).replace(self._folder, '')}" for at, line in self._story]

    def count_step(self) -> None:
        """Count a task's step in each process."""
        for life in self.lives:
            life.faults.count_step()

    def close(self) -> None:
        """End the world: keep what is needed afterwards, and close the checker's connection."""
        [sums] = self._rows.execute(
            """SELECT coalesce(sum(cashback_paid_cents), 0), coalesce(sum(cashback_paid_elsewhere_cents), 0),
            coalesce(sum(cashback_carry_ppm), 0), (SELECT digest FROM cashback_audit_log ORDER BY id DESC LIMIT 1)
            FROM referrals"""
        ).fetchall()
        self.end = End(self.clock(), *sums)
        self._forget_backup()
        self._rows.close()

    def execute(self, statement: str, *parameters: Any) -> None:  # noqa: ANN401 -- whatever the row holds
        """Change the file like another program."""
        self._rows.execute(statement, parameters)

    def edit_plan(self, number: int, cents: int) -> None:
        """Raise, by SQL, what a batch is to pay of each referral; or lower it again."""
        self.tell(f"somebody adds {cents} cents to each share of batch {number}")
        guard = "cashback_payout_shares_fixed"
        [(again,)] = self._rows.execute("SELECT sql FROM sqlite_master WHERE name = ?", (guard,)).fetchall()
        self.execute("BEGIN IMMEDIATE")
        self.execute(f"DROP TRIGGER {guard}")
        self.execute(
            "UPDATE cashback_payout_shares SET payable_cents = payable_cents + ? WHERE batch_number = ?", cents, number
        )
        self.execute(again)
        self.execute("COMMIT")
        self.model.edit(number, cents)

    def break_wallet(self, person: int) -> None:
        """Let a wallet refuse to be written."""
        self.tell(f"the wallet of {person} is broken")
        self.model.broken_wallet = person
        self.execute(
            "CREATE TRIGGER broken_wallet BEFORE UPDATE OF wallet_balance_cents ON users"
            f" WHEN OLD.discord_id = {person} BEGIN SELECT RAISE(ABORT, '{BROKEN}'); END"
        )

    def mend_wallet(self) -> None:
        """Mend the wallet that is broken."""
        self.tell("the broken wallet is mended")
        self.model.broken_wallet = None
        self.execute("DROP TRIGGER broken_wallet")

    def spend(self, person: int, cents: int) -> None:
        """Take money out of a wallet like another bot."""
        self.tell(f"another bot takes {cents} cents from {person}")
        self.model.move(None, person, -cents)
        self.execute("BEGIN IMMEDIATE")
        self.execute(
            "UPDATE users SET wallet_balance_cents = wallet_balance_cents - ? WHERE discord_id = ?", cents, person
        )
        self.execute(
            "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type)"
            " VALUES (?, ?, ?, 'purchase')",
            *(person, -cents, self.model.balances[person]),
        )
        self.execute("COMMIT")

    def _draw_token(self) -> str:
        """Draw a token as random as the rest of the world: the same seed gives the same."""
        return f"{self.chance.getrandbits(64):016x}"

    def back_up(self) -> None:
        """Copy the ledger. No process may run."""
        if any(batch.is_edited for batch in self.model.batches.values()):
            return
        self.tell("the ledger is backed up")
        self._forget_backup()
        self._backup = Backup.make(self._rows, self.discord)

    def restore(self) -> None:
        """Put the copy back, if there is one: Discord keeps the messages of what came after it."""
        if self._backup is not None:
            self.tell("the backup is restored")
            self.model = self._backup.restore(self._rows, self.discord)

    def _forget_backup(self) -> None:
        if self._backup is not None:
            self._backup.rows.close()

    def queued(self) -> int:
        """Count the direct messages that are still to be sent."""
        [(count,)] = self._rows.execute(
            "SELECT count(*) FROM cashback_notifications WHERE status = 'queued'"
        ).fetchall()
        return int(count)

    def undecided_slots(self) -> list[datetime]:
        """List the undecided slots that have passed."""
        return undecided_slots(self._rows, self)

    def calm_ledger(self) -> SimulatedLedger:
        """Return a ledger without faults."""
        self._computers[0].faults = ProcessFaults(self.chance, CALM, self.tell)
        return self._computers[0]

    # The checks.

    def _witness(self, done: Committed) -> None:
        self.seen.commits += 1
        year = self.clock().year
        self.seen.count(year, done.function)
        if isinstance(done.result, ChunkCredited):
            self.seen.count(year, "credited_cents", done.result.credited_cents)
        self.model.latest = self.clock.latest
        self.tell(done)
        enter(self.model, done)
        if done.function == "outbox.settle":
            beside = [life.faults for life in self.lives if life.faults is not done.by]
            for each in done.arguments["settled"]:
                self.discord.settle(each.notification_id, each.status, beside)
        if self._watch_closely:
            self.inspect()

    def inspect(self) -> None:
        """Compare the rows with the model. Raises ViolationError."""
        self.judge(
            [*self.model.found, *self.model.wallets.found, *self.discord.found, *inspect(self._rows, self.model)]
        )

    def inspect_end(self) -> None:
        """Also check for unfinished work. Raises ViolationError."""
        self.inspect()
        self.judge(list(inspect_end(self._rows, self)))

    def judge(self, found: list[str]) -> None:
        """Raise ViolationError if anything was found."""
        if found:
            for line in found:
                self.tell(f"VIOLATION: {line}")
            raise ViolationError(found[0])

    # Processes.

    async def live(self, computer: int, *, fault_rates: FaultRates) -> None:
        """Run a process once on a computer; any error is a violation, unless the ledger cannot be opened."""
        self.seen.lives += 1
        name = f"process {self.seen.lives}"
        self.tell(f"{name} starts on computer {computer}")
        faults = ProcessFaults(self.chance, fault_rates, self.tell)
        life = Process(self._computers[computer], self.settings, self.discord, self.chance, faults, self._hear)
        self.lives.append(life)
        fell: list[str] = []
        try:
            await life.run()
        except* Exception as group:  # noqa: BLE001 -- whatever error it failed with is the finding
            reason = f"{name} fell: {explain(group)}"
            self.tell(reason)
            refused_to_start = group.split(CashbackError)[1] is None and not life.was_up
            # The end of a dead process is not observable.
            fell += [] if refused_to_start or faults.is_dead else [reason]
        finally:
            self.lives.remove(life)
        self.judge(fell)
        self.seen.deaths += faults.is_dead
        self.seen.count(self.clock().year, "deaths", int(faults.is_dead))
        self.tell(f"{name} has {'died' if faults.is_dead else 'ended'}")
        if self._look_after_each_life:
            self.inspect()

    async def _hear(self, line: str) -> None:
        self.tell(f"  audit channel: {line}")

    async def keep_alive(self, computer: int, *, fault_rates: FaultRates) -> None:
        """Start the program repeatedly, until cancelled."""
        while True:
            await self.live(computer, fault_rates=fault_rates)
            await anyio.sleep(self.chance.uniform(0, RESTART_SECONDS))

    async def end_lives(self, *, gently: bool) -> None:
        """End all processes: by asking them to stop, or as if the power failed."""
        if gently:
            for life in self.lives:
                life.stop()
            await anyio.sleep(1)
        for life in self.lives:
            life.faults.die("as the power fails")

    # People.

    def admin(self, user_id: int) -> Actor:
        """Return an actor with the admin role."""
        return Actor(source=Source.DISCORD, user_id=user_id, role_ids=frozenset({ADMIN_ROLE}))

    async def ask(self, what: str, work: Callable[[Process], Awaitable[T]]) -> T | None:
        """Let a running process do something once; None if it did not, whatever the reason."""
        running = [life for life in self.lives if life.up]
        if not running:
            return None
        self.tell(what)
        try:
            return await self.chance.choice(running).ask(work)
        except (CashbackError, GoneError) as error:
            self.tell(f"  {what}: {type(error).__name__} {error}")
            return None

    async def insist(self, what: str, work: Callable[[Process], Awaitable[T]]) -> T | None:
        """Repeat an action until it is answered, like a shop."""
        while True:
            running = [life for life in self.lives if life.up]
            if running:
                self.tell(what)
                try:
                    return await self.chance.choice(running).ask(work)
                except (GoneError, DatabaseUnavailableError) as error:
                    self.tell(f"  {what}: {type(error).__name__} {error}, again")
                except CashbackError as error:
                    self.tell(f"  {what}: {error}")
                    return None
            await anyio.sleep(self.chance.uniform(0, PATIENCE_SECONDS))
