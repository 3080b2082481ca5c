"""The bot as a process where its log is not read, its streams are closed, or it is stopped before it has started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process

from sandbox.model import Member
from tests.end_to_end.conftest import COMPLETE, DiscordFixture, until
from tests.end_to_end.test_process import ROOT, configure, environment

pytestmark = pytest.mark.anyio

BOT = [sys.executable, str(ROOT / "bot.py")]
STOP_SECONDS = 10
FEW_DESCRIPTORS = 22


def ready(guild: DiscordFixture, folder: Path) -> dict[str, str]:
    """Configure a bot for the guild; return its environment."""
    configure(
        folder,
        role_ids={"admin": guild.admin_role.id},
        guild_ids=[guild.sandbox.guild_id],
        referral_settings={"auto_batch_enabled": False, "dm_per_second": 50},
    )
    return environment(guild.sandbox, CASHBACK_DATABASE=str(guild.ledger.path))


@contextmanager
def full_pipe() -> Iterator[int]:
    """Return the end of a pipe into which nothing more goes; nobody reads the other one."""
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writing, b"x" * 4096)
        os.set_blocking(writing, True)
        yield writing
    finally:
        os.close(reading)
        os.close(writing)


async def pays_and_stops(guild: DiscordFixture, process: Process, people: Sequence[Member] = ()) -> None:
    """Confirm a batch, wait until these people have their messages, and stop the bot, which exits with 0."""
    try:
        await guild.sandbox.wait_connected(1, 60)
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE)
        await until(lambda: all(guild.sandbox.direct_messages(each.id) for each in people), seconds=30)
        process.send_signal(signal.SIGTERM)
        with anyio.fail_after(STOP_SECONDS):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()


async def test_log_that_nobody_reads_holds_up_neither_payout_nor_stop(guild: DiscordFixture, tmp_path: Path) -> None:
    bob = await guild.referrer("Bob", 2500)
    where = ready(guild, tmp_path)
    with full_pipe() as pipe:
        async with await anyio.open_process(BOT, cwd=tmp_path, env=where, stdout=None, stderr=pipe) as process:
            await pays_and_stops(guild, process)
    assert guild.ledger.balance(bob.id) == 2500


@pytest.mark.parametrize("streams", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
async def test_bot_runs_with_closed_standard_streams(guild: DiscordFixture, tmp_path: Path, streams: str) -> None:
    await guild.referrer("Bob", 2500)
    where = ready(guild, tmp_path)
    shell = ["sh", "-c", f'exec "$@" {streams}', "sh", *BOT]
    async with await anyio.open_process(shell, cwd=tmp_path, env=where, stdout=None, stderr=None) as process:
        await pays_and_stops(guild, process)


@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
async def test_payment_with_closed_standard_streams_pays_and_exits_with_0(
    guild: DiscordFixture, tmp_path: Path, streams: str
) -> None:
    bob = await guild.referrer("Bob", 2500)
    where = ready(guild, tmp_path)
    shell = ["sh", "-c", f'exec "$@" {streams}', "sh", sys.executable, "-m", "cli", "pay", "--yes"]
    done = await anyio.run_process(shell, cwd=tmp_path, env=where, check=False)
    assert done.returncode == 0, done.stderr
    assert guild.ledger.balance(bob.id) == 2500


async def test_payment_whose_reader_has_gone_pays_nothing_and_the_next_one_pays_once(
    guild: DiscordFixture, tmp_path: Path
) -> None:
    bob = await guild.referrer("Bob", 2500)
    where = ready(guild, tmp_path)
    pay = [sys.executable, "-m", "cli", "pay", "--yes"]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = await anyio.run_process(pay, cwd=tmp_path, env=where, stdout=writing, check=False)
    finally:
        os.close(writing)
    # Nobody saw the summary.
    assert (done.returncode, done.stderr) == (1, b"")
    assert guild.ledger.balance(bob.id) == 0
    done = await anyio.run_process(pay, cwd=tmp_path, env=where, check=False)
    assert done.returncode == 0, done.stderr
    assert guild.ledger.balance(bob.id) == 2500


async def test_bot_with_few_descriptors_pays_and_notifies(guild: DiscordFixture, tmp_path: Path) -> None:
    people = [await guild.referrer(f"Member {number}", 100) for number in range(20)]
    where = ready(guild, tmp_path)
    shell = ["sh", "-c", f'ulimit -n {FEW_DESCRIPTORS} && exec "$@"', "sh", *BOT]
    with (tmp_path / "bot.log").open("ab") as log:
        async with await anyio.open_process(shell, cwd=tmp_path, env=where, stdout=None, stderr=log) as process:
            await pays_and_stops(guild, process, people)
    assert [len(guild.sandbox.direct_messages(each.id)) for each in people] == [1] * 20
    assert [guild.ledger.balance(each.id) for each in people] == [100] * 20


def receives_stop_signals(process_id: int) -> bool:
    """Return whether a process has taken over SIGTERM, long before it has imported everything."""
    try:
        status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    blocked = next(line.split()[1] for line in status.splitlines() if line.startswith("SigBlk:"))
    return bool(int(blocked, 16) & 1 << (signal.SIGTERM - 1))


@pytest.mark.parametrize("command", [BOT, [sys.executable, "-m", "cli", "bot"]])
async def test_stop_during_the_imports_ends_the_bot(guild: DiscordFixture, tmp_path: Path, command: list[str]) -> None:
    where = ready(guild, tmp_path)
    async with await anyio.open_process(command, cwd=tmp_path, env=where, stdout=None, stderr=None) as process:
        await until(lambda: receives_stop_signals(process.pid))
        process.send_signal(signal.SIGTERM)
        with anyio.fail_after(STOP_SECONDS):
            assert await process.wait() == 0


async def test_closed_terminal_stops_the_bot_after_its_chunk(guild: DiscordFixture, tmp_path: Path) -> None:
    where = ready(guild, tmp_path)
    async with await anyio.open_process(BOT, cwd=tmp_path, env=where, stdout=None, stderr=None) as process:
        await guild.sandbox.wait_connected(1, 60)
        process.send_signal(signal.SIGHUP)
        with anyio.fail_after(STOP_SECONDS):
            assert await process.wait() == 0


async def test_bot_under_nohup_outlives_its_terminal(guild: DiscordFixture, tmp_path: Path) -> None:
    await guild.referrer("Bob", 2500)
    where = ready(guild, tmp_path)
    shell = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *BOT]
    async with await anyio.open_process(shell, cwd=tmp_path, env=where, stdout=None, stderr=None) as process:
        await guild.sandbox.wait_connected(1, 60)
        process.send_signal(signal.SIGHUP)
        await pays_and_stops(guild, process)


def child_of(process_id: int) -> int | None:
    """Return the only child of a process."""
    children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text(encoding="ascii").split()
    return int(children[0]) if children else None


@pytest.mark.parametrize("is_early", [True, False])
async def test_stop_ends_the_bot_that_is_the_first_process(
    guild: DiscordFixture, tmp_path: Path, is_early: bool
) -> None:
    """The kernel ignores a signal to the first process of a container that has no handler for it."""
    as_root = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    alone = ["unshare", *as_root, "--pid", "--fork", "--kill-child"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:  # noqa: ASYNC221 -- it takes no time
        pytest.skip("no process namespace can be had here")
    where = ready(guild, tmp_path)
    async with await anyio.open_process([*alone, *BOT], cwd=tmp_path, env=where, stdout=None, stderr=None) as outer:
        try:
            await until(lambda: child_of(outer.pid))
            bot_id = child_of(outer.pid) or 0
            if is_early:
                await until(lambda: receives_stop_signals(bot_id))
            else:
                await guild.sandbox.wait_connected()
            os.kill(bot_id, signal.SIGTERM)
            with anyio.fail_after(STOP_SECONDS):
                assert await outer.wait() == 0
        finally:
            if outer.returncode is None:
                outer.kill()


async def test_discord_that_goes_away_is_single_lines_in_the_log(guild: DiscordFixture, tmp_path: Path) -> None:
    """Connections and requests under way are cut, and nobody listens any more."""
    for number in range(20):
        await guild.referrer(f"Member {number}", 100)
    where = ready(guild, tmp_path)
    log = tmp_path / "bot.log"
    with log.open("ab") as stream:
        async with await anyio.open_process(BOT, cwd=tmp_path, env=where, stdout=None, stderr=stream) as process:
            try:
                await guild.sandbox.wait_connected()
                summary = await guild.ask()
                hold = guild.sandbox.faults.hold("*", "^/(channels|users)/", times=100)
                await guild.press(summary, "Confirm")
                with anyio.fail_after(60):
                    await hold.arrived.wait()
                await guild.sandbox.__aexit__(None, None, None)
                await until(lambda: "reconnect" in log.read_text(), seconds=30)
                await until(lambda: guild.credited() == 20)
                process.send_signal(signal.SIGTERM)
                with anyio.fail_after(STOP_SECONDS):
                    assert await process.wait() == 0
            finally:
                if process.returncode is None:
                    process.kill()
    assert "Traceback" not in log.read_text()
