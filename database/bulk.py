"""One statement for many rows, or about many values: compiled once, then the driver takes them as they are.

SQLAlchemy's own way makes a dict and a tuple anew of every row, which was a third of an import's time, and a statement
of its own of every number of values, of which the driver keeps the last 128 with room for all their values.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Insert, Text, Update, bindparam, func, select


def execute_many(
    connection: Connection, statement: Insert | Update, names: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Execute an INSERT or UPDATE once for each row; `names` are its parameters, in the order of a row's values."""
    if not rows:
        return
    dialect = connection.dialect
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    if compiled.positiontup != list(names):
        connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])
        return
    columns: list[Any] = list(zip(*rows, strict=True))
    for place, name in enumerate(names):
        processor = compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)
        if processor is not None:
            columns[place] = [*_processed(columns[place], processor)]
    connection.exec_driver_sql(compiled.string, list(zip(*columns, strict=True)))


def _processed(values: Sequence[Any], processor: Callable[[Any], Any]) -> Iterator[Any]:
    """Prepare values for the driver; one that is the same as the one before is prepared once."""
    before = prepared = None
    for value in values:
        if value is not before:
            before, prepared = value, processor(value)
        yield prepared


def is_among(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """Tell in SQL whether a column is one of the values that `among` hands over, however many they are."""
    listed = func.json_each(bindparam("among", type_=Text)).table_valued("value")
    return column.in_(select(listed.c.value))


def among(values: Iterable[Any]) -> dict[str, str]:
    """Hand numbers or texts over to the statement that asks `is_among`.

    The statement itself holds none of them: it is part of a cycle, and would keep them until cycles are looked for.
    """
    return {"among": json.dumps(list(values))}
