"""The stage of a night: a local Discord, a ledger with referrers, and two bots on it."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cashback.database import Database
from cashback.database.dialect import name_of
from cashback.database.referral_program import referrals
from cashback.services import AdminService
from cashback.settings import Settings
from sandbox import Channel, Interaction, Member, Sandbox
from verification.night.bots import NightBot
from verification.night.clock import SharedClock
from verification.night.ledgers import MortalLedger

REFERRERS: Final = 24
FIRST_BUYER: Final = 900_000
BOTS: Final = 2
FRIDAY: Final = 4
SLOT_HOUR: Final = 15
BEFORE_SLOT: Final = timedelta(seconds=20)


@dataclass(slots=True, kw_only=True, eq=False)
class Typed:
    """A command, typed by an admin and in a channel of its own, and the presses of Confirm under its answer."""

    text: str
    admin: Member
    channel: Channel
    presses: list[Interaction] = field(default_factory=list)


@dataclass(slots=True, kw_only=True, eq=False)
class Night:
    """What the parts of a night share. `earned` is what each referrer must have been paid in the end, in cents."""

    sandbox: Sandbox
    ledger: MortalLedger
    database: Database
    service: AdminService
    clock: SharedClock
    bots: list[NightBot]
    admin_role: int
    audit_channel: int
    referrers: list[Member]
    randomness: random.Random
    earned: Counter[int] = field(default_factory=Counter)
    purchases: int = 0
    typed: list[Typed] = field(default_factory=list)
    slots: list[datetime] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)

    def begin_week(self) -> None:
        """Move the true time to shortly before the next slot."""
        now = self.clock()
        slot = now.replace(hour=SLOT_HOUR, minute=0, second=0, microsecond=0)
        slot += timedelta(days=(FRIDAY - slot.weekday()) % 7)
        if slot - BEFORE_SLOT <= now:
            slot += timedelta(weeks=1)
        self.clock.offset_seconds += (slot - BEFORE_SLOT - now).total_seconds()
        self.correct_clocks()
        self.slots.append(slot)

    def correct_clocks(self) -> None:
        """Let each bot's clock show the true time."""
        for bot in self.bots:
            bot.clock.offset_seconds = self.clock.offset_seconds


def _configuration(sandbox: Sandbox, admin_role: int, audit_channel: int) -> dict[str, object]:
    return {
        "guild_ids": [sandbox.guild_id],
        "role_ids": {"admin": admin_role},
        "logging_channels": {"audit": audit_channel},
        "referral_settings": {
            "auto_batch_enabled": True,
            "batch_hour_utc": SLOT_HOUR,
            "chunk_size": 2,
            "dm_per_second": 50,
            "lease_seconds": 2,
        },
    }


@asynccontextmanager
async def opened(folder: Path, ledger: MortalLedger, seed: int) -> AsyncIterator[Night]:
    """Set the stage inside the block; the bots are not started yet."""
    clock = SharedClock(folder / "clock")
    async with (
        Sandbox(clock=lambda: clock().timestamp()) as sandbox,
        Database(ledger.location, clock=clock) as database,
    ):
        role, audit = sandbox.add_role("Admin").id, sandbox.add_channel("audit").id
        content = _configuration(sandbox, role, audit)
        secrets = {
            "DISCORD_TOKEN": sandbox.token,
            "DISCORD_API_URL": sandbox.api_url,
            "CASHBACK_DATABASE": name_of(ledger.location, password=True),
        }
        night = Night(
            sandbox=sandbox,
            ledger=ledger,
            database=database,
            service=AdminService(database, Settings.model_validate(content), lambda _number: 0),
            clock=clock,
            bots=[NightBot(folder / f"bot-{number}", content, secrets) for number in range(BOTS)],
            admin_role=role,
            audit_channel=audit,
            referrers=[sandbox.add_member(f"Referrer {number}") for number in range(REFERRERS)],
            randomness=random.Random(seed),  # noqa: S311 -- no secret
        )
        pairs = [(each.id, FIRST_BUYER + number) for number, each in enumerate(night.referrers)]
        await database.write(referrals.create_referrals, pairs, clock())
        await night.service.open_schedule()
        try:
            yield night
        finally:
            for bot in night.bots:
                await bot.kill()
