"""A ledger moves whole or not at all, whatever ends the move, and the old one pays nothing any more."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from sqlalchemy.engine import URL

from cashback.database import Database
from cashback.database.dialect import Location, name_of
from cashback.database.errors import RowRefusedError
from cashback.database.integrity import moving, reconciliation
from cashback.database.integrity.moving import MoveRefusedError
from cashback.database.tables import metadata
from cashback.domain.errors import DatabaseUnavailableError
from tests.conftest import POSTGRESQL, SQLITE, Clock, LedgerFixture, raw, rows
from tests.postgresql import Server

pytestmark = pytest.mark.anyio

MOMENTS = ("copying", "source after commit", "target after commit")
LATE = MOMENTS.index("target after commit")

MOVER = """
import os, signal, sys
import anyio
from cashback.database import Database
from cashback.database.integrity import moving

source, target, moment = sys.argv[1:]

def end(now):
    if now == moment:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    old = Database(source, failpoint=lambda when: end(f"source {when}") if opened else None)
    new = Database(target, failpoint=lambda when: end(f"target {when}") if opened else None)
    opened = False
    async with old, new:
        opened = True
        await moving.move(old, new, lambda _rows: end("copying"))

anyio.run(main)
"""


def no_advance(_rows: int) -> None:
    """Show nothing."""


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    """Return the location of an empty target."""
    if request.param == SQLITE:
        yield tmp_path / "target.db"
        return
    server: Server = request.getfixturevalue("postgresql")
    url = server.create()
    yield url
    server.drop(url)


@pytest.fixture
async def lived(ledger: LedgerFixture) -> LedgerFixture:
    """Keep a ledger with something of most kinds in it."""
    await ledger.earn_all((10 + n % 7, 100 + n) for n in range(40))
    await ledger.pay()
    await ledger.database.log_referral_refund("order-1", 50, "refund-1", "broke")
    await ledger.database.blacklist_referral_user(12, reason="it's a — test: 100%")
    await ledger.earn(11, 900)
    return ledger


async def move(source: Location, target: Location, clock: Clock) -> moving.Move:
    async with Database(source, clock=clock) as old, Database(target, clock=clock) as new:
        return await moving.move(old, new, no_advance)


def contents(location: Location) -> dict[str, list[tuple[object, ...]]]:
    """Read all tables except the audit entry about the move."""
    found = {table: rows(location, f"SELECT * FROM {table}") for table in metadata.tables}
    found["cashback_audit_log"] = [row for row in found["cashback_audit_log"] if moving.ACTION not in row]
    return {table: sorted(found[table], key=repr) for table in found}


async def test_move_copies_every_row_and_ledger_continues(lived: LedgerFixture, target: Location, clock: Clock) -> None:
    moved = await move(lived.location, target, clock)
    assert contents(target) == contents(lived.location)
    kept = contents(lived.location).items()
    assert moved.rows == {"cashback_origin": 1} | {
        table.removeprefix("cashback_"): len(found) for table, found in kept if table != "cashback_origin"
    }
    async with Database(target, clock=clock) as new:
        there = LedgerFixture(new, clock)
        there._buyers, there._orders = 950_000, 1_000
        await there.earn(10, 500)
        report = await there.pay()
        assert report.total_cents == 500 + 900
        verdict = await there.verify()
    assert verdict.breaches == ()


async def test_moved_ledger_refuses_payments_and_writes(lived: LedgerFixture, target: Location, clock: Clock) -> None:
    """Also through a program that had it open all the time."""
    planned = await lived.propose()
    await move(lived.location, target, clock)
    before = lived.money()
    with pytest.raises(RowRefusedError, match=r"was moved to .* on 2026-07-03 at 15:00 UTC; name that one"):
        await lived.approve(planned.batch_number)
    with pytest.raises(RowRefusedError, match="was moved to "):
        await lived.propose()
    with pytest.raises(RowRefusedError, match="was moved to "):
        await lived.buy([(900_001, 5)])
    assert lived.money() == before
    assert (await lived.verify()).breaches == ()


async def test_move_killed_at_any_moment_is_done_or_repeatable(
    lived: LedgerFixture, target: Location, clock: Clock
) -> None:
    """One after the other, on the same two ledgers. Before the end nothing is there; at no moment can both pay."""
    expected = contents(lived.location)
    for place, moment in enumerate(MOMENTS):
        command = [sys.executable, "-c", MOVER, str(lived.location), name_of(target, password=True), moment]
        ended = await anyio.run_process(command, check=False, cwd=Path(__file__).parents[3])
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        closed = place >= MOMENTS.index("source after commit")
        if closed:
            with pytest.raises(RowRefusedError, match="was moved"):
                await lived.propose()
        if place < LATE:
            assert not any(found for name, found in contents(target).items() if name != "cashback_origin")
    assert contents(target) == expected
    again = await move(lived.location, target, clock)
    assert again.again
    assert contents(target) == expected
    async with Database(target, clock=clock) as new:
        assert (await new.read(reconciliation.verify)).breaches == ()


async def test_nonempty_target_is_refused_and_unchanged(lived: LedgerFixture, target: Location, clock: Clock) -> None:
    async with Database(target, clock=clock) as new:
        await new.ensure_user(7)
    before = contents(target)
    with pytest.raises(MoveRefusedError, match="is not empty: users has rows"):
        await move(lived.location, target, clock)
    assert contents(target) == before
    assert (await lived.propose()).users == 1


async def test_ledger_with_running_batch_is_not_moved(lived: LedgerFixture, target: Location, clock: Clock) -> None:
    number = await lived.approved()
    with pytest.raises(MoveRefusedError, match="is running"):
        await move(lived.location, target, clock)
    await lived.run(number)
    assert (await move(lived.location, target, clock)).rows["payout_batches"] == 2


async def test_unbalanced_ledger_is_not_moved(lived: LedgerFixture, target: Location, clock: Clock) -> None:
    lived.honest = False
    with raw(lived.location) as connection:
        connection.execute("UPDATE users SET wallet_balance_cents = wallet_balance_cents + 1 WHERE discord_id = 10")
    with pytest.raises(MoveRefusedError, match="do not balance"):
        await move(lived.location, target, clock)


@pytest.mark.about_a_file("only SQLite keeps any value in any column")
@pytest.mark.parametrize("harm", ["'a' || char(0) || 'b'", "'x' || 1.5"])
async def test_changed_value_aborts_the_move(lived: LedgerFixture, postgresql: Server, clock: Clock, harm: str) -> None:
    lived.honest = False
    column = "manually_assigned_roles" if "char" in harm else "has_client_role"
    with raw(lived.location) as connection:
        connection.execute(f"UPDATE users SET {column} = {harm} WHERE discord_id = 10")
    target = postgresql.create()
    with pytest.raises((MoveRefusedError, RowRefusedError)):
        await move(lived.location, target, clock)
    assert rows(target, "SELECT count(*) FROM users") == [(0,)]
    assert (await lived.propose()).users == 1
    postgresql.drop(target)


async def test_lost_or_changed_row_is_found(lived: LedgerFixture, target: Location, clock: Clock) -> None:
    """By a trigger of the target's that changes what was written."""
    async with Database(target, clock=clock):
        pass
    with raw(target) as connection:
        if isinstance(target, URL):
            connection.execute(
                "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN NEW.last_error := 'spoilt'; RETURN NEW; END $$"
            )
            connection.execute(
                "CREATE TRIGGER spoil BEFORE INSERT ON cashback_notifications FOR EACH ROW EXECUTE FUNCTION spoil()"
            )
        else:
            connection.execute(
                "CREATE TRIGGER spoil AFTER INSERT ON cashback_notifications"
                " BEGIN UPDATE cashback_notifications SET last_error = 'spoilt' WHERE id = NEW.id; END"
            )
    with pytest.raises(MoveRefusedError, match="differs in"):
        await move(lived.location, target, clock)
    assert rows(target, "SELECT count(*) FROM users") == [(0,)]


