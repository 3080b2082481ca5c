"""An update as docs/howto/update.md has it: two bots of an older version, then two of this one, and the way back."""

from __future__ import annotations

import signal
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import anyio
import anyio.abc
import pytest

from cashback.database.schema import NEWEST
from sandbox import Member, Message, Sandbox
from tests.conftest import rows
from tests.end_to_end.conftest import button, until
from tests.end_to_end.test_process import ROOT, configure, environment

pytestmark = [pytest.mark.anyio, pytest.mark.proof, pytest.mark.timeout(1800)]

OLDER: Final = "b355601"
"""A commit whose ledgers have the schema 0015; it runs with the libraries of today."""
PATIENCE_SECONDS: Final = 300
PEOPLE: Final = 20


@dataclass(frozen=True)
class Installed:
    """A version of the program, in the folder of one community."""

    tree: Path
    folder: Path
    sandbox: Sandbox

    def _environment(self) -> dict[str, str]:
        return environment(self.sandbox, PYTHONPATH=str(self.tree))

    async def __call__(self, *words: str, code: int = 0) -> str:
        """Run a command; return what it printed."""
        command = [sys.executable, "-m", "cli", *words]
        done = await anyio.run_process(command, cwd=self.folder, env=self._environment(), check=False)
        shown = (done.stdout + done.stderr).decode()
        assert done.returncode == code, shown
        assert "Traceback" not in shown
        return shown

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[anyio.abc.Process]:
        """Run a bot, connected inside the block; it ends by a signal, as a service manager sends it."""
        connected = self.sandbox.gateway.connected
        with (self.folder / "bot.log").open("ab") as log:
            async with await anyio.open_process(
                [sys.executable, "-m", "cli", "bot"],
                cwd=self.folder,
                env=self._environment(),
                stdout=subprocess.DEVNULL,
                stderr=log,
            ) as process:
                try:
                    await self.sandbox.wait_connected(connected + 1, PATIENCE_SECONDS)
                    yield process
                    process.send_signal(signal.SIGTERM)
                    assert await process.wait() == 0
                finally:
                    if process.returncode is None:
                        process.kill()


@pytest.fixture(scope="module")
def older_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the older version from the history."""
    packed = subprocess.run(["git", "archive", OLDER], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"the history has no commit {OLDER}")
    tree = tmp_path_factory.mktemp("older")
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as files:
        files.extractall(tree, filter="data")
    return tree


async def test_two_bots_of_an_older_version_are_updated_within_a_batch_and_the_way_back_works(
    older_tree: Path, tmp_path: Path, sandbox: Sandbox
) -> None:
    role, channel, audit = sandbox.add_role("Admin"), sandbox.add_channel("admins"), sandbox.add_channel("audit")
    ada = sandbox.add_member("Ada", role_ids=[role.id])
    people = [sandbox.add_member(f"Member {number}") for number in range(PEOPLE)]
    configure(
        tmp_path,
        role_ids={"admin": role.id},
        guild_ids=[sandbox.guild_id],
        logging_channels={"audit": audit.id},
        referral_settings={
            "auto_batch_enabled": False,
            "cashback_percent": 10,
            "chunk_size": 1,
            "confirm_seconds": 900,
            "dm_per_second": 50,
            "lease_seconds": 2,
        },
    )
    ledger = tmp_path / "cashback.db"
    old, new = Installed(older_tree, tmp_path, sandbox), Installed(ROOT, tmp_path, sandbox)

    async def ask(text: str) -> Message:
        said = await sandbox.say(channel.id, ada.id, text)
        return await sandbox.wait_for(lambda each: bool(each.buttons), PATIENCE_SECONDS, after=said)

    def credited() -> int:
        return len(rows(ledger, "SELECT 1 FROM cashback_payouts WHERE status = 'credited'"))

    await old("migrate")
    await earned(old, people)
    async with old.bot(), old.bot():
        before = await ask(f"!sendref-cashb {people[0].id}")
        assert "has schema 0015" in await new("migrate", "--dry-run")
        assert "A bot is running on cashback.db; stop it" in await new("migrate", code=1)
        summary = await ask("!sendref-cashb")
        await sandbox.click(summary.id, button(summary, "Confirm"), ada.id)
        await until(credited, PATIENCE_SECONDS)
    paid = credited()
    assert 0 < paid < PEOPLE
    assert f"was upgraded from schema 0015 to {NEWEST}" in await new("migrate")
    copy = the_copy_in(tmp_path)
    assert f"{paid} payouts" in await new("verify")
    assert "of a newer version; update this program" in await old("bot", code=1)
    async with new.bot(), new.bot():
        await until(lambda: credited() == PEOPLE, PATIENCE_SECONDS)
        await until(lambda: all(sandbox.direct_messages(each.id) for each in people), PATIENCE_SECONDS)
        # Of the older version's message: its cashback is paid by now.
        await sandbox.click(before.id, button(before, "Confirm"), ada.id)
        await sandbox.wait_for(lambda each: each.id == before.id and "Skipped:** 1" in each.text, PATIENCE_SECONDS)
    assert [len(sandbox.direct_messages(each.id)) for each in people] == [1] * PEOPLE
    assert rows(ledger, "SELECT DISTINCT wallet_balance_cents FROM users WHERE wallet_balance_cents > 0") == [(100,)]
    assert "every cent accounted for" in await new("verify")
    back = await old("restore", copy.name, "--yes")
    assert "Paid after the backup: BATCH-" in back
    assert f"{paid} payouts" in await old("verify")
    async with old.bot():
        states = rows(ledger, "SELECT status FROM cashback_payout_batches ORDER BY number")
        assert states == [("cancelled",), ("stopped",)]
    assert "Traceback" not in (tmp_path / "bot.log").read_text()


def the_copy_in(folder: Path) -> Path:
    """Return the copy that `migrate` made."""
    [copy] = folder.glob("cashback.schema-0015-*.db")
    return copy


async def earned(version: Installed, people: list[Member]) -> None:
    """Record a friend of each member, who bought for $10.00."""
    pairs = [(each.id, 10**17 + number) for number, each in enumerate(people)]
    referrals = "".join(f"{referrer},{friend}\n" for referrer, friend in pairs)
    purchases = "".join(f"O-{friend},{friend},10.00\n" for _, friend in pairs)
    (version.folder / "referrals.csv").write_text(f"referrer_id,referred_id\n{referrals}")
    (version.folder / "purchases.csv").write_text(f"order_id,buyer_id,amount\n{purchases}")
    await version("import", "--referrals", "referrals.csv")
    await version("import", "purchases.csv")
