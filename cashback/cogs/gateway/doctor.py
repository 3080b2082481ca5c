"""Checks the setup on Discord and in the ledger, and explains how to fix problems."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import aiohttp
import discord

from cashback.cogs.errors import DISCORD_FAILURES, brief
from cashback.cogs.gateway.channel_checks import check_channel
from cashback.cogs.gateway.request_limits import limiting_trace
from cashback.cogs.gateway.role_checks import problems_of_roles
from cashback.database import Database
from cashback.database.integrity import backup, health
from cashback.database.payouts import outbox
from cashback.database.referral_program import unusable_rows
from cashback.database.schedule import corrections
from cashback.database.wallets import withdrawals
from cashback.domain.errors import CashbackError
from cashback.domain.money import dollars, grouped
from cashback.services import AdminService
from cashback.settings import Settings, everyone_in_roles

SKEW_SECONDS: Final = 5
BACKUP_DAYS: Final = 7
CORRECTED_DAYS: Final = 90
NO_SERVER: Final = "it cannot be checked before the server is right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check. If it is not well, `text` has the remedy."""

    name: str
    is_well: bool
    text: str


class Doctor:
    """Checks the ledger and Discord. It changes nothing."""

    def __init__(self, database: Database, service: AdminService, settings: Settings) -> None:
        self._database = database
        self._service = service
        self._settings = settings

    async def examine_ledger(self) -> list[Finding]:
        """Check the file, the schedule, the outbox and the backups."""
        looks = (
            ("database", self._file),
            ("rows", self._rows),
            ("terms", self._terms),
            ("schedule", self._schedule),
            ("slots", self._decisions),
            ("outbox", self._outbox),
            ("withdrawals", self._withdrawals),
            ("backup", self._backup),
        )
        return [await _guarded(name, look) for name, look in looks]

    async def _file(self) -> tuple[bool, str]:
        return await self._database.read(health.file)

    async def _terms(self) -> tuple[bool, str]:
        return True, self._service.terms_line

    async def _rows(self) -> tuple[bool, str]:
        count, lines = await self._database.read(unusable_rows.listed)
        if not count:
            return True, "every referral and wallet has a member's id and whole cents"
        more = f"; and {grouped(count - len(lines))} more" if count > len(lines) else ""
        return False, f"{'; '.join(lines)}{more}; correct these rows, until then their referrers are excluded"

    async def _schedule(self) -> tuple[bool, str]:
        schedule = await self._service.schedule_overview()
        if schedule.next_slot_at is None:
            return True, "the weekly batch is switched off (auto_batch_enabled)"
        paused = f"; paused by {schedule.paused_by}, slots are skipped" if schedule.paused_by else ""
        return True, f"{schedule.rule} UTC, next {schedule.next_slot_at:%Y-%m-%d %H:%M} UTC{paused}"

    async def _decisions(self) -> tuple[bool, str]:
        """Look for what a wrong clock did to the schedule."""
        now = self._database.now()
        wrong = await self._database.read(corrections.find, now=now)
        if wrong:
            return False, f"{wrong} A running bot corrects it as soon as Discord confirms the time"
        corrected_at = await self._database.read(corrections.last_made, since=now - timedelta(days=CORRECTED_DAYS))
        if corrected_at is None:
            return True, "nothing was decided under a wrong clock"
        return True, (
            f"on {corrected_at:%Y-%m-%d %H:%M} UTC decisions of a wrong clock were made void;"
            " the audit log has them; keep the clock right with NTP"
        )

    async def _outbox(self) -> tuple[bool, str]:
        depth = await self._database.read(outbox.depth)
        return True, f"direct messages that wait: {grouped(depth)}" + ("; a running bot delivers them" if depth else "")

    async def _withdrawals(self) -> tuple[bool, str]:
        terms = self._settings.withdrawals
        if not terms.enabled:
            return True, "switched off (withdrawals.enabled)"
        if not terms.methods:
            return False, "withdrawals.methods is empty, so no member can withdraw; name at least one method"
        if any(meaning is not None for meaning in terms.methods.values()):
            try:
                self._service.require_withdrawal_keys()
            except CashbackError as error:
                return False, str(error)
        count, cents = await self._database.read(withdrawals.queue_totals)
        return True, f"open requests: {grouped(count)}, {dollars(cents)}"

    async def _backup(self) -> tuple[bool, str]:
        if not isinstance(self._database.location, Path):
            return True, "PostgreSQL's own tools back it up: `pg_dump --format=custom`, or continuous archiving"
        newest = await self._database.read(backup.last_made)
        has_paid = await self._database.read(health.has_paid)
        advice = "run `cashback backup FILE`, and let cron do so every day"
        if newest is None:
            return not has_paid, f"there is no backup yet; {advice}" if has_paid else "nothing was paid yet"
        age = self._database.now() - newest["at"]
        last = f"the last one is of {newest['at']:%Y-%m-%d %H:%M} UTC"
        is_recent = age <= timedelta(days=BACKUP_DAYS)
        return is_recent, last if is_recent else f"{last}; {advice}"

    async def examine_discord(self, client: discord.Client) -> list[Finding]:
        """Check Discord with a logged-in client: intents, server, role, channel and clock."""
        visit = _Visit(client, self._settings, self._database.now)
        looks = (
            ("intents", visit.intents),
            ("server", visit.server),
            ("role", visit.role),
            ("channel", visit.channel),
            ("clock", visit.clock),
        )
        return [await _guarded(name, look) for name, look in looks]


