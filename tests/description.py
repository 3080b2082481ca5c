"""Discord's own description of its API, if it lies next to the checkout; without it shapes are not judged."""

from __future__ import annotations

import functools
import importlib.util
import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

DESCRIPTION = pathlib.Path(__file__).parents[2] / "shared" / "discord" / "validate.py"

RequestCheck = Callable[[str, str, object], list[str]]


@pytest.fixture(scope="session")
def description() -> Any:  # noqa: ANN401 -- a module that is elsewhere, or None
    """Return the module that holds bodies against the description, or None."""
    if not DESCRIPTION.exists():
        return None
    specification = importlib.util.spec_from_file_location("discord_description", DESCRIPTION)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def request_check(description: Any) -> RequestCheck | None:  # noqa: ANN401 -- see there
    """Return what holds requests against the description. Each is judged once: most tests send what others did."""
    if description is None:
        return None

    @functools.cache
    def complaints(method: str, route: str, text: str) -> list[str]:
        found: list[str] = description.check_request(method, route, json.loads(text))
        return found

    def check(method: str, path: str, body: object) -> list[str]:
        return complaints(method, description.find_route(method, path) or path, json.dumps(body, sort_keys=True))

    return check
