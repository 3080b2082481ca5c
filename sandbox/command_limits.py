"""Discord's rules for slash commands and for suggestions; violations are refused with 400 and code 50035."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sandbox.channel_types import ChannelType
from sandbox.form_errors import FormErrors
from sandbox.localizations import check_localizations

if TYPE_CHECKING:
    from collections.abc import Collection

    from sandbox.model import Json

CHAT_INPUT, USER_MENU, MESSAGE_MENU, ENTRY_POINT = range(1, 5)
SUB_COMMAND, SUB_COMMAND_GROUP, STRING, INTEGER = 1, 2, 3, 4
NUMBER: Final = 10
OPTION_TYPES: Final = range(1, 12)
WITH_CHOICES: Final = {STRING, INTEGER, NUMBER}
OPTIONS: Final = 25
CHOICES: Final = 25
CHOICE_TEXT: Final = 100
DESCRIPTION: Final = 100
NAME: Final = 32
TEXT_BOUND: Final = 6000
WHOLE_COMMAND: Final = 8000
LARGEST_NUMBER: Final = 2**53
ALL_PERMISSIONS: Final = 2**54 - 1
CHANNEL: Final = 7
CONTEXTS: Final = range(3)
INSTALLATIONS: Final = range(2)
NAME_SHAPE: Final = re.compile(r"[-_'\w]+")

Path = tuple[str | int, ...]


def check_command(body: object, path: Path = (), wrong: FormErrors | None = None) -> None:
    """Refuse a command that breaks a rule; with `wrong`, collect the errors below `path` instead."""
    errors = wrong or FormErrors()
    if not isinstance(body, dict):
        errors.add(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
    else:
        _check_body(errors, path, body)
    if wrong is None:
        errors.raise_if_any()


def check_choices(body: Json) -> None:
    """Refuse suggestions that break a rule."""
    errors = FormErrors()
    choices = body.get("choices")
    if not isinstance(choices, list):
        errors.required(("data", "choices"))
    else:
        _check_choices(errors, ("data", "choices"), choices, None)
    errors.raise_if_any()


def _check_body(errors: FormErrors, path: Path, body: Json) -> None:
    kind = body.get("type", CHAT_INPUT)
    if not _is_int(kind) or kind not in range(CHAT_INPUT, ENTRY_POINT + 1):
        errors.add((*path, "type"), "BASE_TYPE_CHOICES", "Value must be one of {1, 2, 3, 4}.")
        return
    if kind in {CHAT_INPUT, ENTRY_POINT}:
        _check_texts(errors, path, body)
    else:
        _check_length(errors, (*path, "name"), body.get("name"), NAME)
        key = "name_localizations"
        check_localizations(errors, (*path, key), body.get(key), partial(_check_length, high=NAME))
        if body.get("description") or body.get("options"):
            message = "Context menu commands cannot have a description or options"
            errors.add((*path, "description"), "APPLICATION_COMMAND_CONTEXT_MENU_DESCRIPTION_CANNOT_BE_SET", message)
    for key in ("nsfw", "dm_permission"):
        _check_truth(errors, (*path, key), body.get(key))
    permissions = body.get("default_member_permissions")
    if permissions is not None and not (str(permissions).isdecimal() and int(permissions) <= ALL_PERMISSIONS):
        errors.add((*path, "default_member_permissions"), "BASE_TYPE_INVALID", "Must be a string of digits.")
    for key, known in (("contexts", CONTEXTS), ("integration_types", INSTALLATIONS)):
        _check_list(errors, (*path, key), body.get(key), known)
    options = body.get("options")
    if options is not None:
        _check_options(errors, (*path, "options"), options, depth=0)
        if isinstance(options, list) and _size(body) > WHOLE_COMMAND:
            message = f"Command exceeds maximum size of {WHOLE_COMMAND}"
            errors.add(path or ("_",), "APPLICATION_COMMAND_TOO_LARGE", message)


def _check_options(errors: FormErrors, path: Path, options: object, *, depth: int) -> None:
    if not isinstance(options, list):
        errors.add(path, "BASE_TYPE_LIST", "Must be a list.")
        return
    if len(options) > OPTIONS:
        errors.add(path, "BASE_TYPE_BAD_LENGTH", f"Must be {OPTIONS} or fewer in length.")
    names: set[object] = set()
    has_optional = False
    for index, option in enumerate(options):
        here = (*path, index)
        if not isinstance(option, dict):
            errors.add(here, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
            continue
        _check_option(errors, here, option, depth=depth)
        if str(option.get("name")) in names:
            errors.add((*here, "name"), "APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS", "Option name already exists")
        names.add(str(option.get("name")))
        if option.get("required") is True and has_optional:
            message = "Required options must be placed before non-required options"
            errors.add(here, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", message)
        has_optional = has_optional or option.get("required") is not True
    kinds = {option.get("type") in (SUB_COMMAND, SUB_COMMAND_GROUP) for option in options if isinstance(option, dict)}
    if len(kinds) > 1:
        message = "Sub-command and sub-command group option types are mutually exclusive to all other types"
        errors.add(path, "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", message)


def _check_option(errors: FormErrors, path: Path, option: Json, *, depth: int) -> None:
    _check_texts(errors, path, option)
    kind = option.get("type")
    if not _is_int(kind) or kind not in OPTION_TYPES:
        message = f"Value must be one of {{{', '.join(map(str, OPTION_TYPES))}}}."
        errors.add((*path, "type"), "BASE_TYPE_REQUIRED" if kind is None else "BASE_TYPE_CHOICES", message)
        return
    for key in ("required", "autocomplete"):
        _check_truth(errors, (*path, key), option.get(key))
    if kind in {SUB_COMMAND, SUB_COMMAND_GROUP}:
        _check_branch(errors, path, option, depth=depth)
    _check_values(errors, path, option, int(str(kind)))


def _check_branch(errors: FormErrors, path: Path, option: Json, *, depth: int) -> None:
    """Check a sub-command, or a group of them."""
    kind = option["type"]
    if depth > 1 or (kind == SUB_COMMAND_GROUP and depth):
        errors.add((*path, "type"), "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", "Sub-commands cannot be nested so.")
    inner = [] if option.get("options") is None else option["options"]
    _check_options(errors, (*path, "options"), inner, depth=1 if kind == SUB_COMMAND_GROUP else 2)
    if kind == SUB_COMMAND_GROUP and isinstance(inner, list):
        for index, each in enumerate(inner):
            if isinstance(each, dict) and each.get("type") != SUB_COMMAND:
                message = "Sub-command groups contain sub-commands only."
                errors.add((*path, "options", index, "type"), "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", message)


def _check_values(errors: FormErrors, path: Path, option: Json, kind: int) -> None:
    choices = option.get("choices")
    types = option.get("channel_types")
    if types is not None and kind != CHANNEL:
        errors.add((*path, "channel_types"), "BASE_TYPE_CHOICES", "Options of this type have no channel types.")
    elif types:
        _check_list(errors, (*path, "channel_types"), types, [each.value for each in ChannelType])
    if choices is not None and not isinstance(choices, list):
        errors.add((*path, "choices"), "BASE_TYPE_LIST", "Must be a list.")
    elif choices:
        if kind not in WITH_CHOICES:
            errors.add((*path, "choices"), "BASE_TYPE_CHOICES", "Options of this type have no choices.")
            return
        if option.get("autocomplete"):
            message = "Options cannot have both choices and autocomplete"
            errors.add((*path, "autocomplete"), "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_INVALID", message)
        _check_choices(errors, (*path, "choices"), choices, kind)
    _check_bounds(errors, path, option, kind)


def _check_bounds(errors: FormErrors, path: Path, option: Json, kind: int) -> None:
    for key in ("min_value", "max_value"):
        value = option.get(key)
        wanted = (int,) if kind == INTEGER else (int, float)
        if value is not None and (
            kind not in {INTEGER, NUMBER}
            or isinstance(value, bool)
            or not isinstance(value, wanted)
            or abs(value) > LARGEST_NUMBER
        ):
            errors.add((*path, key), "NUMBER_TYPE_COERCE", f"Value {value!r} is not a valid bound here.")
    for key, low in (("min_length", 0), ("max_length", 1)):
        value = option.get(key)
        if value is not None and (kind != STRING or not _is_int(value) or not low <= value <= TEXT_BOUND):
            errors.add((*path, key), "NUMBER_TYPE_MAX", f"int value should be from {low} to {TEXT_BOUND}.")
    for low_key, high_key in (("min_value", "max_value"), ("min_length", "max_length")):
        low_bound, high_bound = option.get(low_key), option.get(high_key)
        if isinstance(low_bound, int | float) and isinstance(high_bound, int | float) and low_bound > high_bound:
            message = f"{low_key} must be less than or equal to {high_key}."
            errors.add((*path, low_key), "APPLICATION_COMMAND_OPTIONS_BOUNDS_INVALID", message)


def _check_choices(errors: FormErrors, path: Path, choices: list[Any], kind: int | None) -> None:
    if len(choices) > CHOICES:
        errors.add(path, "BASE_TYPE_BAD_LENGTH", f"Must be between 0 and {CHOICES} in length.")
    wanted: dict[int | None, tuple[type, ...]] = {STRING: (str,), INTEGER: (int,), NUMBER: (int, float)}
    names: set[str] = set()
    for index, choice in enumerate(choices):
        here = (*path, index)
        if not isinstance(choice, dict):
            errors.add(here, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
            continue
        _check_length(errors, (*here, "name"), choice.get("name"), CHOICE_TEXT)
        check_name = partial(_check_length, high=CHOICE_TEXT)
        check_localizations(errors, (*here, "name_localizations"), choice.get("name_localizations"), check_name)
        if str(choice.get("name")) in names and kind is not None:
            errors.add((*here, "name"), "APPLICATION_COMMAND_OPTIONS_CHOICE_NAME_ALREADY_EXISTS", "Name already exists")
        names.add(str(choice.get("name")))
        value = choice.get("value")
        if isinstance(value, bool) or not isinstance(value, wanted.get(kind, (str, int, float))):
            errors.add((*here, "value"), "BASE_TYPE_INVALID", f"Could not interpret {value!r} as a value.")
        elif isinstance(value, str) and len(value) > CHOICE_TEXT:
            errors.too_long((*here, "value"), CHOICE_TEXT)
        elif isinstance(value, int | float) and abs(value) > LARGEST_NUMBER:
            errors.add((*here, "value"), "NUMBER_TYPE_MAX", f"The value should be at most {LARGEST_NUMBER}.")


def _check_texts(errors: FormErrors, path: Path, body: Json) -> None:
    """Check the name and the description of a command or an option, and their translations."""
    check_description = partial(_check_length, high=DESCRIPTION)
    _check_name(errors, (*path, "name"), body.get("name"))
    check_description(errors, (*path, "description"), body.get("description"))
    check_localizations(errors, (*path, "name_localizations"), body.get("name_localizations"), _check_name)
    key = "description_localizations"
    check_localizations(errors, (*path, key), body.get(key), check_description)


def _check_list(errors: FormErrors, path: Path, values: object, known: Collection[int]) -> None:
    """Check a list of values, each known and there once."""
    if values is None:
        return
    if not isinstance(values, list) or not values:
        errors.add(path, "BASE_TYPE_LIST", "Must be a list that is not empty.")
    elif not all(_is_int(each) and each in known for each in values):
        errors.add(path, "BASE_TYPE_CHOICES", f"Value must be one of {{{', '.join(map(str, known))}}}.")
    elif len(set(values)) < len(values):
        errors.add(path, "SET_TYPE_ALREADY_CONTAINS_VALUE", "The set already contains this value")


def _check_name(errors: FormErrors, path: Path, name: object) -> None:
    _check_length(errors, path, name, NAME)
    if isinstance(name, str) and name and (not NAME_SHAPE.fullmatch(name) or name != name.lower()):
        errors.add(path, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")


def _check_length(errors: FormErrors, path: Path, text: object, high: int) -> None:
    if text is None:
        errors.required(path)
    elif not isinstance(text, str):
        errors.add(path, "BASE_TYPE_STRING", "Could not interpret as string.")
    elif not 1 <= len(text) <= high:
        errors.add(path, "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {high} in length.")


def _check_truth(errors: FormErrors, path: Path, value: object) -> None:
    if value is not None and not isinstance(value, bool):
        errors.add(path, "BOOLEAN_TYPE_CHOICES", "Must be either true or false.")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _size(part: Json) -> int:
    """Count the characters that Discord counts: names, descriptions and choices' values, at all depths."""
    own = sum(len(str(part.get(key) or "")) for key in ("name", "description"))
    choices = sum(len(str(each.get("value", ""))) + len(str(each.get("name", ""))) for each in _dicts(part, "choices"))
    return own + choices + sum(_size(each) for each in _dicts(part, "options"))


def _dicts(part: Json, key: str) -> list[Json]:
    found = part.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
