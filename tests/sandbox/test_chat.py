"""The chat page's endpoints, and the program that serves them."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import aiohttp
import anyio
import discord
import pytest
from discord.ext import commands

from sandbox import Channel, Member, Sandbox, permissions

pytestmark = pytest.mark.anyio

Connect = Callable[[discord.Client], AbstractAsyncContextManager[None]]


@pytest.fixture
async def page(sandbox: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    """Send what the page sends."""
    async with aiohttp.ClientSession(sandbox.url) as session:
        yield session


@pytest.fixture
def channel(sandbox: Sandbox) -> Channel:
    return sandbox.add_channel("admin")


@pytest.fixture
def alice(sandbox: Sandbox) -> Member:
    return sandbox.add_member("Alice", [sandbox.add_role("Admin").id])


class Press(discord.ui.View):
    @discord.ui.button(label="Press", custom_id="press")
    async def press(self, interaction: discord.Interaction, _: discord.ui.Button[discord.ui.View]) -> None:
        await interaction.response.send_message("only yours", ephemeral=True)


def talkative_bot() -> commands.Bot:
    intents = discord.Intents.default()
    intents.message_content = True
    bot = commands.Bot("!", intents=intents, guild_ready_timeout=0.02)

    @bot.hybrid_command()  # type: ignore[arg-type] # the library's types do not know a command outside a cog
    async def show(context: commands.Context[commands.Bot], whom: discord.User) -> None:
        """Show somebody."""
        await context.send(whom.name, view=Press())

    return bot


async def test_page_loads_nothing_from_other_hosts(page: aiohttp.ClientSession) -> None:
    async with page.get("/") as response:
        assert response.url.path == "/chat/"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        text = await response.text()
    for name in ("style.css", "chat.js", "complete.js", "render.js", "text.js"):
        async with page.get(f"/chat/{name}") as response:
            assert response.status == 200
            text += await response.text()
    assert "innerHTML" not in text
    assert "://" not in text.replace("https?:\\/\\/", "")
    async with page.get("/chat/other.js") as response:
        assert response.status == 404


async def test_member_sees_only_own_messages(
    sandbox: Sandbox, connect: Connect, page: aiohttp.ClientSession, channel: Channel, alice: Member
) -> None:
    ben = sandbox.add_member("Ben")
    bot = talkative_bot()

    async def post(action: str, **fields: object) -> dict[str, str]:
        body = {"member": str(alice.id), "channel": str(channel.id), **fields}
        async with page.post(f"/chat/do/{action}", json=body) as response:
            assert response.status == 200
            answer: dict[str, str] = await response.json()
            return answer

    async def seen_by(member: Member) -> list[str]:
        query = {"member": str(member.id), "channel": str(channel.id)}
        async with page.get("/chat/view/messages", params=query) as response:
            return [each["content"] for each in await response.json()]

    async with connect(bot):
        await bot.tree.sync()
        assert await post("say", content="!show @Ben") == {}
        shown = await sandbox.wait_for(lambda message: message.content == "Ben")
        assert await post("say", content="/show whom:@alice") == {}
        assert await post("click", message=str(shown.id), customId="press") == {}
        assert await seen_by(alice) == [f"!show <@{ben.id}>", "Ben", "Alice", "only yours"]
        assert await seen_by(ben) == [f"!show <@{ben.id}>", "Ben", "Alice"]
        assert "no command" in (await post("say", content="/ghost"))["problem"]
        assert "nobody" in (await post("say", content="/show whom:@nobody-here"))["problem"]
        assert "cannot be pressed" in (await post("click", message=str(shown.id), customId="other"))["problem"]
        async with page.get("/chat/view/overview", params={"member": str(alice.id)}) as response:
            overview = await response.json()
    assert overview["bot"]["online"] == 1
    assert overview["members"][0] == {"id": str(alice.id), "name": "Alice", "roles": ["Admin"]}
    assert [each["name"] for each in overview["commands"]] == ["show"]


async def test_member_without_the_role_sees_nothing_of_a_private_channel(
    sandbox: Sandbox, page: aiohttp.ClientSession, alice: Member
) -> None:
    ben = sandbox.add_member("Ben")
    staff = sandbox.add_channel("staff", only_for=[sandbox.state.roles[alice.role_ids[0]]])
    thread = sandbox.add_thread("books", staff)
    general = sandbox.add_channel("general")
    await sandbox.say(staff.id, alice.id, "for us")

    async def places(member: Member) -> list[str]:
        async with page.get("/chat/view/overview", params={"member": str(member.id)}) as response:
            return [each["name"] for each in (await response.json())["channels"]]

    async def status(member: Member, channel: Channel) -> int:
        query = {"member": str(member.id), "channel": str(channel.id)}
        async with page.get("/chat/view/messages", params=query) as response:
            return response.status

    async def problem(action: str, **fields: str) -> str:
        async with page.post(f"/chat/do/{action}", json={"member": str(ben.id), **fields}) as response:
            return str((await response.json()).get("problem"))

    assert await places(alice) == ["staff", "general", "books"]
    assert await places(ben) == ["general"]
    assert [await status(alice, each) for each in (staff, thread, general)] == [200, 200, 200]
    assert [await status(ben, each) for each in (staff, thread, general)] == [404, 404, 200]
    assert await problem("say", channel=str(staff.id), content="let me in") == "Ben does not see #staff"
    assert await problem("say", channel=str(thread.id), content="/show") == "Ben does not see #books"
    async with page.get("/chat/view/events", params={"member": str(ben.id)}) as response:
        assert await response.content.readuntil(b"\n\n") == b": welcome\n\n"
        await sandbox.say(thread.id, alice.id, "not for Ben")
        await sandbox.say(general.id, alice.id, "for all")
        with anyio.fail_after(5):
            assert b"for all" in await response.content.readuntil(b"\n\n")
    sandbox.set_roles(ben, alice.role_ids)
    assert await places(ben) == ["staff", "general", "books"]


async def test_owner_of_every_permission_and_the_bot_see_private_channels(sandbox: Sandbox) -> None:
    staff = sandbox.add_channel("staff", only_for=[sandbox.add_role("Staff")])
    owner = sandbox.add_member("Owner", [sandbox.add_role("All", permissions=1 << 3).id])
    [bot] = [each for each in sandbox.state.guild_members() if each.bot]
    assert [permissions.sees(sandbox.state, each, staff) for each in (owner, bot)] == [True, True]


async def test_closed_dms_are_refused(sandbox: Sandbox, page: aiohttp.ClientSession, alice: Member) -> None:
    async def switch(*, to: bool) -> None:
        async with page.post("/chat/do/direct-messages", json={"member": str(alice.id), "open": to}) as response:
            assert response.status == 200

    await switch(to=False)
    assert sandbox.faults.dm_refusals == {alice.id: 50007}
    await switch(to=True)
    assert sandbox.faults.dm_refusals == {}


async def test_page_receives_events(
    sandbox: Sandbox, page: aiohttp.ClientSession, channel: Channel, alice: Member
) -> None:
    ben = sandbox.add_member("Ben")
    private = sandbox.open_direct_channel(ben.id)
    async with page.get("/chat/view/events", params={"member": str(alice.id)}) as response:
        assert await response.content.readuntil(b"\n\n") == b": welcome\n\n"
        await sandbox.say(private.id, ben.id, "not for Alice")
        await sandbox.say(channel.id, ben.id, "<b>for all</b>")
        with anyio.fail_after(5):
            event = await response.content.readuntil(b"\n\n")
        note = json.loads(event.removeprefix(b"data: "))
    assert (note["kind"], note["message"]["content"]) == ("message", "<b>for all</b>")


async def test_foreign_origin_is_refused(page: aiohttp.ClientSession, channel: Channel, alice: Member) -> None:
    body = {"member": str(alice.id), "channel": str(channel.id), "content": "x"}
    async with page.post("/chat/do/say", json=body, headers={"Origin": "http://elsewhere.example"}) as response:
        assert response.status == 403
    async with page.post("/chat/do/say", data=json.dumps(body), headers={"Content-Type": "text/plain"}) as response:
        assert response.status == 403
    async with page.get("/chat/view/overview", headers={"Host": "elsewhere.example"}) as response:
        assert response.status == 403


async def test_program_serves_until_sigterm() -> None:
    """The chat page and the shop page are at the printed addresses, and each shop's secret is printed."""
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--token", "t", "--shop-port", "0"]
    async with await anyio.open_process(command, stderr=None) as process:
        assert process.stdout is not None
        told = ""
        with anyio.fail_after(20):
            while "CASHBACK_SHOP_API=" not in told:
                told += (await process.stdout.receive()).decode()
        async with aiohttp.ClientSession() as session:
            for name in ("chat", "shop"):
                [address] = [line.split()[2] for line in told.splitlines() if line.startswith(f"{name} page")]
                async with session.get(address) as response:
                    assert response.status == 200
        process.send_signal(signal.SIGTERM)
        with anyio.fail_after(20):
            assert await process.wait() == 0
