"""What clients other than discord.py rely on: compression, binary frames, plain forms, ids in submitted forms."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import anyio
import discord
import pytest
from discord.ext import commands

from sandbox import Sandbox
from tests.sandbox.conftest import Connect

pytestmark = pytest.mark.anyio

Api = Callable[..., Awaitable[Any]]

IDENTIFY = {"op": 2, "d": {"token": "", "intents": 1 << 9, "properties": {}}}


async def test_the_gateway_compresses_with_one_stream_and_reads_binary_frames(sandbox: Sandbox) -> None:
    inflater = zlib.decompressobj()
    names = []
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{sandbox.gateway_url}?v=10&encoding=json&compress=zlib-stream") as socket,
    ):
        hello = await socket.receive_bytes()
        assert hello.endswith(b"\x00\x00\xff\xff")
        assert json.loads(inflater.decompress(hello))["op"] == 10
        identify = {**IDENTIFY, "d": {**IDENTIFY["d"], "token": sandbox.token}}  # type: ignore[dict-item]
        await socket.send_bytes(json.dumps(identify).encode())
        with anyio.fail_after(5):
            names.append(json.loads(inflater.decompress(await socket.receive_bytes()))["t"])
    assert names == ["READY"]


@pytest.mark.parametrize("query", ["encoding=etf", "encoding=json&compress=zstd-stream"])
async def test_an_encoding_that_is_not_served_is_refused_in_words(sandbox: Sandbox, query: str) -> None:
    address = sandbox.gateway_url.replace("ws://", "http://")
    async with aiohttp.ClientSession() as session, session.get(f"{address}?v=10&{query}") as answer:
        assert answer.status == 400
        assert "This server" in await answer.text()


async def test_a_plain_form_with_payload_json_is_read(sandbox: Sandbox) -> None:
    channel = sandbox.add_channel("general")
    headers = {"Authorization": f"Bot {sandbox.token}"}
    form = {"payload_json": json.dumps({"content": "hello"})}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{sandbox.api_url}/channels/{channel.id}/messages", data=form) as answer,
    ):
        assert answer.status == 200
    assert [each.content for each in sandbox.messages(channel.id)] == ["hello"]


async def test_the_token_names_the_bot(sandbox: Sandbox) -> None:
    first = sandbox.token.split(".")[0]
    assert int(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4))) == sandbox.bot_user_id


async def test_a_submitted_form_has_ids_and_names_what_opened_it(
    sandbox: Sandbox, bot: commands.Bot, connect: Connect
) -> None:
    channel, alice = sandbox.add_channel("general"), sandbox.add_member("Alice")
    seen: list[Any] = []

    class Form(discord.ui.Modal, title="Form"):
        why: discord.ui.TextInput[Any] = discord.ui.TextInput(label="Why", custom_id="why")

        async def on_submit(self, interaction: discord.Interaction, /) -> None:
            seen.append(interaction.data)
            await interaction.response.send_message(f"because {self.why.value}")

    @bot.tree.command(name="ask", description="Ask")
    async def ask(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Form())

    async with connect(bot):
        await bot.tree.sync()
        asked = await sandbox.slash(channel.id, alice.id, "ask")
        await asked.answered()
        answer = await (await sandbox.submit(asked, {"why": "I can"})).replied()
        assert answer is not None
        message = await bot.get_partial_messageable(channel.id).fetch_message(answer.id)
    assert answer.content == "because I can"
    [part] = seen[0]["components"]
    inner = part["components"][0] if "components" in part else part["component"]
    assert {part["id"], inner["id"]} == {1, 2}
    assert message.interaction_metadata is not None
    assert message.interaction_metadata.modal_interaction is not None or message.interaction_metadata.type.value == 5
