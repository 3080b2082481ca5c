"""Secrets never appear elsewhere, and text from people is shown as plain text."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from cashback import logs
from cashback.settings import Settings, SettingsError, load
from tests.conftest import raw
from tests.end_to_end.conftest import BOTH_BOTS, COMPLETE, OWN_BOT, DiscordFixture, until

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

SECRET = "a-secret-of-the-shop-that-is-long-enough"  # noqa: S105 -- a test's own
TOKEN = "a-token-of-the-bot-that-is-long-enough"  # noqa: S105 -- a test's own
NAME = "**Bold** @everyone <@&1> [x](http://evil) `code`"


def _bytes_of(ledger: Path) -> bytes:
    """Read the ledger's file and its log as they lie on the disk."""
    return b"".join(path.read_bytes() for path in sorted(ledger.parent.glob(f"{ledger.name}*")))


async def test_the_token_is_in_no_log_no_message_and_not_in_the_ledger(
    guild: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything is logged, also the libraries' debug messages, and Discord fails now and then."""
    for library in ("", *logs.QUIET):
        caplog.set_level(logging.DEBUG, library)
    bob = await guild.referrer("Bob", 2500)
    eve = guild.sandbox.add_member("Eve")
    async with guild.bot():
        await guild.answer("!sendref-cashb", by=eve)
        guild.sandbox.faults.drop("PATCH", "/messages/[0-9]+$")
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await until(lambda: guild.sandbox.direct_messages(bob.id))
        await guild.audit_entry("$25.00")
        await guild.sandbox.gateway.disconnect()
        await guild.sandbox.wait_connected()
    token = guild.sandbox.token
    assert len(caplog.records) > 50
    assert token not in caplog.text
    assert all(token not in record.getMessage() for record in caplog.records)
    assert token.encode() not in _bytes_of(guild.ledger.path)
    for request in guild.sandbox.requests:
        assert token not in json.dumps(request.body, default=str)


@pytest.mark.parametrize("inside", [OWN_BOT])
async def test_no_message_can_ping_a_member(guild: DiscordFixture) -> None:
    """Every message of the bot disables all mentions. Another bot decides about its mentions itself."""
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE)
        await guild.audit_entry("$25.00")
        await guild.answer("!sendref-cashb @everyone")
    sent = [
        request.body
        for request in guild.sandbox.requests
        if request.method == "POST" and request.path.endswith("/messages") and isinstance(request.body, dict)
    ]
    assert len(sent) >= 3
    assert [body.get("allowed_mentions") for body in sent] == [{"parse": []}] * len(sent)


async def test_reason_from_a_user_is_shown_as_plain_text(guild: DiscordFixture) -> None:
    """A wallet refuses with a reason of its own; its markup and mentions must have no effect."""
    bob = await guild.referrer("Bob", 2500)
    with raw(guild.ledger.path) as connection:
        connection.execute(
            f"CREATE TRIGGER rude BEFORE UPDATE OF wallet_balance_cents ON users WHEN OLD.discord_id = {bob.id}"
            f" BEGIN SELECT RAISE(ABORT, '{NAME}'); END"
        )
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        shown = await guild.shows(summary, COMPLETE, "Failed:** 1")
    assert "**Bold**" not in shown.text
    assert "\\*\\*Bold\\*\\*" in shown.text
    assert "@everyone" not in shown.text
    assert "](http" not in shown.text


def test_settings_show_no_secret() -> None:
    settings = Settings.model_validate({"discord_token": TOKEN, "intake_keys": {"shop": (SECRET,)}})
    for shown in (repr(settings), str(settings), settings.model_dump_json(), f"{settings.discord_token}"):
        assert TOKEN not in shown
        assert SECRET not in shown


@pytest.mark.parametrize(
    "environ",
    [
        {"DISCORD_TOKEN": "tok en\n"},
        {"DISCORD_TOKEN": "secret-token-1234567890", "DISCORD_API_URL": "nonsense"},
        {"CASHBACK_INTAKE_KEY_SHOP": "secret-token"},
    ],
)
def test_a_wrong_setting_is_named_without_a_secret_in_it(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    try:
        shown = repr(load(tmp_path / "config.json", None, environ))
    except SettingsError as error:
        shown = str(error)
    assert "secret-token" not in shown
    assert "tok en" not in shown
