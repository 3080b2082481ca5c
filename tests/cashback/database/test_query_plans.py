"""What the statements of a batch cost: they search what is pending, they never scan what is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from sqlalchemy import Connection, event

from cashback.database import Database
from cashback.database.integrity import reconciliation
from cashback.database.payouts import absences, batches, crediting, outbox, proposals, runs
from cashback.database.queries import browsing, members
from cashback.database.referral_program import pending, purchases, referrals, refunds, unusable_rows
from cashback.database.referral_program.purchases import Purchase
from cashback.database.referral_program.refunds import Refund
from cashback.domain.model import Absence, BatchLimits, ChunkDiscovered
from tests.cashback.database import apex_core
from tests.conftest import FRIDAY, Clock, LedgerFixture, raw

pytestmark = pytest.mark.anyio

Plans = dict[str, list[str]]


def explained(connection: Connection, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Plans:  # noqa: ANN401 -- whatever the function takes
    """Run a function, and return the query plan of each statement that it executed, by the statement's text."""
    statements: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, statement: str, parameters: Any, _x: object, many: bool) -> None:  # noqa: ANN401 -- whatever the function takes
        if not many:
            statements.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    function(connection, *args, **kwargs)
    event.remove(connection, "before_cursor_execute", note)
    return {
        statement: [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()]
        for statement, parameters in statements
    }


def full_scans(plans: Plans) -> list[str]:
    """List the steps that read a whole table of the old bot, or all payouts.

    An INSERT's plan names the tables that refer to its own too; SQLite looks there only while a violation is open.
    """
    tables = (
        "referrals",
        "users",
        "wallet_transactions",
        "cashback_payouts",
        "cashback_referral_purchases",
        "cashback_referral_refunds",
    )
    return [
        step
        for statement, plan in plans.items()
        for step in plan
        if not (step == "SCAN cashback_payouts" and statement.startswith("INSERT"))
        if step.split(" USING")[0] in {f"SCAN {table}" for table in tables}
        and not any(f"INDEX {index}" in step for index in PARTIAL)
    ]


PARTIAL = (
    "cashback_referral_purchases_waiting",
    "cashback_referrals_pending",
    "cashback_referrals_blacklisted",
    "cashback_referrals_overpaid",
    "cashback_referrals_unusable",
    "cashback_referrals_held",
)
"""These hold only the rows that they are asked for."""

