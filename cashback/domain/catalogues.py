"""Reads the catalogues. It is imported only if a member's language is not English."""

import gettext
import io
from functools import cache
from importlib import resources

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """Read a catalogue. It is compiled in memory, so that the text file is all that there is."""
    compiled = io.BytesIO()
    write_mo(compiled, parsed(language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


@cache
def parsed(language: str) -> Catalog:
    """Parse a catalogue's file."""
    with resources.files("cashback").joinpath("languages", f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


@cache
def sentences(language: str) -> frozenset[str]:
    """List the English sentences of a catalogue, both forms of those with a count."""
    found = (message.id for message in parsed(language) if message.id)
    return frozenset(each for ids in found for each in ((ids,) if isinstance(ids, str) else ids))
