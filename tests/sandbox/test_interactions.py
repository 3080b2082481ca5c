"""Slash commands, clicks and forms, and the rules that a bot's answers to them are held to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import discord
import pytest
from discord import app_commands
from discord.ext import commands
from freezegun import freeze_time

from sandbox import AnswerKind, Channel, Interaction, ManualClock, Member, Sandbox, SandboxError

pytestmark = pytest.mark.anyio

Api = Callable[..., Awaitable[Any]]
Connect = Callable[[discord.Client], AbstractAsyncContextManager[None]]
Bot = commands.Bot


@pytest.fixture
def channel(sandbox: Sandbox) -> Channel:
    return sandbox.add_channel("admin")


@pytest.fixture
def alice(sandbox: Sandbox) -> Member:
    return sandbox.add_member("Alice")


@pytest.fixture
async def clicked(sandbox: Sandbox, api: Api, channel: Channel, alice: Member) -> Interaction:
    """Press a button of a bot that is not there: the test answers in its place."""
    button = {"type": 2, "style": 1, "label": "Press", "custom_id": "press"}
    body = {"content": "press", "components": [{"type": 1, "components": [button]}]}
    sent = await api("POST", f"/channels/{channel.id}/messages", body)
    return await sandbox.click(int(sent.body["id"]), "press", alice.id)


def callback(interaction: Interaction) -> str:
    return f"/interactions/{interaction.id}/{interaction.token}/callback"


def webhook(sandbox: Sandbox, interaction: Interaction) -> str:
    return f"/webhooks/{sandbox.bot_user_id}/{interaction.token}"


async def test_second_response_is_refused(api: Api, clicked: Interaction) -> None:
    answer = {"type": 4, "data": {"content": "first"}}
    assert (await api("POST", callback(clicked), answer)).status == 204
    again = await api("POST", callback(clicked), answer)
    assert (again.status, again.body["code"]) == (400, 40060)
    assert clicked.refused == 1


async def test_response_after_three_seconds_is_refused(api: Api, clicked: Interaction, clock: ManualClock) -> None:
    clock.advance(3.1)
    late = await api("POST", callback(clicked), {"type": 4, "data": {"content": "late"}})
    assert (late.status, late.body["code"]) == (404, 10062)
    assert clicked.answer is None


async def test_response_within_three_seconds_is_accepted(api: Api, clicked: Interaction, clock: ManualClock) -> None:
    clock.advance(2.9)
    answer = {"type": 4, "data": {"content": "just in time", "flags": 64}}
    taken = await api("POST", callback(clicked) + "?with_response=true", answer)
    assert taken.status == 200
    told = taken.body["interaction"]
    assert (told["id"], told["type"], told["response_message_ephemeral"]) == (str(clicked.id), 3, True)
    assert taken.body["resource"]["message"]["content"] == "just in time"
    assert (await clicked.answered()).ephemeral


async def test_token_expires_after_fifteen_minutes_but_message_stays_editable(
    sandbox: Sandbox, api: Api, clicked: Interaction, clock: ManualClock
) -> None:
    await api("POST", callback(clicked), {"type": 4, "data": {"content": "answer"}})
    original = webhook(sandbox, clicked) + "/messages/@original"
    clock.advance(899)
    assert (await api("PATCH", original, {"content": "edited"})).body["content"] == "edited"
    clock.advance(2)
    late = await api("PATCH", original, {"content": "too late"})
    assert (late.status, late.body["code"]) == (401, 50027)
    assert clicked.original is not None
    own = await api("PATCH", f"/channels/{clicked.channel_id}/messages/{clicked.original.id}", {"content": "by token"})
    assert own.status == 200


async def test_frozen_time_shifts_the_deadline(bot: Bot, point: Callable[[Sandbox], None]) -> None:
    """Without a clock of its own the server goes by `time.time`, frozen or not."""
    with freeze_time("2026-07-03 15:00:00", real_asyncio=True) as frozen:
        async with Sandbox() as sandbox, bot:
            point(sandbox)
            channel, alice = sandbox.add_channel("admin"), sandbox.add_member("Alice")
            late = anyio.Event()

            @bot.tree.command()
            async def slow(interaction: discord.Interaction) -> None:
                """Answer too late."""
                frozen.tick(4)
                with pytest.raises(discord.NotFound):
                    await interaction.response.send_message("late")
                late.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(bot.start, sandbox.token)
                await sandbox.wait_connected()
                await bot.tree.sync()
                used = await sandbox.slash(channel.id, alice.id, "slow")
                with anyio.fail_after(5):
                    await late.wait()
                await bot.close()
        assert (used.answer, used.refused) == (None, 1)
        assert alice.joined_at.isoformat() == "2026-07-03T15:00:00+00:00"


async def test_follow_up_before_response_is_refused(sandbox: Sandbox, api: Api, clicked: Interaction) -> None:
    early = await api("POST", webhook(sandbox, clicked), {"content": "early"})
    assert (early.status, early.body["code"]) == (404, 10015)


@pytest.mark.parametrize("kind", [0, 1, 8, 12])
async def test_response_of_wrong_kind_is_refused(api: Api, clicked: Interaction, kind: int) -> None:
    reply = await api("POST", callback(clicked), {"type": kind})
    assert (reply.status, reply.body["code"]) == (400, 50035)


async def test_response_over_limits_or_with_wrong_token_is_refused(api: Api, clicked: Interaction) -> None:
    long = await api("POST", callback(clicked), {"type": 4, "data": {"content": "x" * 2001}})
    assert long.body["code"] == 50035
    assert (await api("POST", callback(clicked), {"type": 4, "data": {}})).body["code"] == 50006
    other = await api("POST", f"/interactions/{clicked.id}/other/callback", {"type": 6})
    assert other.body["code"] == 10062
    assert clicked.answer is None


async def test_ephemeral_response_is_visible_to_one_member(
    sandbox: Sandbox, api: Api, channel: Channel, clicked: Interaction
) -> None:
    await api("POST", callback(clicked), {"type": 4, "data": {"content": "secret", "flags": 64}})
    assert clicked.original is not None
    assert clicked.original.ephemeral_to == clicked.member_id
    history = await api("GET", f"/channels/{channel.id}/messages")
    assert [each["content"] for each in history.body] == ["press"]
    by_bot = await api("PATCH", f"/channels/{channel.id}/messages/{clicked.original.id}", {"content": "x"})
    assert by_bot.body["code"] == 10008
    assert [each.content for each in sandbox.messages(channel.id)] == ["press", "secret"]


async def test_first_follow_up_fills_deferred_response(
    sandbox: Sandbox, bot: Bot, connect: Connect, channel: Channel, alice: Member
) -> None:
    @bot.tree.command()
    async def slow(interaction: discord.Interaction) -> None:
        """Respond slowly."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        await interaction.followup.send("done")
        await interaction.followup.send("and more", ephemeral=True)
        await interaction.edit_original_response(content="done indeed")

    async with connect(bot):
        await bot.tree.sync()
        used = await sandbox.slash(channel.id, alice.id, "slow")
        deferred = await used.answered()
        assert deferred.kind is AnswerKind.DEFERRED_MESSAGE
        reply = await sandbox.wait_for(lambda message: message.content == "done indeed")
        assert reply is await used.replied()
        assert (reply.ephemeral, reply.loading) == (True, False)
        assert [each.content for each in used.followups] == ["and more"]


