"""The languages' catalogues: our own, and those that installed packages add."""

import logging
from functools import cache
from importlib import resources

from cashback.domain import entry_points
from cashback.domain.languages import LANGUAGES, fault_of
from cashback.domain.po_files import Catalogue, parse

logger = logging.getLogger(__name__)


@cache
def catalogue(language: str) -> Catalogue:
    """Read a catalogue.

    If one of another package cannot be read, or a sentence of it lacks placeholders, the text stays in English.
    """
    return _parsed(language) if language in LANGUAGES else _checked(language)


def _checked(language: str) -> Catalogue:
    try:
        found = _parsed(language)
    except Exception:
        logger.exception("the catalogue of the language %s cannot be read; its members read English", language)
        return parse(())
    entries = dict(found.entries)
    for sentence, entry in found.entries.items():
        if any(fault_of(entry.ids[-1], text) for text in entry.texts if text):
            logger.error("the language %s has a sentence with other placeholders: %s", language, sentence)
            del entries[sentence]
    return Catalogue(entries, found.plural)


def _parsed(language: str) -> Catalogue:
    point = entry_points.added(entry_points.LANGUAGES).get(language)
    folder = resources.files("cashback").joinpath("languages")
    if language not in LANGUAGES and point is not None:
        folder = resources.files(point.value)
    with folder.joinpath(f"{language}.po").open("r", encoding="utf-8-sig") as file:
        return parse(file)


@cache
def sentences(language: str) -> frozenset[str]:
    """List the English sentences of a catalogue, both forms of those with a count."""
    return frozenset(each for entry in catalogue(language).entries.values() for each in entry.ids)
