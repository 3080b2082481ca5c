"""Files of random orders: no row counts in the wrong currency, twice, or for an id that is no account's."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli import app
from tests.cli.shop_files import ONE, REFERRER, SHAPES, TWO, Shape
from tests.conftest import rows
from tests.examples import examples

IDS = {str(ONE): ONE, str(TWO): TWO, "": None, "42": 0, "5000000001": 0, "1.23456789012346E+17": 0, "x#1234": 0}
"""What may stand as the buyer: a member, nobody, or what no account has as its id."""

CURRENCIES = ("usd", "USD", "eur", "JPY", "")


@dataclass(frozen=True)
class Row:
    """A row of a file of Stripe's payments."""

    order: str
    cents: int
    refunded: int
    currency: str
    captured: bool
    mode: str
    status: str
    buyer: str

    @property
    def counts(self) -> bool:
        """Whether a person who reads the row would count it."""
        is_paid = self.captured and self.mode == "Live" and self.status in {"Paid", "Refunded"}
        return is_paid and self.currency.upper() == "USD" and bool(IDS[self.buyer])

    def cells(self) -> list[str]:
        """Write the row."""
        refunded = min(self.refunded, self.cents)
        amounts = [f"{self.cents / 100:.2f}", f"{refunded / 100:.2f}"]
        captured = "true" if self.captured else "false"
        return [
            self.order,
            "2026-02-03 10:00:00",
            *amounts,
            self.currency,
            captured,
            self.mode,
            self.status,
            self.buyer,
        ]


HEADER = ["id", "Created date (UTC)", "Amount", "Amount Refunded", "Currency", "Captured", "Mode", "Status"]
HEADER += ["discord_id (metadata)"]

row = st.builds(
    Row,
    order=st.sampled_from(["ch_1", "ch_2", "ch_3", "ch_4"]),
    cents=st.integers(1, 99_999),
    refunded=st.sampled_from([0, 0, 50, 100_000]),
    currency=st.sampled_from(CURRENCIES),
    captured=st.booleans(),
    mode=st.sampled_from(["Live", "Live", "Test"]),
    status=st.sampled_from(["Paid", "Paid", "Failed", "Refunded"]),
    buyer=st.sampled_from(list(IDS)),
)
ways: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "Windows-1252": lambda text: text.encode("cp1252"),
    "UTF-16": lambda text: text.encode("utf-16"),
}


@pytest.fixture(scope="module")
def referred(tmp_path_factory: pytest.TempPathFactory, new_ledger: Path) -> Path:
    """Make a ledger in which both members were referred."""
    folder = tmp_path_factory.mktemp("referred")
    shutil.copyfile(new_ledger, folder / "l.db")
    (folder / "r.csv").write_text(f"referrer_id,referred_id\n{REFERRER},{ONE}\n{REFERRER},{TWO}\n")
    arguments = ["--database", str(folder / "l.db"), "import", "--referrals", str(folder / "r.csv")]
    assert app.run([*arguments, "--referred-at", "always"]) == 0
    return folder / "l.db"


def written(header: list[str], lines: list[list[str]], separator: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows([header, *lines])
    return out.getvalue()


def imported(ledger: Path, *files: Path) -> dict[str, tuple[int, int, int]]:
    """Import files; return the orders: buyer, cents and refunded cents, if the books balance."""
    for file in files:
        assert app.run(["--database", str(ledger), "import", str(file)]) in {0, 1, 3}
    assert app.run(["--database", str(ledger), "verify"]) == 0
    query = "SELECT order_id, buyer_id, amount_cents, refunded_cents FROM cashback_referral_purchases"
    return {order: (buyer, cents, refunded) for order, buyer, cents, refunded in rows(ledger, query)}


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(row, max_size=7), st.sampled_from([",", ";", "\t"]), st.sampled_from(sorted(ways)), st.booleans())
def test_no_row_counts_that_should_not(
    referred: Path,
    drawn: list[Row],
    separator: str,
    way: str,
    again: bool,
) -> None:
    with TemporaryDirectory() as folder:
        ledger, file = Path(folder) / "l.db", Path(folder) / "p.csv"
        shutil.copyfile(referred, ledger)
        file.write_bytes(ways[way](written(HEADER, [each.cells() for each in drawn], separator)))
        found = imported(ledger, *([file] * (1 + again)))
    for order, (buyer, cents, _) in found.items():
        source = [each for each in drawn if each.order == order and each.counts and each.cents == cents]
        assert source, "only rows that count, each with its own amount"
        assert buyer in {IDS[each.buyer] for each in source}
    alone = {each.order for each in drawn if sum(other.order == each.order for other in drawn) == 1}
    for each in drawn:
        if each.order in alone:
            assert (each.order in found) == each.counts


@pytest.mark.parametrize("shape", [each for each in SHAPES if not each.bad], ids=lambda shape: shape.name)
def test_a_file_in_two_halves_in_either_order_has_the_same_cents(referred: Path, shape: Shape, tmp_path: Path) -> None:
    header, *lines = csv.reader(io.StringIO(shape.text))
    for cut in range(1, len(lines)):
        if lines[cut][0] == lines[cut - 1][0] and shape.name == "Shopify orders":
            continue
        for number, halves in enumerate(((lines[:cut], lines[cut:]), (lines[cut:], lines[:cut]))):
            ledger = tmp_path / f"{cut}-{number}.db"
            shutil.copyfile(referred, ledger)
            files = []
            for name, half in zip("ab", halves, strict=True):
                files.append(tmp_path / f"{cut}-{number}-{name}.csv")
                files[-1].write_text(written(header, half, ","))
            arguments = ["--day-order", "dmy"] if shape.name == "PayPal activity" else []
            for file in files:
                assert app.run(["--database", str(ledger), "import", str(file), *arguments]) == 0
            assert imported(ledger) == shape.purchases


CELLS = ["", "0", "-1", "1,234", "1.234,56", "€5.00", "5 EUR", "NaN", "1e5", "2026-02-30", "01/02/03", "true", "#REF!"]
CELLS += [
    "\u00a0",
    "\t",
    "12.505",
    "Total",
    "Totals",
    "Test",
    "Cancelled",
    "١٢",
    "'5",
    '="7"',
    str(ONE),
    str(8 * 10**18),
]
"""What may stand in a cell of a file that people have edited."""

changed_cells = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.sampled_from(CELLS)), max_size=4)


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(SHAPES), changed_cells)
def test_every_row_of_an_edited_file_is_accounted_for_or_the_file_is_refused_in_one_line(
    referred: Path, shape: Shape, changes: list[tuple[int, int, str]]
) -> None:
    header, *lines = csv.reader(io.StringIO(shape.text))
    for row, column, cell in changes:
        lines[row % len(lines)][column % len(header)] = cell
    out, err = io.StringIO(), io.StringIO()
    with TemporaryDirectory() as folder:
        ledger, file = Path(folder) / "l.db", Path(folder) / "p.csv"
        shutil.copyfile(referred, ledger)
        file.write_text(written(header, lines, ","), encoding="utf-8")
        with redirect_stdout(out), redirect_stderr(err):
            code = app.run(["--database", str(ledger), "import", str(file), "--day-order", "dmy", "--json"])
    if code == 1:
        assert len(err.getvalue().splitlines()) == 1
        assert "unexpected" not in err.getvalue()
        return
    facts = json.loads(out.getvalue())["purchases"]
    named = [counts["rows"] for part in ("outcomes", "excluded", "refund_rows") for counts in facts[part].values()]
    assert sum(named) + facts["bad"] + sum(facts["other_rows"].values()) == facts["read"]
