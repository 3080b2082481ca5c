"""The descriptions of members' slash commands in the languages of the members' texts."""

from typing import Final

import discord
from discord import app_commands

from cashback.cogs.texts.embeds import clip
from cashback.domain.languages import language_of, translated

DESCRIPTION_LENGTH: Final = 100


class CommandTranslator(app_commands.Translator):
    """Translates what the catalogues have. Names stay as they are: people tell each other what to type."""

    async def translate(
        self, string: app_commands.locale_str, locale: discord.Locale, context: app_commands.TranslationContextTypes
    ) -> str | None:
        """Return a description in a language; None leaves it in English."""
        del context
        text = translated(string.message, language_of(str(locale)))
        return None if text is None else clip(text, DESCRIPTION_LENGTH)
