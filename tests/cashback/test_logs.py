"""The log: what a line carries, for machines and for people."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from cashback import logs
from tests.conftest import LedgerFixture, raw

pytestmark = pytest.mark.anyio


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Give the root logger; afterwards take the test's handlers off it and give every level back."""
    logger = logging.getLogger()
    before = list(logger.handlers)
    changed = [logger, *map(logging.getLogger, logs.QUIET)]
    levels = [each.level for each in changed]
    yield logger
    for handler in set(logger.handlers) - set(before):
        logger.removeHandler(handler)
    for each, level in zip(changed, levels, strict=True):
        each.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    """Read the JSON lines of a stream."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_for_machines_is_one_json_object(root: logging.Logger) -> None:
    stream = io.StringIO()
    logs.set_up(stream)
    logging.getLogger("stages.audit").warning("paid %d\nto %s", 5, "Bøb", extra={"batch_id": "BATCH-1", "secret": "x"})
    [line] = lines(stream)
    assert line.pop("timestamp")
    assert line == {
        "event": "paid 5\nto Bøb",
        "level": "warning",
        "logger": "stages.audit",
        "batch_id": "BATCH-1",
    }


def test_error_line_for_machines_has_the_traceback_in_the_same_object(root: logging.Logger) -> None:
    stream = io.StringIO()
    logs.set_up(stream)
    try:
        int("x")
    except ValueError:
        logging.getLogger("bot").exception({"not": "a text"})
    [line] = lines(stream)
    assert line["event"] == "{'not': 'a text'}"
    assert line["level"] == "error"
    assert str(line["exception"]).startswith("Traceback (most recent call last):\n")


def test_line_for_people_names_batch_and_logger_and_colours_only_warnings(
    root: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal()
    logs.set_up(stream)
    logger = logging.getLogger("stages.audit")
    logger.warning("paid", extra={"batch_id": "BATCH-1", "batch_number": 1})
    logger.info("done")
    monkeypatch.setenv("NO_COLOR", "1")
    logger.warning("plain")
    coloured, plain, told = stream.getvalue().splitlines()
    assert coloured.endswith(" \033[33m[warning ]\033[0m paid [stages.audit] batch_id=BATCH-1 batch_number=1")
    assert plain.endswith("Z [info    ] done [stages.audit]")
    assert told.endswith("Z [warning ] plain [stages.audit]")


def test_a_fault_is_told_without_what_variables_held(root: logging.Logger) -> None:
    for stream in (io.StringIO(), Terminal()):
        handler = logs.set_up(stream)
        token = "a-token-" + "that-nobody-reads"
        try:
            int(token[:0])
        except ValueError:
            logging.getLogger("bot").exception("it failed")
        root.removeHandler(handler)
        assert "ValueError" in stream.getvalue()
        assert token not in stream.getvalue()


def test_a_line_for_people_is_no_json(root: logging.Logger) -> None:
    stream = Terminal()
    logs.set_up(stream)
    logging.getLogger("bot").info("stopped")
    assert "stopped" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


async def test_every_line_of_a_run_names_its_batch(ledger: LedgerFixture, root: logging.Logger) -> None:
    """The payout to 5 fails within the run, deep in a stage; nothing there names the batch."""
    await ledger.earn(5, 100)
    with raw(ledger.location) as connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE OF wallet_balance_cents ON users BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    stream = io.StringIO()
    logs.set_up(stream)
    number = await ledger.approved()
    await ledger.run(number)
    logging.getLogger("bot").info("afterwards")
    *of_run, after = lines(stream)
    batch_id = ledger.rows("SELECT batch_id FROM cashback_payout_batches")[0][0]
    assert [line["event"] for line in of_run if "the payout to 5 failed" in str(line["event"])]
    assert {(line["batch_number"], line["batch_id"]) for line in of_run} == {(number, batch_id)}
    assert "batch_number" not in after
