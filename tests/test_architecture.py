"""Who may import whom: a floor uses only what is below it, and no arrow runs back up."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]

OURS = {
    *(
        "bench",
        "bot",
        "charts",
        "cli",
        "cogs",
        "console",
        "dashboard",
        "database",
        "desk",
        "lease",
        "pipeline",
        "sandbox",
        "scheduler",
    ),
    *("logs", "setting_names", "settings", "simulation", "soak", "stages", "tests"),
}
"""Every folder and file of code at the top."""

WORDS = {
    *("pipeline.errors", "pipeline.in_hand", "pipeline.messages", "pipeline.money", "pipeline.ports"),
    *("pipeline.calendar", "pipeline.days", "pipeline.reasons"),
}
"""What all floors speak: the messages with the errors, the clock, the calendar, the way of writing money."""

MAY_IMPORT = {
    "setting_names": set(),
    "settings": {"pydantic", "setting_names"},
    "logs": {"structlog", "pipeline.in_hand"},
    "pipeline": {"pipeline", "anyio"},
    "charts": {"matplotlib"} | WORDS,
    "database": {"database", "sqlalchemy", "alembic", "anyio", "openpyxl"} | WORDS,
    "stages": {"stages", "pipeline", "database", "anyio"},
    "desk": {"desk", "pipeline", "database", "settings"},
    "lease": {"database", "anyio"} | WORDS,
    "scheduler": {"desk", "database", "settings", "anyio", "apscheduler"} | WORDS,
    "cogs": {"charts", "cogs", "desk", "database", "settings", "anyio", "discord", "aiohttp", "yarl"} | WORDS,
    "dashboard": {
        "dashboard",
        "desk",
        "database",
        "settings",
        "anyio",
        "aiohttp",
        "aiohttp_jinja2",
        "jinja2",
        "prometheus_client",
    }
    | WORDS,
    "sandbox": {"sandbox", "aiohttp", "anyio", "yarl"},
    "simulation": {
        *(
            "simulation",
            "scheduler",
            "stages",
            "desk",
            "database",
            "settings",
            "pipeline",
            "cogs.runs",
            "cogs.retrying",
        ),
        *("anyio", "trio", "sqlalchemy", "rich"),
    },
}
"""The table of the design."""

NARROW = {f"{word.replace('.', '/')}.py": WORDS - {word} for word in WORDS} | {"pipeline/messages.py": set()}
"""Files that know less than the rest of their package."""

ONLY_IN = {"discord": {"cogs", "bot"}, "sqlalchemy": {"database"}, "alembic": {"database"}}
"""Libraries that stay behind one door."""

NOT_IMPORTED = {
    "cli": set[str](),
    "bot": {"cli", "console"},
    "console": {"cli", "console"},
    "simulation": {"console"},
    "tests": {"tests"},
}
"""What stands on the top floors, and who may use it."""


def sources() -> Iterator[tuple[str, Path]]:
    """Go through the program's own files, each with the name of its package or module."""
    for name in sorted(OURS - {"tests", "bench", "soak"}):
        for path in sorted([*PROJECT.glob(f"{name}.py"), *PROJECT.glob(f"{name}/**/*.py")]):
            yield name, path


@cache
def imports(path: Path) -> frozenset[str]:
    """List the modules that a file imports, wherever in the file it does; `from a import b` counts as `a` and `a.b`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = path.relative_to(PROJECT).parts[: -node.level]
                base = ".".join([*above, *([base] if base else [])])
            found.add(base)
            found |= {f"{base}.{name.name}" for name in node.names if _is_module(f"{base}.{name.name}")}
    return frozenset(module for module in found if module.split(".")[0] not in sys.stdlib_module_names)


def _is_module(name: str) -> bool:
    path = PROJECT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def allowed(module: str, permitted: set[str]) -> bool:
    """Tell whether a module is one of those permitted, or inside one, or only the package around one."""
    parts = module.split(".")
    inside = any(".".join(parts[:length]) in permitted for length in range(1, len(parts) + 1))
    return inside or (_is_module(module) and any(name.startswith(f"{module}.") for name in permitted))


def named(path: Path) -> str:
    """Name a file as the design does."""
    return path.relative_to(PROJECT).as_posix()


SOURCES = list(sources())
IDS = [named(path) for _, path in SOURCES]


def test_every_folder_and_file_of_code_has_its_place() -> None:
    found = {path.stem for path in PROJECT.glob("*.py")}
    found |= {path.parent.name for path in PROJECT.glob("*/*.py") if not path.parent.name.startswith((".", "build"))}
    assert found <= OURS


@pytest.mark.parametrize(("package", "path"), SOURCES, ids=IDS)
def test_a_file_imports_only_what_its_floor_may(package: str, path: Path) -> None:
    permitted = NARROW.get(named(path), MAY_IMPORT.get(package))
    if permitted is not None:
        assert {module for module in imports(path) if not allowed(module, permitted)} == set()


@pytest.mark.parametrize(("package", "path"), SOURCES, ids=IDS)
def test_libraries_stay_behind_their_doors(package: str, path: Path) -> None:
    roots = {module.split(".")[0] for module in imports(path)}
    assert {library for library, doors in ONLY_IN.items() if library in roots and package not in doors} == set()


@pytest.mark.parametrize(("package", "path"), SOURCES, ids=IDS)
def test_no_arrow_runs_up_to_the_top_floors(package: str, path: Path) -> None:
    roots = {module.split(".")[0] for module in imports(path)} - {package}
    assert {top for top, users in NOT_IMPORTED.items() if top in roots and package not in users} == set()


def test_no_stage_imports_another() -> None:
    stages = {path.stem for path in PROJECT.glob("stages/*.py")} - {"__init__"}
    for stage in stages:
        found = imports(PROJECT / "stages" / f"{stage}.py")
        assert {module for module in found if module.split(".")[0] == "stages"} == set(), stage


def test_the_top_is_where_the_design_has_it() -> None:
    """The search of this file is worth nothing if it finds nothing."""
    assert {"pipeline", "stages", "database", "desk", "settings"} <= {package for package, _ in SOURCES}
    assert "sqlalchemy" in imports(PROJECT / "database" / "payouts" / "batches.py")
    assert "pipeline.messages" in imports(PROJECT / "database" / "payouts" / "batches.py")
    assert not allowed("pipeline.runner", MAY_IMPORT["database"])
    assert not allowed("stages", MAY_IMPORT["desk"])
    assert allowed("pipeline", MAY_IMPORT["database"])


LEDGER_ROOMS = ("programme", "payouts", "calendar", "reading", "books")
"""The rooms of the ledger in order: each uses only those before it."""


def _ledger_room(parts: Sequence[str]) -> int:
    return LEDGER_ROOMS.index(parts[1]) if len(parts) > 1 and parts[1] in LEDGER_ROOMS else -1


def test_a_room_of_the_ledger_uses_only_those_before_it() -> None:
    ahead = []
    for path in sorted((PROJECT / "database").glob("*/*.py")):
        room = _ledger_room(path.relative_to(PROJECT).parts)
        used = [module for module in imports(path) if _ledger_room(module.split(".")) > room >= 0]
        ahead += [f"{named(path)} uses {module}" for module in used]
    assert ahead == []


def test_what_looks_for_the_order_of_rooms_would_see_it() -> None:
    assert _ledger_room(["database", "books", "backup"]) > _ledger_room(["database", "programme", "pending"])
    assert {path.name for path in (PROJECT / "database").iterdir() if path.is_dir()} >= set(LEDGER_ROOMS)
