"""Hundreds of typed messages, similar to the commands or not: the bot answers and does not pay."""

from __future__ import annotations

import logging
from random import Random

import pytest

from sandbox import Message
from tests.end_to_end.conftest import BOTH_BOTS, SUMMARY, DiscordFixture, until

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

LETTERS = 200
PEOPLE = [
    "@ghost",
    "<@1>",
    "<@!0>",
    "<@99999999999999999999999>",
    "<@&5>",
    "<#7>",
    "@everyone",
    "@here",
    "599287828863678298",
]
PIECES = [
    *PEOPLE,
    *("pay", "history", "show", "retry", "stop", "resume", "give-up", "schedule", "pause", "skip", "next", "failures"),
    *("0", "-1", "1e9", "٣", "٠٠٧", "0x1F", "1,5", "NaN", "∞", "9" * 40, "BATCH-20260703-150000", "batch-1"),
    *(
        '"',
        "'",
        '"x',
        "“x”",
        "\\",
        "`",
        "**",
        "```",
        "||",
        "\u200b",
        "\u202e",
        "🧾",
        "é" * 50,
        "\n",
        "a\tb",
        "--only",
        "--exclude",
    ),
]
COMMANDS = [
    "!sendref-cashb",
    "!sendref-cashb ",
    "!referral-blacklist",
    "!referral-stats",
    "!referral-link",
    "!",
    "!!",
    "! sendref-cashb",
]


def _letter(chance: Random) -> str:
    words = [chance.choice(PIECES) for _ in range(chance.randrange(4))]
    return chance.choice(["", " ", "  "]).join([chance.choice(COMMANDS) + " ", *words])[:2000]


def _answers(guild: DiscordFixture) -> list[Message]:
    messages = guild.sandbox.messages(guild.channel.id)
    return [message for message in messages if message.author_id == guild.sandbox.bot_user_id]


async def test_random_input_never_ends_the_bot_or_pays(guild: DiscordFixture, caplog: pytest.LogCaptureFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    stranger = guild.sandbox.add_member("Eve")
    chance = Random(3)
    async with guild.bot():
        for _ in range(LETTERS):
            await guild.say(_letter(chance), by=chance.choice([guild.admin, stranger]))
        summary = await guild.ask()
        assert summary.embed["title"] == SUMMARY
        await until(lambda: len(_answers(guild)) > LETTERS / 4)
        assert guild.ledger.balance(bob.id) == 0
        assert guild.ledger.rows("SELECT count(*) FROM cashback_payout_batches WHERE batch_id IS NOT NULL") == [(0,)]
        await guild.press(summary, "Confirm")
        await until(lambda: guild.ledger.balance(bob.id) == 2500)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
