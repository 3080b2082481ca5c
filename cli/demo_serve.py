"""`demo --serve`: keeps the demo's community open, and prints the addresses and what to try first."""

import signal
import sys
from pathlib import Path
from typing import Final

import anyio

from cli.demo_community import STORE, DemoCommunity, open_community
from cli.output import say
from sandbox import Channel, Member

WAIT_SECONDS: Final = 30
WIDTH: Final = 24


async def serve_community(path: Path, port: int) -> int:
    """Serve on this port until a signal, with a new ledger at this path; return the exit code."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with open_community(path, port) as community:
            say(*_guide(community, await _sign_in_link(community)))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_go_to_fridays, community, name="Fridays")
                async for _ in signals:
                    break
                tasks.cancel_scope.cancel()
    return 0


async def _go_to_fridays(community: DemoCommunity) -> None:
    """Let it be the next Friday whenever somebody presses Enter."""
    while sys.stdin is not None:
        try:
            await anyio.wait_readable(sys.stdin)
        except (OSError, ValueError):
            # It is a file, or closed: nobody types there.
            return
        if not sys.stdin.readline():
            return
        slot_at = community.bot.go_to_friday()
        say(f"It is {slot_at:%A, %Y-%m-%d %H:%M} UTC: the bot starts and pays what is pending, by itself.")


async def _sign_in_link(community: DemoCommunity) -> str:
    """Ask the bot for a link to the dashboard, as an admin does."""
    await community.sandbox.slash(community.channel.id, community.admin.id, "sendref-cashb dashboard")
    direct = community.sandbox.open_direct_channel(community.admin.id)
    link = await community.sandbox.wait_for(lambda each: each.channel_id == direct.id, WAIT_SECONDS)
    return link.content.partition("<")[2].partition(">")[0]


def _guide(community: DemoCommunity, sign_in_link: str) -> list[str]:
    """Return the lines; `sign_in_link` signs the admin in to the dashboard."""
    private, audit = f"#{community.channel.name}", f"#{community.audit.name}"
    admin, member, friend = community.admin.name, community.payees[0].name, community.friend.name
    addresses = {
        f"The chat as {admin}": _view(community, community.admin, community.channel),
        f"The chat as {member}": _view(community, community.payees[0], community.general),
        f"The shop as {friend}": community.shop.link_of(STORE, community.friend.id),
        f"The dashboard as {admin}": sign_in_link,
    }
    return [
        "",
        "Open in a browser:",
        *(f"  {name:<{WIDTH}} {address}" for name, address in addresses.items()),
        "  The dashboard's link works once, for five minutes; !sendref-cashb dashboard sends another to the admin.",
        "",
        "What to try first:",
        f"  1. As {admin}, type !sendref-cashb in {private} and press Confirm: {member} gets a direct message.",
        f"  2. As {member}, type /cashback show, then /invite, in #{community.general.name}.",
        f"  3. In the shop, press Buy: {member} earns, because {friend} came by {member}'s code.",
        "     Refund it, dispute it, hold deliveries back, send them twice, or as another shop system does.",
        f"  4. Press Enter here: it becomes Friday, and the weekly batch pays {member} by itself.",
        f"  5. {member} does not see {private} and {audit}: only admins do. Choose who you are at the top right.",
        "  6. In the dashboard, see the batch under Batches and the order under Deliveries.",
        "",
        "Ctrl-C ends it, and nothing is kept.",
    ]


def _view(community: DemoCommunity, member: Member, channel: Channel) -> str:
    """Return the address of the chat page as a member sees a channel."""
    return f"{community.sandbox.url}/chat/#member={member.id}&channel={channel.id}"
