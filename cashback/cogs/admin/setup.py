"""`sendref-cashb setup`: shows what `cashback setup` asked for, and changes it."""

import logging
from typing import Any, Final

import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs import own_commands
from cashback.cogs.actors import actor_of
from cashback.cogs.admin.base import AdminCog
from cashback.cogs.admin.flags import Flags
from cashback.cogs.admin.payouts import Payouts
from cashback.cogs.errors import DISCORD_FAILURES
from cashback.cogs.gateway.channel_checks import check_channel
from cashback.cogs.texts import embeds
from cashback.domain.errors import CashbackError
from cashback.services import typed_terms
from cashback.services.setup import Setting
from cashback.settings import ReferralSettings

RESTARTS: Final = "The bot restarts now, so that everything counts at once."
NEXT_START: Final = (
    "A changed weekly batch counts at once, everything else from the bot's next start; reload the extension or restart"
    " the bot."
)
HOW: Final = "Change them with {prefix}sendref-cashb setup --percent 5 --minimum 1, and the other options alike"

logger = logging.getLogger(__name__)


class SetupOptions(Flags):
    """The settings to change; none shows them."""

    percent: str | None = commands.flag(default=None, description="The cashback in percent: 5 means 5 %.")
    holding_days: str | None = commands.flag(default=None, description="The days until cashback is payable.")
    minimum: str | None = commands.flag(default=None, description="The minimum payout, for example 1.")
    weekday: str | None = commands.flag(default=None, description="The day of the weekly batch, or never.")
    time: str | None = commands.flag(default=None, description="Its time of day, for example 15:00.")
    timezone: str | None = commands.flag(default=None, description="The time zone of day and time; without it, UTC.")
    admin_role: discord.Role | None = commands.flag(default=None, description="The role that pays.")
    audit_channel: discord.TextChannel | None = commands.flag(
        default=None, description="The channel that gets the audit entries."
    )


class SetupCommands(AdminCog):
    """The command that shows and changes the setup."""

    @Payouts.sendref_cashb.command(
        name="setup",
        description="Show the settings that the setup asked for, or change some.",
        usage="--percent 5 --holding-days 14 --minimum 1 --weekday friday --time 15:00`, `--admin-role @role",
        ignore_extra=False,
    )
    @app_commands.guild_only()
    async def setup(self, ctx: commands.Context[Any], *, options: SetupOptions) -> None:
        """Show or change the settings."""
        await own_commands.defer(ctx)
        changes = await self._changes(ctx, options)
        if changes:
            await self._apply(ctx, changes)
            return
        found = await self._service.setup_overview(actor_of(ctx.author))
        await own_commands.answer(ctx, embed=show(found, HOW.format(prefix=ctx.clean_prefix)))

    async def _apply(self, ctx: commands.Context[Any], changes: dict[str, Any]) -> None:
        line = await self._service.change_setup(actor_of(ctx.author), changes)
        await self._announce(ctx, f"The settings were changed by {actor_of(ctx.author)}: {line}.")
        self._services.summaries_changed.set()
        restart = self._services.restart
        text = f"{line.replace('; ', chr(10))}\n\n{NEXT_START if restart is None else RESTARTS}"
        await own_commands.answer(ctx, embed=embeds.success("⚙️ Settings Changed", text))
        if restart is not None:
            restart()

    async def _announce(self, ctx: commands.Context[Any], text: str) -> None:
        """Post in the present audit channel at once: the queue of lines does not outlive a restart."""
        channel_id = self._service.audit_channel_id
        if channel_id is None:
            return
        try:
            await ctx.bot.get_partial_messageable(channel_id).send(embed=embeds.notice(text))
        except DISCORD_FAILURES as error:
            logger.warning("the change of the settings could not be posted in %d: %s", channel_id, error)

    async def _changes(self, ctx: commands.Context[Any], options: SetupOptions) -> dict[str, Any]:
        """Return the changes, nested as in config.json. Raises CashbackError for a value that is not valid."""
        terms: dict[str, Any] = {}
        if options.percent is not None:
            terms["cashback_percent"] = typed_terms.read_percent(options.percent)
        if options.holding_days is not None:
            terms["holding_days"] = typed_terms.read_holding_days(options.holding_days)
        if options.minimum is not None:
            terms["min_payout_cents"] = typed_terms.read_minimum(options.minimum)
        terms |= _weekly_batch(options, self._service.terms)
        changes: dict[str, Any] = {"referral_settings": terms} if terms else {}
        if options.admin_role is not None:
            changes["role_ids"] = {"admin": options.admin_role.id}
        if options.audit_channel is not None:
            await _require_writable(ctx, options.audit_channel)
            changes["logging_channels"] = {"audit": options.audit_channel.id}
        return changes


def _weekly_batch(options: SetupOptions, now: ReferralSettings) -> dict[str, Any]:
    if options.weekday is None and options.time is None:
        if options.timezone is not None:
            raise CashbackError("--timezone says what --weekday and --time mean; give one of them too.")
        return {}
    zone = typed_terms.read_zone(options.timezone or "UTC")
    moment = typed_terms.configured_slot(now).astimezone(zone)
    present = typed_terms.WEEKDAYS[moment.weekday()]
    day = present if options.weekday is None else typed_terms.read_weekday(options.weekday)
    time = (moment.hour, moment.minute) if options.time is None else typed_terms.read_time(options.time)
    return typed_terms.weekly_batch_at(day, time, zone)


async def _require_writable(ctx: commands.Context[Any], channel: discord.TextChannel) -> None:
    is_well, text = await check_channel(ctx.bot, [channel.guild], channel.id)
    if not is_well:
        raise CashbackError(f"{text[:1].upper()}{text[1:]}.")


def show(settings: list[Setting], how: str) -> discord.Embed:
    """Return the settings, a line each."""
    lines = [
        f"**{each.name}:** {each.text}" + (f" (from the next start: {each.next_text})" if each.next_text else "")
        for each in settings
    ]
    embed = discord.Embed(title="⚙️ Settings", description="\n".join(lines), colour=discord.Colour.blurple())
    return embed.set_footer(text=how)
