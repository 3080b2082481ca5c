"""SQL that is compiled once for all of a process's ledgers: each engine by itself would compile all of its statements.

A ledger's first use would cost a test, or the harness's look at a victim, more than what it is about. The statements,
and what they do, stay the same.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine

from cashback.database import dialect


class Compiled(dict[Any, Any]):
    """What SQLAlchemy compiled, by the statement; it names the dialect first, which is a new object in each engine."""

    def get(self, key: Any, default: Any = None) -> Any:  # noqa: ANN401 -- SQLAlchemy's own
        """Look for a statement, whichever engine it was compiled for."""
        return super().get(key[1:], default)

    def __setitem__(self, key: Any, compiled: Any) -> None:  # noqa: ANN401 -- SQLAlchemy's own
        """Keep a statement."""
        super().__setitem__(key[1:], compiled)


_BY_DIALECT: dict[str, Compiled] = {}


def compile_once() -> None:
    """Have all engines that this process makes from now on compile together."""
    dialect.create_engine = _create_engine  # type: ignore[attr-defined]


def _create_engine(*where: Any, **how: Any) -> Engine:  # noqa: ANN401 -- SQLAlchemy's own
    """Create an engine as SQLAlchemy does, with what others of its kind have compiled."""
    engine = create_engine(*where, **how)
    engine.update_execution_options(compiled_cache=_BY_DIALECT.setdefault(engine.dialect.name, Compiled()))
    return engine
