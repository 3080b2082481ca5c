"""The descriptions of members' slash commands in the languages of the members' texts, in any bot."""

from contextvars import copy_context
from typing import Final

import discord
from discord import app_commands

from cashback.cogs.texts.embeds import clip
from cashback.domain.languages import language_of, translated

DESCRIPTION_LENGTH: Final = 100


class CommandTranslator(app_commands.Translator):
    """Translates what the catalogues have. Names stay as they are: people tell each other what to type.

    A tree of commands has one translator. If the bot has one already, it is asked about everything else.
    """

    def __init__(self, client: discord.Client) -> None:
        self._state = client._connection  # noqa: SLF001 -- the tree's own way to it is as private
        self._other: app_commands.Translator | None = None
        self._words = copy_context()
        # A start asks for each text in each of Discord's thirty languages.
        self._languages: Final = {locale: language_of(str(locale)) for locale in discord.Locale}

    def start(self) -> None:
        """Translate from now on."""
        # A bot that we run in registers the commands in a task of its own, which knows no wordings of ours.
        self._words = copy_context()
        self._other = self._state._translator  # noqa: SLF001 -- as below
        # Not by the tree's `set_translator`, which would unload the bot's own one.
        self._state._translator = self  # noqa: SLF001 -- as above

    def stop(self) -> None:
        """Give the tree back, unless the bot has set another translator since."""
        if self._state._translator is self:  # noqa: SLF001 -- as above
            self._state._translator = self._other  # noqa: SLF001 -- as in `start`

    async def translate(
        self, string: app_commands.locale_str, locale: discord.Locale, context: app_commands.TranslationContextTypes
    ) -> str | None:
        """Return a description in a language; None leaves it in English."""
        text = self._words.run(translated, string.message, self._languages[locale])
        if text is not None:
            return clip(text, DESCRIPTION_LENGTH)
        return None if self._other is None else await self._other.translate(string, locale, context)
