"""The chat page in a real browser: what completes a line, the lines sent before, and what is kept while it is away."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import discord
import pytest
from discord.ext import commands

from docs.pictures.browser import NAMES, Page, browser
from sandbox import Channel, Member, Sandbox

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not any(map(shutil.which, NAMES)), reason="Chromium is not installed"),
]

Connect = Callable[[discord.Client], AbstractAsyncContextManager[None]]
ENTER = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
KEYS = {
    "Enter": ENTER,
    "Tab": {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9},
    "ArrowUp": {"key": "ArrowUp", "code": "ArrowUp", "windowsVirtualKeyCode": 38},
    "ArrowDown": {"key": "ArrowDown", "code": "ArrowDown", "windowsVirtualKeyCode": 40},
}


class Typist:
    """A person at the page's keyboard."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def type(self, text: str) -> None:
        """Type at the caret."""
        await self.page.evaluate("document.getElementById('line').focus()")
        await self.page.ask("Input.insertText", text=text)

    async def press(self, key: str) -> None:
        """Press a key."""
        await self.page.ask("Input.dispatchKeyEvent", type="keyDown", **KEYS[key])
        await self.page.ask("Input.dispatchKeyEvent", type="keyUp", **KEYS[key])

    async def line_is(self, text: str) -> None:
        """Wait until the line holds this text."""
        await self.page.until(f"document.getElementById('line').value === {json.dumps(text)}")

    async def hints_are(self, *labels: str) -> None:
        """Wait until exactly these completions are shown."""
        shown = "[...document.querySelectorAll('#hints:not([hidden]) b')].map((each) => each.textContent)"
        await self.page.until(f"JSON.stringify({shown}) === {json.dumps(json.dumps(labels, separators=(',', ':')))}")

    async def send(self, text: str) -> None:
        """Type a whole line and send it."""
        await self.type(text)
        await self.press("Enter")
        await self.line_is("")


@pytest.fixture
def channel(sandbox: Sandbox) -> Channel:
    return sandbox.add_channel("general")


@pytest.fixture
def alice(sandbox: Sandbox) -> Member:
    return sandbox.add_member("Alice")


@pytest.fixture
async def typist(sandbox: Sandbox, channel: Channel, alice: Member) -> AsyncIterator[Typist]:
    for name in ("friend-1", "friend-10", "Ann Lee", "referrer-1"):
        sandbox.add_member(name)
    async with browser() as page:
        await page.open(
            f"{sandbox.url}/chat/#member={alice.id}&channel={channel.id}",
            width=1000,
            height=700,
            shows="#messages > .start",
        )
        yield Typist(page)


async def test_member_is_completed_by_name_anywhere_in_the_line(
    sandbox: Sandbox, channel: Channel, typist: Typist
) -> None:
    await typist.type("pay @fri")
    await typist.hints_are("@friend-1", "@friend-10")
    await typist.press("Enter")
    await typist.line_is("pay @friend-1 ")
    await typist.hints_are()
    await typist.type("and @LEE")
    await typist.hints_are("@Ann Lee")
    await typist.press("Tab")
    await typist.line_is("pay @friend-1 and @Ann Lee ")
    await typist.press("Enter")
    said = await sandbox.wait_for(lambda message: message.channel_id == channel.id)
    names = {each.id: each.name for each in sandbox.state.guild_members()}
    assert [names[each] for each in said.pinged] == ["friend-1", "Ann Lee"]


async def test_at_sign_inside_a_word_and_unknown_names_complete_nothing(typist: Typist) -> None:
    await typist.type("@")
    await typist.hints_are("@sandbox-bot", "@Alice", "@friend-1", "@friend-10", "@Ann Lee", "@referrer-1")
    await typist.type("nobody")
    await typist.hints_are()
    await typist.press("Enter")
    await typist.line_is("")
    await typist.type("me@fri")
    await typist.hints_are()


async def test_commands_are_completed_chosen_and_typed(sandbox: Sandbox, connect: Connect, typist: Typist) -> None:
    bot = commands.Bot("!", intents=discord.Intents.default(), guild_ready_timeout=0.02)

    @bot.hybrid_group()
    async def books(_: commands.Context[commands.Bot]) -> None:
        """Show the books."""

    @books.command()  # type: ignore[arg-type] # the library's types do not know a command outside a cog
    async def show(_: commands.Context[commands.Bot], whom: discord.User) -> None:
        """Show somebody's."""

    @bot.tree.command()
    async def invite(_: discord.Interaction) -> None:
        """Invite somebody."""

    sandbox.commands.typed = ["!books"]
    async with connect(bot):
        await bot.tree.sync()
        await typist.type("/")
        await typist.hints_are("/books show", "/invite")
        await typist.type("b")
        await typist.press("Tab")
        await typist.line_is("/books show whom:")
        await typist.type("@fr")
        await typist.hints_are(
            "@friend-1",
            "@friend-10",
        )
        await typist.page.evaluate("document.getElementById('line').value = ''")
        await typist.type("!")
        await typist.hints_are("!books", "!books show")
        await typist.type("books s")
        await typist.press("Tab")
        await typist.line_is("!books show ")


