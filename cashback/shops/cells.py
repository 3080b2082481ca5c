"""Cells by the name of their column."""

from collections.abc import Sequence


class Columns:
    """Finds a row's cells by their columns; of columns with the same name the first counts."""

    def __init__(self, names: Sequence[str]) -> None:
        self._places: dict[str, int] = {}
        for place, name in enumerate(names):
            self._places.setdefault(name, place)

    def __contains__(self, column: str) -> bool:
        return column in self._places

    def value(self, cells: Sequence[str], column: str | None) -> str:
        """Return a cell without the spaces around it; an empty text if the file lacks the column."""
        place = self._places.get(column) if column is not None else None
        return cells[place].strip() if place is not None else ""
