"""What the running bot does every day: it verifies the ledger, and posts the audit log's head."""

from __future__ import annotations

import json
from pathlib import Path

import anyio.to_thread
import pytest

from cashback.database import audit_log, verifications
from cashback.database.integrity import backup
from cli import app
from tests.conftest import raw, rows
from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture, field, saying, titled

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

DAY = 24 * 3600
HEAD = "🔒 Audit Head"


async def test_head_is_posted_once_a_day_also_after_a_restart(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        await guild.ask()
        assert not [message for message in guild.sandbox.messages(guild.audit.id) if titled(HEAD)(message)]
    guild.clock.advance(DAY)
    for _start in range(2):
        async with guild.bot():
            post = await guild.sandbox.wait_for(titled(HEAD))
            assert post.channel_id == guild.audit.id
            await guild.answer("!sendref-cashb schedule")
    [post] = [message for message in guild.sandbox.messages(guild.audit.id) if titled(HEAD)(message)]
    digest = field(post, "Audit Head").strip("`")
    assert await guild.ledger.database.read(audit_log.find_head, digest) is not None
    assert guild.audit_actions().count(audit_log.HEAD_POSTED) == 1


async def test_breach_found_at_night_is_posted(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        await guild.ask()
    await guild.ledger.database.write(verifications.note, breaches=0, actor="cli", now=guild.clock())
    guild.ledger.honest = False
    with raw(guild.ledger.location) as connection:
        connection.execute("UPDATE users SET wallet_balance_cents = 777")
    guild.clock.advance(2 * DAY)
    async with guild.bot():
        line = await guild.sandbox.wait_for(saying("do not balance", "777", "cashback verify"))
        assert line.channel_id == guild.audit.id


@pytest.mark.about_a_file("a backup is a file")
async def test_restore_names_what_the_audit_channel_knows_and_the_backup_does_not(
    guild: DiscordFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    bob = await guild.referrer("Bob", 2500)
    copy = tmp_path / "copy.db"
    backup.make(guild.ledger.path, copy)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.audit_entry("$25.00")
    config = {"role_ids": {"admin": guild.admin_role.id}, "logging_channels": {"audit": guild.audit.id}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("DISCORD_TOKEN", guild.sandbox.token)
    monkeypatch.setenv("DISCORD_API_URL", guild.sandbox.api_url)
    words = ["--config", str(tmp_path / "config.json"), "--database", str(tmp_path / "new.db"), "restore", str(copy)]
    capfd.readouterr()
    assert await anyio.to_thread.run_sync(app.run, [*words, "--yes", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    [(batch_id,)] = guild.ledger.rows("SELECT batch_id FROM cashback_payout_batches WHERE batch_id IS NOT NULL")
    assert found["paid_after"] == [f"{batch_id}: $25.00 to 1"]
    assert found["audit_channel"] == "compared"
    assert guild.ledger.balance(bob.id) == 2500
    assert rows(tmp_path / "new.db", "SELECT sum(wallet_balance_cents) FROM users") == [(0,)]
