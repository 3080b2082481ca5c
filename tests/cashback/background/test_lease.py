"""The lease on a virtual clock: one holder at a time, taken over in time, and nothing written under an old fence."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from cashback.background.lease import Lease, holder_name, room
from cashback.database import Database, audit_log
from cashback.database.fenced import FencedDatabase
from cashback.domain.errors import LeaseLostError
from tests.conftest import FRIDAY, OpenDatabase, break_writes, raw
from tests.examples import examples, first_of

pytestmark = pytest.mark.anyio

SECONDS = 10.0
PEERS = 3


def virtual() -> MockClock:
    """Make a clock that jumps to the next deadline when everybody waits."""
    return MockClock(autojump_threshold=0)


@pytest.fixture
def anyio_backend() -> Any:  # noqa: ANN401 -- a name with options
    """Run on trio and its clock."""
    return "trio", {"clock": virtual()}


@pytest.fixture
async def ledger(open_database: OpenDatabase) -> AsyncIterator[Database]:
    """Open a new ledger that works in the caller's thread, as the virtual clock needs it."""
    async with open_database(inline=True) as database:
        yield database


async def note(database: Database, lease: Lease) -> bool:
    """Write like a lease holder; return whether it was written."""
    fenced = FencedDatabase(database, lease.require)
    try:
        await fenced.write(audit_log.add_entry, at=FRIDAY, actor="test", action="noted")
    except LeaseLostError:
        return False
    return True


async def test_second_process_waits_for_the_lease(ledger: Database) -> None:
    first, second = Lease(ledger, seconds=SECONDS), Lease(ledger, seconds=SECONDS)
    assert await first.take()
    assert not await second.take()
    assert await note(ledger, first)
    assert not await note(ledger, second)


async def test_released_lease_is_free_at_once(ledger: Database) -> None:
    async with Lease(ledger, seconds=SECONDS) as first:
        assert await first.take()
    second = Lease(ledger, seconds=SECONDS)
    assert await second.take()
    assert not await note(ledger, first)


async def test_renewing_holder_keeps_the_lease(ledger: Database) -> None:
    first, second = Lease(ledger, seconds=SECONDS), Lease(ledger, seconds=SECONDS)
    assert await first.take()
    for _ in range(20):
        assert not await second.take()
        await anyio.sleep(SECONDS - 1)
        assert await first.renew()


async def test_dead_holder_is_replaced_within_fifteen_seconds(ledger: Database) -> None:
    assert await Lease(ledger, seconds=SECONDS).take()
    second, pays = Lease(ledger, seconds=SECONDS), anyio.Event()

    async def duties() -> None:
        pays.set()
        await anyio.sleep_forever()

    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(second.keep, duties)
        await pays.wait()
        tasks.cancel_scope.cancel()
    assert SECONDS <= anyio.current_time() - start <= 15


