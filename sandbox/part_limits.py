"""Discord's rules for the parts of a message that are no text: emoji, ids, references, files and menus' lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandbox.channel_types import ChannelType

if TYPE_CHECKING:
    from sandbox.form_errors import FormErrors
    from sandbox.model import Json

STICKERS: Final = 3
EMOJI_NAME: Final = 32
FILE_DESCRIPTION: Final = 1024
FILE_NAME: Final = 1024
DEFAULTS: Final = 25
LARGEST_ID: Final = 2**63 - 1
DEFAULT_KINDS: Final = ("user", "role", "channel")
CHANNEL_TYPES: Final = tuple(each.value for each in ChannelType)

Path = tuple[str | int, ...]


def is_int(value: object) -> bool:
    """Return whether a value is a whole number, which true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_id(wrong: FormErrors, path: Path, value: object, *, needed: bool = False) -> None:
    """Check an id: digits, as a text or a number."""
    if value is None:
        if needed:
            wrong.required(path)
    elif not (is_int(value) or isinstance(value, str)) or not (
        str(value).isascii() and str(value).isdecimal() and int(str(value)) <= LARGEST_ID
    ):
        wrong.add(path, "NUMBER_TYPE_COERCE", f"Value {str(value)[:40]!r} is not snowflake.")


def check_emoji(wrong: FormErrors, path: Path, emoji: object) -> None:
    """Check the emoji of a button or an option."""
    if emoji is None:
        return
    if not isinstance(emoji, dict):
        wrong.add(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
        return
    wrong.text((*path, "name"), emoji.get("name"), EMOJI_NAME, needed=emoji.get("id") is None)
    check_id(wrong, (*path, "id"), emoji.get("id"))


def check_reference(wrong: FormErrors, reference: Json) -> None:
    """Check the message that a message replies to."""
    for key in ("message_id", "channel_id", "guild_id"):
        check_id(wrong, ("message_reference", key), reference.get(key), needed=key == "message_id")
    wrong.truth(("message_reference", "fail_if_not_exists"), reference.get("fail_if_not_exists"))


def check_stickers(wrong: FormErrors, ids: list[Any]) -> None:
    """Check the stickers of a message."""
    if len(ids) > STICKERS:
        wrong.too_many(("sticker_ids",), STICKERS)
    for index, each in enumerate(ids):
        check_id(wrong, ("sticker_ids", index), each, needed=True)


def check_attachments(wrong: FormErrors, attachments: list[Any]) -> None:
    """Check what a message says about its files."""
    for index, each in enumerate(attachments):
        path: Path = ("attachments", index)
        if not isinstance(each, dict):
            wrong.add(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
            continue
        check_id(wrong, (*path, "id"), each.get("id"), needed=True)
        wrong.text((*path, "filename"), each.get("filename"), FILE_NAME)
        wrong.text((*path, "description"), each.get("description"), FILE_DESCRIPTION)


def check_menu_lists(wrong: FormErrors, path: Path, part: Json) -> None:
    """Check the types of channels that a menu offers, and what is chosen from the start."""
    types = part.get("channel_types")
    if types is not None and not (
        isinstance(types, list) and all(is_int(each) and each in CHANNEL_TYPES for each in types)
    ):
        wrong.add((*path, "channel_types"), "BASE_TYPE_CHOICES", f"Value must be one of {set(CHANNEL_TYPES)}.")
    elif types and len(set(types)) < len(types):
        wrong.add((*path, "channel_types"), "SET_TYPE_ALREADY_CONTAINS_VALUE", "The set already contains this value")
    chosen = part.get("default_values")
    if chosen is None:
        return
    if not isinstance(chosen, list) or not all(isinstance(each, dict) for each in chosen):
        wrong.add((*path, "default_values"), "BASE_TYPE_LIST", "Must be a list of objects.")
        return
    if len(chosen) > DEFAULTS:
        wrong.too_many((*path, "default_values"), DEFAULTS)
    for index, each in enumerate(chosen):
        here = (*path, "default_values", index)
        check_id(wrong, (*here, "id"), each.get("id"), needed=True)
        if each.get("type") not in DEFAULT_KINDS:
            wrong.add((*here, "type"), "BASE_TYPE_CHOICES", "Value must be one of {'channel', 'role', 'user'}.")
