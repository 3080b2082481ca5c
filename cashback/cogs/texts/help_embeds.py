"""The lists of commands: pure functions from names and descriptions to embeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import discord

from cashback.cogs.texts.embeds import DESCRIPTION_LENGTH, clip
from cashback.domain.languages import tr


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A command by its name, with what it does."""

    name: str
    description: str


def for_members(known: Sequence[Described]) -> discord.Embed:
    """List the commands for members."""
    lines = [f"`/{each.name}` – {tr(each.description)}" for each in known]
    text = tr("You refer friends with your code, and earn cashback when they buy something.")
    return discord.Embed(
        title=tr("❓ Commands"),
        description=clip("\n".join([text, "", *lines]), DESCRIPTION_LENGTH),
        colour=discord.Colour.blurple(),
    )


def for_admins(known: Sequence[Described], prefix: str) -> discord.Embed:
    """List the typed commands for admins; each is a slash command too."""
    lines = [f"`{prefix}{each.name}` – {each.description}" for each in known]
    embed = discord.Embed(
        title="❓ Commands for Admins",
        description=clip("\n".join(lines), DESCRIPTION_LENGTH),
        colour=discord.Colour.blurple(),
    )
    return embed.set_footer(text="Each is also a slash command. Members see theirs with /help.")
