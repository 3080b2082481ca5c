"""The layers: a package imports only packages below it, and nothing imports in a circle.

The table of docs/explanation/architecture.md is the rule; these tests read it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "explanation" / "architecture.md"
TOP = {path.stem for path in PROJECT.glob("*.py")} | {
    path.name for path in PROJECT.iterdir() if path.is_dir() and next(path.rglob("*.py"), None) and path.name[0] != "."
}
"""Everything at the top that holds code."""

TOP -= {"build", "mutants"}
"""What a build or a run of the mutants leaves there is no code of ours."""


def layers() -> Iterator[tuple[int, str, frozenset[str]]]:
    """Yield (layer, package, the libraries that it may import) for each row of the page's table."""
    rows = re.findall(r"^\| (\d+) \| (.+?) \| [^|]+ \| ?(.*?) ?\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    for number, packages, libraries in rows:
        for package in re.findall(r"`([\w.]+)`", packages):
            yield int(number), package, frozenset(re.findall(r"`([\w]+)`", libraries))


LAYER = {package: number for number, package, _ in layers()}
LIBRARIES = {package: libraries for _, package, libraries in layers()}
UNBOUND = {"tests", "verification", "docs"}
"""These may use any library: they are not part of the product."""


def files() -> list[Path]:
    """List every file of code in the project."""
    found = [path for name in TOP for path in (*PROJECT.glob(f"{name}.py"), *PROJECT.glob(f"{name}/**/*.py"))]
    return sorted(path for path in found if "__pycache__" not in path.parts)


def module_of(path: Path) -> str:
    """Return the dotted name of a file's module."""
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")


def _is_module(name: str) -> bool:
    path = PROJECT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


@cache
def imports(path: Path) -> frozenset[str]:
    """List the modules that a file imports, anywhere in it; `from a import b` counts as `a.b` if that is a module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            named = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name if _is_module(name) else str(node.module) for name in named}
    return frozenset(module for module in found if module.split(".")[0] not in sys.stdlib_module_names)


def package_of(module: str) -> str:
    """Return the row of the table that a module belongs to: `cashback.database`, `stages`, ..."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "cashback" and len(parts) > 1 else parts[0]


FILES = files()


def test_every_folder_and_file_has_its_row() -> None:
    inside = {f"cashback.{path.stem}" for path in (PROJECT / "cashback").iterdir() if path.name[0] not in "_."}
    inside -= {"cashback.py"}
    expected = (TOP - {"cashback"}) | {"cashback"} | {name for name in inside if _is_module(name)}
    assert set(LAYER) == expected


def test_file_imports_only_packages_of_lower_layers() -> None:
    found = {}
    for path in FILES:
        package = package_of(module_of(path))
        used = {package_of(module) for module in imports(path)} & set(LAYER) - {package, "cashback"}
        found[module_of(path)] = {name for name in used if LAYER[name] >= LAYER[package]}
    assert {module: names for module, names in found.items() if names} == {}


def test_file_imports_only_the_libraries_of_its_row() -> None:
    found = {}
    for path in FILES:
        package = package_of(module_of(path))
        if package not in UNBOUND:
            roots = {module.split(".")[0] for module in imports(path)}
            found[module_of(path)] = roots - TOP - LIBRARIES[package]
    assert {module: names for module, names in found.items() if names} == {}


def test_sqlalchemy_and_discord_have_one_home_each() -> None:
    """The product's SQL is in one package and Discord's library in one: the table cannot quietly allow more."""
    assert {package for package, libraries in LIBRARIES.items() if "sqlalchemy" in libraries} == {"cashback.database"}
    assert {package for package, libraries in LIBRARIES.items() if "discord" in libraries} <= {"cashback.cogs", "bot"}


def _circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@cache
def _file_graph() -> dict[str, set[str]]:
    known = {module_of(path) for path in FILES}
    return {module_of(path): set(imports(path)) & known - {module_of(path)} for path in FILES}


def _siblings(graph: dict[str, set[str]], folder: str) -> dict[str, set[str]]:
    """Collapse a graph of files to the direct children of one folder; the folder's own `__init__` is not a child.

    At the top, the packages of the table are the children: `cashback` holds packages below and above the others.
    """

    def child(module: str) -> str | None:
        if not folder:
            return package_of(module)
        inside = f"{folder}." if folder else ""
        return module.removeprefix(inside).split(".")[0] if module.startswith(inside) and module != folder else None

    collapsed: dict[str, set[str]] = {}
    for module, used in graph.items():
        if (name := child(module)) is not None:
            collapsed.setdefault(name, set()).update(
                other for each in used if (other := child(each)) not in {None, name}
            )
    return collapsed


def _folders() -> Iterable[str]:
    return sorted({"", *(module_of(path).rpartition(".")[0] for path in FILES)})


def test_no_file_imports_itself_in_a_circle() -> None:
    assert _circle(_file_graph()) == []


@pytest.mark.parametrize("folder", _folders())
def test_no_circle_between_the_folders_and_files_of_one_folder(folder: str) -> None:
    assert _circle(_siblings(_file_graph(), folder)) == []


def test_no_stage_imports_another() -> None:
    for path in (PROJECT / "stages").glob("*.py"):
        if path.stem != "__init__":
            assert {module for module in imports(path) if package_of(module) == "stages"} == set(), path.name


def test_the_checks_see_an_arrow_a_library_and_a_circle() -> None:
    """A search that finds nothing proves nothing."""
    crediting = imports(PROJECT / "stages" / "crediting.py")
    assert {"cashback.database.payouts.crediting", "pipeline.messages"} & crediting
    assert "sqlalchemy" in imports(PROJECT / "cashback" / "database" / "payouts" / "batches.py")
    assert _circle({"a": {"b"}, "b": {"a"}})
    assert _siblings({"x.a.one": {"x.b.two"}, "x.b.two": {"x.a.three"}}, "x") == {"a": {"b"}, "b": {"a"}}
