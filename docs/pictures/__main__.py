"""Takes the pictures of the docs: real commands, typed into the real bot, on the chat page; and the dashboard.

Needs Chromium, and a font with emoji. Run it as `make pictures`, and look at what changed.
"""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
from sqlalchemy import Connection

from cashback.database.database import DEFAULT_RATE_PPM
from cashback.database.payouts import approvals, proposals
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cli.demo_community import DemoCommunity, open_community
from docs.pictures import dashboard_pages
from docs.pictures.browser import Page, browser
from sandbox import Member, Message

FOLDER: Final = Path(__file__).parent
WIDTH: Final = 900
PHONE_WIDTH: Final = 390
DASHBOARD_WIDTH: Final = 1400
HEIGHT: Final = 1400
WAIT_SECONDS: Final = 60
HELD_DAYS: Final = 14
BOUGHT_CENTS: Final = 40_000
REFUSES: Final = "CREATE TRIGGER closed BEFORE INSERT ON wallet_transactions BEGIN SELECT RAISE(ABORT, 'closed'); END"
WAITS: Final = (
    "CREATE TRIGGER closed BEFORE UPDATE OF status ON cashback_payout_batches"
    " WHEN NEW.status = 'running' BEGIN SELECT RAISE(ABORT, 'closed'); END"
)


class Photographer:
    """Types, waits for the answer, and takes the picture of both."""

    def __init__(self, community: DemoCommunity, page: Page) -> None:
        self._community = community
        self._page = page

    async def type(self, text: str, *, shows: str, by: Member | None = None) -> Message:
        """Type as an admin into #admin, as another into #general; return the bot's answer that has these words."""
        community, who = self._community, by or self._community.admin
        place = community.channel if who.role_ids else community.general
        if text.startswith("/"):
            name, options = _read(text)
            await community.sandbox.slash(place.id, who.id, name, options)
        else:
            await community.sandbox.say(place.id, who.id, text)
        return await self.wait(shows)

    async def wait(self, shows: str) -> Message:
        """Wait for a message of the bot with these words."""
        sandbox = self._community.sandbox

        def is_it(message: Message) -> bool:
            return message.author_id == sandbox.bot_user_id and shows in message.text and not message.loading

        return await sandbox.wait_for(is_it, WAIT_SECONDS)

    async def press(self, message: Message, label: str, *, by: Member | None = None) -> None:
        """Press a button, as the admin or as another member."""
        [custom_id] = [each.custom_id or "" for each in message.buttons if each.label == label]
        await self._community.sandbox.click(message.id, custom_id, (by or self._community.admin).id)

    async def take(self, name: str, message: Message, *, by: Member | None = None, before: int = 0) -> None:
        """Take the picture of a message and of `before` earlier ones, as a member sees them."""
        for width, path in (
            (PHONE_WIDTH, dashboard_pages.FOLDER / f"message-{name}.png"),
            (WIDTH, FOLDER / f"{name}.png"),
        ):
            await self._show(message, by or self._community.admin, width, before)
            await self._page.picture(path, of=".message")

    async def _show(self, message: Message, who: Member, width: int, before: int) -> None:
        address = f"{self._community.sandbox.url}/chat/#member={who.id}&channel={message.channel_id}"
        await self._page.open(address, width=width, height=HEIGHT)
        node = f'.message[data-id="{message.id}"]'
        await self._page.until(f"document.querySelector({node!r}) !== null")
        # Only what the picture shows stays on the page.
        await self._page.evaluate(
            f"(() => {{ const all = [...document.querySelectorAll('.message')];"
            f" const last = all.findIndex((each) => each.matches({node!r}));"
            f" all.forEach((each, place) => {{ if (place < last - {before} || place > last) each.remove(); }});"
            " document.querySelector('.start').remove(); })()"
        )

    async def sign_in(self) -> str:
        """Sign in to the dashboard by the link that the bot sends; return its address."""
        await self.type("!sendref-cashb dashboard", shows="direct messages")
        link = await self.wait("Your link to the dashboard")
        address = link.text.partition("<")[2].partition(">")[0]
        await self._page.open(address, width=DASHBOARD_WIDTH, height=HEIGHT, shows="#sign-in-button")
        await self._page.evaluate("document.querySelector('#sign-in-button').click()")
        await self._page.shows("#overview")
        return address.partition("/sign-in/")[0]

    async def take_dashboard(self) -> str:
        """Sign in to the dashboard, take its first page and return its address."""
        address = await self.sign_in()
        await self._page.shows(".chart, svg")
        await self._page.picture(FOLDER / "dashboard.png", of="header, main", margin=0)
        return address

    async def take_pages(self, address: str, pages: dict[str, str]) -> None:
        """Take other pages of the dashboard."""
        await dashboard_pages.take_pages(self._page, address, pages)


