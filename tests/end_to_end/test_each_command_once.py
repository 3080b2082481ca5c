"""Two live bots with one token and one ledger: each command and each press has one answer and one effect.

The lists of commands and buttons are the bot's own: a new one without a case here fails.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import aiohttp
import pytest
from discord import app_commands
from discord.ui import View
from pydantic import SecretStr
from sqlalchemy import Connection

import bot
from cashback.background.lease import Lease
from cashback.cogs.buttons import BUTTONS
from cashback.cogs.buttons.confirm import Action, DecisionButton
from cashback.cogs.buttons.history_pager import HistoryButton, PayoutsButton
from cashback.cogs.buttons.member_pages import MemberPageButton, Page, PageButton, Step
from cashback.cogs.buttons.presses import ClaimedButton
from cashback.cogs.buttons.reversals import ReversalAction, ReversalButton
from cashback.cogs.buttons.skip_slot import SkipSlotButton, UnskipSlotButton
from cashback.cogs.buttons.undo import ResumeScheduleButton, UnblacklistButton
from cashback.cogs.buttons.withdrawals import WithdrawalAction, WithdrawalButton
from cashback.database import Database
from cashback.database.claims import claim
from cashback.database.payouts import absences
from cashback.database.queries.history import BatchFilter
from cashback.database.referral_program import blacklist
from cashback.database.schedule import schedule, slots
from cashback.domain.model import Absence
from cashback.extension.wiring import Services
from cashback.services import CLI, Actor, AdminService, Source
from sandbox import Interaction, Member, Message
from tests.conflicts import run_all_twice, written_by
from tests.conftest import Clock, break_writes, raw
from tests.end_to_end.conftest import BOTH_BOTS, LONG_SECONDS, DiscordFixture, until
from tests.end_to_end.test_dashboard import with_dashboard
from tests.end_to_end.test_withdrawals import configure

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

P = ParamSpec("P")
T = TypeVar("T")
Options = dict[str, Any]
MUCH_CENTS: Final = 10_000_000
"""So much needs two admins."""


class Watched(Database):
    """A ledger that counts how many bots have tried to claim each message."""

    scene: Scene

    async def write(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Write, and count a claim when it is decided."""
        result = await super().write(function, *args, **kwargs)
        if function is claim:
            self.scene.claims[int(str(args[0]))] += 1
        return result


