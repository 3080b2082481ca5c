"""A moved ledger takes no change, whichever way it comes; the refusal names the new ledger and the moment."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest
from sqlalchemy.engine import URL

import bot
from cashback.database import Database, closed_ledger
from cashback.database.dialect import Location, name_of
from cashback.database.errors import LedgerMovedError
from cashback.database.integrity import moving
from cashback.database.integrity.moving import MoveRefusedError
from cashback.database.referral_program.purchases import Purchase
from cashback.database.tables import metadata
from cashback.settings import Settings
from cli import worker
from tests.cashback.database import apex_core
from tests.conftest import REFUSED, Clock, LedgerFixture, raw, rows
from tests.postgresql import Server

pytestmark = pytest.mark.anyio

REFERRER, BUYER, NEWCOMER = 10, 900_000, 77
NEW = "it's : 100% new.db"
CHANGES: dict[str, Callable[[Database], Awaitable[object]]] = {
    "ensure_user": lambda ledger: ledger.ensure_user(NEWCOMER),
    "create_referral": lambda ledger: ledger.create_referral(REFERRER, NEWCOMER),
    "log_referral_purchase": lambda ledger: ledger.log_referral_purchase(BUYER, "o-1", 500),
    "record_purchases": lambda ledger: ledger.record_purchases([Purchase("o-1", BUYER, 500)]),
    "log_referral_refund": lambda ledger: ledger.log_referral_refund("order-1", 5),
    "blacklist_referral_user": lambda ledger: ledger.blacklist_referral_user(REFERRER),
    "mark_cashback_paid": lambda ledger: ledger.mark_cashback_paid(REFERRER, 100),
    "share": lambda ledger: ledger.share("another bot"),
}
"""Every coroutine of `Database` that changes something."""


def no_advance(_rows: int) -> None:
    """Show nothing."""


async def move(source: Database, target: Location, clock: Clock, *, stop_other_bot: bool = False) -> moving.Move:
    async with Database(target, clock=clock) as new:
        return await moving.move(source, new, no_advance, stop_other_bot=stop_other_bot)


@pytest.fixture
async def moved(ledger: LedgerFixture, tmp_path: Path, clock: Clock) -> LedgerFixture:
    """Pay a part, and move the ledger while this program has it open."""
    await ledger.earn(REFERRER, 100)
    await ledger.pay()
    await ledger.earn(REFERRER, 200)
    await move(ledger.database, tmp_path / NEW, clock)
    return ledger


def test_every_changing_coroutine_has_a_case() -> None:
    coroutines = {name for name, each in vars(Database).items() if inspect.iscoroutinefunction(each)}
    reads = {name for name in coroutines if name.startswith("get_")}
    assert coroutines - reads - {"connect", "close", "write", "read", "__aenter__", "__aexit__"} == set(CHANGES)


@pytest.mark.parametrize("name", CHANGES)
async def test_coroutine_is_refused_by_a_moved_ledger(moved: LedgerFixture, tmp_path: Path, name: str) -> None:
    before = moved.money()
    new = f"This ledger was moved to {tmp_path / NEW} on 2026-07-03 at 15:00 UTC; name that one."
    with pytest.raises(LedgerMovedError) as refused:
        await CHANGES[name](moved.database)
    assert str(refused.value) == new
    assert moved.money() == before
    assert await moved.pending(REFERRER) == 200


async def test_bot_and_worker_do_not_start_on_a_moved_ledger(moved: LedgerFixture) -> None:
    address = name_of(moved.location, password=True)
    loaded = Settings.model_validate({"database": address, "discord_token": "none", "role_ids": {"admin": 1}})
    for start in (partial(bot.serve, loaded, moved.database, anyio.Event()), partial(worker.work_until_signal, loaded)):
        with anyio.fail_after(20), pytest.raises(LedgerMovedError):
            await start()


async def test_every_table_refuses_changes_by_every_program(moved: LedgerFixture, subtests: pytest.Subtests) -> None:
    with raw(moved.location) as connection:
        for name, table in metadata.tables.items():
            column = next(iter(table.c)).name
            changes = [f"INSERT INTO {name} DEFAULT VALUES"]
            if connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]:
                changes += [f"UPDATE {name} SET {column} = {column}", f"DELETE FROM {name}"]
            for change in changes:
                # Some rows may never be deleted, moved or not: another guard refuses first.
                refusal = None if change.startswith("DELETE") else r"was moved to .*new\.db on "
                with subtests.test(change), pytest.raises(REFUSED, match=refusal):
                    connection.execute(change)


async def test_moved_ledger_is_not_moved_to_a_second_target(moved: LedgerFixture, tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(MoveRefusedError, match=r"is closed: this ledger was moved to .*new\.db on "):
        await move(moved.database, tmp_path / "second.db", clock)
    assert rows(tmp_path / "second.db", "SELECT count(*) FROM users") == [(0,)]
    clock.advance(86_400)
    assert (await move(moved.database, tmp_path / NEW, clock)).again
    assert "on 2026-07-03 at 15:00 UTC" in str(await moved.database.read(closed_ledger.moved_text))


async def test_refusal_names_a_server_without_its_password(
    ledger: LedgerFixture, postgresql: Server, clock: Clock
) -> None:
    target = postgresql.create()
    spoken = target.update_query_dict({"password": "hunter2", "sslpassword": "hunter3"})
    async with Database(name_of(spoken, password=True), clock=clock) as new:
        await moving.move(ledger.database, new, no_advance)
    with pytest.raises(LedgerMovedError) as refused:
        await ledger.database.ensure_user(NEWCOMER)
    assert "hunter" not in str(refused.value)
    assert f"/{target.database}" in str(refused.value)
    everything = (
        str(rows(ledger.location, "SELECT sql FROM sqlite_master")) if isinstance(ledger.location, Path) else ""
    )
    assert "hunter" not in everything
    postgresql.drop(target)


@pytest.mark.parametrize("kind_of_target", ["file", "server"])
async def test_shared_ledger_moves_only_if_the_other_bot_is_stopped(
    tmp_path: Path, postgresql: Server, clock: Clock, kind_of_target: str
) -> None:
    old = apex_core.create(tmp_path / "apex_core.db")
    target: Location = postgresql.create() if kind_of_target == "server" else tmp_path / "new.db"
    async with Database(old, clock=clock) as shared:
        with pytest.raises(MoveRefusedError, match=r"shared with another bot.*--stop-other-bot.*Nothing was moved\."):
            await move(shared, target, clock)
        with raw(old) as connection:
            connection.execute("UPDATE referrals SET cashback_earned_cents = cashback_earned_cents + 5 WHERE id = 1")
        await move(shared, target, clock, stop_other_bot=True)
    with raw(old) as connection:
        for change in (
            "UPDATE referrals SET cashback_paid_cents = cashback_earned_cents",
            "UPDATE users SET wallet_balance_cents = wallet_balance_cents + 1",
            "INSERT INTO users (discord_id) VALUES (4711)",
            "DELETE FROM wallet_transactions WHERE id = 1",
        ):
            with pytest.raises(REFUSED, match="this ledger was moved to"):
                connection.execute(change)
        connection.execute("UPDATE tickets SET status = 'closed'")
    if isinstance(target, URL):
        postgresql.drop(target)
