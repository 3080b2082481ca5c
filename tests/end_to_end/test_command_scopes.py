"""Each slash command is shown once, also after `guild_ids` was set or removed."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.end_to_end.conftest import DiscordFixture, until

pytestmark = pytest.mark.anyio


def shown(guild: DiscordFixture) -> Counter[str]:
    """Count how often a member sees each slash command."""
    return Counter(each["name"] for each in guild.sandbox.commands.usable())


@pytest.mark.parametrize("first_in_guild", [True, False])
async def test_commands_of_the_other_scope_are_removed(guild: DiscordFixture, *, first_in_guild: bool) -> None:
    here, everywhere = (guild.sandbox.guild_id,), ()
    for guild_ids in (here, everywhere) if first_in_guild else (everywhere, here):
        guild.settings = guild.settings.model_copy(update={"guild_ids": guild_ids})
        async with guild.bot():
            await until(lambda: set(shown(guild).values()) == {1})
    assert bool(guild.sandbox.commands.all(None)) is first_in_guild
    assert bool(guild.sandbox.commands.all(guild.sandbox.guild_id)) is not first_in_guild


async def test_start_goes_on_if_the_other_scope_cannot_be_cleaned(
    guild: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    guild.sandbox.faults.fail("GET", "/users/@me/guilds", status=403, code=50001)
    async with guild.bot():
        assert "sendref-cashb" in shown(guild)
    assert [each for each in caplog.records if "may be shown twice" in each.getMessage()]