class Scene:
    """Two live bots that do not pay, and the preparations for the commands."""

    def __init__(self, guild: DiscordFixture) -> None:
        self.guild = guild
        self.service = AdminService(guild.ledger.database, guild.settings, lambda _number: 0)
        self.ada = Actor(source=Source.DISCORD, user_id=guild.admin.id, role_ids=frozenset(guild.admin.role_ids))
        self.claims: Counter[int] = Counter()

    async def referrer(self, cents: int = 500) -> Member:
        """Add a member with cashback pending."""
        self.guild.clock.advance(1)
        return await self.guild.referrer(f"Member {len(self.guild.sandbox.messages(self.guild.channel.id))}", cents)

    async def any_number(self) -> Options:
        """Name an order that nobody made."""
        return {"order": "1001"}

    async def any_email(self) -> Options:
        """Name an e-mail and an order that nobody made."""
        return {"email": "somebody@example.com", "order": "1001"}

    async def everyone(self) -> Options:
        """Add a member to pay that the command does not name."""
        await self.referrer()
        return {}

    async def member(self) -> Options:
        """Name a new member."""
        return {"user": (await self.referrer()).id}

    async def barred(self) -> Options:
        """Name a member that is blacklisted."""
        options = await self.member()
        await self.service.blacklist(self.ada, options["user"])
        return options

    async def two(self) -> Options:
        """Name two members that are not linked."""
        return {"referrer": (await self.referrer()).id, "member": (await self.referrer()).id}

    async def linked(self) -> Options:
        """Name a member that is linked."""
        options = await self.two()
        await self.service.link(self.ada, options["referrer"], options["member"])
        return {"member": options["member"]}

    async def paid(self) -> Options:
        """Name a batch that is paid."""
        return {"batch": str((await self.guild.ledger.pay(target_user_id=(await self.referrer()).id)).batch_number)}

    async def unsent(self) -> Options:
        """Name a batch of which a direct message failed."""
        options = await self.paid()
        with raw(self.guild.ledger.location) as connection:
            connection.execute(
                "UPDATE cashback_notifications SET status = 'failed', attempts = 4"
                f" WHERE batch_number = {options['batch']}"
            )
        return {"of": options["batch"]}

    async def payout(self) -> Options:
        """Name a batch that is paid, its one payee, and a reason."""
        person = await self.referrer()
        report = await self.guild.ledger.pay(target_user_id=person.id)
        return {"batch": str(report.batch_number), "user": person.id, "reason": "mistaken"}

    async def whole_batch(self) -> Options:
        """Name a batch that is paid, and a reason."""
        return {**await self.paid(), "reason": "mistaken"}

    async def approved(self) -> Options:
        """Name a batch that is approved and waits for a process that pays."""
        return {"batch": str(await self.guild.ledger.approved(target_user_id=(await self.referrer()).id))}

    async def stopped(self) -> Options:
        """Name a batch that is stopped."""
        options = await self.approved()
        await self.service.stop(self.ada, int(options["batch"]))
        return options

    async def waiting(self) -> Options:
        """Name a batch that waits for a second admin."""
        summary = await self.service.propose(self.ada, target_user_id=(await self.referrer(MUCH_CENTS)).id)
        await self.service.approve(self.ada, summary.batch_number)
        return {"batch": str(summary.batch_number)}

    async def failed(self) -> Options:
        """Name a batch with a failed payout."""
        person = await self.referrer()
        with raw(self.guild.ledger.location) as connection:
            connection.execute(
                f"CREATE TRIGGER refused BEFORE INSERT ON wallet_transactions WHEN NEW.user_discord_id = {person.id}"
                " BEGIN SELECT RAISE(ABORT, 'the bank is closed'); END"
            )
            report = await self.guild.ledger.pay(target_user_id=person.id)
            connection.execute("DROP TRIGGER refused")
        return {"batch": str(report.batch_number)}

    async def rewritten(self) -> Options:
        """Have another time of the day in config.json."""
        self.guild.adjust(batch_hour_utc=self.guild.settings.referral_settings.batch_hour_utc + 1)
        return {}

    async def bought(self) -> Options:
        """Name an order that a member made."""
        await self.guild.ledger.earn((await self.referrer()).id, 100)
        return {"order": "order-1"}

    async def skipped(self) -> Options:
        """Have the next slot skipped."""
        service = AdminService(self.guild.ledger.database, self.guild.settings, lambda _number: 0)
        await service.skip_next(CLI)
        return {}

    async def code(self) -> Options:
        """Name a code that may be entered."""
        return {"code": str((await self.referrer()).id)}

    async def order(self) -> Options:
        """Name an order that nobody made."""
        return {"number": "1001"}

    async def amount(self) -> Options:
        """Name an amount and a method; the wallet is empty."""
        return {"amount": "5.00", "method": "gift-card"}

    async def each_time(self) -> Options:
        """Name a method."""
        return {"method": "gift-card"}

    def effects(self) -> list[str]:
        """List all that the audit log holds."""
        return [action for (action,) in self.guild.ledger.rows("SELECT action FROM cashback_audit_log ORDER BY id")]

    async def has_effects(self, expected: list[str]) -> None:
        """Wait until the audit log holds as much as is expected, and compare."""
        await until(lambda: len(self.effects()) >= len(expected))
        assert self.effects() == expected

    def answers(self, after: int) -> list[Message]:
        """List what the bots have written in the admins' channel since."""
        messages = self.guild.sandbox.messages(self.guild.channel.id)
        return [each for each in messages if each.author_id == self.guild.sandbox.bot_user_id and each.id > after]

    async def decided(self, event_id: int) -> None:
        """Wait until both bots have tried to claim a message."""
        await until(lambda: self.claims[event_id] == 2)


async def nothing(_scene: Scene) -> Options:
    """Name nothing."""
    return {}


Case = tuple[Callable[[Scene], Awaitable[Options]], list[str]]
"""What a command is typed with, and what it adds to the audit log."""

