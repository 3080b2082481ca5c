"""The Gateway: sign-in, events, and their replay after a break."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import aiohttp
import anyio
import discord
import pytest
from discord.ext import commands

from sandbox import ManualClock, Sandbox

pytestmark = pytest.mark.anyio

Connect = Callable[[discord.Client], AbstractAsyncContextManager[None]]
Point = Callable[[Sandbox], None]


class Listener:
    """Keeps what a client hears, and lets a test wait for it."""

    def __init__(self, client: discord.Client) -> None:
        self.heard: list[str] = []
        self.resumed = anyio.Event()
        self._summaries_changed = anyio.Event()

        @client.event
        async def on_message(message: discord.Message) -> None:
            self.heard.append(message.content)
            self._summaries_changed.set()

        @client.event
        async def on_resumed() -> None:
            self.resumed.set()

    async def wait(self, count: int) -> list[str]:
        with anyio.fail_after(5):
            while len(self.heard) < count:
                await self._summaries_changed.wait()
                self._summaries_changed = anyio.Event()
        return self.heard


class Sharded(discord.AutoShardedClient):
    """A client with a connection for each shard, made without a pause between them."""

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Identify at once."""


async def test_wrong_token_is_refused(sandbox: Sandbox, bot: commands.Bot) -> None:
    async with bot:
        with pytest.raises(discord.LoginFailure):
            await bot.login("wrong")
    async with aiohttp.ClientSession() as session, session.ws_connect(sandbox.gateway_url) as socket:
        await socket.receive_json()
        await socket.send_json({"op": 2, "d": {"token": "wrong", "intents": 0}})
        await socket.receive()
        assert socket.close_code == 4004


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("nonsense", 4002),
        ('{"op": 99}', 4001),
        ('{"op": 8, "d": {}}', 4003),
        ('{"op": 2, "d": {"token": "t", "intents": -1}}', 4013),
        ('{"op": 2, "d": {"token": "t", "intents": 0, "shard": [3, 3]}}', 4010),
        ('{"op": 2, "d": {"token": "t", "intents": 0, "shard": "1"}}', 4010),
        ('{"op": 2, "d": {"token": "t", "intents": 0, "shard": [0, 1]}}', 4011),
        ('{"op": 2, "d": {"token": "t", "intents": 0}}', 4011),
    ],
)
async def test_invalid_frame_closes_with_its_code(frame: str, code: int) -> None:
    async with (
        Sandbox(token="t", shards=2) as sandbox,  # noqa: S106 — no secret
        aiohttp.ClientSession() as session,
        session.ws_connect(sandbox.gateway_url) as socket,
    ):
        await socket.receive_json()
        await socket.send_str(frame)
        await socket.receive()
        assert socket.close_code == code


@pytest.mark.parametrize("shard", [0, 1])
async def test_guild_events_use_one_shard_and_dms_the_first(point: Point, shard: int) -> None:
    async with Sandbox(shards=2, guild_id=(10_000_000_000 + shard) << 22) as sandbox:
        point(sandbox)
        channel = sandbox.add_channel("general")
        alice = sandbox.add_member("Alice")
        intents = discord.Intents(guilds=True, messages=True, message_content=True)
        client = Sharded(intents=intents, guild_ready_timeout=0.02, shard_count=2)
        listener = Listener(client)
        async with anyio.create_task_group() as tasks, client:
            tasks.start_soon(client.start, sandbox.token, name="client")
            await sandbox.wait_connected(2)
            with anyio.fail_after(5):
                await client.wait_until_ready()
            assert [each.shard_id for each in client.guilds] == [shard]
            await sandbox.say(channel.id, alice.id, "to all")
            await listener.wait(1)
            await sandbox.say(sandbox.open_direct_channel(alice.id).id, alice.id, "to one")
            assert await listener.wait(2) == ["to all", "to one"]
            sessions = {each.shard[0]: each for each in sandbox.gateway._hub.sessions.values()}
            heard = {number: [name for _, name, _ in session.events] for number, session in sessions.items()}
            ready = {number: session.events[0][2]["guilds"] for number, session in sessions.items()}
            await client.close()
    assert [len(ready[each]) for each in (shard, 1 - shard)] == [1, 0]
    assert [heard[each].count("GUILD_CREATE") for each in (shard, 1 - shard)] == [1, 0]
    assert heard[shard].count("MESSAGE_CREATE") == (1 if shard else 2)
    assert heard[1 - shard].count("MESSAGE_CREATE") == (1 if shard else 0)


async def test_ungranted_intent_is_refused(point: Point, bot: commands.Bot) -> None:
    async with Sandbox(message_content_granted=False) as sandbox, bot:
        point(sandbox)
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await bot.start(sandbox.token)


async def test_missing_content_intent_hides_content(sandbox: Sandbox, connect: Connect) -> None:
    channel = sandbox.add_channel("general")
    alice = sandbox.add_member("Alice")
    client = discord.Client(intents=discord.Intents.default(), guild_ready_timeout=0.02)
    listener = Listener(client)
    async with connect(client):
        await sandbox.say(channel.id, alice.id, "hello")
        await sandbox.say(channel.id, alice.id, f"hello <@{sandbox.bot_user_id}>")
        direct = sandbox.open_direct_channel(alice.id)
        await sandbox.say(direct.id, alice.id, "hello in private")
        assert await listener.wait(3) == ["", f"hello <@{sandbox.bot_user_id}>", "hello in private"]