async def test_move_back_is_possible(lived: LedgerFixture, postgresql: Server, tmp_path: Path, clock: Clock) -> None:
    expected = contents(lived.location)
    there = postgresql.create()
    await move(lived.location, there, clock)
    await move(there, tmp_path / "back.db", clock)
    assert contents(tmp_path / "back.db") == expected
    postgresql.drop(there)


async def test_password_in_address_is_not_written_to_the_audit_log(
    lived: LedgerFixture, postgresql: Server, tmp_path: Path
) -> None:
    url = postgresql.create()
    address = url.update_query_dict({"password": "hunter2"}).render_as_string(hide_password=False)
    async with Database(address) as new:
        await moving.move(lived.database, new, no_advance)
    async with Database(address) as old, Database(tmp_path / "back.db") as back:
        await moving.move(old, back, no_advance)
    postgresql.drop(url)
    entries = str(rows(tmp_path / "back.db", "SELECT * FROM cashback_audit_log"))
    assert "password=***" in entries
    assert "hunter2" not in entries


async def test_missing_target_is_one_error_line(lived: LedgerFixture, clock: Clock) -> None:
    with pytest.raises(DatabaseUnavailableError, match="cannot be reached"):
        await move(lived.location, Database("postgresql+psycopg://me@127.0.0.1:1/x").location, clock)