async def test_arrows_recall_the_lines_sent_before(typist: Typist) -> None:
    await typist.press("ArrowUp")
    for line in ("first", "second", "second"):
        await typist.send(line)
    for key, line in (
        ("ArrowUp", "second"),
        ("ArrowUp", "first"),
        ("ArrowUp", "first"),
        ("ArrowDown", "second"),
        ("ArrowDown", ""),
        ("ArrowDown", ""),
        ("ArrowUp", "second"),
    ):
        await typist.press(key)
        await typist.line_is(line)


async def test_lines_typed_while_the_sandbox_is_away_are_sent_in_order_when_it_is_back(
    sandbox: Sandbox, channel: Channel, alice: Member, typist: Typist
) -> None:
    await typist.send("before")
    await sandbox.wait_for(lambda message: message.content == "before")
    await sandbox.__aexit__(None, None, None)
    await typist.send("one")
    await typist.send("two")
    await typist.page.until("document.getElementById('problem').textContent.includes('2 of your messages')")
    await sandbox.say(channel.id, alice.id, "missed by the page")
    await sandbox.__aenter__()
    await sandbox.wait_for(lambda message: message.content == "two")
    said = ["before", "missed by the page", "one", "two"]
    assert [each.content for each in sandbox.messages(channel.id)] == said
    shown = "[...document.querySelectorAll('.message .text')].map((each) => each.textContent)"
    await typist.page.until(f"JSON.stringify({shown}) === {json.dumps(json.dumps(said, separators=(',', ':')))}")
    await typist.page.until("document.getElementById('problem').hidden")


async def test_ids_of_members_and_messages_are_copied(sandbox: Sandbox, alice: Member, typist: Typist) -> None:
    await typist.page.ask("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    await typist.send("hello")
    said = await sandbox.wait_for(lambda message: message.content == "hello")
    await typist.page.shows(".message")
    for selector, copied in (
        (".message .tools button:nth-child(1)", alice.id),
        (".message .tools button:nth-child(2)", said.id),
        ("#my-id", alice.id),
    ):
        await typist.page.evaluate(f"document.querySelector({json.dumps(selector)}).click()")
        await typist.page.until(f"navigator.clipboard.readText().then((text) => text === '{copied}')")


async def test_id_that_cannot_be_copied_is_shown(alice: Member, typist: Typist) -> None:
    await typist.page.evaluate("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))")
    await typist.page.evaluate("document.getElementById('my-id').click()")
    await typist.page.until(f"document.getElementById('problem').textContent.includes('{alice.id}')")


CONTRASTS = """(() => {
  const rgb = (text) => text.match(/[0-9.]+/g).map(Number);
  const light = (colour) => {
    const parts = colour.slice(0, 3).map((each) => each / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const ground = (node) => {
    for (let each = node; each; each = each.parentElement) {
      const found = rgb(getComputedStyle(each).backgroundColor);
      if (found.length === 3) return light(found);
    }
  };
  const texts = "h1, h2, .start, .head strong, .text, .places button, .me strong, select, #line";
  const found = [...document.querySelectorAll(texts)]
    .filter((each) => each.offsetParent)
    .map((each) => [light(rgb(getComputedStyle(each).color)), ground(each)].sort((one, other) => other - one))
    .map(([high, low]) => (high + 0.05) / (low + 0.05));
  return [light(rgb(getComputedStyle(document.body).backgroundColor)), Math.min(...found), found.length];
})()"""


@pytest.mark.parametrize(("scheme", "is_light"), [("light", True), ("dark", False)])
async def test_page_is_light_or_dark_as_the_machine_prefers_and_can_be_read(
    channel: Channel, typist: Typist, scheme: str, *, is_light: bool
) -> None:
    await typist.send("hello")
    await typist.page.prefer(scheme)
    await typist.page.shows(".message")
    ground, contrast, count = await typist.page.evaluate(CONTRASTS)
    assert (ground > 0.5) is is_light
    assert count > 5
    assert contrast >= 4.5
