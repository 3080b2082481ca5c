"""The log, set up in one place: JSON for machines, text for people, and the batch on each line that concerns one."""

import logging
from functools import cache
from typing import Final, TextIO

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from cashback.domain.log_context import log_context
from cashback.log_writer import LogWriter, QueueingHandler, is_terminal

BATCH_KEYS: Final = ("batch_id", "batch_number")
"""The keys in `extra` of a line that concerns a batch outside a run."""

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
    rendering: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
        if as_json
        else [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(allow=BATCH_KEYS),
            _add_batch_in_hand,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    )


def _add_batch_in_hand(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the batch that the logging task is working on."""
    batch = log_context.get()
    if batch is not None:
        event.setdefault("batch_number", batch.number)
        if batch.batch_id is not None:
            event.setdefault("batch_id", batch.batch_id)
    return event
