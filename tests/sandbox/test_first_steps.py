"""The way of a command through the sandbox, with the real client at its other end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import discord
import pytest
from discord.ext import commands

from sandbox import Sandbox

Connect = Callable[[discord.Client], AbstractAsyncContextManager[None]]

pytestmark = pytest.mark.anyio


class Confirm(discord.ui.View):
    """Two buttons, one of which changes the message and writes a DM."""

    @discord.ui.button(label="Confirm", style=discord.ButtonStyle.success, custom_id="confirm")
    async def confirm(self, interaction: discord.Interaction, _: discord.ui.Button[discord.ui.View]) -> None:
        """Change the message, then write to the member who pressed."""
        await interaction.response.edit_message(content="confirmed", embed=None, view=None)
        await interaction.user.send("thank you")

    @discord.ui.button(label="Cancel", style=discord.ButtonStyle.danger, custom_id="cancel")
    async def cancel(self, interaction: discord.Interaction, _: discord.ui.Button[discord.ui.View]) -> None:
        """Answer for one pair of eyes."""
        await interaction.response.send_message("cancelled", ephemeral=True)


async def test_prefix_command_returns_embed_with_working_buttons(
    sandbox: Sandbox, bot: commands.Bot, connect: Connect
) -> None:
    channel = sandbox.add_channel("admin")
    role = sandbox.add_role("Admin")
    alice = sandbox.add_member("Alice", role_ids=[role.id])

    @bot.command()
    @commands.has_role(role.id)
    async def pay(context: commands.Context[commands.Bot], whom: discord.User) -> None:
        embed = discord.Embed(title="Summary", colour=0x57F287).add_field(name="Whom", value=whom.name)
        await context.send(embed=embed, view=Confirm())

    async with connect(bot):
        said = await sandbox.say(channel.id, alice.id, f"!pay <@{alice.id}>")
        summary = await sandbox.wait_for(lambda message: bool(message.buttons), after=said)
        assert summary.embed["title"] == "Summary"
        assert summary.embed["fields"][0]["value"] == "Alice"
        assert [(each.label, each.style) for each in summary.buttons] == [("Confirm", 3), ("Cancel", 4)]

        cancelled = await sandbox.click(summary.id, "cancel", alice.id)
        answer = await cancelled.answered()
        assert answer.ephemeral
        assert answer.message is not None
        assert answer.message.content == "cancelled"

        confirmed = await sandbox.click(summary.id, "confirm", alice.id)
        await confirmed.answered()
        assert summary.content == "confirmed"
        assert summary.embeds == []
        assert summary.buttons == []
        note = await sandbox.wait_for(lambda message: message.content == "thank you")
        assert sandbox.direct_messages(alice.id) == [note]
