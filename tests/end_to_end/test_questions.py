"""The page of questions holds: each step is asked on the local Discord, and the answer has what the page promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture
from tests.end_to_end.test_members import ask
from tests.end_to_end.test_withdrawals import configure

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "questions.md").read_text(encoding="utf-8")
ADMINS = re.findall(r"^\| (.+\?) \| `(!.+?)` \| `(.+)` \|$", PAGE, re.MULTILINE)
MEMBERS = re.findall(r"^\| (.+\?) \| `/(.+?)`(?:, \*(.+)\*)? \|$", PAGE, re.MULTILINE)
OPTIONS = {"cashback order": {"number": "9999"}, "withdraw": {"amount": "5.00", "method": "gift-card"}}


def test_page_has_ten_questions_of_each() -> None:
    assert (len(ADMINS), len(MEMBERS)) == (10, 10)


async def test_each_step_of_an_admin_answers_the_question(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    await guild.ledger.pay()
    await guild.ledger.earn(bob.id, 100)
    guild.adjust(auto_batch_enabled=True)
    async with guild.bot():
        for question, step, words in ADMINS:
            assert words in (await guild.answer(step.replace("@member", f"<@{bob.id}>"))).text, question


async def test_each_step_of_a_member_answers_the_question(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500, 100)
    await guild.ledger.pay()
    guild.adjust(auto_batch_enabled=True, min_payout_cents=1000)
    await guild.ledger.earn(bob.id, 100)
    configure(guild)
    async with guild.bot():
        for question, step, name in MEMBERS:
            command = step.removesuffix(" NUMBER")
            shown = await ask(guild, bob, command, **OPTIONS.get(command, {}))
            assert not shown.text.startswith("❌"), question
            assert name in shown.text, question
