"""The community of the demo: a local Discord, a shop, the real bot, and a ledger in a file."""

import re
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import anyio

from cashback.cogs.admin import AdminCommands
from cashback.database import Database
from cashback.domain.errors import CashbackError
from cashback.domain.money import dollars
from cashback.settings import Settings
from cli.context import ledger
from cli.demo_bot import DemoBot, DemoClock
from cli.output import counted, moment, say
from cli.seed import plant, sample_members
from sandbox import Channel, Member, Sandbox
from sandbox.shop import KINDS, Connection, ShopPage

STORE: Final = "store"
"""The name of the shop that members buy in; the shops of the other kinds are named like these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCommunity:
    """A local Discord with the sample community, an admin, and the bot online.

    `friend` is the first friend of the first of the `payees`.
    """

    sandbox: Sandbox
    database: Database
    admin: Member
    general: Channel
    channel: Channel
    audit: Channel
    payees: tuple[Member, ...]
    friend: Member
    shop: ShopPage
    bot: DemoBot

    def named(self, text: str) -> str:
        """Replace mentions by names."""
        names = {member.id: member.name for member in (*self.payees, self.admin)}
        named = re.sub(r"(?:<@!?|discord:)(\d+)>?", lambda found: f"@{names.get(int(found[1]), found[1])}", text)
        return re.sub(r"<t:(\d+):\w>", lambda found: moment(datetime.fromtimestamp(int(found[1]), UTC)), named)


@asynccontextmanager
async def open_community(path: Path, port: int, **referral_settings: int) -> AsyncIterator[DemoCommunity]:
    """Create the community with its purchases, and run the bot until the end."""
    async with AsyncExitStack() as opened:
        clock = DemoClock()
        sandbox = await _open_sandbox(opened, port)
        role = sandbox.add_role("Admin", color=0xE67E22)
        general = sandbox.add_channel("general")
        channel, audit = (sandbox.add_channel(name, only_for=[role]) for name in ("admin", "audit-log"))
        admin = sandbox.add_member("admin", role_ids=[role.id])
        members = list(sample_members())
        referrers = dict.fromkeys(member.referrer_id for member in members)
        payees = tuple(
            sandbox.add_member(f"referrer-{place:02}", id=referrer_id)
            for place, referrer_id in enumerate(referrers, start=1)
        )
        friends = [
            sandbox.add_member(f"friend-{place:03}", id=member.member_id)
            for place, member in enumerate(members, start=1)
        ]
        port_of_dashboard, secret = _free_port(), secrets.token_hex()
        names = {STORE: "shopify"} | {kind: kind for kind in KINDS if kind != "shopify"}
        address = f"http://127.0.0.1:{port_of_dashboard}/api/v1/shops"
        connections = {
            name: Connection(kind=kind, deliver_to=f"{address}/{name}", secret=secret) for name, kind in names.items()
        }
        shop = await opened.enter_async_context(ShopPage(connections, clock=clock))
        settings = Settings.model_validate(
            {
                "database": str(path),
                "guild_ids": [sandbox.guild_id],
                "role_ids": {"admin": role.id},
                "logging_channels": {"audit": audit.id},
                "referral_settings": {"dm_per_second": 20, **referral_settings},
                "dashboard": {"enabled": True, "port": port_of_dashboard},
                "shops": {name: {"kind": kind} for name, kind in names.items()}
                | {STORE: {"kind": names[STORE], "link": f"{shop.url}{STORE}/"}},
                "shop_secrets": dict.fromkeys(names, (secret,)),
                "email_key": secret,
                "discord_token": sandbox.token,
                "discord_api_url": sandbox.api_url,
            }
        )
        words = (each.name for each in AdminCommands.__cog_commands__ if each.parent is None)
        sandbox.commands.typed = sorted(f"{settings.bot_prefix}{word}" for word in words)
        async with ledger(settings, create=True, clock=clock) as database, anyio.create_task_group() as tasks:
            facts = await plant(database, lambda: iter(members), lambda _count: None)
            chapter("A community whose members refer friends who buy")
            say(
                f"  {counted(facts['referrers'], 'member')} referred {facts['referrals']} friends."
                f" At 0.5% their purchases earned {dollars(facts['pending_cents'])}."
            )
            bot = DemoBot(settings, database, clock)
            tasks.start_soon(bot.run, name="bot")
            await sandbox.wait_connected()
            yield DemoCommunity(
                sandbox=sandbox,
                database=database,
                admin=admin,
                general=general,
                channel=channel,
                audit=audit,
                payees=payees,
                friend=friends[0],
                shop=shop,
                bot=bot,
            )
            bot.stop()


async def _open_sandbox(opened: AsyncExitStack, port: int) -> Sandbox:
    try:
        return await opened.enter_async_context(Sandbox(port=port, guild_name="Sample community", bot_name="Cashback"))
    except OSError as error:
        message = f"Port {port} is not available ({error.strerror or error}); name another with --port."
        raise CashbackError(message) from error


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def chapter(title: str) -> None:
    """Write a heading."""
    say("", f"── {title} {'─' * max(4, 72 - len(title))}", "")
