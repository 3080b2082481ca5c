"""Messages as a bot writes them: Discord's limits, refusals, nonces, edits, files and history."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import discord
import pytest
from discord.ext import commands

from sandbox import ManualClock, Sandbox

pytestmark = pytest.mark.anyio

Api = Callable[..., Awaitable[Any]]
Connect = Callable[[discord.Client], AbstractAsyncContextManager[None]]


def button(custom_id: str) -> dict[str, object]:
    return {"type": 2, "style": 1, "label": "x", "custom_id": custom_id}


def row(*parts: dict[str, object]) -> dict[str, object]:
    return {"type": 1, "components": list(parts)}


FIELD = {"name": "n", "value": "v"}
TOO_MUCH: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "content": ({"content": "x" * 2001}, ("content",)),
    "title": ({"embeds": [{"title": "x" * 257}]}, ("embeds", "0", "title")),
    "description": ({"embeds": [{"description": "x" * 4097}]}, ("embeds", "0", "description")),
    "fields": ({"embeds": [{"fields": [FIELD] * 26}]}, ("embeds", "0", "fields")),
    "field name": ({"embeds": [{"fields": [{**FIELD, "name": "x" * 257}]}]}, ("embeds", "0", "fields", "0", "name")),
    "field value": (
        {"embeds": [{"fields": [{**FIELD, "value": "x" * 1025}]}]},
        ("embeds", "0", "fields", "0", "value"),
    ),
    "no field value": ({"embeds": [{"fields": [{"name": "n"}]}]}, ("embeds", "0", "fields", "0", "value")),
    "footer": ({"embeds": [{"title": "t", "footer": {"text": "x" * 2049}}]}, ("embeds", "0", "footer", "text")),
    "sum": ({"embeds": [{"description": "x" * 3001}, {"description": "x" * 3000}]}, ("embeds",)),
    "no embed text": ({"embeds": [{"color": 1}]}, ("embeds", "0", "description")),
    "colour": ({"embeds": [{"title": "t", "color": 1 << 24}]}, ("embeds", "0", "color")),
    "moment": ({"embeds": [{"title": "t", "timestamp": "noon"}]}, ("embeds", "0", "timestamp")),
    "picture": (
        {"embeds": [{"title": "t", "image": {"url": "file:///x"}}]},
        ("embeds", "0", "image", "url"),
    ),
    "embeds": ({"embeds": [{"title": "t"}] * 11}, ("embeds",)),
    "custom id": ({"components": [row(button("x" * 101))]}, ("components", "0", "components", "0", "custom_id")),
    "same custom id": (
        {"components": [row(button("a")), row(button("a"))]},
        ("components", "1", "components", "0", "custom_id"),
    ),
    "label": (
        {"components": [row({**button("a"), "label": "x" * 81})]},
        ("components", "0", "components", "0", "label"),
    ),
    "row": ({"components": [row(*(button(str(n)) for n in range(6)))]}, ("components", "0", "components")),
    "rows": ({"components": [row(button(str(n))) for n in range(6)]}, ("components",)),
    "nonce": ({"content": "x", "nonce": "x" * 26}, ("nonce",)),
    "attachments": ({"content": "x", "attachments": [{"id": n} for n in range(11)]}, ("attachments",)),
    "kind": ({"content": 5}, ("content",)),
}


@pytest.mark.parametrize("name", TOO_MUCH)
async def test_message_over_a_limit_is_refused_by_field(sandbox: Sandbox, api: Api, name: str) -> None:
    channel = sandbox.add_channel("general")
    body, path = TOO_MUCH[name]
    reply = await api("POST", f"/channels/{channel.id}/messages", body)
    assert (reply.status, reply.body["code"]) == (400, 50035)
    node = reply.body["errors"]
    for part in path:
        node = node[part]
    assert node["_errors"][0]["message"]
    assert sandbox.messages(channel.id) == []


async def test_message_at_every_limit_is_accepted(sandbox: Sandbox, api: Api) -> None:
    channel = sandbox.add_channel("general")
    body = {
        "content": "x" * 2000,
        "embeds": [
            {"title": "x" * 256, "description": "x" * 4096, "color": 0xFFFFFF},
            {"fields": [{"name": "x" * 256, "value": "x" * 1024}], "footer": {"text": "x" * 368}},
        ],
        "components": [row(*(button("x" * 99 + str(n)) for n in range(5)))],
    }
    reply = await api("POST", f"/channels/{channel.id}/messages", body)
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("body", [{}, {"content": "  \n"}, {"embeds": [], "components": []}, {"tts": False}])
async def test_empty_message_is_refused(sandbox: Sandbox, api: Api, body: dict[str, object]) -> None:
    channel = sandbox.add_channel("general")
    reply = await api("POST", f"/channels/{channel.id}/messages", body)
    assert (reply.status, reply.body["code"]) == (400, 50006)


async def test_unknown_object_is_answered_with_its_code(sandbox: Sandbox, api: Api) -> None:
    channel = sandbox.add_channel("general")
    unknown = 100000000000000000
    for method, path, status, code in [
        ("GET", f"/channels/{unknown}", 404, 10003),
        ("POST", f"/channels/{unknown}/messages", 404, 10003),
        ("GET", f"/channels/{channel.id}/messages/{unknown}", 404, 10008),
        ("GET", f"/guilds/{unknown}", 404, 10004),
        ("GET", f"/guilds/{sandbox.guild_id}/members/{unknown}", 404, 10007),
        ("GET", f"/users/{unknown}", 404, 10013),
        ("GET", "/nothing/here", 404, 0),
        ("DELETE", "/users/@me", 405, 0),
        ("GET", "/channels/words", 400, 50035),
    ]:
        reply = await api(method, path, {"content": "x"} if method == "POST" else None)
        assert (reply.status, reply.body["code"]) == (status, code), path


async def test_same_nonce_returns_the_first_message(sandbox: Sandbox, api: Api, clock: ManualClock) -> None:
    channel, other = sandbox.add_channel("general"), sandbox.add_channel("other")
    body = {"content": "once", "nonce": "abc", "enforce_nonce": True}
    first = await api("POST", f"/channels/{channel.id}/messages", body)
    again = await api("POST", f"/channels/{other.id}/messages", {**body, "content": "twice"})
    assert again.body["id"] == first.body["id"]
    assert again.body["content"] == "once"
    assert sandbox.messages(other.id) == []
    unforced = await api("POST", f"/channels/{channel.id}/messages", {"content": "x", "nonce": "abc"})
    assert unforced.body["id"] != first.body["id"]
    clock.advance(301)
    later = await api("POST", f"/channels/{channel.id}/messages", body)
    assert later.body["id"] not in {first.body["id"], unforced.body["id"]}


async def test_edit_changes_only_given_fields(sandbox: Sandbox, api: Api) -> None:
    channel = sandbox.add_channel("general")
    body = {"content": "text", "embeds": [{"title": "t"}], "components": [row(button("a"))]}
    path = f"/channels/{channel.id}/messages"
    sent = await api("POST", path, body)
    one = f"{path}/{sent.body['id']}"
    edited = await api("PATCH", one, {"content": None})
    assert (edited.body["content"], len(edited.body["embeds"]), len(edited.body["components"])) == ("", 1, 1)
    assert edited.body["edited_timestamp"]
    emptied = await api("PATCH", one, {"embeds": [], "components": []})
    assert (emptied.status, emptied.body["code"]) == (400, 50006)
    assert (await api("DELETE", one)).status == 204
    assert (await api("GET", one)).body["code"] == 10008


async def test_member_message_can_be_deleted_but_not_edited(sandbox: Sandbox, api: Api) -> None:
    channel = sandbox.add_channel("general")
    alice = sandbox.add_member("Alice")
    said = await sandbox.say(channel.id, alice.id, "hello")
    path = f"/channels/{channel.id}/messages/{said.id}"
    refused = await api("PATCH", path, {"content": "changed"})
    assert (refused.status, refused.body["code"]) == (403, 50005)
    assert (await api("DELETE", path)).status == 204
    assert said.deleted


async def test_history_is_paged_newest_first(sandbox: Sandbox, api: Api) -> None:
    channel = sandbox.add_channel("general")
    alice = sandbox.add_member("Alice")
    ids = [str((await sandbox.say(channel.id, alice.id, f"{n}")).id) for n in range(5)]
    path = f"/channels/{channel.id}/messages"

    async def page(query: str) -> list[int]:
        reply = await api("GET", f"{path}?{query}")
        return [ids.index(each["id"]) for each in reply.body]

    assert await page("limit=2") == [4, 3]
    assert await page(f"before={ids[2]}&limit=5") == [1, 0]
    assert await page(f"after={ids[1]}&limit=2") == [3, 2]
    assert await page(f"around={ids[2]}&limit=3") == [3, 2, 1]
    assert (await api("GET", f"{path}?limit=101")).status == 400


async def test_refused_dms_have_their_codes(sandbox: Sandbox, bot: commands.Bot, connect: Connect) -> None:
    alice, ben, robot = sandbox.add_member("Alice"), sandbox.add_member("Ben"), sandbox.add_member("Robot", bot=True)
    async with connect(bot):
        friend, other = await bot.fetch_user(alice.id), await bot.fetch_user(ben.id)
        sandbox.faults.close_dms(alice.id)
        with pytest.raises(discord.Forbidden) as closed:
            await friend.send("hello")
        assert closed.value.code == 50007
        sandbox.faults.open_dms(alice.id)
        await friend.send("hello again")
        sandbox.remove_member(alice.id)
        with pytest.raises(discord.Forbidden) as gone:
            await friend.send("are you there?")
        assert gone.value.code == 50278
        sandbox.faults.refuse_opening_dms(40003)
        with pytest.raises(discord.HTTPException) as fast:
            await other.send("hello")
        assert fast.value.code == 40003
        await other.send("hello")
        with pytest.raises(discord.HTTPException) as machine:
            await (await bot.fetch_user(robot.id)).create_dm()
        assert (machine.value.status, machine.value.code) == (400, 50007)
    assert [each.content for each in sandbox.direct_messages(alice.id)] == ["hello again"]
    assert [each.content for each in sandbox.direct_messages(ben.id)] == ["hello"]
    assert sandbox.invalid_requests == 2


async def test_forbidden_channel_refuses_messages(sandbox: Sandbox, api: Api) -> None:
    channel = sandbox.add_channel("audit")
    sandbox.faults.forbid_channel(channel.id)
    reply = await api("POST", f"/channels/{channel.id}/messages", {"content": "x"})
    assert (reply.status, reply.body["code"]) == (403, 50013)
    sandbox.faults.allow_channel(channel.id)
    assert (await api("POST", f"/channels/{channel.id}/messages", {"content": "x"})).status == 200


async def test_files_are_stored_and_served(sandbox: Sandbox, bot: commands.Bot, connect: Connect) -> None:
    channel = sandbox.add_channel("general")
    async with connect(bot):
        place = bot.get_partial_messageable(channel.id)
        sent = await place.send("the report", file=discord.File(io.BytesIO(b"a,b\n1,2\n"), "failures.csv"))
        assert await sent.attachments[0].read() == b"a,b\n1,2\n"
        edited = await sent.edit(attachments=[])
        assert edited.attachments == []
    assert sandbox.messages(channel.id)[0].attachments == []


async def test_only_allowed_mentions_notify(sandbox: Sandbox, bot: commands.Bot, connect: Connect) -> None:
    channel = sandbox.add_channel("general")
    alice = sandbox.add_member("Alice")
    async with connect(bot):
        place = bot.get_partial_messageable(channel.id)
        text = f"<@{alice.id}> @everyone"
        await place.send(text)
        await place.send(text, allowed_mentions=discord.AllowedMentions.none())
    loud, silent = sandbox.messages(channel.id)
    assert (loud.pinged, loud.pings_everyone) == ([alice.id], True)
    assert (silent.pinged, silent.pings_everyone) == ([], False)


async def test_reply_references_its_message(sandbox: Sandbox, bot: commands.Bot, connect: Connect) -> None:
    channel = sandbox.add_channel("general")
    alice = sandbox.add_member("Alice")

    @bot.command()
    async def ping(context: commands.Context[commands.Bot]) -> None:
        await context.typing()
        await context.reply("pong")

    async with connect(bot):
        said = await sandbox.say(channel.id, alice.id, "!ping")
        pong = await sandbox.wait_for(lambda message: message.content == "pong")
        assert pong.reference_id == said.id
