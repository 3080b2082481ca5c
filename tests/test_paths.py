"""Every path, link, module, target and command that docs, comments and docstrings name exists."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from typer.main import get_command

from cli.app import app

PROJECT = Path(__file__).parents[1]
HIDDEN = {".venv", ".git", "build", "mutants", "node_modules", "__pycache__"}
PAGES = [PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (PROJECT / "docs").rglob("*.md")
)
OTHERS = [PROJECT / "Makefile", PROJECT / ".ci" / "run", PROJECT / "pyproject.toml"]
WEB = sorted(
    path
    for end in ("html", "js", "css", "mako")
    for top in ("cashback", "sandbox")
    for path in (PROJECT / top).rglob(f"*.{end}")
)

SUFFIXES = "py|md|yml|yaml|toml|css|js|html|svg|lock|service|timer|sh"
FILE = re.compile(rf"(?<![\w./:~-])(?:[\w.-]+/)*[\w-]+\.(?:{SUFFIXES})\b(?![\w(/]|\.\w)")
FOLDER = re.compile(r"(?<![\w./:~@-])[a-z_]+(?:/[\w.-]+)+/?|(?<![\w./:~@-])[a-z_]+/(?![\w<*{])")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`[^`\n]+`|^ {4,}\S.*$", re.MULTILINE)

RETIRED_FOLDERS = {"desk", "database", "domain", "cogs", "dashboard", "simulation", "soak", "bench", "ops"}
"""Folders that stood at the top once: a path that begins with one of them is stale."""

FOLDERS = {path.name for path in PROJECT.iterdir() if path.is_dir() and path.name[0] != "."} - HIDDEN | RETIRED_FOLDERS
NOT_OURS = {"build/", "mutants/", "discord.py"}
"""Folders that tools make, and a library."""

EXAMPLE = "acme/"
"""The package of others in the pages about extending."""

THIRD_PARTY_MODULES = {"pip", "pytest", "venv", "mutmut"}


def _python_files() -> list[Path]:
    return sorted(path for path in PROJECT.rglob("*.py") if not HIDDEN & set(path.relative_to(PROJECT).parts))


def _deployed() -> list[Path]:
    return sorted(path for path in (PROJECT / "deploy").rglob("*") if path.is_file() and path.suffix != ".json")


@cache
def _file_names() -> frozenset[str]:
    found = (path for path in PROJECT.rglob("*") if not HIDDEN & set(path.relative_to(PROJECT).parts))
    return frozenset(path.name for path in found)


def _prose(path: Path) -> str:
    """Return the docstrings and comments of a file of code, and the pages that its messages name."""
    source = path.read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(source)))
    strings = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    texts = [page for text in strings for page in re.findall(r"\bdocs/[\w/.-]+\.md\b", text)]
    texts += [
        node.value.value
        for node in nodes
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return "\n".join([*texts, *(token.string for token in tokens if token.type == tokenize.COMMENT)])


def _text(path: Path) -> str:
    return _prose(path) if path.suffix == ".py" else path.read_text(encoding="utf-8")


def _named_paths(text: str) -> Iterator[str]:
    """Yield what looks like a path of this project: a file by its suffix, a folder by the name that it begins with."""
    yield from FILE.findall(text)
    for found in FOLDER.findall(text):
        if found.split("/")[0] in FOLDERS:
            yield found.rstrip(".")


def _exists(named: str, near: Path) -> bool:
    if "/" not in named:
        return named in _file_names() | NOT_OURS
    return (
        named.startswith(EXAMPLE) or (PROJECT / named).exists() or (near.parent / named).exists() or named in NOT_OURS
    )


def _stale(path: Path) -> list[str]:
    text = _text(path)
    if path.suffix == ".md":
        text = "\n".join(CODE.findall(text))
    return sorted({named for named in _named_paths(text) if not _exists(named, path)})


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _broken_links(page: Path) -> list[str]:
    broken = []
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name) if name else page
        if not linked.exists() or (anchor and anchor not in _anchors(linked)):
            broken.append(target)
    return broken


def _relative(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def test_named_path_exists() -> None:
    found = {_relative(path): _stale(path) for path in [*PAGES, *OTHERS, *WEB, *_deployed(), *_python_files()]}
    assert {path: stale for path, stale in found.items() if stale} == {}


@pytest.mark.parametrize("page", PAGES, ids=_relative)
def test_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert _broken_links(page) == []


@pytest.mark.parametrize("start", ["README.md", "docs/index.md"])
def test_start_page_links_every_page(start: str) -> None:
    begin = PROJECT / start
    targets = {target.partition("#")[0] for target in LINK.findall(begin.read_text(encoding="utf-8"))}
    linked = {(begin.parent / target).resolve() for target in targets if target and "://" not in target}
    expected = {page for page in PAGES if page != begin and "decisions" not in page.parts}
    if start == "docs/index.md":
        expected |= set((PROJECT / "docs" / "decisions").glob("*.md"))
    assert {_relative(page) for page in expected - linked} == set()


@pytest.mark.parametrize("path", [*PAGES, *OTHERS], ids=_relative)
def test_named_module_target_test_and_command_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    code = "\n".join(CODE.findall(text)) if path.suffix == ".md" else text
    modules = set(re.findall(r"python -m ([\w.]+)", code)) - THIRD_PARTY_MODULES
    targets = set(re.findall(r"(?:^|[`\n]) *make ([a-z]+)\b", code))
    commands = set(re.findall(r"(?:^|[`\n]) *(?:\.venv/bin/)?cashback ([a-z][a-z-]+)\b", code))
    tests = set(re.findall(r"`(test_\w+)`", code))
    assert {name for name in modules if not _is_runnable(name)} == set()
    assert targets - _make_targets() == set()
    assert commands - set(get_command(app).commands) == set()  # type: ignore[attr-defined]  # a group has them
    assert {name for name in tests if not _is_test(name)} == set()


@pytest.mark.parametrize("page", PAGES, ids=_relative)
def test_function_that_a_page_places_in_a_file_is_defined_there(page: Path) -> None:
    placed = re.findall(r"`([\w.]+)`(?: and `([\w.]+)`)? in `([\w/]+\.py)`", page.read_text(encoding="utf-8"))
    missing = [
        f"{file}: {name}"
        for *names, file in placed
        for name in names
        if name and not re.search(rf"\b(?:def|class) {name.split('.')[-1]}\b", (PROJECT / file).read_text("utf-8"))
    ]
    assert missing == []


def _is_runnable(module: str) -> bool:
    place = PROJECT.joinpath(*module.split("."))
    return place.with_suffix(".py").is_file() or (place / "__main__.py").is_file()


def _make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def _is_test(name: str) -> bool:
    found = (path.read_text(encoding="utf-8") for path in (PROJECT / "tests").rglob("test_*.py"))
    return any(f"def {name}" in text for text in found) or f"{name}.py" in _file_names()


def test_the_checks_see_a_stale_path_a_broken_link_and_an_old_folder(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("See [here](gone.md) and [there](#nothing), `desk/proposals.py` and `tests/crash`.\n")
    assert _stale(page) == ["desk/proposals.py", "tests/crash"]
    assert _broken_links(page) == ["gone.md", "#nothing"]
