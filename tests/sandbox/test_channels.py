"""Channels of all types, threads, reactions and bulk deletion, as the REST API and a client see them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import discord
import pytest
from discord.ext import commands

from sandbox import ChannelType, Sandbox
from tests.sandbox.conftest import Connect

pytestmark = pytest.mark.anyio

Api = Callable[..., Awaitable[Any]]


async def test_client_knows_each_type_of_channel(sandbox: Sandbox, bot: commands.Bot, connect: Connect) -> None:
    category = sandbox.add_channel("shop", kind=ChannelType.CATEGORY)
    text = sandbox.add_channel("sales", parent=category)
    forum = sandbox.add_channel("questions", kind=ChannelType.FORUM)
    voice = sandbox.add_channel("talk", kind=ChannelType.VOICE)
    thread, post = sandbox.add_thread("payouts", text), sandbox.add_thread("how?", forum)
    async with connect(bot):
        [guild] = bot.guilds
        found = [guild.get_channel_or_thread(each.id) for each in (category, text, forum, voice, thread, post)]
    kinds = [
        discord.CategoryChannel,
        discord.TextChannel,
        discord.ForumChannel,
        discord.VoiceChannel,
        discord.Thread,
        discord.Thread,
    ]
    assert [type(each) for each in found] == kinds
    assert isinstance(found[1], discord.TextChannel)
    assert found[1].category_id == category.id


@pytest.mark.parametrize("kind", [ChannelType.CATEGORY, ChannelType.FORUM])
async def test_nobody_writes_in_a_category_or_a_forum(sandbox: Sandbox, api: Api, kind: ChannelType) -> None:
    channel = sandbox.add_channel("here", kind=kind)
    reply = await api("POST", f"/channels/{channel.id}/messages", {"content": "hello"})
    assert (reply.status, reply.body["code"]) == (400, 50008)


async def test_an_edit_in_an_archived_thread_is_refused_and_a_message_reopens_it(sandbox: Sandbox, api: Api) -> None:
    thread = sandbox.add_thread("payouts", sandbox.add_channel("sales"))
    sent = await api("POST", f"/channels/{thread.id}/messages", {"content": "1"})
    one = f"/channels/{thread.id}/messages/{sent.body['id']}"
    sandbox.archive_thread(thread)
    refused = await api("PATCH", one, {"content": "2"})
    assert (refused.status, refused.body["code"]) == (400, 50083)
    assert (await api("POST", f"/channels/{thread.id}/messages", {"content": "3"})).status == 200
    assert not thread.archived
    assert (await api("PATCH", one, {"content": "2"})).status == 200
    sandbox.archive_thread(thread, locked=True)
    assert (await api("POST", f"/channels/{thread.id}/messages", {"content": "4"})).body["code"] == 50083


async def test_threads_are_started_archived_and_listed(sandbox: Sandbox, api: Api) -> None:
    channel = sandbox.add_channel("sales")
    forum = sandbox.add_channel("questions", kind=ChannelType.FORUM)
    sent = await api("POST", f"/channels/{channel.id}/messages", {"content": "x"})
    at_message = await api("POST", f"/channels/{channel.id}/messages/{sent.body['id']}/threads", {"name": "a"})
    assert (at_message.status, at_message.body["id"]) == (201, sent.body["id"])
    alone = await api("POST", f"/channels/{channel.id}/threads", {"name": "b", "type": 11})
    post = await api("POST", f"/channels/{forum.id}/threads", {"name": "c", "message": {"content": "why?"}})
    assert [each.content for each in sandbox.messages(int(post.body["id"]))] == ["why?"]
    await api("PATCH", f"/channels/{alone.body['id']}", {"archived": True})
    active = await api("GET", f"/guilds/{sandbox.guild_id}/threads/active")
    assert {each["name"] for each in active.body["threads"]} == {"a", "c"}
    assert (await api("POST", f"/channels/{channel.id}/threads", {"name": ""})).status == 400


async def test_a_deleted_channel_is_unknown_and_clients_hear_of_it(
    sandbox: Sandbox, bot: commands.Bot, connect: Connect
) -> None:
    channel = sandbox.add_channel("sales")
    gone = anyio.Event()

    @bot.event
    async def on_guild_channel_delete(_channel: discord.abc.GuildChannel) -> None:
        gone.set()

    async with connect(bot):
        sandbox.remove_channel(channel)
        with anyio.fail_after(5):
            await gone.wait()
        with pytest.raises(discord.NotFound) as refused:
            await bot.fetch_channel(channel.id)
    assert refused.value.code == 10003


async def test_reactions_are_shown_and_heard(sandbox: Sandbox, bot: commands.Bot, connect: Connect) -> None:
    channel, alice = sandbox.add_channel("general"), sandbox.add_member("Alice")
    heard: list[tuple[int, str]] = []
    both = anyio.Event()

    @bot.event
    async def on_raw_reaction_add(event: discord.RawReactionActionEvent) -> None:
        heard.append((event.user_id, str(event.emoji)))
        if len(heard) == 2:
            both.set()

    said = await sandbox.say(channel.id, alice.id, "hello")
    async with connect(bot):
        message = bot.get_partial_messageable(channel.id).get_partial_message(said.id)
        await message.add_reaction("👍")
        sandbox.react(said, alice, "👍")
        with anyio.fail_after(5):
            await both.wait()
        [reaction] = (await message.fetch()).reactions
        assert (reaction.count, reaction.me) == (2, True)
        await message.remove_reaction("👍", discord.Object(alice.id))
        await message.clear_reactions()
    assert heard == [(sandbox.bot_user_id, "👍"), (alice.id, "👍")]
    assert said.reactions == {}


async def test_bulk_deletion_is_one_event_and_keeps_discords_limits(
    sandbox: Sandbox, bot: commands.Bot, connect: Connect, api: Api
) -> None:
    channel, alice = sandbox.add_channel("general"), sandbox.add_member("Alice")
    said = [await sandbox.say(channel.id, alice.id, f"{n}") for n in range(3)]
    heard: list[set[int]] = []
    done = anyio.Event()

    @bot.event
    async def on_raw_bulk_message_delete(event: discord.RawBulkMessageDeleteEvent) -> None:
        heard.append(event.message_ids)
        done.set()

    path = f"/channels/{channel.id}/messages/bulk-delete"
    async with connect(bot):
        assert (await api("POST", path, {"messages": [str(each.id) for each in said[:2]]})).status == 204
        with anyio.fail_after(5):
            await done.wait()
    assert heard == [{said[0].id, said[1].id}]
    assert sandbox.messages(channel.id) == [said[2]]
    assert (await api("POST", path, {"messages": [str(said[2].id)]})).body["code"] == 50035
