"""Discord's limits on messages; a breach is answered with 400 and code 50035, field by field."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox import errors
from sandbox.form_errors import FormErrors
from sandbox.model import BUTTON, BUTTON_LINK, Json
from sandbox.part_limits import (
    check_attachments,
    check_emoji,
    check_menu_lists,
    check_reference,
    check_stickers,
    is_int,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.model import Message
    from sandbox.state import Draft

CONTENT = 2000
EMBEDS = 10
EMBED_TOTAL = 6000
EMBED_FIELDS = 25
EMBED_TEXTS = {"title": 256, "description": 4096}
EMBED_INNER_TEXTS = {("author", "name"): 256, ("footer", "text"): 2048}
FIELD_TEXTS = {"name": 256, "value": 1024}
EMBED_URLS = ("image", "thumbnail")
URL_SCHEMES = ("http://", "https://", "attachment://")
URL_LENGTH = 2048
COLOR_MAX = 0xFFFFFF
ATTACHMENTS = 10
NONCE = 25
MENTION_KINDS = ("everyone", "roles", "users")
MENTIONED = 100
CUSTOM_ID = 100
BUTTON_LABEL = 80
BUTTON_STYLES = range(1, 6)
BUTTONS_IN_ROW = 5
ROWS = 5
ACTION_ROW = 1
STRING_SELECT = 3
SELECTS = (3, 5, 6, 7, 8)
SELECT_OPTIONS = 25
SELECT_TEXT = 100
PLACEHOLDER = 150

KINDS: dict[str, tuple[type, ...]] = {
    "content": (str,),
    "embeds": (list,),
    "components": (list,),
    "attachments": (list,),
    "allowed_mentions": (dict,),
    "flags": (int,),
    "nonce": (str, int),
    "tts": (bool,),
    "enforce_nonce": (bool,),
    "sticker_ids": (list,),
    "message_reference": (dict,),
}


def check_message(body: Json, *, files: int = 0) -> None:
    """Refuse a message, or an edit of one, that breaks a limit; `check_not_empty` checks emptiness."""
    wrong = FormErrors()
    for key, kinds in KINDS.items():
        value = body.get(key)
        if value is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            wrong.add((key,), "BASE_TYPE_INVALID", f"Could not interpret as {kinds[0].__name__}.")
    wrong.raise_if_any()
    wrong.text(("content",), body.get("content"), CONTENT)
    if len(str(body.get("nonce") or "")) > NONCE:
        wrong.too_long(("nonce",), NONCE)
    if max(files, len(body.get("attachments") or [])) > ATTACHMENTS:
        wrong.too_many(("attachments",), ATTACHMENTS)
    check_attachments(wrong, body.get("attachments") or [])
    check_stickers(wrong, body.get("sticker_ids") or [])
    if body.get("message_reference") is not None:
        check_reference(wrong, body["message_reference"])
    _check_allowed_mentions(wrong, body.get("allowed_mentions") or {})
    _check_embeds(wrong, body.get("embeds") or [])
    _check_rows(wrong, body.get("components") or [])
    wrong.raise_if_any()


def check_not_empty(draft: Draft, message: Message | None = None) -> None:
    """Refuse a new message, or an edit of `message`, that would show nothing."""
    content = draft.content if draft.content is not None or message is None else message.content
    parts: list[list[Any] | None] = [draft.embeds, draft.components, draft.attachments]
    if message is not None:
        before: list[list[Any]] = [message.embeds, message.components, message.attachments]
        parts = [old if new is None else new for new, old in zip(parts, before, strict=True)]
    if not ((content or "").strip() or any(parts)):
        raise errors.empty_message()


def check_custom_text(path: str, value: object, low: int, high: int) -> None:
    """Refuse a required text if its length is out of bounds."""
    if not isinstance(value, str) or not low <= len(value) <= high:
        wrong = FormErrors()
        wrong.add((path,), "BASE_TYPE_BAD_LENGTH", f"Must be between {low} and {high} in length.")
        wrong.raise_if_any()


def _check_allowed_mentions(wrong: FormErrors, rules: Json) -> None:
    path = "allowed_mentions"
    parse = rules.get("parse")
    if parse is not None and not isinstance(parse, list):
        wrong.add((path, "parse"), "BASE_TYPE_LIST", "Must be a list.")
        return
    kinds = parse or []
    for index, kind in enumerate(kinds):
        if kind not in MENTION_KINDS:
            wrong.add(
                (path, "parse", index), "BASE_TYPE_CHOICES", "Value must be one of {'everyone', 'roles', 'users'}."
            )
    for key in ("users", "roles"):
        ids = rules.get(key)
        if ids is None:
            continue
        if not isinstance(ids, list) or not all(str(each).isdecimal() for each in ids):
            wrong.add((path, key), "NUMBER_TYPE_COERCE", "Must be a list of snowflakes.")
        elif len(ids) > MENTIONED:
            wrong.too_many((path, key), MENTIONED)
        elif len(set(map(str, ids))) < len(ids):
            wrong.add((path, key), "SET_TYPE_ALREADY_CONTAINS_VALUE", "The set already contains this value")
        elif ids and key in kinds:
            message = f'parse:["{key}"] and {key}: [ids...] are mutually exclusive.'
            wrong.add((path,), "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", message)
    wrong.truth((path, "replied_user"), rules.get("replied_user"))


def _check_embeds(wrong: FormErrors, embeds: list[Any]) -> None:
    if len(embeds) > EMBEDS:
        wrong.too_many(("embeds",), EMBEDS)
    total = 0
    for index, embed in enumerate(embeds):
        if isinstance(embed, dict):
            total += _check_embed(wrong, ("embeds", index), embed)
        else:
            wrong.add(("embeds", index), "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
    if total > EMBED_TOTAL:
        wrong.add(("embeds",), "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {EMBED_TOTAL}")


def _check_embed(wrong: FormErrors, path: tuple[str | int, ...], embed: Json) -> int:
    """Check one embed and return how many characters it adds to the sum."""
    length = sum(wrong.text((*path, key), embed.get(key), limit) for key, limit in EMBED_TEXTS.items())
    for outer in ("author", "footer", *EMBED_URLS, "video", "provider"):
        if embed.get(outer) is not None and not isinstance(embed[outer], dict):
            wrong.add((*path, outer), "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
    for (outer, inner), limit in EMBED_INNER_TEXTS.items():
        if isinstance(part := embed.get(outer), dict):
            length += wrong.text((*path, outer, inner), part.get(inner), limit, needed=True)
            for key in ("url", "icon_url"):
                wrong.text((*path, outer, key), part.get(key), URL_LENGTH)
    length += _check_fields(wrong, (*path, "fields"), embed.get("fields") or [])
    if not length and not any(isinstance(embed.get(key), dict) for key in EMBED_URLS):
        wrong.required((*path, "description"))
    _check_look(wrong, path, embed)
    return length


def _check_fields(wrong: FormErrors, path: tuple[str | int, ...], fields: object) -> int:
    """Check an embed's fields and return their length."""
    length = 0
    if not isinstance(fields, list):
        wrong.add(path, "BASE_TYPE_LIST", "Must be a list.")
        return 0
    if len(fields) > EMBED_FIELDS:
        wrong.too_many(path, EMBED_FIELDS)
    for index, each in enumerate(fields):
        if not isinstance(each, dict):
            wrong.add((*path, index), "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
            continue
        for key, limit in FIELD_TEXTS.items():
            length += wrong.text((*path, index, key), each.get(key), limit, needed=True)
        wrong.truth((*path, index, "inline"), each.get("inline"))
    return length


def _check_look(wrong: FormErrors, path: tuple[str | int, ...], embed: Json) -> None:
    """Check the parts of an embed that are not text."""
    pictures = [(key, embed[key].get("url", "")) for key in EMBED_URLS if isinstance(embed.get(key), dict)]
    for key, url in pictures:
        if not str(url).startswith(URL_SCHEMES):
            wrong.add((*path, key, "url"), "URL_TYPE_INVALID_SCHEME", "Scheme must be one of ('http', 'https').")
    wrong.text((*path, "url"), embed.get("url"), URL_LENGTH)
    if embed.get("url") and not str(embed["url"]).startswith(URL_SCHEMES[:2]):
        wrong.add((*path, "url"), "URL_TYPE_INVALID_SCHEME", "Scheme must be one of ('http', 'https').")
    color = embed.get("color")
    if color is not None and not (isinstance(color, int) and not isinstance(color, bool) and 0 <= color <= COLOR_MAX):
        wrong.add((*path, "color"), "NUMBER_TYPE_MAX", f"int value should be less than or equal to {COLOR_MAX}.")
    if embed.get("timestamp") is not None and not _is_moment(embed["timestamp"]):
        wrong.add((*path, "timestamp"), "DATE_TIME_TYPE_PARSE", "Could not parse as ISO8601.")


def _is_moment(value: object) -> bool:
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return True


def _check_rows(wrong: FormErrors, rows: list[Any]) -> None:
    if len(rows) > ROWS:
        wrong.too_many(("components",), ROWS)
    seen: set[str] = set()
    for path, part in _parts(wrong, rows):
        _check_part(wrong, path, part)
        custom_id = part.get("custom_id")
        if isinstance(custom_id, str):
            if custom_id in seen:
                message = "Component custom id cannot be duplicated"
                wrong.add((*path, "custom_id"), "COMPONENT_CUSTOM_ID_DUPLICATED", message)
            seen.add(custom_id)


def _parts(wrong: FormErrors, rows: list[Any]) -> Iterator[tuple[tuple[str | int, ...], Json]]:
    for index, row in enumerate(rows):
        path: tuple[str | int, ...] = ("components", index)
        if not isinstance(row, dict) or row.get("type") != ACTION_ROW:
            wrong.add((*path, "type"), "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (1,).')
            continue
        inner = row.get("components") or []
        if not isinstance(inner, list) or not all(isinstance(part, dict) for part in inner):
            wrong.add((*path, "components"), "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
            continue
        full = len(inner) > BUTTONS_IN_ROW or (len(inner) > 1 and any(part.get("type") in SELECTS for part in inner))
        if not inner or full:
            wrong.too_many((*path, "components"), BUTTONS_IN_ROW)
        for position, part in enumerate(inner):
            yield (*path, "components", position), part


def _check_part(wrong: FormErrors, path: tuple[str | int, ...], part: Json) -> None:
    kind = part.get("type")
    wrong.truth((*path, "disabled"), part.get("disabled"))
    check_emoji(wrong, (*path, "emoji"), part.get("emoji"))
    if kind == BUTTON:
        _check_button(wrong, path, part)
    elif kind in SELECTS:
        check_select(wrong, path, part)
    else:
        wrong.add((*path, "type"), "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (2, 3, 5, 6, 7, 8).')


def _check_button(wrong: FormErrors, path: tuple[str | int, ...], part: Json) -> None:
    style = part.get("style")
    if not is_int(style) or style not in BUTTON_STYLES:
        wrong.add((*path, "style"), "BASE_TYPE_CHOICES", "Value must be one of {1, 2, 3, 4, 5}.")
    if style == BUTTON_LINK:
        wrong.text((*path, "url"), part.get("url"), 512, needed=True)
        if part.get("custom_id"):
            message = "A custom id and url cannot both be specified"
            wrong.add((*path, "custom_id"), "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE", message)
    else:
        wrong.text((*path, "custom_id"), part.get("custom_id"), CUSTOM_ID, needed=True)
    wrong.text((*path, "label"), part.get("label"), BUTTON_LABEL, needed=not part.get("emoji"))


def check_select(wrong: FormErrors, path: tuple[str | int, ...], part: Json) -> None:
    """Check a menu."""
    wrong.text((*path, "custom_id"), part.get("custom_id"), CUSTOM_ID, needed=True)
    wrong.text((*path, "placeholder"), part.get("placeholder"), PLACEHOLDER)
    check_menu_lists(wrong, path, part)
    options = part.get("options") or []
    if not isinstance(options, list):
        wrong.add((*path, "options"), "BASE_TYPE_LIST", "Must be a list.")
        return
    if part["type"] == STRING_SELECT and not 1 <= len(options) <= SELECT_OPTIONS:
        wrong.too_many((*path, "options"), SELECT_OPTIONS)
    for key, low in (("min_values", 0), ("max_values", 1)):
        count = part.get(key)
        if count is not None and (not is_int(count) or not low <= count <= SELECT_OPTIONS):
            wrong.add((*path, key), "NUMBER_TYPE_MAX", f"int value should be from {low} to {SELECT_OPTIONS}.")
    for index, option in enumerate(options):
        if not isinstance(option, dict):
            wrong.add((*path, "options", index), "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
            continue
        wrong.truth((*path, "options", index, "default"), option.get("default"))
        check_emoji(wrong, (*path, "options", index, "emoji"), option.get("emoji"))
        wrong.text((*path, "options", index, "description"), option.get("description"), SELECT_TEXT)
        for key in ("label", "value"):
            wrong.text((*path, "options", index, key), option.get(key), SELECT_TEXT, needed=True)