def ended_process() -> int:
    """Run a process to its end; return its id."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


async def test_ended_holder_on_same_machine_is_replaced_at_once(ledger: Database) -> None:
    dead = Lease(ledger, seconds=SECONDS, holder=f"here process {ended_process()} of {room()}")
    assert await dead.take()
    assert await Lease(ledger, seconds=SECONDS).take()
    assert not await note(ledger, dead)


@pytest.mark.parametrize("holder", ["there process {pid} of another boot pid:[1]", "here process {pid} of ", "process"])
async def test_process_id_of_other_machine_is_ignored(ledger: Database, holder: str) -> None:
    assert await Lease(ledger, seconds=SECONDS, holder=holder.format(pid=ended_process())).take()
    assert not await Lease(ledger, seconds=SECONDS).take()


AS_ROOT = () if os.geteuid() == 0 else ("--user", "--map-root-user")
NEW_PROC = ("unshare", *AS_ROOT, "--mount", "--pid", "--fork", "sh", "-c")


@pytest.mark.parametrize("options", first_of(["hidepid=2,subset=pid", "hidepid=2", "subset=pid", "hidepid=4"]))
def test_live_holder_in_a_namespace_that_hides_it_is_left_alone(new_ledger: Path, tmp_path: Path, options: str) -> None:
    """As systemd's ProtectProc=invisible and ProcSubset=pid do."""
    mount = f"mount -t proc -o {options} proc /proc"
    tried = subprocess.run([*NEW_PROC, mount], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no such /proc can be had here: {tried.stderr.strip()}")
    ledger = tmp_path / "ledger.db"
    ledger.write_bytes(new_ledger.read_bytes())
    taker = Path(__file__).with_name("lease_taker.py")
    done = subprocess.run(
        [*NEW_PROC, f'{mount} && exec "$@"', "sh", sys.executable, str(taker), "hold", str(ledger)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout.strip(), done.returncode) == ("left alone", 0), done.stderr


@pytest.mark.parametrize("boot_id", ["", "00000000-0000-0000-0000-000000000000\n", "not an id", None])
async def test_holder_of_unknown_boot_is_replaced_after_its_term(
    ledger: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boot_id: str | None
) -> None:
    """Two machines that both show no boot id, or the same masked one, would look like one."""
    shown = tmp_path / "boot_id"
    if boot_id is not None:
        shown.write_text(boot_id)
    monkeypatch.setattr("cashback.background.lease.BOOT_ID", shown)
    there = holder_name().replace(f" {os.getpid()} ", f" {ended_process()} ")
    assert await Lease(ledger, seconds=SECONDS, holder=there).take()
    second = Lease(ledger, seconds=SECONDS)
    assert not await second.take()
    await anyio.sleep(SECONDS)
    assert await second.take()


async def test_holder_frozen_past_its_lease_writes_and_sends_nothing(ledger: Database) -> None:
    first, second = Lease(ledger, seconds=SECONDS), Lease(ledger, seconds=SECONDS)
    assert await first.take()
    assert not await second.take()
    await anyio.sleep(SECONDS)
    assert await second.take()
    assert not first.is_fresh
    assert not await note(ledger, first)
    with pytest.raises(LeaseLostError):
        await first.assure()
    assert not await first.renew()
    assert await note(ledger, second)
    await second.assure()


async def test_expired_lease_sends_nothing_until_renewed(ledger: Database) -> None:
    """No other process has taken over, but one might at any moment: only the renewal excludes it."""
    lease, sent = Lease(ledger, seconds=SECONDS), anyio.Event()
    assert await lease.take()
    await anyio.sleep(SECONDS)

    async def send() -> None:
        await lease.assure()
        sent.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await anyio.sleep(SECONDS)
        assert not sent.is_set()
        assert await lease.renew()
        await sent.wait()


async def test_duties_stop_at_takeover_and_restart_at_release(ledger: Database) -> None:
    first, terms = Lease(ledger, seconds=SECONDS), 0

    async def duties() -> None:
        nonlocal terms
        terms += 1
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.keep, duties)
        await anyio.sleep(SECONDS)
        assert (terms, first.is_held) == (1, True)
        with raw(ledger.location) as connection:
            connection.execute("UPDATE cashback_leases SET fence = fence + 1, holder = 'another'")
        await anyio.sleep(SECONDS / 2)
        assert (terms, first.is_held) == (1, False)
        with raw(ledger.location) as connection:
            connection.execute("UPDATE cashback_leases SET holder = NULL")
        await anyio.sleep(SECONDS / 2)
        assert (terms, first.is_held) == (2, True)
        tasks.cancel_scope.cancel()


async def test_unavailable_ledger_does_not_end_the_lease(ledger: Database) -> None:
    lease = Lease(ledger, seconds=SECONDS)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lease.keep, anyio.sleep_forever)
        await anyio.sleep(1)
        with break_writes(ledger.location, "cashback_leases"):
            await anyio.sleep(3 * SECONDS)
            assert (lease.is_held, lease.is_fresh) == (True, False)
        await anyio.sleep(SECONDS)
        assert lease.is_fresh
        tasks.cancel_scope.cancel()


STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "renew", "give back", "write"]), st.integers(0, PEERS - 1), st.integers(0, 6)),
    max_size=40,
)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_only_the_latest_lease_holder_writes(steps: list[tuple[str, int, int]], new_ledger: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        path.write_bytes(new_ledger.read_bytes())
        anyio.run(partial(_play, path, steps), backend="trio", backend_options={"clock": virtual()})


async def _play(path: Path, steps: list[tuple[str, int, int]]) -> None:
    async with Database(path, inline=True) as database:
        peers = [Lease(database, seconds=SECONDS) for _ in range(PEERS)]
        holder: int | None = None
        for act, number, seconds in steps:
            await anyio.sleep(seconds)
            peer = peers[number]
            if act == "take" and not peer.is_held and await peer.take():
                holder = number
            elif act == "renew":
                assert await peer.renew() == (number == holder)
            elif act == "give back":
                await peer.__aexit__(None, None, None)
                holder = None if number == holder else holder
            elif act == "write":
                assert await note(database, peer) == (number == holder)
            fresh = [each for each in range(PEERS) if peers[each].is_fresh]
            assert set(fresh) <= {holder}
