"""Runs many processes on one file and checks the result: every cent is paid once, and no lock error reaches a user."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio

from cashback.database import Database
from cashback.database.dialect import Location, name_of
from cashback.database.integrity import reconciliation
from cashback.database.referral_program import referrals
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.domain.ports import utc_now
from verification.crash.concurrent_clients import Order, log_purchases, pay_in_rounds, pay_the_rest
from verification.crash.crash import context
from verification.crash.expected_ledger import ALL_OF_IT_PPM, FIRST_BUYER
from verification.testbed.databases import NOT_YET_RETRIED, Files, break_wallet, connect
from verification.testbed.findings import Findings, Losses

PAYERS: Final = 8
ROUNDS: Final = 4
REFERRERS: Final = range(1, 31)
ORDERS: Final[list[Order]] = [(f"late-{n}", FIRST_BUYER + n % 30, 100 + n) for n in range(60)]
LONGEST_SECONDS: Final = 45


@dataclass(frozen=True, slots=True, kw_only=True)
class Testimony:
    """What one process observed: its longest action, how often another was faster, and the errors for its user."""

    longest_seconds: float
    refusals: int
    errors: tuple[str, ...]


def let_loose(folder: Path, location: Location, orders: list[Order]) -> list[Testimony]:
    """Start eight payers and the shop at once on one ledger; return what each observed.

    Raises RuntimeError if one fails, or does not end in time.
    """
    files = [folder / f"testimony-{n}" for n in range(PAYERS + 1)]
    name = name_of(location, password=True)
    processes = [context().Process(target=pay_in_rounds, args=(name, ROUNDS, str(file))) for file in files[:PAYERS]]
    processes.append(context().Process(target=log_purchases, args=(name, orders, str(files[PAYERS]))))
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(LONGEST_SECONDS)
            if process.exitcode != 0:
                message = f"a process hangs, or failed: exit code {process.exitcode}"
                raise RuntimeError(message)
    finally:
        for process in processes:
            process.kill()
            process.join()
            process.close()
    return [_read(file) for file in files]


def _read(file: Path) -> Testimony:
    seconds, refusals, *errors = file.read_text(encoding="utf-8").split("\n")
    return Testimony(longest_seconds=float(seconds), refusals=int(refusals), errors=tuple(errors))


async def fill(location: Location) -> None:
    """Create a ledger in which every referrer has something pending, and one wallet refuses until it is retried."""
    purchases = [Purchase(order_id=f"early-{n}", buyer_id=FIRST_BUYER + n, amount_cents=n) for n in REFERRERS]
    async with Database(location) as database:
        await database.write(referrals.create_referrals, [(n, FIRST_BUYER + n) for n in REFERRERS], utc_now())
        with closing(connect(location)) as connection:
            break_wallet(connection, 7, condition=NOT_YET_RETRIED)
        await database.write(record_purchases, purchases, ALL_OF_IT_PPM, utc_now())


def earned_cents() -> dict[int, int]:
    """Return what each referrer must have in the wallet when everything is paid."""
    earned = {n: n for n in REFERRERS}
    for _, buyer, cents in ORDERS:
        if buyer - FIRST_BUYER in earned:
            earned[buyer - FIRST_BUYER] += cents
    return earned


async def _breaches(location: Location) -> tuple[str, ...]:
    async with Database(location) as database:
        return (await database.read(reconciliation.verify)).breaches


def look(location: Location) -> tuple[Losses, list[str]]:
    """Pay what the processes have left, then compare the wallets with the earnings, and reconcile the ledger."""
    anyio.run(pay_the_rest, location)
    with closing(connect(location)) as connection:
        wallets = dict(connection.execute("SELECT discord_id, wallet_balance_cents FROM users").fetchall())
        twice = connection.execute(
            "SELECT batch_number, count(*) FILTER (WHERE action = 'batch_finished') FROM cashback_audit_log GROUP BY 1"
            " HAVING count(*) FILTER (WHERE action = 'batch_finished')"
            " > 1 + count(*) FILTER (WHERE action = 'retry_started')"
        ).fetchall()
        open_batches = connection.execute(
            "SELECT number FROM cashback_payout_batches WHERE status <> 'completed'"
        ).fetchall()
    surplus = [wallets.get(person, 0) - cents for person, cents in earned_cents().items()]
    violations = list(anyio.run(_breaches, location))
    violations += [f"batch {number} was finished {count} times" for number, count in twice]
    violations += [f"batch {number} was not finished" for (number,) in open_batches]
    violations += ["a wallet does not hold what was earned"] * any(surplus)
    losses = Losses(
        double_payments=sum(cents > 0 for cents in surplus), lost_cents=-sum(cents for cents in surplus if cents < 0)
    )
    return losses, violations


def run_rushes(folder: Path, *, rushes: int, watch: Callable[[int], None] = lambda _: None) -> Findings:
    """Run the processes on a new file so many times; return the findings."""
    ground = Files()
    began = time.perf_counter()
    losses, violations, refusals, longest = Losses(), list[str](), 0, 0.0
    for number in range(rushes):
        here = folder / f"rush-{number}"
        location = ground.create(here)
        anyio.run(fill, location)
        testimonies = let_loose(here, location, ORDERS)
        lost, wrong = look(location)
        losses += lost
        wrong += [f"a user saw: {error}" for one in testimonies for error in one.errors]
        violations += [f"crowd {number}: {line}" for line in wrong]
        refusals += sum(one.refusals for one in testimonies)
        longest = max(longest, *(one.longest_seconds for one in testimonies))
        ground.clear(here)
        watch(number + 1)
    return Findings(
        part="concurrent processes on one file",
        seconds=time.perf_counter() - began,
        figures=(
            ("crowds", rushes),
            ("processes in all, nine at a time on one file", rushes * (PAYERS + 1)),
            ("races lost, each reported clearly", refusals),
            ("longest wait of a process in milliseconds", round(1000 * longest)),
        ),
        losses=losses,
        violations=tuple(violations),
    )
