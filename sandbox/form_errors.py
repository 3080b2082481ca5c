"""The errors of a body, collected field by field and answered together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox import errors

if TYPE_CHECKING:
    from sandbox.model import Json


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

    def truth(self, path: tuple[str | int, ...], value: object) -> None:
        """Check a value that is true or false."""
        if value is not None and not isinstance(value, bool):
            self.add(path, "BOOLEAN_TYPE_CHOICES", "Must be either true or false.")

    def raise_if_any(self) -> None:
        """Refuse the body if there are errors."""
        if self._tree:
            raise errors.invalid_form(self._tree)