async def test_subcommand_receives_its_options(
    sandbox: Sandbox, bot: Bot, connect: Connect, channel: Channel, alice: Member
) -> None:
    group = app_commands.Group(name="cashback", description="Money")

    @group.command()
    async def pay(
        interaction: discord.Interaction,
        whom: discord.Member,
        cents: app_commands.Range[int, 1, 100],
        note: str = "none",
    ) -> None:
        """Pay somebody."""
        await interaction.response.send_message(f"{whom.name} {cents} {note}")

    bot.tree.add_command(group)
    async with connect(bot):
        await bot.tree.sync()
        used = await sandbox.slash(channel.id, alice.id, "cashback pay", {"whom": alice.id, "cents": 5})
        message = (await used.answered()).message
        assert message is not None
        assert message.content == "Alice 5 none"
        assert message.invocation is not None
        assert message.invocation.name == "cashback pay"
        refused: list[tuple[str, dict[str, object], str]] = [
            ("nothing", {}, "no command"),
            ("cashback", {}, "needs one of"),
            ("cashback pay", {"whom": alice.id}, "needs the option cents"),
            ("cashback pay", {"whom": alice.id, "cents": 500}, "must be from"),
            ("cashback pay", {"whom": alice.id, "cents": "5"}, "does not take"),
            ("cashback pay", {"who": alice.id}, "no option"),
        ]
        for path, options, reason in refused:
            with pytest.raises(SandboxError, match=reason):
                await sandbox.slash(channel.id, alice.id, path, options)


async def test_guild_commands_hide_global_ones(
    sandbox: Sandbox, bot: Bot, connect: Connect, channel: Channel, alice: Member
) -> None:
    guild = discord.Object(sandbox.guild_id)

    @bot.tree.command(guild=guild)
    async def here(interaction: discord.Interaction) -> None:
        """Answer."""
        await interaction.response.send_message("here")

    async with connect(bot):
        synced = await bot.tree.sync(guild=guild)
        fetched = await bot.tree.fetch_commands(guild=guild)
        assert [each.id for each in synced] == [each.id for each in fetched]
        used = await sandbox.slash(channel.id, alice.id, "here")
        assert (await used.answered()).kind is AnswerKind.MESSAGE


