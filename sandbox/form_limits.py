"""Discord's limits on forms (modals); violations are refused with 400 and code 50035."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandbox.limits import FormErrors

if TYPE_CHECKING:
    from sandbox.model import Json

TITLE: Final = 45
CUSTOM_ID: Final = 100
PARTS: Final = 5
ACTION_ROW, TEXT_INPUT, TEXT, LABEL = 1, 4, 10, 18
TEXT_STYLES: Final = (1, 2)
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
    errors.raise_if_any()


def _check_part(errors: FormErrors, path: Path, part: object) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or kind not in {ACTION_ROW, TEXT, LABEL}:
        errors.add((*path, "type"), "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (1, 10, 18).')
    elif kind == LABEL:
        errors.text((*path, "label"), part.get("label"), LABEL_TEXT, needed=True)
        _check_input(errors, (*path, "component"), part.get("component"), in_label=True)
    elif kind == ACTION_ROW:
        inner = part.get("components")
        if not isinstance(inner, list) or len(inner) != 1:
            errors.too_many((*path, "components"), 1)
        else:
            _check_input(errors, (*path, "components", 0), inner[0], in_label=False)


def _check_input(errors: FormErrors, path: Path, part: Any, *, in_label: bool) -> None:  # noqa: ANN401 — JSON
    if not isinstance(part, dict):
        errors.required(path)
        return
    errors.text((*path, "custom_id"), part.get("custom_id"), CUSTOM_ID, needed=True)
    if part.get("type") != TEXT_INPUT:
        if not in_label:
            errors.add((*path, "type"), "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (4,).')
        return
    if part.get("style") not in TEXT_STYLES:
        errors.add((*path, "style"), "BASE_TYPE_CHOICES", "Value must be one of {1, 2}.")
    errors.text((*path, "label"), part.get("label"), LABEL_TEXT, needed=not in_label)
    errors.text((*path, "placeholder"), part.get("placeholder"), PLACEHOLDER)
    errors.text((*path, "value"), part.get("value"), VALUE)
    errors.truth((*path, "required"), part.get("required"))
