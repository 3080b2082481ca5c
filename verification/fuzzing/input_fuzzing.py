"""Thousands of malformed inputs: each entry point of the program answers them clearly and changes nothing.

A target accepts one input and raises AssertionError if a person or a shop cannot use the answer. Hypothesis makes the
inputs: similar enough to valid ones to get past the first check, and different from them.
"""

import contextlib
import io
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import typer
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from cashback import settings as configuration
from cashback.dashboard.intake_schema import purchases_in, read_json, refunds_in
from cashback.dashboard.problems import ProblemError
from cashback.database.referral_program.people import check_id
from cashback.domain.errors import CashbackError
from cashback.settings import ReferralSettings, Settings, SettingsError
from cli import app

MONEY: Final = (
    *("users", "referrals", "wallet_transactions"),
    *("cashback_referral_purchases", "cashback_referral_refunds", "cashback_referral_blacklist"),
)
LONG_OR_FAR: Final = {"bot", "demo", "simulate", "dashboard", "seed", "backup", "export", "bench", "worker"}
"""Commands that serve, take long, or write files to a given path: those have tests of their own."""

_TEXT: Final = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=20)
_NUMBERS: Final = st.integers(-(10**20), 10**20) | st.sampled_from([0, 1, -1, 2**63 - 1, 2**63, 10**12])
_LIKE_IDS: Final = _NUMBERS.map(str) | st.sampled_from(
    ["1e5", "٣", "0x10", "1_000", " 7", "<@5>", "<@!5>", "@everyone"]
)
_LIKE_AMOUNTS: Final = st.floats().map(str) | st.decimals(places=3, allow_nan=False, allow_infinity=False).map(str)
_WORDS: Final = (
    _LIKE_IDS | _LIKE_AMOUNTS | _TEXT | st.sampled_from(["--json", "--yes", "--user", "--limit", "-x", "--"])
)
_JSON: Final = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzTarget:
    """An entry point: its inputs, and the function that passes them."""

    name: str
    inputs: st.SearchStrategy[Any]
    take: Callable[[Any], None]


def try_target(target: FuzzTarget, examples: int, number: int) -> None:
    """Send so many inputs through a target. Raises AssertionError with the smallest input that got a bad answer."""

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs)
    def try_it(value: Any) -> None:  # noqa: ANN401 -- whatever the target takes
        target.take(value)

    try_it()


def money_in(path: Path) -> list[Any]:
    """Read all rows that concern money; empty if there is no ledger."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as connection:
        return [connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in MONEY]  # noqa: S608 -- the names above


def run_command(arguments: list[str]) -> tuple[int, str]:
    """Run `cashback` in this process, without a terminal; return its exit code and its standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _nobody_answers():
        code = app.run(arguments)
    return code, err.getvalue()


@contextlib.contextmanager
def _nobody_answers() -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.StringIO()
    try:
        yield
    finally:
        sys.stdin = before


def require_clear(code: int, err: str, arguments: object) -> None:
    """Check the command line's answer: a known exit code, one line for an error, and nothing unexpected."""
    if code not in {0, 1, 2, 3} or "Traceback" in err or "error: unexpected" in err:
        raise AssertionError(f"cashback {arguments}: exit code {code}, {err}")
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    if code in {1, 2} and len(lines) != 1:
        raise AssertionError(f"cashback {arguments}: {len(lines)} lines of errors, {err}")


def _command_line(ledger: Path) -> FuzzTarget:
    commands: Any = typer.main.get_command(app.app)
    names = sorted(set(commands.commands) - LONG_OR_FAR)
    options = st.sampled_from(
        sorted(
            {option for name in names for parameter in commands.commands[name].params for option in parameter.opts}
            - {"--config", "--database"}
        )
    )

    def take(value: tuple[str, list[str]]) -> None:
        arguments = ["--database", str(ledger), value[0], *value[1]]
        before = money_in(ledger)
        code, err = run_command(arguments)
        require_clear(code, err, arguments)
        if code in {1, 2} and money_in(ledger) != before:
            raise AssertionError(f"cashback {arguments} was refused and changed the ledger")

    words = st.lists(_WORDS | options, max_size=5)
    return FuzzTarget(name="command lines", inputs=st.tuples(st.sampled_from(names) | _TEXT, words), take=take)