async def test_bot_suggests_completions(
    sandbox: Sandbox, bot: Bot, connect: Connect, channel: Channel, alice: Member
) -> None:
    @bot.tree.command()
    async def show(interaction: discord.Interaction, batch: str) -> None:
        """Show a batch."""
        await interaction.response.send_message(batch)

    @show.autocomplete("batch")
    async def suggest(_: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=f"{current}-{n}", value=str(n)) for n in range(2)]

    async with connect(bot):
        await bot.tree.sync()
        choices = await sandbox.autocomplete(channel.id, alice.id, "show", "batch", {"batch": "B"})
        assert choices == [{"name": "B-0", "value": "0"}, {"name": "B-1", "value": "1"}]


async def test_submitted_form_contains_its_texts(
    sandbox: Sandbox, bot: Bot, connect: Connect, channel: Channel, alice: Member
) -> None:
    class Reason(discord.ui.Modal, title="Why?"):
        text: discord.ui.TextInput[discord.ui.View] = discord.ui.TextInput(label="Reason", custom_id="reason")

        async def on_submit(self, interaction: discord.Interaction) -> None:
            await interaction.response.send_message(f"because {self.text.value}")

    @bot.tree.command()
    async def explain(interaction: discord.Interaction) -> None:
        """Ask why."""
        await interaction.response.send_modal(Reason())

    async with connect(bot):
        await bot.tree.sync()
        used = await sandbox.slash(channel.id, alice.id, "explain")
        assert (await used.answered()).kind is AnswerKind.MODAL
        sent = await sandbox.submit(used, {"reason": "of reasons"})
        message = (await sent.answered()).message
        assert message is not None
        assert message.content == "because of reasons"


async def test_menu_sends_values_and_dm_click_sends_user(
    sandbox: Sandbox, bot: Bot, connect: Connect, alice: Member
) -> None:
    class Choice(discord.ui.View):
        @discord.ui.select(options=[discord.SelectOption(label=name) for name in ("on", "off")], custom_id="dms")
        async def choose(self, interaction: discord.Interaction, menu: discord.ui.Select[discord.ui.View]) -> None:
            await interaction.response.edit_message(content=f"{interaction.user.name}: {menu.values[0]}", view=None)

    async with connect(bot):
        await (await bot.fetch_user(alice.id)).send("choose", view=Choice())
        message = sandbox.direct_messages(alice.id)[0]
        pressed = await sandbox.click(message.id, "dms", alice.id, values=["off"])
        assert (await pressed.answered()).kind is AnswerKind.UPDATE
        assert message.content == "Alice: off"


async def test_invisible_button_cannot_be_pressed(sandbox: Sandbox, api: Api, clicked: Interaction) -> None:
    ben = sandbox.add_member("Ben")
    off = {"type": 2, "style": 1, "label": "Off", "custom_id": "off", "disabled": True}
    data = {"content": "yours", "flags": 64, "components": [{"type": 1, "components": [off]}]}
    await api("POST", callback(clicked), {"type": 4, "data": data})
    assert clicked.original is not None
    with pytest.raises(SandboxError, match="sees no message"):
        await sandbox.click(clicked.original.id, "off", ben.id)
    for custom_id in ("off", "other"):
        with pytest.raises(SandboxError, match="cannot be pressed"):
            await sandbox.click(clicked.original.id, custom_id, clicked.member_id)
    direct = sandbox.open_direct_channel(ben.id)
    with pytest.raises(SandboxError, match="not Alice's DM"):
        await sandbox.say(direct.id, clicked.member_id, "hello")
    sandbox.remove_member(ben.id)
    with pytest.raises(SandboxError, match="not in the guild"):
        await sandbox.say(clicked.channel_id, ben.id, "hello")


async def test_wait_for_missing_response_times_out(clicked: Interaction) -> None:
    with pytest.raises(TimeoutError):
        await clicked.answered(timeout_seconds=0.01)


async def test_quick_clicks_both_reach_the_bot(
    sandbox: Sandbox, bot: Bot, connect: Connect, channel: Channel, alice: Member
) -> None:
    """Nothing here hides that a callback runs twice: the bot has to be safe by itself."""
    runs: list[int] = []
    both = anyio.Event()

    class Once(discord.ui.View):
        @discord.ui.button(label="Pay", custom_id="pay")
        async def pay(self, interaction: discord.Interaction, _: discord.ui.Button[discord.ui.View]) -> None:
            self.stop()
            runs.append(interaction.id)
            if len(runs) == 2:
                both.set()
            await interaction.response.defer()

    async with connect(bot):
        await bot.get_partial_messageable(channel.id).send("pay?", view=Once())
        message = sandbox.messages(channel.id)[0]
        with sandbox.gateway.at_once():
            first = await sandbox.click(message.id, "pay", alice.id)
            second = await sandbox.click(message.id, "pay", alice.id)
        with anyio.fail_after(5):
            await both.wait()
        assert runs == [first.id, second.id]
        await second.answered()