ADMINS: Final[dict[str, Case]] = {
    "sendref-cashb": (Scene.everyone, ["batch_proposed"]),
    "sendref-cashb approve": (Scene.waiting, []),
    "sendref-cashb dashboard": (nothing, ["dashboard_link_issued"]),
    "sendref-cashb export": (Scene.paid, []),
    "sendref-cashb failures": (nothing, []),
    "sendref-cashb abandon": (Scene.stopped, ["batch_given_up", "batch_finished"]),
    "sendref-cashb help": (nothing, []),
    "sendref-cashb history": (nothing, []),
    "sendref-cashb notifications": (nothing, []),
    "sendref-cashb order": (Scene.bought, []),
    "sendref-cashb notifications retry": (Scene.unsent, ["notifications_retried"]),
    "sendref-cashb resume": (Scene.stopped, ["batch_resumed"]),
    "sendref-cashb retry": (Scene.failed, ["retry_started"]),
    "sendref-cashb reverse": (Scene.payout, ["reversal_proposed"]),
    "sendref-cashb reverse-batch": (Scene.whole_batch, ["reversal_proposed"]),
    "sendref-cashb schedule": (nothing, []),
    "sendref-cashb schedule pause": (nothing, ["schedule_paused"]),
    "sendref-cashb schedule reload": (Scene.rewritten, ["schedule_changed"]),
    "sendref-cashb schedule resume": (nothing, ["schedule_resumed"]),
    "sendref-cashb schedule show": (nothing, []),
    "sendref-cashb schedule skip": (nothing, ["slot_skipped"]),
    "sendref-cashb schedule unskip": (Scene.skipped, ["slot_unskipped"]),
    "sendref-cashb setup": (nothing, []),
    "sendref-cashb show": (Scene.paid, []),
    "sendref-cashb stats": (nothing, []),
    "sendref-cashb status": (nothing, []),
    "sendref-cashb stop": (Scene.approved, ["batch_stopped"]),
    "referral-blacklist": (Scene.member, ["blacklisted"]),
    "referral-link": (Scene.two, ["referral_linked"]),
    "referral-stats": (Scene.member, []),
    "referral-unblacklist": (Scene.barred, ["unblacklisted"]),
    "referral-unlink": (Scene.linked, ["referral_unlinked"]),
    "setref": (Scene.code, []),
    "withdrawals": (nothing, []),
}
"""The typed commands. Those for admins are slash commands too."""

MEMBERS: Final[dict[str, Case]] = {
    "autowithdraw": (Scene.each_time, ["auto_withdrawal_set"]),
    "cashback history": (nothing, []),
    "cashback order": (Scene.order, []),
    "cashback notifications off": (nothing, []),
    "cashback notifications on": (nothing, []),
    "cashback show": (nothing, []),
    "claim": (Scene.any_number, ["claim_tried"]),
    "help": (nothing, []),
    "invite": (nothing, []),
    "invites": (nothing, []),
    "profile": (nothing, []),
    "setref": (Scene.code, []),
    "shop link": (Scene.any_email, ["claim_tried"]),
    "shop show": (nothing, []),
    "wallet": (nothing, []),
    "withdraw": (Scene.amount, []),
}

NOT_IN_THE_PICKER: Final = {
    "sendref-cashb": "sendref-cashb pay",
    "setref": None,
    "sendref-cashb schedule": None,
    "sendref-cashb notifications": None,
}
"""Groups cannot be chosen there."""


@asynccontextmanager
async def two_bots(
    guild: DiscordFixture, clock: Clock, ledgers: tuple[type[Watched], type[Watched]] = (Watched, Watched)
) -> AsyncIterator[Scene]:
    """Run two bots on one ledger. The test holds the lease, so that nothing happens but what is typed."""
    guild.adjust(auto_batch_enabled=True, approval_threshold_cents=MUCH_CENTS)
    configure(guild, maximum_cents=10**9)
    guild.settings = guild.settings.model_copy(update={"email_key": SecretStr("k" * 32)})
    scene = Scene(guild)
    first, second = (kind(guild.ledger.location, clock=clock) for kind in ledgers)
    first.scene = second.scene = scene
    await scene.service.open_schedule()
    async with first, second, Lease(guild.ledger.database, seconds=LONG_SECONDS) as other:
        assert await other.take()
        with_dashboard(guild)
        async with guild.bot(first):
            with_dashboard(guild)
            async with guild.bot(second, connected=False):
                await guild.sandbox.wait_connected(2)
                yield scene


async def typed(scene: Scene, name: str, case: Case) -> None:
    """Type a command after the prefix and compare what it does."""
    prepare, expected = case
    words = [name, *map(str, (await prepare(scene)).values())]
    before = scene.effects()
    said = await scene.guild.say(f"!{' '.join(words)}")
    await until(lambda: scene.answers(said.id))
    await scene.decided(said.id)
    assert [each.text for each in scene.answers(said.id)[1:]] == []
    assert scene.effects() == before + expected, scene.answers(said.id)[0].text


