"""`demo`: a whole payout on a local Discord, from the command to the proof. Needs nothing and keeps nothing.

The bot is the real one, connected to the local Discord by address alone; the ledger is a real file in a temporary
folder.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Final

import anyio
import typer

from cashback.database import audit_log
from cashback.database.integrity import reconciliation
from cashback.domain.money import dollars
from cli.context import quiet_logging
from cli.demo_community import STORE, DemoCommunity, chapter, open_community
from cli.demo_serve import serve_community
from cli.formatting import audit_line, verdict_lines
from cli.options import PortOption
from cli.output import say
from sandbox import Member, Message

DIRECT_MESSAGES_SHOWN: Final = 3
WAIT_SECONDS: Final = 30
COMMAND: Final = "!sendref-cashb"
COMPLETE: Final = "Batch Complete"
FIRST_BATCH: Final = 1
MARKUP: Final = str.maketrans("", "", "*`")


def command(
    *,
    serve: Annotated[bool, typer.Option("--serve", help="Keep the local Discord open as a chat page.")] = False,
    port: PortOption = 0,
) -> int:
    """Show a payout from the command to the proof, or serve the community as a chat page."""
    quiet_logging()
    with tempfile.TemporaryDirectory(prefix="cashback-demo-") as folder:
        return anyio.run(serve_community if serve else _show_payout, Path(folder) / "demo.db", port)


async def _show_payout(path: Path, port: int) -> int:
    async with open_community(path, port) as community:
        with anyio.fail_after(2 * WAIT_SECONDS):
            summary = await _ask(community)
            await _confirm(community, summary)
            await _read_direct_messages(community)
            await _read_audit_channel(community)
            await _read_audit_log(community)
            chapter("cashback verify")
            verdict = await community.database.read(reconciliation.verify)
            say(*(f"  {line}" for line in verdict_lines(verdict)))
            await _ask(community)
            await _buy_in_the_shop(community)
            say("", f"Try it yourself: `{_typed()} demo --serve` opens the same community as a chat page.")
    return 0 if verdict.balanced else 1


def _typed() -> str:
    """Return the program's name as it can be typed here: `make demo` calls one that is not on the path."""
    called = Path(sys.argv[0])
    if called.name != "cashback":
        return "python -m cli"
    found = shutil.which("cashback")
    return "cashback" if found is not None and called.samefile(found) else str(called)


async def _buy_in_the_shop(community: DemoCommunity) -> None:
    """Let a new member join by a friend's /invite and buy by their own link, and the friend be paid on Friday."""
    referrer = community.payees[0]
    friend = community.sandbox.add_member("new-friend")
    chapter("A new friend buys in the connected shop")
    await _use(community, referrer, "invite")
    await _use(community, friend, "setref", code=str(referrer.id))
    joined = await _read_message(community, referrer, "New Referral")
    await _use(community, friend, "shop show")
    order, delivery = await community.shop.buy(STORE, friend.id)
    say(f"  {friend.name} pays {dollars(order.total_cents)} there.")
    say(f"  The shop delivers order {order.number}: {delivery.answer}.")
    slot_at = community.bot.go_to_friday()
    chapter(f"It is {slot_at:%A, %Y-%m-%d %H:%M} UTC: nobody presses anything")
    await _read_message(community, referrer, "Cashback Received", after=joined)


async def _read_message(
    community: DemoCommunity, member: Member, words: str, *, after: Message | None = None
) -> Message:
    """Wait for a member's direct message with these words, after another one; show and return it."""
    direct = community.sandbox.open_direct_channel(member.id)
    received = await community.sandbox.wait_for(
        lambda each: each.channel_id == direct.id and words in each.text, WAIT_SECONDS, after=after
    )
    say("", f"  To {member.name}:")
    _show(community, received)
    return received


async def _use(community: DemoCommunity, member: Member, command: str, **options: str) -> None:
    """Use a slash command as a member, and show what only the member sees."""
    say("", " ".join((f"  {member.name}: /{command}", *options.values())))
    interaction = await community.sandbox.slash(community.general.id, member.id, command, options)
    answer = await interaction.replied()
    if answer is not None:
        _show(community, answer)


async def _ask(community: DemoCommunity) -> Message:
    """Type the command as the admin and show the bot's answer."""
    chapter(f"#{community.channel.name}")
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
    chapter("Direct messages")
    for place, payee in enumerate(community.payees):
        received = await _first_message(community, community.sandbox.open_direct_channel(payee.id).id)
        if place < DIRECT_MESSAGES_SHOWN:
            say(f"  To {payee.name}:")
            _show(community, received)
    say("", f"  …and {len(community.payees) - DIRECT_MESSAGES_SHOWN} more: {len(community.payees)} delivered.")


async def _read_audit_channel(community: DemoCommunity) -> None:
    chapter(f"#{community.audit.name}")
    _show(community, await _first_message(community, community.audit.id))


async def _first_message(community: DemoCommunity, channel_id: int) -> Message:
    return await community.sandbox.wait_for(lambda each: each.channel_id == channel_id, WAIT_SECONDS)


async def _read_audit_log(community: DemoCommunity) -> None:
    chapter("The audit log in the database")
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
