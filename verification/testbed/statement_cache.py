"""A statement cache for all of a process's ledgers: each engine by itself would compile all of its statements.

A ledger's first use would cost a test, or the harness's check of a victim, more than the rest of its work. The
statements and their effects stay the same.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine

from cashback.database import dialect


class Compiled(dict[Any, Any]):
    """SQLAlchemy's compiled forms, by the statement without the dialect, which is a new object in each engine."""

    def get(self, key: Any, default: Any = None) -> Any:  # noqa: ANN401 -- SQLAlchemy's own
        """Look up a statement, whichever engine it was compiled for."""
        return super().get(key[1:], default)

    def __setitem__(self, key: Any, compiled: Any) -> None:  # noqa: ANN401 -- SQLAlchemy's own
        """Store a statement."""
        super().__setitem__(key[1:], compiled)


_BY_DIALECT: dict[str, Compiled] = {}


def compile_once() -> None:
    """Let all engines that this process creates from now on share their compiled statements."""
    dialect.create_engine = _create_engine  # type: ignore[attr-defined]


def _create_engine(*where: Any, **how: Any) -> Engine:  # noqa: ANN401 -- SQLAlchemy's own
    """Create an engine like SQLAlchemy, with the shared cache."""
    engine = create_engine(*where, **how)
    engine.update_execution_options(compiled_cache=_BY_DIALECT.setdefault(engine.dialect.name, Compiled()))
    return engine
