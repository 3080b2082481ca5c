"""`seed`: fills an empty ledger with a community, through the same functions that record referrals and purchases."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Annotated, Any, Final

import anyio
import typer

from cashback.database import samples
from cashback.database.database import DEFAULT_RATE_PPM, Database
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.database.referral_program.referrals import create_referrals, is_empty
from cashback.domain.errors import CashbackError
from cashback.domain.money import dollars
from cashback.settings import Settings
from cli.context import Place, found_in, ledger
from cli.options import ConfigOption, DatabaseOption, JsonOption
from cli.output import Advance, RestartableAdvance, UsageError, counted, progress, say, say_json

# What each referrer of the sample earns, and the number of referrals: fifteen referrers, $127.50 in all.
SAMPLE: Final = (
    (2500, 50),
    (1850, 37),
    (1525, 30),
    (1200, 24),
    (1000, 20),
    (875, 17),
    (750, 15),
    (650, 13),
    (550, 11),
    (475, 9),
    (400, 8),
    (350, 7),
    (275, 5),
    (200, 4),
    (150, 3),
)
CENTS_BOUGHT_PER_CENT: Final = 1_000_000 // DEFAULT_RATE_PPM
CHUNK_ROWS: Final = 5_000
MOST_REFERRALS: Final = 5_000_000
REFERRALS_EACH: Final = 3
DEAREST_PURCHASE_CENTS: Final = 50_000
SAMPLE_DATABASE: Final = "sample.db"
SAMPLE_SEED: Final = 20_240_607
FIRST_ID: Final = 10**17
LAST_ID: Final = 10**18


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A referred member, and what this member bought."""

    referrer_id: int
    member_id: int
    amount_cents: int


MakeMembers = Callable[[], Iterator[Member]]
"""Makes the same community each time: the transaction that writes it may run twice."""


def sample_members() -> Iterator[Member]:
    """Make the sample community; it is the same each time."""
    people = iter(_people(len(SAMPLE) + sum(count for _, count in SAMPLE), SAMPLE_SEED))
    for earned_cents, count in SAMPLE:
        referrer_id = next(people)
        share, odd = divmod(earned_cents, count)
        for place in range(count):
            cents = share + (place < odd)
            yield Member(referrer_id=referrer_id, member_id=next(people), amount_cents=cents * CENTS_BOUGHT_PER_CENT)


def random_members(referrers: int, referrals: int, seed: int) -> Iterator[Member]:
    """Make a community in which each referrer has at least one of the referrals, and chance decides on the others."""
    people = _people(referrers + referrals, seed)
    chance = random.Random(seed)  # noqa: S311 -- sample data, the same for the same seed
    for place in range(referrals):
        referrer_id = people[place if place < referrers else chance.randrange(referrers)]
        amount_cents = chance.randint(CENTS_BOUGHT_PER_CENT, DEAREST_PURCHASE_CENTS)
        yield Member(referrer_id=referrer_id, member_id=people[referrers + place], amount_cents=amount_cents)


def _people(count: int, seed: int) -> list[int]:
    """Draw different ids of the length that Discord's have."""
    return random.Random(seed).sample(range(FIRST_ID, LAST_ID), count)  # noqa: S311 -- as above


def command(
    context: typer.Context,
    *,
    referrers: Annotated[
        int | None,
        typer.Option("--referrers", metavar="N", min=1, max=1_000_000, help="A random community with N referrers."),
    ] = None,
    referrals: Annotated[
        int | None,
        typer.Option("--referrals", metavar="M", min=1, max=MOST_REFERRALS, help="Its referrals in all [3 N]."),
    ] = None,
    random_seed: Annotated[
        int | None, typer.Option("--seed", metavar="S", help="The same seed makes the same community [0].")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Fill an empty ledger with the sample community, or with a random one of the size that is asked for."""
    place = Place.of(context, config, database)
    make_members, count = _chosen(referrers, referrals, random_seed)
    # Never the default ledger: an invented community must not get among members with real cashback.
    settings = replace(place, database=place.database or SAMPLE_DATABASE).settings()
    with progress("Seeding", count) as advance:
        facts = anyio.run(_seed, settings, make_members, advance)
    if as_json:
        say_json({"database": ledger(settings).name, **facts})
    else:
        say(
            f"Seeded {counted(facts['referrers'], 'referrer')} with {counted(facts['referrals'], 'referral')};"
            f" {dollars(facts['pending_cents'])} is pending in {ledger(settings).name}."
        )
    return 0


def _chosen(referrers: int | None, referrals: int | None, random_seed: int | None) -> tuple[MakeMembers, int]:
    if referrers is None:
        if referrals is not None or random_seed is not None:
            raise UsageError("--referrals and --seed need --referrers N; without it the sample community is made.")
        return sample_members, sum(count for _, count in SAMPLE)
    count = referrals if referrals is not None else REFERRALS_EACH * referrers
    if count < referrers:
        raise UsageError(f"{referrers} referrers need at least as many referrals; --referrals is {count}.")
    return partial(random_members, referrers, count, random_seed or 0), count


async def _seed(settings: Settings, make_members: MakeMembers, advance: Advance) -> dict[str, int]:
    database = ledger(settings, create=True)
    revision, tables = await found_in(database)
    if revision is None and tables:
        raise _not_empty(database)
    async with database:
        return await plant(database, make_members, advance)


async def plant(database: Database, make_members: MakeMembers, advance: Advance) -> dict[str, int]:
    """Write a community in one transaction and sum it up. Raises CashbackError if the ledger is not empty."""
    return await database.write(_plant, make_members, database, RestartableAdvance(advance))


def _plant(
    connection: Any,  # noqa: ANN401 -- SQLAlchemy's connection has its type in cashback/database/ alone
    make_members: MakeMembers,
    database: Database,
    advance: RestartableAdvance,
) -> dict[str, int]:
    advance.restart()
    if not is_empty(connection):
        raise _not_empty(database)
    now = database.now()
    members = make_members()
    referrers: set[int] = set()
    referrals = pending_cents = 0
    while chunk := list(islice(members, CHUNK_ROWS)):
        create_referrals(connection, [(member.referrer_id, member.member_id) for member in chunk], now)
        bought = [
            Purchase(order_id=samples.order_id_of(place), buyer_id=member.member_id, amount_cents=member.amount_cents)
            for place, member in enumerate(chunk, start=referrals + 1)
        ]
        recorded = record_purchases(connection, bought, DEFAULT_RATE_PPM, now)
        pending_cents += sum(purchase.earned_cents for purchase in recorded)
        referrers.update(member.referrer_id for member in chunk)
        referrals += len(chunk)
        advance(len(chunk))
    return {"referrers": len(referrers), "referrals": referrals, "pending_cents": pending_cents}


def _not_empty(database: Database) -> CashbackError:
    return CashbackError(f"Database {database.name} is not empty; name a new one with --database, or remove the file.")
