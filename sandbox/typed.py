"""Parses the chat page's input line: mentions by name, and slash commands as `/name option:value`."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from sandbox.commands import BOOLEAN, CHANNEL, INTEGER, MENTIONABLE, NUMBER, ROLE, USER
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from sandbox.model import Json
    from sandbox.state import State

IDENTIFIER = re.compile(r"^<?[@#&!]*(\d{15,20})>?$")
TRUTHS = {"true": True, "yes": True, "false": False, "no": False}


def with_mentions(text: str, state: State) -> str:
    """Replace `@Name` and `#channel` by mentions, the longest name first."""
    marks = [(f"@{each.name}", f"<@{each.id}>") for each in state.members.values()]
    marks += [(f"#{each.name}", f"<#{each.id}>") for each in state.guild_channels()]
    for typed, mention in sorted(marks, key=lambda mark: len(mark[0]), reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(typed)}(?!\w)", mention, text)
    return text


def read_command(text: str, commands: list[Json], state: State) -> tuple[str, dict[str, Any]]:
    """Split a line into the command's path and its options; people, channels and roles are named or given by id."""
    try:
        words = shlex.split(text.removeprefix("/"))
    except ValueError as error:
        raise SandboxError(str(error)) from error
    described: list[Json] = next((each["options"] for each in commands if words and each["name"] == words[0]), [])
    path: list[str] = []
    options: dict[str, Any] = {}
    for word in words:
        name, colon, value = word.partition(":")
        option = next((each for each in described if each["name"] == name), None)
        if path and option is not None and colon:
            options[name] = _value(option["type"], value, state)
        elif options:
            # The last value may contain spaces without quotes.
            last = next(reversed(options))
            options[last] = f"{options[last]} {word}"
        else:
            path.append(word)
            described = option.get("options") or [] if option is not None else described
    return " ".join(path), options


def _value(kind: int, text: str, state: State) -> Any:  # noqa: ANN401 — an option's value is of its kind
    if kind in {USER, MENTIONABLE, CHANNEL, ROLE}:
        return _identify(kind, text, state)
    try:
        if kind == INTEGER:
            return int(text)
        if kind == NUMBER:
            return float(text)
        return TRUTHS[text.lower()] if kind == BOOLEAN else text
    except (ValueError, KeyError):
        message = f"{text} is not valid for this option"
        raise SandboxError(message) from None


def _identify(kind: int, text: str, state: State) -> int:
    """Find the person, channel or role with a name or an id."""
    if found := IDENTIFIER.match(text):
        return int(found[1])
    known: dict[int, list[Any]] = {CHANNEL: state.guild_channels(), ROLE: list(state.roles.values())}
    name = text.lstrip("@#").casefold()
    for each in known.get(kind, state.guild_members()):
        if each.name.casefold() == name:
            return int(each.id)
    message = f"nothing here is called {text}"
    raise SandboxError(message)
