"""Two tables agree only if a check that looks at each row would find nothing wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, create_engine, func, insert, select

from cashback.database.integrity.agreement import agreement, agrees

TABLES = MetaData()
GIVEN = Table("given", TABLES, Column("key", BigInteger), Column("cents", BigInteger))
HELD = Table("held", TABLES, Column("key", BigInteger, primary_key=True), Column("cents", BigInteger))

FEW_CENTS = st.integers(-2, 2)
FEW_KEYS = st.integers(1, 4)


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    TABLES.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@given(given=st.lists(st.tuples(FEW_KEYS | st.none(), FEW_CENTS)), held=st.dictionaries(FEW_KEYS, FEW_CENTS))
@example(given=[(1, 1)], held={2: 1})
@example(given=[(1, 0)], held={})
@example(given=[(1, 1), (2, 1)], held={1: 1, 2: 0, 3: 1})
@example(given=[(1, 1), (1, 1)], held={1: 2})
@example(given=[(None, 1)], held={1: 0})
def test_tables_agree_only_if_each_row_is_the_sum_of_its_parts(
    connection: Connection, given: list[tuple[int | None, int]], held: dict[int, int]
) -> None:
    for table, rows in ((GIVEN, given), (HELD, list(held.items()))):
        connection.execute(table.delete())
        if rows:
            connection.execute(insert(table), [{"key": key, "cents": cents} for key, cents in rows])
    sums = select(GIVEN.c.key, func.sum(GIVEN.c.cents).label("cents")).group_by(GIVEN.c.key).subquery("sums")
    equal, amount = HELD.c.cents == sums.c.cents, HELD.c.cents != 0
    question = agreement(sums, HELD, same=HELD.c.key == sums.c.key, equal=equal, amount=amount)
    made: Counter[int] = Counter()
    for key, cents in given:
        if key is not None:
            made[key] += cents
    expected = made.keys() <= held.keys() and all(made[key] == cents for key, cents in held.items())
    assert agrees(connection, lambda: question) == expected
