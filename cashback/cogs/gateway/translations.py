"""The descriptions of members' slash commands in the languages of the members' texts."""

from typing import Final

import discord
from discord import app_commands

from cashback.cogs.texts.embeds import clip
from cashback.domain.languages import language_of, translated

DESCRIPTION_LENGTH: Final = 100


class CommandTranslator(app_commands.Translator):
    """Translates what the catalogues have. Names stay as they are: people tell each other what to type."""

    def __init__(self) -> None:
        # A start asks for each text in each of Discord's thirty languages.
        self._languages: Final = {locale: language_of(str(locale)) for locale in discord.Locale}

    async def translate(
        self, string: app_commands.locale_str, locale: discord.Locale, context: app_commands.TranslationContextTypes
    ) -> str | None:
        """Return a description in a language; None leaves it in English."""
        del context
        text = translated(string.message, self._languages[locale])
        return None if text is None else clip(text, DESCRIPTION_LENGTH)
