"""Discord's limits on forms (modals); violations are refused with 400 and code 50035."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandbox.form_errors import FormErrors
from sandbox.limits import SELECTS, check_select
from sandbox.part_limits import is_int

if TYPE_CHECKING:
    from sandbox.model import Json

TITLE: Final = 45
CUSTOM_ID: Final = 100
PARTS: Final = 5
ACTION_ROW, TEXT_INPUT, TEXT, LABEL = 1, 4, 10, 18
IN_LABELS: Final = (TEXT_INPUT, *SELECTS, 19, 21, 22, 23)
"""A text, a menu, files, and boxes to check."""
TEXT_STYLES: Final = (1, 2)
DESCRIPTION: Final = 100
LABEL_TEXT: Final = 45
PLACEHOLDER: Final = 100
VALUE: Final = 4000

Path = tuple[str | int, ...]


def check_form(data: Json) -> None:
    """Refuse a form that breaks a limit."""
    errors = FormErrors()
    errors.text(("data", "title"), data.get("title"), TITLE, needed=True)
    errors.text(("data", "custom_id"), data.get("custom_id"), CUSTOM_ID, needed=True)
    parts = data.get("components")
    path: Path = ("data", "components")
    if not isinstance(parts, list) or not 1 <= len(parts) <= PARTS:
        errors.too_many(path, PARTS)
    else:
        for index, part in enumerate(parts):
            _check_part(errors, (*path, index), part)
        _check_ids_differ(errors, path, parts)
    errors.raise_if_any()


def _check_part(errors: FormErrors, path: Path, part: object) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not is_int(kind) or kind not in (ACTION_ROW, TEXT, LABEL):
        errors.add((*path, "type"), "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (1, 10, 18).')
    elif kind == LABEL:
        errors.text((*path, "label"), part.get("label"), LABEL_TEXT, needed=True)
        errors.text((*path, "description"), part.get("description"), DESCRIPTION)
        _check_input(errors, (*path, "component"), part.get("component"), in_label=True)
    elif kind == TEXT:
        errors.text((*path, "content"), part.get("content"), VALUE, needed=True)
    else:
        inner = part.get("components")
        if not isinstance(inner, list) or len(inner) != 1:
            errors.too_many((*path, "components"), 1)
        else:
            _check_input(errors, (*path, "components", 0), inner[0], in_label=False)


def _check_ids_differ(errors: FormErrors, path: Path, parts: list[Any]) -> None:
    seen: set[str] = set()
    for index, part in enumerate(parts):
        inner = part.get("components") if isinstance(part, dict) else None
        found = [*(inner if isinstance(inner, list) else []), part.get("component") if isinstance(part, dict) else None]
        for custom_id in [str(each.get("custom_id")) for each in found if isinstance(each, dict)]:
            if custom_id in seen:
                message = "Component custom id cannot be duplicated"
                errors.add((*path, index), "COMPONENT_CUSTOM_ID_DUPLICATED", message)
            seen.add(custom_id)


def _check_input(errors: FormErrors, path: Path, part: Any, *, in_label: bool) -> None:  # noqa: ANN401 — JSON
    if not isinstance(part, dict):
        errors.required(path)
        return
    errors.text((*path, "custom_id"), part.get("custom_id"), CUSTOM_ID, needed=True)
    kind, known = part.get("type"), IN_LABELS if in_label else (TEXT_INPUT,)
    if not is_int(kind) or kind not in known:
        errors.add((*path, "type"), "UNION_TYPE_CHOICES", f'Value of field "type" must be one of {known}.')
        return
    if kind in SELECTS:
        check_select(errors, path, part)
    if kind != TEXT_INPUT:
        return
    if not is_int(part.get("style")) or part["style"] not in TEXT_STYLES:
        errors.add((*path, "style"), "BASE_TYPE_CHOICES", "Value must be one of {1, 2}.")
    errors.text((*path, "label"), part.get("label"), LABEL_TEXT, needed=not in_label)
    errors.text((*path, "placeholder"), part.get("placeholder"), PLACEHOLDER)
    errors.text((*path, "value"), part.get("value"), VALUE)
    errors.truth((*path, "required"), part.get("required"))
    for key, low in (("min_length", 0), ("max_length", 1)):
        length = part.get(key)
        if length is not None and not (is_int(length) and low <= length <= VALUE):
            errors.add((*path, key), "NUMBER_TYPE_MAX", f"int value should be from {low} to {VALUE}.")
