"""One word for one thing: every term of docs/glossary.md is used, and the words it replaced are gone."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
GLOSSARY = PROJECT / "docs" / "glossary.md"
HIDDEN = {".venv", ".git", "build", "mutants", "node_modules"}
TERMS = re.findall(r"^- \*\*(.+?)\*\*: ", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").rglob("*.md"))]

RETIRED_NAMES = re.findall(
    r"\w+",
    """
    House Postman Doorman Courier DirectMessenger Announcer RollCall Desk Turns Bell Office InHandError SettledError
    Wanted Decisions Door Terms Standing Holds Fresh Town Till Pace Watch Silence
    in_hand open_office LOOK_SECONDS IN_FLIGHT
    let_in let_out _rooms Fenced Ledger take_up_unfinished doorman courier announcer desk roll_call house
    """,
)
"""Names of old classes, functions and constants; none may be used again for anything."""

RETIRED_WORDS = re.findall(
    r"[\w ()?:|-]+",
    "postman, desks?, doorman, courier, roll call, taken back, left out, giv(?:e|en|ing) up, unusual(?:ly)?, anew,"
    "for ever, programmes?, circle of any length, arrows?, floors?, rooms, doors?, bells?",
)
"""Words that pages for people no longer use; in code spans (stored values, settings, commands) they may stay."""


RETIRED_IN_COMMENTS = [
    "doorman",
    "courier",
    "floors?",
    "doors?",
    "rooms",
    "desks?",
    "programmes?",
    "roll call",
    "announcer",
    "bells?",
    "postman",
    "anew",
    "for ever",
    "of late",
    "left out",
    "giv(?:e|en|ing) up",
    "unusual(?:ly)?",
]
"""Of these words, the ones that docstrings and comments no longer use either. It grows until it is the whole list."""


def _pattern(words: list[str]) -> str:
    return rf"\b(?:{'|'.join(word.strip() for word in words)})\b"


@cache
def _sources() -> tuple[str, ...]:
    files = (path for path in PROJECT.rglob("*.py") if not HIDDEN & set(path.relative_to(PROJECT).parts))
    return tuple(path.read_text(encoding="utf-8") for path in sorted(files) if path.name != "test_glossary.py")


@cache
def _code() -> str:
    return "\n".join(_sources())


@cache
def _names() -> frozenset[str]:
    """Return every name in the code, without words of docstrings and comments."""
    tokens = tokenize.generate_tokens(io.StringIO(_code() + "\n").readline)
    return frozenset(token.string for token in tokens if token.type == tokenize.NAME)


@cache
def _comments() -> str:
    """Return the docstrings and comments of all code, without the code that they quote."""
    found: list[str] = []
    for source in _sources():
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, documented))
        found += [text for node in nodes if (text := ast.get_docstring(node))]
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        found += [token.string for token in tokens if token.type == tokenize.COMMENT]
    return re.sub(r"`[^`\n]+`", "", "\n".join(found))


@cache
def _prose(page: Path) -> str:
    """Return a page without its code."""
    return re.sub(r"```[\s\S]*?```|`[^`\n]+`|^ {4,}\S.*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)


def _uses(text: str, term: str) -> bool:
    pattern = re.sub(r"[ -]", r"[\\s_-]?", re.escape(term).replace(r"\ ", " ").replace(r"\-", "-"))
    return re.search(pattern, text, re.IGNORECASE) is not None


@pytest.mark.parametrize("term", TERMS)
def test_term_of_the_glossary_is_used(term: str) -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES if page != GLOSSARY)
    assert _uses(pages, term) or _uses(_code(), term)


def test_each_term_is_defined_once() -> None:
    assert len(TERMS) > 40
    assert len(TERMS) == len(set(TERMS))


@pytest.mark.parametrize("name", RETIRED_NAMES)
def test_retired_name_is_not_used_in_code(name: str) -> None:
    assert name not in _names()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_retired_words_are_not_used_in_docs(page: Path) -> None:
    assert re.findall(_pattern(RETIRED_WORDS), _prose(page), re.IGNORECASE) == []


@pytest.mark.parametrize("word", RETIRED_IN_COMMENTS)
def test_retired_word_is_not_used_in_docstrings_and_comments(word: str) -> None:
    assert re.findall(_pattern([word]), _comments(), re.IGNORECASE) == []


def test_the_check_sees_a_retired_word_in_prose_and_not_in_code(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("The postman sends; `give up` and\n\n    give up\n\nare code.\n")
    assert re.findall(_pattern(RETIRED_WORDS), _prose(page)) == ["postman"]
