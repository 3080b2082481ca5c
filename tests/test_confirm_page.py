"""docs/explanation/what-happens-on-confirm.md is true: each function exists, and its predecessor reaches it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "explanation" / "what-happens-on-confirm.md"
ROW = re.compile(r"^\| (\d+) \| `([\w/.]+)` \| `([\w.]+)` \| (\d*) ?\| (?:`(\w+)`)? ?\| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the table."""

    number: int
    file: str
    function: str
    previous: int | None
    by: str


STEPS = {
    int(number): Step(int(number), file, function, int(previous) if previous else None, by)
    for number, file, function, previous, by, _ in ROW.findall(PAGE.read_text(encoding="utf-8"))
}


@cache
def _tree(file: str) -> ast.Module:
    return ast.parse((PROJECT / file).read_text(encoding="utf-8"))


def _find(scope: ast.AST, name: str) -> ast.AST | None:
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return next((node for node in ast.iter_child_nodes(scope) if isinstance(node, kinds) and node.name == name), None)


def _function(step: Step) -> ast.AST | None:
    scope: ast.AST | None = _tree(step.file)
    for part in step.function.split("."):
        scope = _find(scope, part) if scope is not None else None
    return scope


def _owner(step: Step) -> ast.AST:
    """Return the class of a method, else the function itself."""
    owner = _find(_tree(step.file), step.function.split(".")[0])
    assert owner is not None
    return owner


def _names(node: ast.AST) -> set[str]:
    """Return every name in a piece of code, without the underscore of private ones."""
    found = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    found |= {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
    return found | {name.removeprefix("_") for name in found}


def _reaches(before: Step, step: Step) -> bool:
    name = step.function.split(".")[-1]
    function = _function(before)
    assert function is not None
    if not step.by:
        return name in _names(function)
    helper = _find(_owner(before), step.by)
    if helper is not None:
        return step.by in _names(function) and name in _names(helper)
    return step.by in _names(_owner(before)) and step.by in _names(_owner(step)) | {Path(step.file).stem}


def test_the_table_follows_the_work_from_the_button_to_the_outbox() -> None:
    assert list(STEPS) == list(range(1, len(STEPS) + 1))
    assert len(STEPS) >= 20
    assert STEPS[1].previous is None


@pytest.mark.parametrize("step", STEPS.values(), ids=lambda step: f"{step.number}-{step.function}")
def test_function_exists_and_its_predecessor_reaches_it(step: Step) -> None:
    assert _function(step) is not None, f"{step.file} has no {step.function}"
    if step.previous is not None:
        before = STEPS[step.previous]
        assert before.number < step.number
        assert _reaches(before, step), f"{before.function} does not call {step.function}"


def test_the_check_sees_a_step_that_is_not_reached() -> None:
    assert not _reaches(STEPS[12], STEPS[16])
    assert not _reaches(STEPS[1], Step(2, STEPS[9].file, STEPS[9].function, 1, "RunBatch"))