async def chosen(scene: Scene, name: str, case: Case, who: Member) -> None:
    """Use a slash command and compare what it does."""
    prepare, expected = case
    options = await prepare(scene)
    before = scene.effects()
    asked = await scene.guild.sandbox.slash(scene.guild.channel.id, who.id, name, options)
    answer = await asked.replied()
    await scene.decided(asked.id)
    assert scene.answers(asked.id) == [answer]
    assert (asked.refused, len(asked.followups)) == (0, 0)
    assert scene.effects() == before + expected, answer.text if answer else None


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """List what was logged as an error, or with a traceback."""
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR or each.exc_info]


async def commands_of(guild: DiscordFixture) -> tuple[set[str], set[str]]:
    """List the bot's own commands: those after the prefix, and those with a slash."""
    services = Services.build(bot.make_client(guild.settings), guild.settings, guild.ledger.database)
    async with services.runner:
        await services.host.add()
        commands, slash = services.client.walk_commands(), services.client.tree.walk_commands()
        return (
            {each.qualified_name for each in commands},
            {each.qualified_name for each in slash if isinstance(each, app_commands.Command)},
        )


def in_the_picker() -> dict[str, Case]:
    """List the slash commands for admins."""
    names = {name: NOT_IN_THE_PICKER.get(name, name) for name in ADMINS}
    return {chosen_as: ADMINS[name] for name, chosen_as in names.items() if chosen_as is not None}


async def test_each_command_of_the_bot_has_a_case(guild: DiscordFixture) -> None:
    prefixed, slash = await commands_of(guild)
    assert prefixed == ADMINS.keys()
    assert slash == in_the_picker().keys() | MEMBERS.keys()