FORMS = ["new", "adopted", "analyzed"]
small_tables = pytest.mark.parametrize("large", ["new", "adopted"], indirect=True)
"""With statistics, SQLite rightly reads a table of few rows from end to end."""


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the ledgers that are filled once."""
    return tmp_path_factory.mktemp("large")


@pytest.fixture(params=FORMS)
async def large(
    request: pytest.FixtureRequest, tmp_path: Path, templates: Path, new_ledger: Path
) -> AsyncIterator[LedgerFixture]:
    """Open a copy of a ledger with some thousand referrals, most of them paid, with a batch that runs."""
    template, path = templates / f"{request.param}.db", tmp_path / "cashback.db"
    if not template.exists():
        await fill(template, request.param, new_ledger)
    copyfile(template, path)
    async with Database(path, clock=Clock()) as database:
        yield LedgerFixture(database, Clock())


async def fill(path: Path, form: str, new_ledger: Path) -> None:
    """Make such a ledger."""
    if form == "new":
        copyfile(new_ledger, path)
    else:
        apex_core.create(path)
    async with Database(path, clock=Clock()) as database:
        ledger = LedgerFixture(database, Clock())
        await ledger.earn_all((1000 + number % 500, 5) for number in range(2000))
        await ledger.pay()
        await ledger.earn_all((1000 + number, 7) for number in range(200))
        if form == "analyzed":
            with raw(path) as connection:
                connection.execute("ANALYZE")
        number = await ledger.approved()
        await database.write(runs.start, number, now=FRIDAY)


async def test_crediting_a_chunk_searches_its_own_rows_only(large: LedgerFixture) -> None:
    chunk = ChunkDiscovered(batch_number=2, first_referrer_id=1010, last_referrer_id=1060)
    plans = await large.database.write(explained, crediting.credit_chunk, chunk, now=FRIDAY)
    assert len(plans) >= 7
    assert full_scans(plans) == []
    by_flag = [step for plan in plans.values() for step in plan if "idx_referrals_blacklist" in step]
    assert by_flag == []
    [owed] = [plan for text, plan in plans.items() if text.startswith("INSERT INTO cashback_credits")]
    by_key = "cashback_payout_shares USING PRIMARY KEY (batch_number=? AND referrer_id>"
    assert any(by_key in step for step in owed), owed
    [shares] = [plan for text, plan in plans.items() if text.startswith("UPDATE cashback_payout_shares")]
    barred = [step for step in shares if " flagged " in step]
    assert all("cashback_referrals_blacklisted" in step for step in barred), barred
    [marks] = [plan for text, plan in plans.items() if text.startswith("UPDATE referrals")]
    assert any("referrals USING INTEGER PRIMARY KEY (rowid=?)" in step for step in marks), marks


async def test_discovery_goes_along_the_key(large: LedgerFixture) -> None:
    plans = await large.database.read(explained, crediting.next_chunk, 2, after_referrer_id=1100, size=50)
    batch = "SEARCH cashback_payout_batches USING INTEGER PRIMARY KEY (rowid=?)"
    along_the_key = "SEARCH cashback_payouts USING PRIMARY KEY (batch_number=? AND referrer_id>?)"
    assert list(plans.values()) == [["CO-ROUTINE waiting", batch, along_the_key, "SCAN waiting"]]


@pytest.mark.parametrize("function", [pending.all_pending, pending.pending_by_referrer])
async def test_what_is_pending_is_read_from_its_index(large: LedgerFixture, function: Callable[..., Any]) -> None:
    def execute(connection: Connection, _now: object) -> None:
        connection.execute(pending.pending_by_referrer(FRIDAY))

    chosen = pending.all_pending if function is pending.all_pending else execute
    plans = await large.database.read(explained, chosen, FRIDAY)
    [plan] = plans.values()
    assert any("referrals USING INDEX cashback_referrals_pending" in step for step in plan), plan
    assert full_scans(plans) == []


async def test_page_of_pending_referrers_is_read_from_its_index(large: LedgerFixture) -> None:
    page = partial(browsing.referrers_page, which=browsing.ReferrerFilter.PENDING, after_referrer_id=1100, limit=50)
    plans = await large.database.read(explained, page, FRIDAY)
    assert full_scans(plans) == [], plans


async def test_proposing_reads_what_is_pending_from_its_index(large: LedgerFixture) -> None:
    plans = await large.database.write(explained, proposals.propose, actor="cli", now=FRIDAY, expires_at=None)
    assert full_scans(plans) == [], plans


async def test_usable_referrals_are_not_read_in_search_of_unusable_ones(large: LedgerFixture) -> None:
    number = (await large.propose()).batch_number
    plans = await large.database.write(explained, unusable_rows.leave_out, number, None)
    steps = [step for plan in plans.values() for step in plan if "INDEX cashback_referrals_pending" in step]
    assert steps == ["SEARCH referrals USING INDEX cashback_referrals_pending (referrer_user_id<?)"]


async def test_a_batch_is_verified_by_its_own_rows(large: LedgerFixture) -> None:
    plans = await large.database.read(explained, reconciliation.verify_batch, 2)
    assert len(plans) >= 7
    assert full_scans(plans) == [], plans


async def test_one_members_pending_is_a_search(large: LedgerFixture) -> None:
    for function in (pending.pending_for, referrals.referral_stats, members.standing):
        assert full_scans(await large.database.read(explained, function, 1010, FRIDAY)) == []


async def test_what_a_member_is_told_is_searched(large: LedgerFixture) -> None:
    read = large.database.read
    for plans in (
        await read(explained, members.past_payouts, 1010, limit=10),
        await read(explained, members.taken_back, 1010, limit=10),
        await read(explained, members.referrals_page, 1010, FRIDAY, limit=10),
        await read(explained, referrals.Lineage, [1010]),
        await read(explained, pending.held_and_owed, FRIDAY),
        await large.database.write(
            explained, refunds.record_refund, Refund(order_id="order-1"), actor="cli", now=FRIDAY
        ),
    ):
        assert full_scans(plans) == [], plans


async def test_a_purchase_on_a_large_ledger_is_searched(large: LedgerFixture) -> None:
    bought = Purchase(order_id="new", buyer_id=900_001, amount_cents=100)
    plans = await large.database.write(explained, purchases.log_purchase, bought, 5_000, FRIDAY, holding_days=5)
    assert full_scans(plans) == [], plans


async def test_who_is_absent_is_left_out_by_a_search(large: LedgerFixture) -> None:
    await large.database.write(absences.note, 1010, Absence.GONE, FRIDAY)
    plans = await large.database.write(explained, proposals.propose, actor="cli", now=FRIDAY, expires_at=None)
    assert full_scans(plans) == [], plans


@small_tables
async def test_the_outbox_is_read_from_its_index(large: LedgerFixture) -> None:
    plans = await large.database.read(explained, outbox.due, now=FRIDAY, limit=50)
    [plan] = plans.values()
    assert plan[0] == "SCAN cashback_notifications USING INDEX cashback_notifications_queued"
    assert full_scans(plans) == []


@small_tables
async def test_open_batches_are_read_from_their_index(large: LedgerFixture) -> None:
    for function, arguments in ((batches.unfinished, {}), (proposals.expire, {"now": FRIDAY})):
        plans = await large.database.write(explained, function, **arguments)
        assert any("cashback_payout_batches_open" in step for plan in plans.values() for step in plan), plans


@pytest.mark.about_a_file(
    "SQLite says how it goes about a statement before there are rows; a server's plan depends on them"
)
async def test_the_first_batch_with_limits_looks_for_nobody_who_waited(ledger: LedgerFixture) -> None:
    """Compared with NULL when no batch came before, every row would be scanned for every referrer."""
    await ledger.earn_all((referrer, 100) for referrer in range(1, 9))
    terms = BatchLimits(max_users=10, max_total_cents=1000)
    plans = await ledger.database.write(
        explained, proposals.propose, actor="cli", now=FRIDAY, expires_at=None, terms=terms
    )
    steps = [step for text, plan in plans.items() if "before" in text for step in plan]
    assert any(step.startswith("SEARCH before USING PRIMARY KEY") for step in steps), steps
    assert not [step for step in steps if step.startswith("SCAN before")]
