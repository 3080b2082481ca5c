"""Discord's limits on messages; a breach is answered with 400 and code 50035, field by field."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox import errors
from sandbox.model import BUTTON, BUTTON_LINK, Json

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
COLOR_MAX = 0xFFFFFF
ATTACHMENTS = 10
NONCE = 25
CUSTOM_ID = 100
BUTTON_LABEL = 80
BUTTON_STYLES = range(1, 6)
BUTTONS_IN_ROW = 5
ROWS = 5
ACTION_ROW = 1
STRING_SELECT = 3
SELECTS = {3, 5, 6, 7, 8}
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
    "message_reference": (dict,),
}


class FormErrors:
    """Collects the errors of a body; a path's parts are keys and positions from the top."""

    def __init__(self) -> None:
        self._tree: Json = {}

    def add(self, path: tuple[str | int, ...], code: str, message: str) -> None:
        """Add one error."""
        node = self._tree
        for part in path:
            node = node.setdefault(str(part), {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def too_long(self, path: tuple[str | int, ...], limit: int) -> None:
        """Add an error for a text over its limit."""
        self.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")

    def too_many(self, path: tuple[str | int, ...], limit: int) -> None:
        """Add an error for a list over its limit."""
        self.add(path, "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {limit} in length.")

    def required(self, path: tuple[str | int, ...]) -> None:
        """Add an error for a missing field."""
        self.add(path, "BASE_TYPE_REQUIRED", "This field is required")

    def text(self, path: tuple[str | int, ...], value: object, limit: int, *, needed: bool = False) -> int:
        """Check one text and return its length."""
        if value is None or value == "":
            if needed:
                self.required(path)
            return 0
        if not isinstance(value, str):
            self.add(path, "BASE_TYPE_STRING", "Could not interpret as string.")
            return 0
        if len(value) > limit:
            self.too_long(path, limit)
        return len(value)

    def raise_if_any(self) -> None:
        """Refuse the body if there are errors."""
        if self._tree:
            raise errors.invalid_form(self._tree)


def check_message(body: Json, *, files: int = 0) -> None:
    """Refuse a message, or an edit of one, that breaks a limit; `check_not_empty` checks emptiness."""
    wrong = FormErrors()
    for key, kinds in KINDS.items():
        value = body.get(key)
        if value is not None and not isinstance(value, kinds):
            wrong.add((key,), "BASE_TYPE_INVALID", f"Could not interpret as {kinds[0].__name__}.")
    wrong.raise_if_any()
    wrong.text(("content",), body.get("content"), CONTENT)
    if len(str(body.get("nonce") or "")) > NONCE:
        wrong.too_long(("nonce",), NONCE)
    if max(files, len(body.get("attachments") or [])) > ATTACHMENTS:
        wrong.too_many(("attachments",), ATTACHMENTS)
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
    for (outer, inner), limit in EMBED_INNER_TEXTS.items():
        if isinstance(part := embed.get(outer), dict):
            length += wrong.text((*path, outer, inner), part.get(inner), limit, needed=True)
    fields = embed.get("fields") or []
    if len(fields) > EMBED_FIELDS:
        wrong.too_many((*path, "fields"), EMBED_FIELDS)
    for index, each in enumerate(fields):
        for key, limit in FIELD_TEXTS.items():
            length += wrong.text((*path, "fields", index, key), each.get(key), limit, needed=True)
    if not length and not any(isinstance(embed.get(key), dict) for key in EMBED_URLS):
        wrong.required((*path, "description"))
    _check_look(wrong, path, embed)
    return length


def _check_look(wrong: FormErrors, path: tuple[str | int, ...], embed: Json) -> None:
    """Check the parts of an embed that are not text."""
    pictures = [(key, embed[key].get("url", "")) for key in EMBED_URLS if isinstance(embed.get(key), dict)]
    for key, url in pictures:
        if not str(url).startswith(URL_SCHEMES):
            wrong.add((*path, key, "url"), "URL_TYPE_INVALID_SCHEME", "Scheme must be one of ('http', 'https').")
    color = embed.get("color")
    if color is not None and not (isinstance(color, int) and 0 <= color <= COLOR_MAX):
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
        full = len(inner) > BUTTONS_IN_ROW or (len(inner) > 1 and any(part.get("type") in SELECTS for part in inner))
        if not inner or full:
            wrong.too_many((*path, "components"), BUTTONS_IN_ROW)
        for position, part in enumerate(inner):
            yield (*path, "components", position), part


def _check_part(wrong: FormErrors, path: tuple[str | int, ...], part: Json) -> None:
    kind = part.get("type")
    if kind == BUTTON:
        _check_button(wrong, path, part)
    elif kind in SELECTS:
        _check_select(wrong, path, part)
    else:
        wrong.add((*path, "type"), "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (2, 3, 5, 6, 7, 8).')


def _check_button(wrong: FormErrors, path: tuple[str | int, ...], part: Json) -> None:
    style = part.get("style")
    if style not in BUTTON_STYLES:
        wrong.add((*path, "style"), "BASE_TYPE_CHOICES", "Value must be one of {1, 2, 3, 4, 5}.")
    if style == BUTTON_LINK:
        wrong.text((*path, "url"), part.get("url"), 512, needed=True)
        if part.get("custom_id"):
            message = "A custom id and url cannot both be specified"
            wrong.add((*path, "custom_id"), "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE", message)
    else:
        wrong.text((*path, "custom_id"), part.get("custom_id"), CUSTOM_ID, needed=True)
    wrong.text((*path, "label"), part.get("label"), BUTTON_LABEL, needed=not part.get("emoji"))


def _check_select(wrong: FormErrors, path: tuple[str | int, ...], part: Json) -> None:
    wrong.text((*path, "custom_id"), part.get("custom_id"), CUSTOM_ID, needed=True)
    wrong.text((*path, "placeholder"), part.get("placeholder"), PLACEHOLDER)
    options = part.get("options") or []
    if part["type"] == STRING_SELECT and not 1 <= len(options) <= SELECT_OPTIONS:
        wrong.too_many((*path, "options"), SELECT_OPTIONS)
    for index, option in enumerate(options):
        for key in ("label", "value"):
            wrong.text((*path, "options", index, key), option.get(key), SELECT_TEXT, needed=True)
