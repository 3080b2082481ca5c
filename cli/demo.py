"""`demo`: a whole payout on a local Discord, from the command to the proof. Needs nothing and keeps nothing.

The bot is the real one, connected to the local Discord by address alone; the ledger is a real file in a temporary
folder.
"""

import re
import secrets
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import anyio
import typer

import bot
from cashback.database import Database, audit_log
from cashback.database.integrity import reconciliation
from cashback.domain.money import dollars
from cashback.settings import Settings
from cli.context import ledger, quiet_logging
from cli.formatting import audit_line, verdict_lines
from cli.options import PortOption
from cli.output import counted, moment, say
from cli.seed import plant, sample_members
from sandbox import Channel, Member, Message, Sandbox
from sandbox.shop import ShopPage

DIRECT_MESSAGES_SHOWN: Final = 3
WAIT_SECONDS: Final = 30
COMMAND: Final = "!sendref-cashb"
COMPLETE: Final = "Batch Complete"
FIRST_BATCH: Final = 1
MARKUP: Final = str.maketrans("", "", "*`")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCommunity:
    """A local Discord with the sample community, an admin, and the bot online."""

    sandbox: Sandbox
    database: Database
    admin: Member
    channel: Channel
    audit: Channel
    payees: tuple[Member, ...]
    shop: ShopPage

    def named(self, text: str) -> str:
        """Replace mentions by names."""
        names = {member.id: member.name for member in (*self.payees, self.admin)}
        named = re.sub(r"(?:<@!?|discord:)(\d+)>?", lambda found: f"@{names.get(int(found[1]), found[1])}", text)
        return re.sub(r"<t:(\d+):\w>", lambda found: moment(datetime.fromtimestamp(int(found[1]), UTC)), named)


def command(
    *,
    serve: Annotated[bool, typer.Option("--serve", help="Keep the local Discord open as a chat page.")] = False,
    port: PortOption = 0,
) -> int:
    """Show a payout from the command to the proof, or serve the community as a chat page."""
    quiet_logging()
    with tempfile.TemporaryDirectory(prefix="cashback-demo-") as folder:
        return anyio.run(_serve if serve else _show_payout, Path(folder) / "demo.db", port)


@asynccontextmanager
async def open_community(path: Path, port: int, **referral_settings: int) -> AsyncIterator[DemoCommunity]:
    """Create the community with its purchases, and run the bot until the end."""
    async with (
        AsyncExitStack() as shops,
        Sandbox(port=port, guild_name="Sample community", bot_name="Cashback") as sandbox,
    ):
        role = sandbox.add_role("Admin", color=0xE67E22)
        channel, audit = sandbox.add_channel("admin"), sandbox.add_channel("audit-log")
        admin = sandbox.add_member("admin", role_ids=[role.id])
        members = list(sample_members())
        referrers = dict.fromkeys(member.referrer_id for member in members)
        payees = tuple(
            sandbox.add_member(f"referrer-{place:02}", id=referrer_id)
            for place, referrer_id in enumerate(referrers, start=1)
        )
        for place, member in enumerate(members, start=1):
            sandbox.add_member(f"friend-{place:03}", id=member.member_id)
        port_of_dashboard, secret = _free_port(), secrets.token_hex()
        address = f"http://127.0.0.1:{port_of_dashboard}/api/v1/shops/store"
        shop = await shops.enter_async_context(ShopPage(address, secret))
        settings = Settings.model_validate(
            {
                "database": str(path),
                "guild_ids": [sandbox.guild_id],
                "role_ids": {"admin": role.id},
                "logging_channels": {"audit": audit.id},
                "referral_settings": {"dm_per_second": 20, **referral_settings},
                "dashboard": {"enabled": True, "port": port_of_dashboard},
                "shops": {"store": {"kind": "shopify", "link": shop.url}},
                "shop_secrets": {"store": (secret,)},
                "discord_token": sandbox.token,
                "discord_api_url": sandbox.api_url,
            }
        )
        async with ledger(settings, create=True) as database, anyio.create_task_group() as tasks:
            facts = await plant(database, lambda: iter(members), lambda _count: None)
            _chapter("A community whose members refer friends who buy")
            say(
                f"  {counted(facts['referrers'], 'member')} referred {facts['referrals']} friends."
                f" At 0.5% their purchases earned {dollars(facts['pending_cents'])}."
            )
            stop = anyio.Event()
            tasks.start_soon(bot.serve, settings, database, stop, name="bot")
            await sandbox.wait_connected()
            yield DemoCommunity(
                sandbox=sandbox,
                database=database,
                admin=admin,
                channel=channel,
                audit=audit,
                payees=payees,
                shop=shop,
            )
            stop.set()


async def _serve(path: Path, port: int) -> int:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with open_community(path, port) as community:
            say("", f"Open {community.sandbox.url}/chat/ and type {COMMAND} as admin in #admin. Ctrl-C ends it.")
            say(f"A shop that is connected is at {community.shop.url}; members find their own links with /shop show.")
            async for _ in signals:
                break
    return 0