def _read(text: str) -> tuple[str, dict[str, object]]:
    """Read "/setref code:1" as the command's words and its options."""
    words = text.removeprefix("/").split()
    options = dict(word.split(":", 1) for word in words if ":" in word)
    return " ".join(word for word in words if ":" not in word), dict(options)


async def _payouts(community: DemoCommunity, photographer: Photographer) -> None:
    payee = community.payees[2]
    one = await photographer.type(f"!sendref-cashb <@{payee.id}>", shows="Individual Referral Cashback")
    await photographer.take("individual", one, before=1)
    await photographer.press(one, "Cancel")
    await photographer.take("cancelled", await photographer.wait("This batch was cancelled"))
    wrong = await photographer.type("!sendref-cashb @ghost", shows="neither a mention nor an id")
    await photographer.take("mistyped", wrong, before=1)
    stranger = community.payees[0]
    refused = await photographer.type("/sendref-cashb pay", shows="Only an admin", by=stranger)
    await photographer.take("refused", refused, by=stranger)
    summary = await photographer.type("!sendref-cashb", shows="Batch Summary")
    await photographer.take("summary", summary, before=1)
    await photographer.press(summary, "Confirm")
    await photographer.take("result", await photographer.wait(f"Sent:** {len(community.payees)}"))
    await photographer.take("audit", await photographer.wait("Batch Processed"))
    direct = community.sandbox.direct_messages(stranger.id)[0]
    await photographer.take("received", direct, by=stranger)


async def _failures(community: DemoCommunity, photographer: Photographer) -> None:
    ours = community.payees[3:6]
    await _buy(community, ours)
    async with _closed(community):
        summary = await photographer.type("!sendref-cashb", shows="Batch Summary")
        await photographer.press(summary, "Confirm")
        await photographer.take("failures", await photographer.wait("Failed Payouts"))


@asynccontextmanager
async def _closed(community: DemoCommunity, trigger: str = REFUSES) -> AsyncIterator[None]:
    """Make the ledger refuse every credit inside the block, or every start of a batch."""
    await community.database.write(Connection.exec_driver_sql, trigger)
    yield
    await community.database.write(Connection.exec_driver_sql, "DROP TRIGGER closed")


async def _buy(community: DemoCommunity, referrers: tuple[Member, ...], *, held_days: int = 0) -> None:
    """Record a purchase by a friend of each of these referrers."""
    for referrer in referrers:
        friend = (await community.database.get_referrals(referrer.id))[0]["referred_user_id"]
        bought = Purchase(order_id=f"picture-{friend}-{held_days}", buyer_id=friend, amount_cents=BOUGHT_CENTS)
        await community.database.write(
            record_purchases, [bought], DEFAULT_RATE_PPM, community.database.now(), holding_days=held_days
        )


async def _members(community: DemoCommunity, photographer: Photographer) -> None:
    me, friend = community.payees[6], community.sandbox.add_member("newcomer")

    async def picture(name: str, text: str, shows: str, by: Member) -> None:
        await photographer.take(name, await photographer.type(text, shows=shows, by=by), by=by)

    await picture("invite", "/invite", "Your Referral Code", me)
    await picture("invites", "/invites", "Page 1 of", me)
    await picture("setref", f"/setref code:{me.id}", "You were invited by", friend)
    await picture("setref-refused", f"/setref code:{me.id}", "already been referred", friend)
    await picture("profile", "/profile", "Referral Profile", me)
    await _buy(community, (me,), held_days=HELD_DAYS)
    await picture("cashback", "/cashback show", "Your Referral Cashback", me)
    await picture("notifications", "/cashback notifications off", "now off", me)


