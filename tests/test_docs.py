"""The page of the Discord commands is whole: each command, and each picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from discord import app_commands

from cashback.cogs.admin import AdminCommands, CommandServices
from cashback.cogs.members import MemberCommands

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "reference" / "discord-commands.md").read_text(encoding="utf-8")


def documented() -> Iterator[str]:
    """Go through the names of all commands that do something."""
    nothing: Any = None
    services = CommandServices(**dict.fromkeys(CommandServices.__slots__, nothing))
    admin = AdminCommands(services)
    yield from (command.qualified_name for command in admin.walk_commands())
    members = MemberCommands(nothing, nothing, nothing, nothing)
    for each in members.walk_app_commands():
        if isinstance(each, app_commands.Command):
            yield f"/{each.qualified_name}"


@pytest.mark.parametrize("name", sorted(set(documented())))
def test_every_command_stands_in_the_documentation(name: str) -> None:
    assert re.search(rf"[`!]{re.escape(name)}[` \n]", PAGE)


def test_the_pictures_are_those_of_the_page() -> None:
    named = set(re.findall(r"\(../pictures/([a-z-]+\.png)\)", PAGE))
    assert named == {path.name for path in (DOCS / "pictures").glob("*.png")}
    assert len(named) > 15
