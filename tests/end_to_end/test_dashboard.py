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


def with_dashboard(town: DiscordFixture, *, viewer_role: int | None = None) -> str:
    """Switch the dashboard on; return its address."""
    served = town.settings.dashboard.model_copy(update={"enabled": True, "port": free_port()})
    role_ids = town.settings.role_ids.model_copy(update={"dashboard_viewer": viewer_role})
    town.settings = town.settings.model_copy(update={"dashboard": served, "role_ids": role_ids})
    return served.address


async def told(town: DiscordFixture, by: Member | None = None, text: str = "!sendref-cashb dashboard") -> str:
    """Type a command; return the bot's answer in the channel."""
    said = await town.say(text, by)
    answer = await town.sandbox.wait_for(
        lambda each: each.author_id == town.sandbox.bot_user_id and each.channel_id == town.channel.id, after=said
    )
    return answer.text


async def test_an_admin_gets_a_link_by_direct_message_and_loses_the_session_with_the_role(town: DiscordFixture) -> None:
    address = with_dashboard(town)
    bob = await town.referrer("Bob", 2500)
    async with town.bot(), aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        said = await told(town)
        assert "direct messages" in said
        assert "http" not in said
        [note] = town.sandbox.direct_messages(town.admin.id)
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
        await until(lambda: town.batches() == ["completed"])
        assert town.till.balance(bob.id) == 2500
        await town.audit_entry("$25.00")

        await town.till.earn(bob.id, 100)
        town.sandbox.set_roles(town.admin, [])
        async with browser.post(f"{address}/batches", data={"form_token": token}) as answer:
            assert answer.status == 401
    assert len(town.batches()) == 1
    actors = [
        actor for (actor,) in town.till.rows("SELECT actor FROM cashback_audit_log WHERE action = 'batch_approved'")
    ]
    assert actors == [f"dashboard:{town.admin.id}"]


async def test_bot_records_names_of_the_ledgers_people_and_of_admins(town: DiscordFixture) -> None:
    with_dashboard(town)
    bob, gone = await town.referrer("Bob", 2500), 123_456_789_012_345_678
    await town.till.earn(gone, 100)
    query = "SELECT user_id, name FROM cashback_member_names"
    async with town.bot():
        await told(town)
        await until(lambda: {bob.id, gone, town.admin.id} <= dict(town.till.rows(query)).keys())
    names = dict(town.till.rows(query))
    assert (names[bob.id], names[town.admin.id], names[gone]) == ("Bob", "Ada", None)


async def test_a_viewer_gets_a_link_and_a_stranger_none(town: DiscordFixture) -> None:
    role = town.sandbox.add_role("Viewer")
    with_dashboard(town, viewer_role=role.id)
    vera = town.sandbox.add_member("Vera", role_ids=[role.id])
    eve = town.sandbox.add_member("Eve")
    async with town.bot():
        assert "direct messages" in await told(town, vera)
        assert "Only an admin or a viewer" in await told(town, eve)
        assert "Only an admin" in await told(town, vera, "!sendref-cashb")
    assert town.sandbox.direct_messages(eve.id) == []
    assert town.audit_actions() == ["dashboard_link_issued", "refused", "refused"]


async def test_dashboard_command_without_a_dashboard_is_refused(town: DiscordFixture) -> None:
    async with town.bot():
        assert "switched off" in await told(town)
    assert town.audit_actions() == []
