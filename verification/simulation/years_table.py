"""`python -m verification.simulation.years_table`: years of a community on a virtual clock, as a table of years."""

import argparse
import sys
from typing import Final

from cashback.domain.model import SlotStatus
from cashback.domain.money import dollars
from cli.output import progress, say
from verification.simulation.ledger_model import PPM
from verification.simulation.long_run import History, live_years

HEAD: Final = (
    "year   Fridays   batches   nothing pending   skipped   missed   joined   purchases   refunds   deaths         paid"
)


def simulate(*, weeks: int, seed: int) -> int:
    """Run the years, print the table and the totals; return the exit code: 1 if a promise was broken."""
    with progress("Weeks", weeks) as advance:
        history = live_years(weeks, seed, advance)
    say(HEAD, *_years(history), "", *_model(history))
    if history.violation is None:
        return 0
    say("", f"A promise was broken: {history.violation}", *history.story)
    return 1


def _years(history: History) -> list[str]:
    """Print what each year held. A slot counts in the year of its own moment."""
    lines = []
    for year in sorted(history.slots.keys() | history.years.keys()):
        slots, counts = history.slots[year], history.years[year]
        lines.append(
            f"{year}   {slots.total():7}   {slots[SlotStatus.BATCHED]:7}   {slots[SlotStatus.NOTHING_PENDING]:15}"
            f"   {slots[SlotStatus.SKIPPED]:7}   {slots[SlotStatus.MISSED]:6}"
            f"   {counts['referrals.create_referral']:6}   {counts['purchases.log_purchase']:9}"
            f"   {counts['refunds.record_refund']:7}   {counts['deaths']:6}   {dollars(counts['credited_cents']):>10}"
        )
    return lines


def _model(history: History) -> list[str]:
    """Print the totals of all years, and where each cent is."""
    account = history.account
    deaths = sum(counts["deaths"] for counts in history.years.values())
    cents, millionths = divmod(account.earned_millionths, PPM)
    lines = f"""\
{history.lives} processes, {deaths} of them died, {history.fridays_down} Fridays down.
{history.payouts} payouts, {history.messages} direct messages seen, {history.referrals} referrals.
Earned: {cents} cents and {millionths} millionths of one, which are
  {dollars(account.paid)} paid, {dollars(account.paid_elsewhere)} of that by another bot,
  + {dollars(account.pending)} pending + {dollars(account.held)} held - {dollars(account.owed)} owed after refunds,
  + {account.carried_millionths} millionths that are below a cent on their referrals.
Cents lost or made: {account.lost}.
Every Friday has one batch or a reason, and rows and model agree: {"yes" if history.violation is None else "NO"}.
Audit head: {history.audit_head}"""
    return lines.splitlines()


def main() -> int:
    """Parse the arguments and run the years."""
    parser = argparse.ArgumentParser(prog="python -m verification.simulation.years_table", description=__doc__)
    parser.add_argument("--weeks", type=int, default=520, help="how many weeks pass [520]")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the chance that rules them [1]")
    arguments = parser.parse_args()
    return simulate(weeks=arguments.weeks, seed=arguments.seed)


if __name__ == "__main__":
    sys.exit(main())
