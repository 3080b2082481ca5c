"""A bot that stops while a command or a press waits for Discord: the stop is one line in the log, not a traceback."""

from __future__ import annotations

import logging

import pytest

from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture, until

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

CUT_OFF = "the bot stopped before a command or a press was answered"
ALWAYS = 1_000
ANSWERS = "^/(channels/[0-9]+/messages|interactions/.*/callback|webhooks/.*)"


@pytest.mark.parametrize("way", ["typed", "slash", "press"])
async def test_command_cut_off_by_a_stop_is_one_line_without_a_traceback(
    guild: DiscordFixture, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    """The library tries a request that failed with 500 again after a second; by then its session is closed."""
    await guild.referrer("Bob", 2500)
    async with guild.bot() as stop:
        summary = await guild.ask()
        guild.sandbox.faults.fail("*", ANSWERS, times=ALWAYS)
        seen = len(guild.sandbox.requests)
        if way == "typed":
            await guild.say("!sendref-cashb history")
        elif way == "slash":
            await guild.sandbox.slash(guild.channel.id, guild.admin.id, "invite", {})
        else:
            await guild.press(summary, "Cancel")
        await until(lambda: any(each.status == 500 for each in guild.sandbox.requests[seen:]))
        stop.set()
    await until(lambda: CUT_OFF in caplog.text)
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert caplog.text.count(CUT_OFF) == 1
