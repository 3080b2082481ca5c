"""The page of the Discord commands is complete, and the decisions are numbered without gaps."""

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
    """Yield the names of all commands that do something."""
    nothing: Any = None
    services = CommandServices(**dict.fromkeys(CommandServices.__slots__, nothing))
    admin = AdminCommands(services)
    yield from (command.qualified_name for command in admin.walk_commands())
    members = MemberCommands(nothing, nothing, nothing, nothing, nothing)
    for each in members.walk_app_commands():
        if isinstance(each, app_commands.Command):
            yield f"/{each.qualified_name}"


@pytest.mark.parametrize("name", sorted(set(documented())))
def test_command_on_discord_is_documented(name: str) -> None:
    assert re.search(rf"[`!]{re.escape(name)}[` \n]", PAGE)


def test_page_shows_every_picture_and_no_other() -> None:
    named = set(re.findall(r"\(../pictures/([a-z-]+\.png)\)", PAGE))
    assert named | {"dashboard.png"} == {path.name for path in (DOCS / "pictures").glob("*.png")}
    assert len(named) > 15


DECISIONS = sorted((DOCS / "decisions").glob("*.md"))


def test_decisions_are_numbered_without_gaps_and_titled_by_their_number() -> None:
    titles = [path.read_text(encoding="utf-8").splitlines()[0] for path in DECISIONS]
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    assert [re.match(r"# (\d+)\. \S", title) and title.split(".")[0] for title in titles] == [
        f"# {number}" for number in range(1, len(DECISIONS) + 1)
    ]


def test_index_lists_the_decisions_by_their_titles() -> None:
    listed = re.findall(r"^(\d+)\. \[(.+)\]\(decisions/(.+)\)$", (DOCS / "index.md").read_text("utf-8"), re.MULTILINE)
    titles = [path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for path in DECISIONS]
    assert [f"{number}. {title}" for number, title, _ in listed] == titles
    assert [name for _, _, name in listed] == [path.name for path in DECISIONS]


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.relative_to(DOCS).as_posix())
def test_link_to_a_decision_names_its_number(page: Path) -> None:
    links = re.findall(r"\[[Dd]ecision (\d+)\]\([^)]*?(\d{4})-", page.read_text(encoding="utf-8"))
    assert [int(said) for said, _ in links] == [int(number) for _, number in links]