@pytest.mark.parametrize("how", ["close", "reconnect", "drop"])
async def test_resume_replays_missed_events(sandbox: Sandbox, bot: commands.Bot, connect: Connect, how: str) -> None:
    channel = sandbox.add_channel("general")
    alice = sandbox.add_member("Alice")
    listener = Listener(bot)
    async with connect(bot):
        await sandbox.say(channel.id, alice.id, "before")
        await listener.wait(1)
        await sandbox.gateway.disconnect(how=how)
        await sandbox.say(channel.id, alice.id, "meanwhile")
        await sandbox.wait_connected()
        await sandbox.say(channel.id, alice.id, "after")
        assert await listener.wait(3) == ["before", "meanwhile", "after"]
        with anyio.fail_after(5):
            await listener.resumed.wait()


async def test_resume_can_replay_delivered_events(sandbox: Sandbox, bot: commands.Bot, connect: Connect) -> None:
    channel = sandbox.add_channel("general")
    alice = sandbox.add_member("Alice")
    listener = Listener(bot)
    async with connect(bot):
        await sandbox.say(channel.id, alice.id, "one")
        await sandbox.say(channel.id, alice.id, "two")
        await listener.wait(2)
        await sandbox.gateway.disconnect(replay=2)
        await sandbox.wait_connected()
        assert await listener.wait(4) == ["one", "two", "one", "two"]


async def test_forgotten_session_requires_identify(sandbox: Sandbox, bot: commands.Bot, connect: Connect) -> None:
    channel = sandbox.add_channel("general")
    alice = sandbox.add_member("Alice")
    listener = Listener(bot)
    async with connect(bot):
        await sandbox.gateway.disconnect(resumable=False)
        await sandbox.say(channel.id, alice.id, "lost")
        await sandbox.wait_connected()
        await sandbox.say(channel.id, alice.id, "after")
        assert await listener.wait(1) == ["after"]


async def test_event_can_be_duplicated(sandbox: Sandbox, bot: commands.Bot, connect: Connect) -> None:
    channel = sandbox.add_channel("general")
    alice = sandbox.add_member("Alice")
    listener = Listener(bot)
    async with connect(bot):
        sandbox.faults.duplicate_events("MESSAGE_CREATE")
        await sandbox.say(channel.id, alice.id, "echo")
        await sandbox.say(channel.id, alice.id, "end")
        assert await listener.wait(3) == ["echo", "echo", "end"]


async def test_members_are_found_by_id_or_name(sandbox: Sandbox, bot: commands.Bot, connect: Connect) -> None:
    alice, alan = sandbox.add_member("Alice"), sandbox.add_member("Alan")
    sandbox.add_member("Ben")
    async with connect(bot):
        guild = bot.get_guild(sandbox.guild_id)
        assert guild is not None
        assert [each.id for each in await guild.query_members(user_ids=[alice.id, 100000000000000000])] == [alice.id]
        assert {each.id for each in await guild.query_members("al", limit=5)} == {alice.id, alan.id}
        assert await guild.query_members("ghost") == []


async def test_mistyped_mention_matches_no_member(sandbox: Sandbox, connect: Connect, bot: commands.Bot) -> None:
    channel = sandbox.add_channel("general")
    alice = sandbox.add_member("Alice")
    failures: list[Exception] = []
    failed = anyio.Event()

    @bot.command()
    async def pay(context: commands.Context[commands.Bot], whom: discord.User) -> None:
        await context.send(whom.name)

    @pay.error
    async def fail(_: commands.Context[commands.Bot], error: Exception) -> None:
        failures.append(error)
        failed.set()

    async with connect(bot):
        await sandbox.say(channel.id, alice.id, "!pay @ghost")
        with anyio.fail_after(5):
            await failed.wait()
        assert isinstance(failures[0], commands.UserNotFound)


async def test_guild_changes_cause_events(sandbox: Sandbox, connect: Connect) -> None:
    intents = discord.Intents.default()
    intents.members = True
    client = discord.Client(intents=intents, guild_ready_timeout=0.02)
    left = anyio.Event()
    names: list[str] = []

    @client.event
    async def on_member_join(member: discord.Member) -> None:
        names.append(member.name)

    @client.event
    async def on_member_update(_: discord.Member, after: discord.Member) -> None:
        names.extend(role.name for role in after.roles if not role.is_default())

    @client.event
    async def on_member_remove(_: discord.Member) -> None:
        left.set()

    async with connect(client):
        role = sandbox.add_role("Admin")
        alice = sandbox.add_member("Alice")
        sandbox.set_roles(alice, [role])
        sandbox.add_channel("new")
        sandbox.remove_member(alice.id)
        with anyio.fail_after(5):
            await left.wait()
        guild = client.get_guild(sandbox.guild_id)
        assert guild is not None
        assert [each.name for each in guild.text_channels] == ["new"]
    assert names == ["Alice", "Admin"]


async def test_two_bots_receive_the_same_events(sandbox: Sandbox, connect: Connect, clock: ManualClock) -> None:
    channel = sandbox.add_channel("general")
    alice = sandbox.add_member("Alice")
    intents = discord.Intents.default()
    intents.message_content = True
    first, second = (discord.Client(intents=intents, guild_ready_timeout=0.02) for _ in range(2))
    one, other = Listener(first), Listener(second)
    async with connect(first), connect(second):
        await sandbox.wait_connected(2)
        clock.advance(1)
        await sandbox.say(channel.id, alice.id, "both")
        assert await one.wait(1) == await other.wait(1) == ["both"]
