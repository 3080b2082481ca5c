"""The options of a typed command: `--only @user`. A word that is neither an option nor its value is refused."""

import re
from collections.abc import Collection

from discord.ext import commands

from cashback.domain.dashes import with_hyphens


class Flags(commands.FlagConverter, prefix="--", delimiter=" "):
    """The options of a command. Subclasses declare them."""

    @classmethod
    def parse_flags(cls, argument: str, *, ignore_extra: bool = True) -> dict[str, list[str]]:
        """Return the values of each option. Raises TooManyArguments for words before the first option."""
        flags = cls.get_flags()
        plain = re.sub(r"\S+", lambda word: _plain(word[0], flags), argument)
        accepts_words = any(flag.positional for flag in flags.values())
        first = min((found.start() for name in flags if (found := re.search(rf"--{name}(?!\S)", plain))), default=0)
        if plain[:first].strip() and not accepts_words:
            raise commands.TooManyArguments
        return super().parse_flags(plain, ignore_extra=ignore_extra)


def _plain(word: str, flags: Collection[str]) -> str:
    """Return an option as it is declared: two hyphens, small letters, and _ within. Other words are unchanged."""
    lowered = with_hyphens(word.lower(), [each for flag in flags for each in (flag, flag.replace("_", "-"))])
    name = lowered.removeprefix("--").replace("-", "_")
    return f"--{name}" if lowered.startswith("--") and name in flags else word
