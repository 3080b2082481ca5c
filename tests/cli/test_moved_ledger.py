"""Each command of the command line on a moved ledger: it reads, or is refused in one line; it changes nothing.

The list of commands is the program's own: a new one without a case here fails.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from cashback import settings as configuration
from cashback.database import Database, closed_ledger
from cashback.services import CLI, AdminService
from cli.app import COMMANDS
from tests.cli.conftest import Cashback
from tests.cli.test_withdrawals import configure
from tests.conftest import everything_in, raw

PAID, FAILED, WAITING, STOPPED, APPROVED, BARRED = (10**17 + number for number in range(1, 7))
FRIENDS = 100
NEW = Path("/srv/new.db")

SERVE = {"bot", "worker", "dashboard", "demo", "setup"}
"""They serve until they are stopped, or ask; the first two do not start on a moved ledger, as other tests show."""

CHANGES: dict[str, list[str]] = {
    "pay": ["--yes", f"--yes --user {PAID}", f"--yes --only {PAID}", f"--yes --exclude {PAID}", "--dry-run"],
    "approve": ["3 --approved-by 8"],
    "schedule": ["", "resume", "skip", "unskip", "--reload"],
    "reverse": ["1 --yes --reason mistaken", f"1 --yes --reason mistaken --user {PAID}"],
    "wallet": [f"adjust {PAID} 5.00 --reason gift", f"adjust {PAID} -0.50 --reason mistaken"],
    "withdrawals": ["paid 1 --reference T", "decline 1 --reason mistaken", "export list.csv", "import result.csv"],
    "resume": ["", "4"],
    "retry": ["2"],
    "stop": ["5"],
    "abandon": ["2", "4"],
    "notifications": ["retry 1", "retry --all", f"retry --user {PAID}"],
    "import": [
        "purchases.csv",
        "guests.csv",
        "purchases.csv --referrals referrals.csv",
        "--referrals referrals.csv",
        "--undo 2",
        "purchases.csv --dry-run",
    ],
    "purchase": [f"4711 {PAID + FRIENDS} 12.50"],
    "refund": ["A-1", "A-1 1.00", "not-known 1.00"],
    "order": [
        f"assign G-1 {PAID + FRIENDS}",
        f"reassign A-1 {PAID} --reason ticket",
        "amount A-1 9.00 --reason ticket",
    ],
    "blacklist": [f"{PAID}", f"{BARRED} --remove"],
    "restore": ["before.db --yes"],
    "move": ["--from cashback.db --to other.db"],
}
"""Each command that changes something, with all that it can be asked to change, or would change."""

READS: dict[str, list[str]] = {
    "pending": ["", f"--user {PAID}"],
    "wallet": [f"{PAID}"],
    "withdrawals": [""],
    "failures": [""],
    "notifications": [""],
    "history": [""],
    "show": ["1", "5"],
    "stats": [""],
    "export": ["1 --output payouts.csv"],
    "shop": ["list", "deliveries"],
    "order": ["waiting", "A-1"],
    "verify": ["", "--batch 1"],
    "backup": ["copy.db"],
    "migrate": ["", "--dry-run"],
    "doctor": [""],
    "seed": ["--database cashback.db"],
    "vacuum": [""],
}
"""What a moved ledger still answers; the last two find nothing to do."""


async def _fill() -> None:
    """Leave a batch that waits for its second admin, a stopped one, and an approved one; ask for a withdrawal."""
    settings = configuration.load()
    async with Database("cashback.db") as database:
        service = AdminService(database, settings, lambda _number: 0)
        await service.open_schedule()
        await service.skip_next(CLI)
        await service.pause_schedule(CLI)
        await service.blacklist(CLI, BARRED)
        waiting = await service.propose(CLI, target_user_id=WAITING)
        await service.approve(CLI, waiting.batch_number)
        for member in (STOPPED, APPROVED):
            number = (await service.propose(CLI, target_user_id=member)).batch_number
            await service.approve(CLI, number)
            if member == STOPPED:
                await service.stop(CLI, number)
        await service.request_withdrawal(PAID, 50, "gift-card", None)


async def _close() -> None:
    async with Database("cashback.db") as database:
        await database.write(closed_ledger.close, NEW, database.now())


@pytest.fixture
def moved(cashback: Cashback, folder: Path) -> Cashback:
    """Run `cashback` on a ledger in which there is something of everything, and which was moved."""
    configure(folder, threshold=200, minimum_cents=1)
    people = {PAID: 1, FAILED: 1, WAITING: 3, STOPPED: 1, APPROVED: 1}
    (folder / "referrals.csv").write_text(
        "referrer_id,referred_id\n" + "".join(f"{person},{person + FRIENDS}\n" for person in people)
    )
    (folder / "purchases.csv").write_text(
        "order_id,buyer_id,amount\n"
        + "".join(
            f"A-{n},{person + FRIENDS},{200 * dollars}.00\n" for n, (person, dollars) in enumerate(people.items(), 1)
        )
    )
    (folder / "guests.csv").write_text("order_id,buyer_id,amount\nG-1,,5.00\n")
    (folder / "later.csv").write_text(f"order_id,buyer_id,amount\nB-1,{PAID + FRIENDS},200.00\n")
    (folder / "result.csv").write_text("withdrawal,reference\n1,T-1\n")
    assert cashback("import", "purchases.csv", "--referrals", "referrals.csv").code == 0
    assert cashback("import", "guests.csv").code == 0
    assert cashback("pay", "--yes", "--user", PAID).code == 0
    with raw(folder / "cashback.db") as connection:
        connection.execute("UPDATE cashback_notifications SET status = 'failed', attempts = 4")
        connection.execute(
            f"CREATE TRIGGER refused BEFORE INSERT ON wallet_transactions WHEN NEW.user_discord_id = {FAILED}"
            " BEGIN SELECT RAISE(ABORT, 'the bank is closed'); END"
        )
        assert cashback("pay", "--yes", "--user", FAILED).code == 3
        connection.execute("DROP TRIGGER refused")
    assert cashback("import", "later.csv").code == 0
    anyio.run(_fill)
    for name, extra in (("purchases.csv", f"A-9,{PAID + FRIENDS},7.00\n"), ("guests.csv", "G-2,,6.00\n")):
        (folder / name).write_text((folder / name).read_text() + extra)
    (folder / "referrals.csv").write_text(f"referrer_id,referred_id\n{PAID},{FAILED}\n")
    assert cashback("backup", "before.db").code == 0
    anyio.run(_close)
    return cashback


def test_every_command_has_a_case() -> None:
    assert {name for group in COMMANDS.values() for name in group} == CHANGES.keys() | READS.keys() | SERVE


def test_command_that_changes_a_moved_ledger_is_refused(
    moved: Cashback, folder: Path, subtests: pytest.Subtests
) -> None:
    before = everything_in(folder / "cashback.db")
    for name, forms in CHANGES.items():
        for words in forms:
            with subtests.test(f"{name} {words}"):
                answer = moved(name, *words.split())
                assert (answer.code, answer.out) == (1, "")
                assert f"his ledger was moved to {NEW} on " in answer.error
                assert everything_in(folder / "cashback.db") == before


def test_moved_ledger_is_read_and_stays_as_it_is(moved: Cashback, folder: Path, subtests: pytest.Subtests) -> None:
    before = everything_in(folder / "cashback.db")
    for name, forms in READS.items():
        for words in forms:
            with subtests.test(f"{name} {words}"):
                answer = moved(name, *words.split())
                assert "Traceback" not in answer.err
                assert "unexpected" not in answer.err
                assert answer.code == (name in {"doctor", "seed"})
                assert everything_in(folder / "cashback.db") == before
