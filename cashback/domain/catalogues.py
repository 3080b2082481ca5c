"""Reads the catalogues. It is imported only if a member's language is not English."""

import gettext
import io
import logging
from functools import cache
from importlib import resources

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from cashback.domain import entry_points
from cashback.domain.languages import LANGUAGES, fault_of
from cashback.domain.money import ENGLISH

logger = logging.getLogger(__name__)


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """Read a catalogue. It is compiled in memory, so that the text file is all that there is.

    If one of another package cannot be read, or a sentence of it lacks placeholders, the text stays in English.
    """
    compiled = io.BytesIO()
    write_mo(compiled, parsed(language) if language in LANGUAGES else _checked(language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def _checked(language: str) -> Catalog:
    try:
        found = parsed(language)
    except Exception:
        logger.exception("the catalogue of the language %s cannot be read; its members read English", language)
        return Catalog(locale=ENGLISH)
    for message in [each for each in found if each.id]:
        ids, texts = _forms(message.id), _forms(message.string)
        if any(fault_of(ids[-1], text) for text in texts if text):
            logger.error("the language %s has a sentence with other placeholders: %s", language, ids[0])
            found.delete(message.id)
    return found


def _forms(text: object) -> list[str]:
    return [str(each) for each in text] if isinstance(text, (list, tuple)) else [str(text or "")]


@cache
def parsed(language: str) -> Catalog:
    """Parse a catalogue's file."""
    point = entry_points.added(entry_points.LANGUAGES).get(language)
    folder = resources.files("cashback").joinpath("languages")
    if language not in LANGUAGES and point is not None:
        folder = resources.files(point.value)
    with folder.joinpath(f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


@cache
def sentences(language: str) -> frozenset[str]:
    """List the English sentences of a catalogue, both forms of those with a count."""
    found = (message.id for message in parsed(language) if message.id)
    return frozenset(each for ids in found for each in ((ids,) if isinstance(ids, str) else ids))
