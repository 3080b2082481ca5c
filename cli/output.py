"""Writes the command line's results to standard output, and everything else to standard error."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from threading import Event
from typing import Any, Final

import typer

from cashback.domain.errors import CashbackError
from cashback.domain.money import grouped
from cashback.standard_streams import drop

Advance = Callable[[int], None]

recorded: Final = Event()
"""Set when the command has committed something, which stays whatever happens to its output."""


class UsageError(CashbackError):
    """These options cannot be combined."""


def say(*lines: str) -> None:
    """Write lines of a result."""
    for line in lines:
        typer.echo(line)


def say_json(value: Any) -> None:  # noqa: ANN401 -- whatever JSON holds
    """Write a result for programs."""
    typer.echo(json.dumps(with_text_ids(value), indent=2, default=_to_json))


@contextmanager
def stream_json(head: dict[str, Any], key: str) -> Iterator[Callable[[Any], None]]:
    """Write an object whose last key is a long list. Yields the function that writes one item."""
    mark = "\n    "

    def write(item: Any) -> None:  # noqa: ANN401 -- whatever JSON holds
        nonlocal mark
        typer.echo(mark + json.dumps(with_text_ids(item), default=_to_json), nl=False)
        mark = ",\n    "

    typer.echo(
        json.dumps(with_text_ids(head), indent=2, default=_to_json).removesuffix("\n}") + f',\n  "{key}": [', nl=False
    )
    yield write
    typer.echo("\n  ]\n}")


OWN_NUMBERS: Final = frozenset({"transaction_id", "referral_id"})
"""Keys of this program's own small numbers."""


def with_text_ids(value: Any) -> Any:  # noqa: ANN401 -- any JSON value
    """Return a value for programs with the Discord ids as texts: many languages round numbers of that size."""
    if isinstance(value, Mapping):
        return {key: _text_id(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [with_text_ids(item) for item in value]
    return value


def _text_id(key: Any, item: Any) -> Any:  # noqa: ANN401 -- as above
    is_id = isinstance(item, int) and str(key).endswith("_id") and key not in OWN_NUMBERS
    return str(item) if is_id else with_text_ids(item)


def _to_json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def one_line(text: object) -> str:
    """Put any text into one line."""
    return " ".join(str(text).split())


def complain(text: object) -> None:
    """Write one line about an error."""
    remark(f"error: {one_line(text)}")


def remark(text: object) -> None:
    """Write one line that is not part of the result. If nobody can read it, the command goes on without it."""
    try:
        typer.echo(one_line(text), err=True)
    except OSError:
        drop(sys.stderr)


def moment(value: datetime | None) -> str:
    """Write a moment for people."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value is not None else "-"


def counted(count: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun: "1 referral", "50 referrals"."""
    return f"{grouped(count)} {one if count == 1 else many or one + 's'}"


class RestartableAdvance:
    """Moves a progress bar from within a transaction, whose function may run twice: it restarts with the function."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self._count = 0

    def __call__(self, count: int) -> None:
        """Move the bar."""
        self._count += count
        self._advance(count)

    def restart(self) -> None:
        """Move the bar back to where it was before the transaction."""
        self._advance(-self._count)
        self._count = 0


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Advance]:
    """Show a progress bar if standard error is a terminal. Yields the function that moves it."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    # Only a terminal needs Rich.
    from rich.console import Console  # noqa: PLC0415 -- see above
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415 -- see above

    columns = [SpinnerColumn(), TextColumn("{task.description}")]
    if total is not None:
        columns += [BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.update(task, advance=count)
