"""Members' sentences in the member's language, from gettext catalogues, or as the configuration words them.

`tr` and `trn` are gettext's two questions: one sentence, or one of two by a count. A sentence is written in English
with named placeholders, so that a catalogue may order them as its language needs. The language is a context variable,
which worker threads and tasks inherit; without one, texts are in English.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from importlib import import_module
from string import Formatter
from typing import Any, Final

from cashback.domain import entry_points
from cashback.domain.money import ENGLISH, amounts_in, grouped, use_locale
from cashback.domain.po_files import Catalogue

LANGUAGES: Final = (ENGLISH, "de", "es", "pt_BR")
"""Those of the members' texts; each but English has a catalogue."""

SHORT: Final = 80
"""So many characters may each wording of the configuration have: a button's label has no more. A long sentence's may
have twice as many as the sentence."""

Replaced = Mapping[str, Mapping[str, str]]
"""Sentences of the configuration by language, and by the English sentence that each replaces. "" is every language."""


@dataclass(frozen=True)
class _Speech:
    language: str = ENGLISH
    replaced: Replaced = field(default_factory=dict)


_speech: ContextVar[_Speech] = ContextVar("speech", default=_Speech())  # noqa: B039 -- it is frozen


def languages() -> tuple[str, ...]:
    """List all languages, with those that installed packages add."""
    added = entry_points.added(entry_points.LANGUAGES)
    return (*LANGUAGES, *(name for name in added if name not in LANGUAGES))


def language_of(locale: str | None) -> str:
    """Return the language of a member by Discord's name of it: "de", "es-419", "pt-BR"; English if there is none."""
    name = (locale or "").replace("-", "_")
    return next((each for each in languages() if each in {name, name.split("_", 1)[0]}), ENGLISH)


def language() -> str:
    """Return the language of what is written now."""
    return _speech.get().language


def replace_sentences(replaced: Replaced) -> None:
    """Use the configuration's sentences in this process: in this task, and in the tasks that it starts."""
    _speech.set(replace(_speech.get(), replaced=replaced))


def speak(language: str) -> None:
    """Write the texts and amounts of what follows in this task in a language."""
    _speech.set(replace(_speech.get(), language=language))
    if language != ENGLISH:
        use_locale(language)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Write texts and amounts in a language inside the block. English texts have the configuration's amounts."""
    token = _speech.set(replace(_speech.get(), language=language))
    try:
        with nullcontext() if language == ENGLISH else amounts_in(language):
            yield
    finally:
        _speech.reset(token)


def tr(sentence: str, **values: object) -> str:
    """Return a member's sentence with its values."""
    speech = _speech.get()
    return _worded(speech, sentence, _translated(speech, sentence)).format(**values)


def trn(one: str, many: str, count: int, **values: object) -> str:
    """Return a sentence for a count, which is its placeholder `{count}`."""
    speech = _speech.get()
    text = (
        (one if count == 1 else many)
        if speech.language == ENGLISH
        else _catalogue(speech.language).ngettext(one, many, count)
    )
    return _worded(speech, one if count == 1 else many, text).format(count=grouped(count), **values)


def mark(sentence: str) -> str:
    """Return the sentence itself: it is looked up in a catalogue where it is shown."""
    return sentence


def translated(sentence: str, language: str) -> str | None:
    """Return a sentence in a language, or as the configuration words it; None if it stays as it is."""
    if sentence not in sentences():
        return None
    with speaking(language):
        text = tr(sentence)
    return None if text == sentence else text


def _translated(speech: _Speech, sentence: str) -> str:
    return sentence if speech.language == ENGLISH else _catalogue(speech.language).gettext(sentence)


def _worded(speech: _Speech, sentence: str, text: str) -> str:
    """Return the configuration's wording of a sentence, if it has one."""
    if not speech.replaced:
        return text
    for language in (speech.language, ""):
        wording = speech.replaced.get(language, {}).get(sentence)
        if wording is not None:
            return wording
    return text


def sentences() -> frozenset[str]:
    """List all sentences in English."""
    known: frozenset[str] = _catalogues().sentences(LANGUAGES[1])
    return known


def _catalogue(language: str) -> Catalogue:
    found: Catalogue = _catalogues().catalogue(language)
    return found


def _catalogues() -> Any:  # noqa: ANN401 -- a module
    """Import what reads files, and asks this module which languages there are."""
    return import_module("cashback.domain.catalogues")


def fault_of(sentence: str, text: str) -> str | None:
    """Return what is wrong with another wording of a sentence; None if it has the same placeholders and fits."""
    most = max(2 * len(sentence), SHORT)
    if not 0 < len(text.strip()) <= len(text) <= most:
        return f"{text[:60]!r} must have 1 to {most} characters"
    try:
        found = placeholders(text)
    except ValueError as error:
        return f"{text[:60]!r} cannot be read: {error}"
    if not all(map(_is_sendable, text)):
        return f"{text[:60]!r} has a character that cannot be sent"
    wanted = placeholders(sentence)
    if found != wanted:
        names = ", ".join(f"{{{name}}}" for name in sorted(wanted)) or "no placeholders"
        return f"{text[:60]!r} must have {names}"
    return None


def _is_sendable(letter: str) -> bool:
    """Return whether Discord takes a character: no control character but a line break, and no half of a pair."""
    return letter == "\n" or not (letter < " " or letter == "\x7f" or "\ud800" <= letter <= "\udfff")


def placeholders(text: str) -> set[str]:
    """List the placeholders of a sentence. Raises ValueError if one is more than a name in braces."""
    found = set()
    for _literal, name, form, conversion in Formatter().parse(text):
        if name is None:
            continue
        if form or conversion or not name.isidentifier():
            written = f"{name}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}"
            raise ValueError(f"write a placeholder as a name in braces, not {{{written}}}")
        found.add(name)
    return found
