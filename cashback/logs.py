"""The log, set up in one place: JSON for machines, text for people, and the batch on each line that concerns one."""

import json
import logging
import os
from datetime import UTC, datetime
from functools import cache
from typing import Final, TextIO

from cashback.domain.log_context import log_context
from cashback.log_writer import LogWriter, QueueingHandler, is_terminal

BATCH_KEYS: Final = ("batch_id", "batch_number")
"""The keys in `extra` of a line that concerns a batch outside a run."""

COLOURS: Final = {logging.WARNING: 33, logging.ERROR: 31, logging.CRITICAL: 31}
"""Of levels at a terminal, as its codes: yellow and red."""

QUIET: Final = ("aiohttp", "apscheduler", "discord")
"""Libraries whose INFO lines are only useful to their own developers."""


def set_up(stream: TextIO | None = None, *, level: str = "info") -> logging.Handler:
    """Send the records of this level and above to a stream, as JSON unless it is a terminal; return the handler.

    Without a stream they go to standard error, through a queue: whoever reads it slowly holds up nothing.
    """
    handler = QueueingHandler(writer()) if stream is None else logging.StreamHandler(stream)
    handler.setFormatter(formatter(as_json=not (is_terminal() if stream is None else stream.isatty())))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    for library in QUIET:
        logging.getLogger(library).setLevel(max(root.level, logging.WARNING))
    return handler


@cache
def writer() -> LogWriter:
    """Return the writer to standard error, whose thread starts with its first use."""
    return LogWriter()


def write_line(line: str) -> None:
    """Write one line to standard error, past the log; wait for it only a moment."""
    writer().put(f"{line}\n")
    writer().drain()


def formatter(*, as_json: bool) -> logging.Formatter:
    """Build the formatter: one JSON object in a line, or a line for people. Local variables are never shown."""
    return JsonFormatter() if as_json else TextFormatter()


class JsonFormatter(logging.Formatter):
    """A record as one JSON object in one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object. What is no text or number is written as Python shows it."""
        fields: dict[str, object] = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": _moment(record),
            **_batch(record),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=repr)


class TextFormatter(logging.Formatter):
    """A record as a line for people, and below it the traceback of its exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. Warnings and errors have a colour, unless the variable NO_COLOR is set."""
        level = f"[{record.levelname.lower():8}]"
        colour = None if os.environ.get("NO_COLOR") else COLOURS.get(record.levelno)
        shown = f"\033[{colour}m{level}\033[0m" if colour else level
        batch = "".join(f" {name}={value}" for name, value in _batch(record).items())
        line = f"{_moment(record)} {shown} {record.getMessage()} [{record.name}]{batch}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _batch(record: logging.LogRecord) -> dict[str, object]:
    """Return the batch that a record names, or else the one that the logging task is working on."""
    named: dict[str, object] = {key: vars(record)[key] for key in BATCH_KEYS if key in vars(record)}
    batch = log_context.get()
    if batch is not None:
        named.setdefault("batch_number", batch.number)
        if batch.batch_id is not None:
            named.setdefault("batch_id", batch.batch_id)
    return named