async def test_two_bots_answer_each_command_once_and_do_it_once(
    guild: DiscordFixture, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    await each_command(guild, clock)
    assert complaints(caplog) == []


@pytest.mark.about_a_file("the commands take long, and the conflict is this process's own on either database")
async def test_each_command_is_done_once_if_all_transactions_run_twice(
    guild: DiscordFixture, clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    conflicts = run_all_twice(monkeypatch)
    await each_command(guild, clock)
    assert complaints(caplog) == []
    assert written_by("cashback/cogs/admin", "cashback/cogs/members") <= conflicts.functions


async def each_command(guild: DiscordFixture, clock: Clock) -> None:
    """Use each command with two bots; each has one answer and the effects of its case."""
    async with two_bots(guild, clock) as scene:
        began_at = (await guild.say("good morning")).id
        for name, case in ADMINS.items():
            await typed(scene, name, case)
        for name, case in in_the_picker().items():
            await chosen(scene, name, case, guild.admin)
        bob = guild.sandbox.add_member("Bob")
        bob.locale = "de"
        # That Bob uses a command shows that he has returned.
        await guild.ledger.database.write(absences.note, bob.id, Absence.LEFT, clock())
        for name, case in MEMBERS.items():
            await chosen(scene, name, case, bob)
        links = [each for each in guild.sandbox.direct_messages(guild.admin.id) if "Your link" in each.text]
        assert len(links) == 2
        effects = scene.effects()
    assert scene.effects() == effects
    assert len(scene.answers(began_at)) == len(ADMINS) + len(in_the_picker()) + len(MEMBERS)


async def decision(scene: Scene) -> DecisionButton:
    """Make the button that cancels a batch."""
    summary = await scene.service.propose(scene.ada, target_user_id=(await scene.referrer()).id)
    return DecisionButton(Action.CANCEL, summary.batch_number, summary.token)


async def skip_slot(scene: Scene) -> SkipSlotButton:
    """Make the button that skips the next slot."""
    database = scene.guild.ledger.database
    return SkipSlotButton((await database.read(slots.coming, now=database.now(), count=1))[0])


async def unskip_slot(scene: Scene) -> UnskipSlotButton:
    """Make the button that undoes the skip of the next slot."""
    return UnskipSlotButton(await scene.service.skip_next(scene.ada))


async def resume_schedule(scene: Scene) -> ResumeScheduleButton:
    """Make the button that ends a pause."""
    await scene.service.pause_schedule(scene.ada)
    state = await scene.guild.ledger.database.read(schedule.in_force)
    assert state.paused_at is not None
    return ResumeScheduleButton(state.paused_at)


async def unblacklist(scene: Scene) -> UnblacklistButton:
    """Make the button that removes a member from the blacklist."""
    person = await scene.referrer()
    await scene.service.blacklist(scene.ada, person.id)
    entry = await scene.guild.ledger.database.read(blacklist.blacklisting_of, person.id)
    assert entry is not None
    assert entry.blacklisted_at is not None
    return UnblacklistButton(person.id, entry.blacklisted_at)


async def reversal(scene: Scene) -> ReversalButton:
    """Make the button that cancels a reversal."""
    options = await scene.payout()
    found = await scene.service.propose_reversal(
        scene.ada, int(options["batch"]), reason=options["reason"], referrer_id=options["user"]
    )
    return ReversalButton(ReversalAction.CANCEL, found.number, found.token)


async def withdrawal(scene: Scene) -> WithdrawalButton:
    """Make the button that approves a withdrawal which waits for its first admin."""
    person = await scene.referrer(2 * MUCH_CENTS)
    await scene.guild.ledger.pay(target_user_id=person.id)
    asked = await scene.service.request_withdrawal(person.id, MUCH_CENTS, "gift-card", None)
    return WithdrawalButton(WithdrawalAction.APPROVE, asked.number)


async def page(_scene: Scene) -> PageButton:
    """Make the button that leads to the next referrals."""
    return PageButton(Page.REFERRALS, Step.NEXT, 0)


async def member_page(_scene: Scene) -> MemberPageButton:
    """Make the button that leads to a member's page."""
    return MemberPageButton(Page.CASHBACK)


async def batches_page(_scene: Scene) -> HistoryButton:
    """Make the button that leads to the next batches."""
    return HistoryButton("Next", 1, BatchFilter())


async def payouts_page(scene: Scene) -> PayoutsButton:
    """Make the button that leads to a batch's first payouts."""
    return PayoutsButton("First", int((await scene.paid())["batch"]), 0)


PRESSES: Final[dict[Any, tuple[Callable[[Scene], Awaitable[Any]], list[str]]]] = {
    DecisionButton: (decision, ["batch_cancelled"]),
    SkipSlotButton: (skip_slot, ["slot_skipped"]),
    UnskipSlotButton: (unskip_slot, ["slot_unskipped"]),
    ResumeScheduleButton: (resume_schedule, ["schedule_resumed"]),
    UnblacklistButton: (unblacklist, ["unblacklisted"]),
    ReversalButton: (reversal, ["reversal_cancelled"]),
    WithdrawalButton: (withdrawal, ["withdrawal_first_approved"]),
    # These last: their answer is all that they do, while the others edit their message afterwards.
    HistoryButton: (batches_page, []),
    MemberPageButton: (member_page, []),
    PageButton: (page, []),
    PayoutsButton: (payouts_page, []),
}


async def pressed(guild: DiscordFixture, item: Any) -> Interaction:  # noqa: ANN401 -- any of the bot's buttons
    """Show a button under a message of the bot's and press it."""
    view = View(timeout=None)
    view.add_item(item)
    address = f"{guild.sandbox.api_url}/channels/{guild.channel.id}/messages"
    body = {"content": "Press it.", "components": view.to_components()}
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bot {guild.sandbox.token}"}) as session,
        session.post(address, json=body) as response,
    ):
        message_id = int((await response.json())["id"])
    return await guild.sandbox.click(message_id, item.custom_id, guild.admin.id)


def test_each_button_of_the_bot_has_a_case_and_is_claimed() -> None:
    assert set(BUTTONS) == PRESSES.keys()
    assert all(issubclass(each, ClaimedButton) for each in BUTTONS)
    assert all(each.callback is ClaimedButton.callback for each in BUTTONS)


@pytest.mark.parametrize("runs", ["once", "twice"])
async def test_two_bots_answer_each_press_once_and_do_it_once(
    guild: DiscordFixture, clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, runs: str
) -> None:
    """Also if all transactions run twice."""
    if runs == "twice":
        run_all_twice(monkeypatch)
    async with two_bots(guild, clock) as scene:
        for make, expected in PRESSES.values():
            item = await make(scene)
            before = scene.effects()
            press = await pressed(guild, item)
            await press.answered()
            await scene.decided(press.id)
            await scene.has_effects(before + expected)
            assert (press.refused, press.followups) == (0, [])
        effects = scene.effects()
    assert scene.effects() == effects
    assert complaints(caplog) == []


async def test_two_bots_suggest_once(guild: DiscordFixture, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    async with two_bots(guild, clock) as scene:
        await scene.paid()
        found = await guild.sandbox.autocomplete(guild.channel.id, guild.admin.id, "sendref-cashb show", "batch", {})
        await until(lambda: 2 in scene.claims.values())
    assert [each["value"] for each in found] == ["BATCH-20260703-150001"]
    assert complaints(caplog) == []


@contextmanager
def locked(guild: DiscordFixture) -> Iterator[None]:
    """Block all claims inside the block."""
    location = guild.ledger.location
    with raw(location) as connection:
        if isinstance(location, Path):
            connection.execute("BEGIN IMMEDIATE")
        else:
            connection.execute("BEGIN")
            connection.execute("LOCK TABLE cashback_command_claims IN ACCESS EXCLUSIVE MODE")
        yield
        connection.execute("ROLLBACK")


async def both_deferred(interaction: Interaction) -> None:
    """Wait until one bot has deferred the answer and the other knows it."""
    await interaction.answered()
    await until(lambda: interaction.refused == 1)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("name", "is_private"), [("sendref-cashb pay", False), ("cashback show", True)])
async def test_slash_command_on_a_locked_ledger_is_deferred_and_answered_once(
    guild: DiscordFixture, clock: Clock, caplog: pytest.LogCaptureFixture, name: str, is_private: bool
) -> None:
    async with two_bots(guild, clock) as scene:
        await scene.referrer()
        before = scene.effects()
        with locked(guild):
            asked = await guild.sandbox.slash(guild.channel.id, guild.admin.id, name)
            await both_deferred(asked)
        answer = await asked.replied()
        await scene.decided(asked.id)
        assert scene.answers(asked.id) == [answer]
        assert answer is not None
        assert (answer.ephemeral_to is not None, answer.loading) == (is_private, False)
        assert scene.effects() == before + ([] if is_private else ["batch_proposed"])
    assert complaints(caplog) == []


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("kind_of_button", [DecisionButton, PayoutsButton])
async def test_press_on_a_locked_ledger_is_deferred_and_done_once(
    guild: DiscordFixture, clock: Clock, caplog: pytest.LogCaptureFixture, kind_of_button: type[ClaimedButton]
) -> None:
    make, expected = PRESSES[kind_of_button]
    async with two_bots(guild, clock) as scene:
        item = await make(scene)
        before = scene.effects()
        with locked(guild):
            press = await pressed(guild, item)
            await both_deferred(press)
        await scene.decided(press.id)
        await scene.has_effects(before + expected)
        if kind_of_button is PayoutsButton:
            assert press.message is not None
            await guild.shows(press.message, "BATCH-20260703-150001")
        assert press.followups == []
    assert complaints(caplog) == []


async def test_without_a_ledger_each_command_is_refused_once_and_does_nothing(
    guild: DiscordFixture, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with two_bots(guild, clock) as scene:
        await scene.referrer()
        item = await decision(scene)
        before = scene.effects()
        with break_writes(guild.ledger.location, "cashback_command_claims"):
            said = await guild.say("!sendref-cashb")
            await until(lambda: scene.answers(said.id))
            asked = await guild.sandbox.slash(guild.channel.id, guild.admin.id, "sendref-cashb pay")
            await asked.replied()
            press = await pressed(guild, item)
            refusal = await press.replied()
            await until(lambda: (asked.refused, press.refused) == (1, 1))
            assert refusal is not None
            assert refusal.ephemeral_to == guild.admin.id
            texts = [each.text for each in scene.answers(said.id) if each.text != "Press it."]
            assert texts == [texts[0]] * 3
            assert "cashback_command_claims" in texts[0]
            assert "\n" not in texts[0]
        assert scene.effects() == before
    assert complaints(caplog) == []


async def test_other_messages_are_not_claimed(guild: DiscordFixture, clock: Clock) -> None:
    async with two_bots(guild, clock) as scene:
        for text in ("good morning", "!nonsense", "sendref-cashb", "!"):
            await guild.say(text)
        await typed(scene, "sendref-cashb failures", ADMINS["sendref-cashb failures"])
        assert len(scene.claims) == 1