async def _show_payout(path: Path, port: int) -> int:
    async with open_community(path, port) as community:
        with anyio.fail_after(WAIT_SECONDS):
            summary = await _ask(community)
            await _confirm(community, summary)
            await _read_direct_messages(community)
            await _read_audit_channel(community)
            await _read_audit_log(community)
            _chapter("cashback verify")
            verdict = await community.database.read(reconciliation.verify)
            say(*(f"  {line}" for line in verdict_lines(verdict)))
            await _ask(community)
            await _buy_in_the_shop(community)
            say("", "Try it yourself: `.venv/bin/cashback demo --serve` opens the same community as a chat page.")
    return 0 if verdict.balanced else 1


async def _buy_in_the_shop(community: DemoCommunity) -> None:
    """Let a new member join by a friend's code and buy by their own link; show what the friend is paid on Friday."""
    referrer, channel = community.payees[0], community.channel
    friend = community.sandbox.add_member("new-friend")
    _chapter("A new friend buys in the connected shop")
    say(f"  {friend.name}: /setref {referrer.id}")
    await (await community.sandbox.slash(channel.id, friend.id, "setref", {"code": str(referrer.id)})).replied()
    say(f"  {friend.name}: /shop show")
    answer = await (await community.sandbox.slash(channel.id, friend.id, "shop show")).replied()
    if answer is not None:
        _show(community, answer)
    order, outcome = await community.shop.buy(friend.id)
    say(
        "",
        f"  {friend.name} pays {dollars(order.total_cents)} there. The shop delivers order {order.number}: {outcome}.",
    )
    pending = await community.database.get_pending_cashback_for_user(referrer.id)
    say(f"  {referrer.name} is paid {dollars(pending['pending_cents'])} on Friday, by itself.")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _chapter(title: str) -> None:
    say("", f"── {title} {'─' * max(4, 72 - len(title))}", "")


async def _ask(community: DemoCommunity) -> Message:
    """Type the command as the admin and show the bot's answer."""
    _chapter(f"#{community.channel.name}")
    say(f"  {community.admin.name}: {COMMAND}")
    command = await community.sandbox.say(community.channel.id, community.admin.id, COMMAND)
    answer = await community.sandbox.wait_for(
        lambda each: bool(each.embeds) and not each.loading, WAIT_SECONDS, after=command
    )
    _show(community, answer)
    return answer


async def _confirm(community: DemoCommunity, summary: Message) -> None:
    """Press Confirm as the admin and show the changed message."""
    say("", f"  {community.admin.name} presses [Confirm]")
    [custom_id] = [button.custom_id or "" for button in summary.buttons if button.label == "Confirm"]
    await community.sandbox.click(summary.id, custom_id, community.admin.id)
    _show(
        community,
        await community.sandbox.wait_for(lambda each: each.id == summary.id and COMPLETE in each.text, WAIT_SECONDS),
    )


async def _read_direct_messages(community: DemoCommunity) -> None:
    _chapter("Direct messages")
    for place, payee in enumerate(community.payees):
        received = await _first_message(community, community.sandbox.open_direct_channel(payee.id).id)
        if place < DIRECT_MESSAGES_SHOWN:
            say(f"  To {payee.name}:")
            _show(community, received)
    say("", f"  …and {len(community.payees) - DIRECT_MESSAGES_SHOWN} more: {len(community.payees)} delivered.")


async def _read_audit_channel(community: DemoCommunity) -> None:
    _chapter(f"#{community.audit.name}")
    _show(community, await _first_message(community, community.audit.id))


async def _first_message(community: DemoCommunity, channel_id: int) -> Message:
    return await community.sandbox.wait_for(lambda each: each.channel_id == channel_id, WAIT_SECONDS)


async def _read_audit_log(community: DemoCommunity) -> None:
    _chapter("The audit log in the database")
    entries = await community.database.read(audit_log.entries, limit=10, batch_number=FIRST_BATCH)
    say(*(community.named(audit_line(entry)) for entry in reversed(entries)))


def _show(community: DemoCommunity, message: Message) -> None:
    """Write a message of the bot as text."""
    lines: list[str] = []
    for embed in message.embeds:
        lines += [str(embed["title"])] if "title" in embed else []
        lines += str(embed.get("description", "")).splitlines()
        for field in embed.get("fields", []):
            name, value = str(field["name"]), str(field["value"]).splitlines()
            lines += [f"{name}: {value[0]}"] if len(value) == 1 else [name, *(f"  {line}" for line in value)]
        lines += [str(embed["footer"]["text"])] if "footer" in embed else []
    say(*(f"    │ {community.named(line).translate(MARKUP)}".rstrip() for line in lines))
    buttons = [f"[{button.label}]" for button in message.buttons if not button.disabled]
    if buttons:
        say(f"    {' '.join(buttons)}")