def _config(folder: Path) -> FuzzTarget:
    known = sorted({*Settings.model_fields, *ReferralSettings.model_fields})
    referral = st.dictionaries(st.sampled_from(known) | _TEXT, _JSON, max_size=4)
    whole = st.dictionaries(st.sampled_from([*known, "referral_settings", "role_ids"]), referral | _JSON, max_size=4)
    text = whole.map(json.dumps) | _JSON.map(json.dumps) | st.text(max_size=60)
    path = folder / "tried.json"

    def take(value: bytes) -> None:
        path.write_bytes(value)
        try:
            configuration.load(path, None, {})
        except SettingsError as error:
            if "\n" in str(error) or "tried.json" not in str(error):
                raise AssertionError(f"{value!r} was refused unclearly: {error}") from error

    written = text.map(lambda one: one.encode("utf-8", "surrogatepass")) | st.binary(max_size=60)
    return FuzzTarget(name="config.json", inputs=written, take=take)


def _csv(folder: Path, ledger: Path) -> FuzzTarget:
    path = folder / "tried.csv"
    cell = _LIKE_IDS | _LIKE_AMOUNTS | _TEXT | st.sampled_from(["=1+1", '"', "1,5", "2026-01-01", "12.34"])
    rows = st.lists(st.lists(cell, max_size=4).map(",".join), max_size=4)
    head = st.sampled_from(["order_id,buyer_id,amount", "amount,order_id,buyer_id,purchased_at", "order_id", ""])
    table = st.tuples(head, rows).map(lambda parts: "\n".join([parts[0], *parts[1]]).encode("utf-8", "surrogatepass"))

    def take(value: bytes) -> None:
        path.write_bytes(value)
        before = money_in(ledger)
        code, err = run_command(["--database", str(ledger), "import", str(path), "--strict"])
        if code not in {0, 1} or "Traceback" in err or "error: unexpected" in err:
            raise AssertionError(f"import of {value!r}: exit code {code}, {err}")
        if code == 1 and money_in(ledger) != before:
            raise AssertionError(f"import of {value!r} was refused and changed the ledger")

    return FuzzTarget(name="CSV files", inputs=table | st.binary(max_size=80), take=take)


def _bodies() -> FuzzTarget:
    keys = st.sampled_from(
        ["order_id", "buyer_id", "amount_cents", "amount", "purchased_at", "refund_id", "reason", "purchases"]
    )
    moments = st.datetimes(timezones=st.timezones()).map(datetime.isoformat)
    entry = st.dictionaries(keys | _TEXT, _JSON | _LIKE_IDS | moments, max_size=5)
    body = (entry | st.lists(entry, max_size=3) | _JSON).map(lambda value: json.dumps(value).encode())

    def take(value: bytes) -> None:
        with contextlib.suppress(ProblemError):
            purchases_in(read_json(value), datetime.now(UTC))
        with contextlib.suppress(ProblemError):
            refunds_in(read_json(value))

    return FuzzTarget(name="bodies of the intake", inputs=body | st.binary(max_size=60), take=take)


def _ids() -> FuzzTarget:
    def take(value: object) -> None:
        try:
            found = check_id(value)  # type: ignore[arg-type]  # this is under test
        except CashbackError as error:
            if "\n" in str(error):
                raise AssertionError(f"{value!r} was refused unclearly: {error}") from error
        else:
            if type(found) is not int or not 0 < found < 2**63:
                raise AssertionError(f"{value!r} was accepted as an id")

    return FuzzTarget(
        name="ids", inputs=_JSON | _LIKE_IDS | st.datetimes().map(lambda at: at.replace(tzinfo=UTC)), take=take
    )


def targets(folder: Path) -> list[FuzzTarget]:
    """Build all targets, with a ledger of their own in the folder whose money must not change by malformed input."""
    ledger = folder / "tried.db"
    code, err = run_command(["--database", str(ledger), "seed"])
    if code:
        raise RuntimeError(err)
    return [_command_line(ledger), _config(folder), _csv(folder, ledger), _bodies(), _ids()]