async def _referrals(community: DemoCommunity, photographer: Photographer) -> None:
    member, other = community.payees[7], community.payees[8]
    newcomer = community.sandbox.add_member("other-newcomer")
    for name, text, shows in (
        ("referral-stats", f"!referral-stats <@{member.id}>", "Referral Statistics"),
        ("referral-blacklist", f"!referral-blacklist <@{member.id}> own second account", "is blacklisted"),
        ("referral-unblacklist", f"!referral-unblacklist <@{member.id}>", "may earn"),
        ("referral-link", f"!referral-link <@{other.id}> <@{newcomer.id}> forgot the code", "is linked to"),
        ("referral-unlink", f"!referral-unlink <@{newcomer.id}> was a mistake", "no longer linked"),
        ("schedule", "!sendref-cashb schedule", "Weekly Referral Cashback"),
    ):
        await photographer.take(name, await photographer.type(text, shows=shows), before=1)


async def _two_admins(community: DemoCommunity, photographer: Photographer) -> None:
    """Show a flagged batch that excludes members and needs two admins; then its reversal."""
    other = community.sandbox.add_member("other-admin", role_ids=community.admin.role_ids)
    summary = await photographer.type("!sendref-cashb", shows="Batch Summary")
    await photographer.take("summary-for-two", summary)
    await photographer.press(summary, "Confirm")
    waits = await photographer.wait("another admin must approve")
    await photographer.take("waiting", waits)
    address = await photographer.sign_in()
    await photographer.take_pages(address, {"batch-waiting": "/batches/1", "overview-waiting": "/"})
    await photographer.press(waits, "Approve", by=other)
    await photographer.take("result-of-two", await photographer.wait("Sent:** 12"))
    [batch_id] = await community.database.write(_newest_batch)
    asked = await photographer.type(
        f"!sendref-cashb reverse {batch_id} {community.payees[0].id} bought with a stolen card", shows="Reversal"
    )
    await photographer.take("reversal", asked, before=1)
    await photographer.press(asked, "Confirm")
    await photographer.take("reversed", await photographer.wait("Reversed"))
    other_payee = community.payees[1].id
    await photographer.type(f"!referral-blacklist <@{other_payee}> own second account", shows="is blacklisted")
    await photographer.type("!sendref-cashb schedule skip stocktaking", shows="Skipped")
    await photographer.type("!sendref-cashb schedule pause stocktaking", shows="is paused")
    await photographer.take_pages(
        address,
        {
            "batch-reversed": "/batches/1",
            "referrer-reversed": f"/referrers/{community.payees[0].id}",
            "referrer-blacklisted": f"/referrers/{other_payee}",
            "referrers-blacklist": "/referrers?show=blacklisted",
            "schedule-paused": "/schedule",
            "overview-paused": "/",
            "sign-in": "/sign-in",
        },
    )


def _newest_batch(connection: Connection) -> list[str]:
    query = "SELECT batch_id FROM cashback_payout_batches ORDER BY number DESC LIMIT 1"
    return [str(row[0]) for row in connection.exec_driver_sql(query)]


async def _stopped(community: DemoCommunity, photographer: Photographer) -> None:
    """Show a batch that another process has approved, stopped here, and the failed payouts of one."""
    await _buy(community, community.payees[3:6])
    now = community.database.now()
    planned = await community.database.write(proposals.propose, actor="cli", now=now, expires_at=None)
    async with _closed(community, WAITS):
        batch_id = await community.database.write(approvals.approve, planned.batch_number, actor="cli", now=now)
        stopped = await photographer.type(f"!sendref-cashb stop {batch_id}", shows="Batch Stopped")
    await photographer.take("stopped", stopped, before=1)
    async with _closed(community):
        await photographer.press(stopped, "Resume")
        await photographer.wait(f"Failed:** 3\n**Batch ID:** {batch_id}")
    listed = await photographer.type("!sendref-cashb failures", shows="abandon BATCH-ID")
    await photographer.take("open-failures", listed, before=1)


async def main() -> None:
    """Take every picture."""
    await anyio.Path(dashboard_pages.FOLDER).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with open_community(Path(folder) / "pictures.db", 0) as community, browser() as page:
            photographer = Photographer(community, page)
            for scene in (_payouts, _failures, _members, _referrals, _stopped):
                await scene(community, photographer)
            address = await photographer.take_dashboard()
            await dashboard_pages.add_rest(community)
            await photographer.take_pages(address, dashboard_pages.addresses(community))
        path, strict = Path(folder) / "two.db", {"approval_threshold_cents": 10_000, "unusual_share_percent": 15}
        async with open_community(path, 0, max_users_per_batch=12, **strict) as community, browser() as page:
            await _two_admins(community, Photographer(community, page))


if __name__ == "__main__":
    anyio.run(main)
