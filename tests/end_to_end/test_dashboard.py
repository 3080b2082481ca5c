"""`sendref-cashb dashboard` and what follows it: the link, the session, and the roles that Discord knows."""

from __future__ import annotations

import re

import aiohttp
import pytest

from sandbox import Member
from tests.cashback.dashboard.conftest import free_port
from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture, until

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS
UNKNOWN = 5
"""A role that the bot does not see."""


def with_dashboard(guild: DiscordFixture, *, viewer_role: int | None = None) -> str:
    """Switch the dashboard on; return its address."""
    served = guild.settings.dashboard.model_copy(update={"enabled": True, "port": free_port()})
    role_ids = guild.settings.role_ids.model_copy(update={"dashboard_viewer": viewer_role})
    guild.settings = guild.settings.model_copy(update={"dashboard": served, "role_ids": role_ids})
    return served.address


async def told(guild: DiscordFixture, by: Member | None = None, text: str = "!sendref-cashb dashboard") -> str:
    """Type a command; return the bot's answer in the channel."""
    said = await guild.say(text, by)
    answer = await guild.sandbox.wait_for(
        lambda each: each.author_id == guild.sandbox.bot_user_id and each.channel_id == guild.channel.id, after=said
    )
    return answer.text


async def test_an_admin_gets_a_link_by_direct_message_and_loses_the_session_with_the_role(
    guild: DiscordFixture,
) -> None:
    address = with_dashboard(guild)
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot(), aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        said = await told(guild)
        assert "direct messages" in said
        assert "http" not in said
        [note] = guild.sandbox.direct_messages(guild.admin.id)
        link = re.findall(rf"{address}/sign-in/[\w-]+", note.content)[0]
        async with browser.post(link) as answer:
            assert (answer.status, answer.url.path) == (200, "/")
            page = await answer.text()
        token = re.findall(r'name="form_token" value="(\w+)"', page)[0]

        async with browser.post(f"{address}/batches", data={"form_token": token}) as answer:
            assert (answer.status, answer.url.path) == (200, "/batches/1")
            batch_token = re.findall(r'name="batch_token" value="(\w+)"', await answer.text())[0]
        form = {"form_token": token, "batch_token": batch_token}
        async with browser.post(f"{address}/batches/1/confirm", data=form) as answer:
            assert answer.status == 200
        await until(lambda: guild.batches() == ["completed"])
        assert guild.ledger.balance(bob.id) == 2500
        await guild.audit_entry("$25.00")

        await guild.ledger.earn(bob.id, 100)
        guild.sandbox.set_roles(guild.admin, [])
        async with browser.post(f"{address}/batches", data={"form_token": token}) as answer:
            assert answer.status == 401
    assert len(guild.batches()) == 1
    actors = [
        actor for (actor,) in guild.ledger.rows("SELECT actor FROM cashback_audit_log WHERE action = 'batch_approved'")
    ]
    assert actors == [f"dashboard:{guild.admin.id}"]


async def test_bot_records_names_of_the_ledgers_people_and_of_admins(guild: DiscordFixture) -> None:
    with_dashboard(guild)
    bob, gone = await guild.referrer("Bob", 2500), 123_456_789_012_345_678
    await guild.ledger.earn(gone, 100)
    query = "SELECT user_id, name FROM cashback_member_names"
    async with guild.bot():
        await told(guild)
        await until(lambda: {bob.id, gone, guild.admin.id} <= dict(guild.ledger.rows(query)).keys())
    names = dict(guild.ledger.rows(query))
    assert (names[bob.id], names[guild.admin.id], names[gone]) == ("Bob", "Ada", None)


async def test_a_viewer_gets_a_link_and_a_stranger_none(guild: DiscordFixture) -> None:
    role = guild.sandbox.add_role("Viewer")
    with_dashboard(guild, viewer_role=role.id)
    vera = guild.sandbox.add_member("Vera", role_ids=[role.id])
    eve = guild.sandbox.add_member("Eve")
    async with guild.bot():
        assert "direct messages" in await told(guild, vera)
        assert "Only an admin or a viewer" in await told(guild, eve)
        assert "Only an admin" in await told(guild, vera, "!sendref-cashb")
    assert guild.sandbox.direct_messages(eve.id) == []
    assert guild.audit_actions() == ["dashboard_link_issued", "refused", "refused"]


async def test_dashboard_command_without_a_dashboard_is_refused(guild: DiscordFixture) -> None:
    async with guild.bot():
        assert "switched off" in await told(guild)
    assert guild.audit_actions() == []


async def test_settings_page_names_roles_and_channels(guild: DiscordFixture) -> None:
    address = with_dashboard(guild, viewer_role=UNKNOWN)
    async with guild.bot(), aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        await told(guild)
        [note] = guild.sandbox.direct_messages(guild.admin.id)
        link = re.findall(rf"{address}/sign-in/[\w-]+", note.content)[0]
        async with browser.post(link), browser.get(f"{address}/settings") as answer:
            page = await answer.text()
    for name, place_id in ((guild.admin_role.name, guild.admin_role.id), (guild.audit.name, guild.audit.id)):
        assert re.search(rf'<td>[@#]{name} <small class="id">{place_id}</small></td>', page), name
    assert f"<td>{UNKNOWN}</td>" in page, "nobody knows its name"