class _Visit:
    """One check of Discord."""

    def __init__(self, client: discord.Client, settings: Settings, now: Callable[[], datetime]) -> None:
        self._client = client
        self._settings = settings
        self._now = now
        self._guilds: list[discord.Guild] = []

    async def intents(self) -> tuple[bool, str]:
        flags = (await self._client.application_info()).flags
        if flags.gateway_message_content or flags.gateway_message_content_limited:
            return True, "the bot may read messages"
        return False, "switch on the Message Content Intent for the bot in the developer portal"

    async def server(self) -> tuple[bool, str]:
        wanted = self._settings.guild_ids or [guild.id async for guild in self._client.fetch_guilds()]
        self._guilds = [await self._server(guild_id) for guild_id in wanted]
        names = ", ".join(guild.name for guild in self._guilds)
        return bool(names), names or "the bot is in no server; invite it"

    async def _server(self, guild_id: int) -> discord.Guild:
        try:
            return await self._client.fetch_guild(guild_id)
        except (discord.NotFound, discord.Forbidden) as error:
            raise CashbackError(
                f"guild_ids has {guild_id}, a server in which the bot is not; invite it, or correct the id"
            ) from error

    async def role(self) -> tuple[bool, str]:
        role_id = self._settings.role_ids.admin
        if role_id is None:
            return False, "set role_ids.admin in config.json; nobody may pay without it"
        servers = [guild.id async for guild in self._client.fetch_guilds()]
        wrong = everyone_in_roles(self._settings.role_ids, [*servers, *self._settings.guild_ids])
        if wrong is not None:
            return False, wrong
        if not self._guilds:
            return False, NO_SERVER
        guild = next((each for each in self._guilds if each.get_role(role_id)), None)
        if guild is None:
            return False, f"role_ids.admin is {role_id}, but there is no such role; set it to a role's id"
        problems = [
            text
            for each in self._guilds
            for text in await problems_of_roles(self._client, each, self._settings.role_ids)
        ]
        if problems:
            return False, " ".join(problems)
        role = guild.get_role(role_id)
        return True, f"admins have the role {role.name if role else role_id}"

    async def channel(self) -> tuple[bool, str]:
        channel_id = self._settings.logging_channels.audit
        if channel_id is None:
            return False, "set logging_channels.audit in config.json; batches are not announced without it"
        if not self._guilds:
            return False, NO_SERVER
        return await check_channel(self._client, self._guilds, channel_id)

    async def clock(self) -> tuple[bool, str]:
        async with aiohttp.ClientSession() as session, session.get(f"{discord.http.Route.BASE}/gateway") as answer:
            theirs = parsedate_to_datetime(answer.headers["Date"])
        seconds = (self._now() - theirs).total_seconds()
        if abs(seconds) <= SKEW_SECONDS:
            return True, "this machine's clock and Discord's agree"
        return False, f"this machine's clock is {seconds:+.0f} s from Discord's; set it, with NTP for instance"


async def _guarded(name: str, look: Callable[[], Awaitable[tuple[bool, str]]]) -> Finding:
    """Run one check. A failure is a finding too."""
    try:
        is_well, text = await look()
    except (CashbackError, *DISCORD_FAILURES, KeyError, ValueError) as error:
        is_well, text = False, f"it cannot be checked: {brief(error)}"
    return Finding(name=name, is_well=is_well, text=text)


async def visit(doctor: Doctor, settings: Settings) -> list[Finding]:
    """Log in once and check Discord."""
    if settings.discord_token is None:
        return [Finding(name="token", is_well=False, text="set DISCORD_TOKEN in the environment or in .env")]
    client = discord.Client(intents=discord.Intents.none(), http_trace=limiting_trace())
    async with client:
        try:
            await client.login(settings.discord_token.get_secret_value())
        except discord.LoginFailure:
            text = "Discord does not accept DISCORD_TOKEN; copy the token from the developer portal again"
            return [Finding(name="token", is_well=False, text=text)]
        except DISCORD_FAILURES as error:
            text = f"Discord cannot be reached: {brief(error)}"
            return [Finding(name="token", is_well=False, text=text)]
        logged_in = Finding(name="token", is_well=True, text="Discord accepts it")
        return [logged_in, *await doctor.examine_discord(client)]
