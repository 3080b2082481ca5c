"""The slash commands that a bot registered, and the data of their invocations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox import errors, payloads
from sandbox.command_limits import check_command
from sandbox.errors import SandboxError
from sandbox.form_errors import FormErrors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.model import Json
    from sandbox.state import State

CHAT_INPUT = 1
SUB_COMMAND, SUB_COMMAND_GROUP, STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, NUMBER = range(1, 11)
COMMANDS = 100
CHANGEABLE = (
    "name",
    "name_localizations",
    "description",
    "description_localizations",
    "options",
    "default_member_permissions",
    "dm_permission",
    "contexts",
    "integration_types",
    "nsfw",
    "type",
)


class Commands:
    """The registered commands: `None` stands for global ones, a guild's id for that guild's.

    `typed` are the words that the bot hears in messages, with their prefix: no bot registers those.
    """

    def __init__(self, state: State) -> None:
        self.typed: list[str] = []
        self._state = state
        self._registered: dict[int | None, list[Json]] = {None: []}

    def all(self, guild_id: int | None = None) -> list[Json]:
        """Return the commands of one scope."""
        return self._registered.get(guild_id, [])

    def usable(self, *, in_guild: bool = True) -> list[Json]:
        """Return what a person can choose, the guild's commands first; in direct messages only the global ones.

        A command that is registered in both scopes is there twice, as in Discord's picker.
        """
        scopes = (self._state.guild_id, None) if in_guild else (None,)
        found = [each for scope in scopes for each in self.all(scope)]
        return [each for each in found if each.get("type", CHAT_INPUT) == CHAT_INPUT]

    def change(self, command_id: int, body: Json, guild_id: int | None = None) -> Json:
        """Change some fields of a command."""
        old = self.find(command_id, guild_id)
        kept = {key: old[key] for key in CHANGEABLE if key in old}
        check_command({**kept, **body})
        command = self._register({**kept, **body}, guild_id, old["id"])
        self._registered[guild_id] = [command if each is old else each for each in self.all(guild_id)]
        return command

    def remove(self, command_id: int, guild_id: int | None = None) -> None:
        """Delete a command of one scope."""
        old = self.find(command_id, guild_id)
        self._registered[guild_id] = [each for each in self.all(guild_id) if each is not old]

    def find(self, command_id: int, guild_id: int | None = None) -> Json:
        """Return a command of one scope by its id."""
        for each in self.all(guild_id):
            if each["id"] == str(command_id):
                return each
        raise errors.ApiError(404, 10063, "Unknown application command")

    def overwrite(self, bodies: list[Json], guild_id: int | None = None) -> list[Json]:
        """Replace the commands of one scope."""
        if len(bodies) > COMMANDS:
            raise errors.ApiError(400, 30032, f"Maximum number of application commands reached ({COMMANDS}).")
        wrong = FormErrors()
        for index, body in enumerate(bodies):
            check_command(body, (index,), wrong)
        wrong.raise_if_any()
        names = [(body.get("type", CHAT_INPUT), body.get("name")) for body in bodies]
        if len(set(names)) < len(names):
            message = "Application command names must be unique"
            fault = {"code": "APPLICATION_COMMANDS_DUPLICATE_NAME", "message": message}
            raise errors.invalid_form({"_errors": [fault]})
        earlier = {each["name"]: each["id"] for each in self.all(guild_id)}
        self._registered[guild_id] = [self._register(body, guild_id, earlier.get(body.get("name"))) for body in bodies]
        return self.all(guild_id)

    def add(self, body: Json, guild_id: int | None = None) -> Json:
        """Add a command, or replace the one of the same name."""
        check_command(body)
        others = [each for each in self.all(guild_id) if each["name"] != body.get("name")]
        command = self._register(body, guild_id, None)
        self._registered[guild_id] = [*others, command]
        return command

    def _register(self, body: Json, guild_id: int | None, command_id: str | None) -> Json:
        options = body.get("options") or []
        command: Json = {
            "name_localizations": None,
            "description_localizations": None,
            "default_member_permissions": None,
            "dm_permission": guild_id is None,
            "contexts": None,
            "integration_types": [0],
            "nsfw": False,
            "description": "",
            **{key: value for key, value in body.items() if value is not None},
            "options": options,
            "type": body.get("type", CHAT_INPUT),
            "id": command_id or str(self._state.new_id()),
            "application_id": str(self._state.bot.id),
            "version": str(self._state.new_id()),
        }
        if guild_id is not None:
            command["guild_id"] = str(guild_id)
        return command

    def invocation(
        self, path: str, values: Mapping[str, Any], *, focused: str | None = None, in_guild: bool = True
    ) -> Json:
        """Build the `data` of typing `/path`, with the words of a group and a subcommand, with these option values.

        Refuses, like a real client, an unknown command, an unknown option and a missing one. `focused` is the option
        being typed, for completion.
        """
        name, *words = path.removeprefix("/").split()
        command = next((each for each in self.usable(in_guild=in_guild) if each["name"] == name), None)
        if command is None:
            known = ", ".join(each["name"] for each in self.usable(in_guild=in_guild)) or "none"
            message = f"there is no command /{name}; registered: {known}"
            raise SandboxError(message)
        described, branch = self._descend(command, words)
        resolved: Json = {}
        filled = self._fill(path, described, values, focused, resolved)
        for word, kind in reversed(branch):
            filled = [{"name": word, "type": kind, "options": filled}]
        data: Json = {"id": command["id"], "name": name, "type": CHAT_INPUT, "options": filled}
        if resolved:
            data["resolved"] = resolved
        if "guild_id" in command:
            data["guild_id"] = command["guild_id"]
        return data

    def _descend(self, command: Json, words: list[str]) -> tuple[list[Json], list[tuple[str, int]]]:
        """Return the option descriptions at the end of the words, and each word with its kind."""
        options: list[Json] = command["options"]
        branch: list[tuple[str, int]] = []
        for word in words:
            step = next((each for each in options if each["name"] == word and each["type"] <= SUB_COMMAND_GROUP), None)
            if step is None:
                message = f"/{command['name']} has no subcommand {word}"
                raise SandboxError(message)
            branch.append((word, step["type"]))
            options = step.get("options") or []
        if any(each["type"] <= SUB_COMMAND_GROUP for each in options):
            message = f"/{command['name']} needs one of: {', '.join(each['name'] for each in options)}"
            raise SandboxError(message)
        return options, branch

    def _fill(
        self, path: str, described: list[Json], values: Mapping[str, Any], focused: str | None, resolved: Json
    ) -> list[Json]:
        names = {each["name"] for each in described}
        if unknown := set(values) - names:
            message = f"/{path} has no option {', '.join(sorted(unknown))}"
            raise SandboxError(message)
        filled: list[Json] = []
        for option in described:
            name = option["name"]
            if name in values:
                entry: Json = {"name": name, "type": option["type"]}
                entry["value"] = values[name] if name == focused else self._value(option, values[name], resolved)
                if name == focused:
                    entry["focused"] = True
                filled.append(entry)
            elif option.get("required") and focused is None:
                message = f"/{path} needs the option {name}"
                raise SandboxError(message)
        return filled

    def _value(self, option: Json, value: object, resolved: Json) -> object:
        kind = option["type"]
        choices = [each["value"] for each in option.get("choices") or []]
        if choices and value not in choices:
            message = f"{option['name']} must be one of {choices}"
            raise SandboxError(message)
        if kind in {USER, MENTIONABLE}:
            person = self._state.user(int(str(value)))
            resolved.setdefault("users", {})[str(person.id)] = payloads.user(person)
            if person.in_guild:
                shape = {**payloads.member_without_user(person), "permissions": str(self._state.permissions_of(person))}
                resolved.setdefault("members", {})[str(person.id)] = shape
        elif kind == CHANNEL:
            channel = self._state.channel(int(str(value)))
            shape = {**payloads.channel(self._state, channel), "permissions": payloads.BOT_PERMISSIONS}
            resolved.setdefault("channels", {})[str(channel.id)] = shape
        elif kind == ROLE:
            role = self._state.roles[int(str(value))]
            resolved.setdefault("roles", {})[str(role.id)] = payloads.role(role)
        else:
            return _scalar(option, value)
        return str(value)


def _scalar(option: Json, value: object) -> object:
    """Check a number, a boolean or a text against the command's bounds."""
    kind = option["type"]
    wanted: dict[int, type | tuple[type, ...]] = {INTEGER: int, BOOLEAN: bool, NUMBER: (int, float), STRING: str}
    if not isinstance(value, wanted.get(kind, object)):
        message = f"{option['name']} does not take {value!r}"
        raise SandboxError(message)
    low, high = option.get("min_value"), option.get("max_value")
    if isinstance(value, int | float) and ((low is not None and value < low) or (high is not None and value > high)):
        message = f"{option['name']} must be from {low} to {high}"
        raise SandboxError(message)
    return value


def used_name(data: Json) -> str:
    """Return the name of the command in an interaction's `data`, with the words of its group and subcommand."""
    words, inner = [str(data["name"])], data.get("options") or []
    while inner and inner[0]["type"] <= SUB_COMMAND_GROUP:
        words.append(inner[0]["name"])
        inner = inner[0].get("options") or []
    return " ".join(words)
