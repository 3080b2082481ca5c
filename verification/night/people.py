"""Who is awake in a night: a shop that reports purchases, and admins that type commands and press buttons."""

from contextlib import suppress
from typing import Final

import anyio

from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.domain.errors import CashbackError
from sandbox import Message, Sandbox, SandboxError
from verification.night.scene import FIRST_BUYER, Night, Typed

ANSWER_SECONDS: Final = 8
PRESSES: Final = 2
ALL_OF_IT_PPM: Final = 1_000_000
"""A purchase earns its whole amount."""

COMMANDS: Final = (
    "sendref-cashb",
    "sendref-cashb {member}",
    "/sendref-cashb pay {member}",
    "sendref-cashb history",
    "/sendref-cashb status",
    "referral-blacklist {stranger}",
    "sendref-cashb stop {batch}",
    "sendref-cashb resume {batch}",
)


async def sell(night: Night, until: float) -> None:
    """Report purchases; each is reported again until it is recorded."""
    while anyio.current_time() < until:
        await anyio.sleep(night.randomness.uniform(0.05, 0.4))
        number, night.purchases = night.randomness.randrange(len(night.referrers)), night.purchases + 1
        cents = night.randomness.randint(1, 500)
        purchase = Purchase(order_id=f"N-{night.purchases}", buyer_id=FIRST_BUYER + number, amount_cents=cents)
        while not await _is_recorded(night, purchase):  # noqa: ASYNC110 -- the ledger has no event for its return
            await anyio.sleep(0.3)
        night.earned[night.referrers[number].id] += cents


async def _is_recorded(night: Night, purchase: Purchase) -> bool:
    try:
        await night.database.write(record_purchases, [purchase], ALL_OF_IT_PPM, night.clock())
    except CashbackError:
        return False
    return True


async def type_commands(night: Night, until: float) -> None:
    """Type one command after the other, each by an admin and in a channel of its own, and confirm what is proposed."""
    while anyio.current_time() < until:
        await anyio.sleep(night.randomness.uniform(0.2, 1.5))
        number = len(night.typed)
        typed = Typed(
            text=_filled_in(night, night.randomness.choice(COMMANDS)),
            admin=night.sandbox.add_member(f"Admin {number}", [night.admin_role]),
            channel=night.sandbox.add_channel(f"night-{number}"),
        )
        night.typed.append(typed)
        await _type(night.sandbox, typed)
        if night.randomness.random() < 0.8:  # noqa: PLR2004 -- a share
            await _confirm(night.sandbox, typed)


def _filled_in(night: Night, command: str) -> str:
    member = night.randomness.choice(night.referrers).id
    stranger = night.sandbox.add_member(f"Stranger {len(night.typed)}").id
    return command.format(member=member, stranger=stranger, batch=night.randomness.randint(1, len(night.typed) + 1))


async def _type(sandbox: Sandbox, typed: Typed) -> None:
    """Type the command; nobody may be there to hear it."""
    if not typed.text.startswith("/"):
        await sandbox.say(typed.channel.id, typed.admin.id, f"!{typed.text}")
        return
    words = typed.text.removeprefix("/").split()
    options = {"user": int(words.pop())} if words[-1].isdigit() else {}
    try:
        await sandbox.slash(typed.channel.id, typed.admin.id, " ".join(words), options)
    except SandboxError:
        return


async def _confirm(sandbox: Sandbox, typed: Typed) -> None:
    """Press Confirm, twice at once, if a summary comes in time."""

    def is_summary(message: Message) -> bool:
        return message.channel_id == typed.channel.id and any(each.label == "Confirm" for each in message.buttons)

    with anyio.move_on_after(ANSWER_SECONDS):
        summary = await sandbox.wait_for(is_summary)
        pressed = next(each.custom_id for each in summary.buttons if each.label == "Confirm")
        # A quick bot has disabled the button before the second press.
        with suppress(SandboxError):
            for _ in range(PRESSES):
                typed.presses.append(await sandbox.click(summary.id, pressed or "", typed.admin.id))
