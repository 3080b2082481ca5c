"""Every typed command refuses words that it does not understand, and reads a phone's dashes as hyphens."""

from __future__ import annotations

from typing import Any

import pytest
from discord.ext import commands

from cashback.cogs.admin import AdminCommands, CommandServices
from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

WATCHED = ("cashback_payout_batches", "cashback_schedule_slots", "referrals")


def every_command() -> list[commands.Command[Any, ..., Any]]:
    """List the bot's own typed commands."""
    nothing: Any = None
    return list(AdminCommands(CommandServices(**dict.fromkeys(CommandServices.__slots__, nothing))).walk_commands())


def takes_free_text(command: commands.Command[Any, ..., Any]) -> bool:
    """Return whether all words at the end are a reason, or a shop's id, which may be any text."""
    parameters = list(command.clean_params.values())
    return bool(parameters) and parameters[-1].name in {"reason", "why", "order_id"}


STRICT = [each for each in every_command() if not takes_free_text(each)]


async def test_unknown_word_is_refused_by_every_command(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    before = [guild.ledger.rows(f"SELECT count(*) FROM {table}") for table in WATCHED]
    assert len(STRICT) > 15
    async with guild.bot():
        for command in STRICT:
            needed = {"user": bob.id, "batch": 1, "of": "all"}
            values = [str(needed[each.name]) for each in command.clean_params.values() if each.name in needed]
            line = " ".join([f"!{command.qualified_name}", *values, "nonsense"])
            assert "Usage: " in (await guild.answer(line)).text, line
        for line in (
            "!sendref-cashb history nonsense --state completed",
            "!sendref-cashb history --stat completed",
            "!sendref-cashb export 1 nonsense --from 2026-07-01",
            "!sendref-cashb —onyl @ghost",
        ):
            assert "Usage: " in (await guild.answer(line)).text, line
    assert [guild.ledger.rows(f"SELECT count(*) FROM {table}") for table in WATCHED] == before
    assert guild.ledger.rows("SELECT 1 FROM cashback_schedule_state WHERE paused_by IS NOT NULL") == []


@pytest.mark.parametrize("dash", ["—", "–", "-—"])
async def test_dash_of_a_phone_is_read_as_two_hyphens(guild: DiscordFixture, dash: str) -> None:
    bob = await guild.referrer("Bob", 2500)
    await guild.referrer("Eve", 100)
    async with guild.bot():
        summary = await guild.ask(f"!sendref-cashb {dash}only {bob.id}")
        assert "$25.00" in summary.text
        assert "Eve" not in summary.text
        assert "$26.00" not in summary.text
        found = await guild.answer(f"!sendref-cashb history {dash}state proposed")
        assert "$25.00 planned for 1 user" in found.text
        exported = await guild.answer(f"!sendref-cashb export {dash}from 2020-01-01 {dash}format csv")
        assert "0 payouts" in exported.text or "1 payout" in exported.text
