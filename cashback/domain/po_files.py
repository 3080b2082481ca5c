"""Reads gettext's text files, `.po`. Babel reads them too, but the bot would keep its 5 MB as long as it lives."""

import gettext
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

LINE: Final = re.compile(r'(?:(msgctxt|msgid|msgid_plural|msgstr(?:\[\d+\])?)\s*)?(".*")')
PLURAL_FORMS: Final = re.compile(r"^Plural-Forms:.*\bplural\s*=\s*([^;]+)", re.MULTILINE)
ENGLISH_PLURAL: Final = "n != 1"
FUZZY: Final = "fuzzy"
UNUSED: Final = {FUZZY, "msgctxt"}
"""A translator has not confirmed it, or it belongs to another context than ours."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A sentence, or both forms of one with a count, and its texts: one, or as many as the language has forms."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A language's texts by English sentence. What it lacks stays in English."""

    entries: Mapping[str, Entry]
    plural: Callable[[int], int]
    """The number of the form for a count."""

    def gettext(self, sentence: str) -> str:
        """Return a sentence in this language."""
        entry = self.entries.get(sentence)
        return (entry.texts[0] if entry else "") or sentence

    def ngettext(self, one: str, many: str, count: int) -> str:
        """Return the form of a sentence for a count."""
        entry, form = self.entries.get(one), self.plural(count)
        text = entry.texts[form] if entry and form < len(entry.texts) else ""
        return text or (one if count == 1 else many)


def parse(lines: Iterable[str]) -> Catalogue:
    """Read a file's lines. Entries marked as fuzzy are not used. Raises ValueError for what is not such a file."""
    header, entries = "", {}
    for fields in _entries(lines):
        ids = tuple(text for name, text in fields.items() if name in {"msgid", "msgid_plural"})
        texts = tuple(text for name, text in fields.items() if name.startswith("msgstr"))
        if ids == ("",):
            header = "".join(texts)
        elif texts and not UNUSED & fields.keys():
            entries[ids[0]] = Entry(ids, texts)
    forms = PLURAL_FORMS.search(header)
    return Catalogue(entries, gettext.c2py(forms[1] if forms else ENGLISH_PLURAL))


def _entries(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield each entry's texts by keyword, in the file's order; "fuzzy" is one if its comment says so."""
    fields: dict[str, str] = {}
    flags: dict[str, str] = {}
    keyword = ""
    for number, line in enumerate(map(str.strip, lines), 1):
        if line.startswith("#,") and "fuzzy" in line:
            flags = {FUZZY: ""}
        if not line or line.startswith("#"):
            continue
        found = LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"line {number} is not a line of a catalogue: {line[:60]!r}")
        keyword = found[1] or keyword
        if keyword in {"msgctxt", "msgid"} and found[1]:
            if "msgid" in fields:
                yield fields
                fields = {}
            fields |= flags
            flags = {}
        fields[keyword] = fields.get(keyword, "") + json.loads(found[2], strict=False)
    if "msgid" in fields:
        yield fields
