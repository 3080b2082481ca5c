"""Statements for many rows, or with many values: compiled once, then the driver gets the values as they are.

SQLAlchemy itself makes a new dict and tuple of every row, which was a third of an import's time, and another statement
for every number of values, of which the driver keeps the last 128 with room for all their values.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Dialect,
    Insert,
    Subquery,
    Text,
    Update,
    bindparam,
    cast,
    column,
    select,
    values,
)
from sqlalchemy.types import TypeEngine

from cashback.database.dialect import json_values

ROWS_TOGETHER: Final = 100
"""Rows per statement: one row each takes half as long again."""


def rows_of(**types: TypeEngine[Any]) -> CTE:
    """Build the FROM of the rows that `execute_many` passes, for an UPDATE; each must concern a different row."""
    row = tuple(bindparam(name, type_=kind) for name, kind in types.items())
    return values(*(column(name, kind) for name, kind in types.items()), name="rows").data([row]).cte("rows")


def execute_many(
    connection: Connection, statement: Insert | Update, names: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Execute an INSERT, or an UPDATE of `rows_of`, for each row; `names` are the parameters of a row, in order."""
    if not rows:
        return
    if not connection.dialect.positional:
        # PostgreSQL's driver sends them in one batch by itself.
        connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])
        return
    text, processors = _compiled(statement, tuple(names), connection.dialect)
    width = len(names)
    # In one long list a column is a slice: only the order of the rows' values is built.
    flat = list(chain.from_iterable(rows))
    for place, processor in processors:
        flat[place::width] = _processed(flat[place::width], processor)
    one = f"({', '.join('?' * width)})"
    together = text.replace(one, ", ".join([one] * ROWS_TOGETHER))
    first, step = 0, ROWS_TOGETHER * width
    while first + step <= len(flat):
        connection.exec_driver_sql(together, tuple(flat[first : first + step]))
        first += step
    if first < len(flat):
        connection.exec_driver_sql(text, list(zip(*[iter(flat[first:])] * width, strict=True)))


@lru_cache(maxsize=32)
def _compiled(
    statement: Insert | Update, names: tuple[str, ...], dialect: Dialect
) -> tuple[str, list[tuple[int, Callable[[Any], Any]]]]:
    """Compile a statement to text, and return which of its parameters need conversion for the driver, and how."""
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    if compiled.positiontup != list(names):
        message = f"the statement takes {compiled.positiontup}, not {names}"
        raise ValueError(message)
    types = [compiled.binds[name].type.dialect_impl(dialect) for name in names]
    found = ((place, kind.bind_processor(dialect)) for place, kind in enumerate(types))
    return compiled.string, [(place, processor) for place, processor in found if processor is not None]


def _processed(values: list[Any], processor: Callable[[Any], Any]) -> list[Any]:
    """Convert values for the driver; if all are the same, such as a transaction's moment, convert only that one."""
    if len(set(map(id, values))) == 1:
        return [processor(values[0])] * len(values)
    return [processor(value) for value in values]


def is_among(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """Build the condition that a column is one of the values that `among` passes, however many they are."""
    return column.in_(select(listed(column.type).c.value))


def listed(kind: TypeEngine[Any]) -> Subquery:
    """Build a SELECT of the values that `among` passes, in the column `value`; a repeated value counts twice.

    Thousands of values are looked up as they come, while `is_among` would sort them first.
    """
    told = json_values(bindparam("among", type_=Text)).table_valued("value")
    return select(cast(told.c.value, kind).label("value")).subquery("listed")


def among(values: Iterable[Any]) -> dict[str, str]:
    """Encode numbers or texts as the parameter of a statement with `is_among`.

    The statement itself holds no values: it is part of a reference cycle, and would keep them until garbage collection.
    """
    return {"among": json.dumps(list(values))}
