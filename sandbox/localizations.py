"""Discord's rules for translated names and descriptions of slash commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.form_errors import FormErrors

LISTED: Final = (
    "ar bg cs da de el en-GB en-US es-419 es-ES fi fr he hi hr hu id it ja ko lt nl no pl pt-BR ro ru sv-SE th tr uk vi"
    " zh-CN zh-TW"
)
LOCALES: Final = frozenset(LISTED.split())

Path = tuple[str | int, ...]


def check_localizations(
    errors: FormErrors, path: Path, texts: object, check_text: Callable[[FormErrors, Path, object], None]
) -> None:
    """Check a text's translations by locale, each like the text itself."""
    if texts is None:
        return
    if not isinstance(texts, dict):
        errors.add(path, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return
    for locale, text in texts.items():
        if locale in LOCALES:
            check_text(errors, (*path, locale), text)
        else:
            errors.add((*path, locale), "ENUM_TYPE_COERCE", f"Value {locale!r} is not a locale.")
