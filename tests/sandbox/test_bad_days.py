"""Rate limits and faults: what Discord does on a bad day, and that a real client takes it as it takes Discord's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import anyio
import discord
import pytest
from discord.ext import commands

from sandbox import ManualClock, Sandbox

pytestmark = pytest.mark.anyio

Api = Callable[..., Awaitable[Any]]
Connect = Callable[[discord.Client], AbstractAsyncContextManager[None]]
MESSAGES = "/channels/[0-9]+/messages$"


@pytest.fixture
async def limited(clock: ManualClock) -> AsyncIterator[Sandbox]:
    """Serve with Discord's rate limits, counted by a clock that stands still."""
    async with Sandbox(clock=clock, real_rate_limits=True) as server:
        yield server


async def send(server: Sandbox, method: str, path: str, body: object = None) -> tuple[int, Any, dict[str, str]]:
    headers = {"Authorization": f"Bot {server.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, server.api_url + path, json=body) as response,
    ):
        return response.status, await response.json(), dict(response.headers)


async def test_channel_is_limited_to_five_messages_in_five_seconds(limited: Sandbox, clock: ManualClock) -> None:
    channel, other = limited.add_channel("general"), limited.add_channel("other")
    path = f"/channels/{channel.id}/messages"
    left = []
    for _ in range(5):
        status, _, headers = await send(limited, "POST", path, {"content": "x"})
        assert status == 200
        left.append(headers["X-RateLimit-Remaining"])
    assert left == ["4", "3", "2", "1", "0"]
    status, body, headers = await send(limited, "POST", path, {"content": "x"})
    assert (status, body["retry_after"], body["global"]) == (429, 5.0, False)
    assert (headers["X-RateLimit-Scope"], headers["Via"] != "") == ("user", True)
    assert (await send(limited, "POST", f"/channels/{other.id}/messages", {"content": "x"}))[0] == 200
    clock.advance(5)
    assert (await send(limited, "POST", path, {"content": "x"}))[0] == 200


async def test_requests_are_limited_to_fifty_a_second(limited: Sandbox, clock: ManualClock) -> None:
    channels = [limited.add_channel(f"c{n}") for n in range(51)]
    statuses = [(await send(limited, "GET", f"/channels/{each.id}"))[0] for each in channels[:50]]
    assert set(statuses) == {200}
    status, body, headers = await send(limited, "GET", f"/channels/{channels[50].id}")
    assert (status, body["global"], headers["X-RateLimit-Global"]) == (429, True, "true")
    clock.advance(1)
    assert (await send(limited, "GET", f"/channels/{channels[50].id}"))[0] == 200


async def test_old_messages_are_limited_to_three_edits_in_six_seconds(limited: Sandbox, clock: ManualClock) -> None:
    channel = limited.add_channel("general")
    _, sent, _ = await send(limited, "POST", f"/channels/{channel.id}/messages", {"content": "x"})
    path = f"/channels/{channel.id}/messages/{sent['id']}"
    clock.advance(3601)
    for _ in range(3):
        assert (await send(limited, "PATCH", path, {"content": "y"}))[0] == 200
    status, body, _ = await send(limited, "PATCH", path, {"content": "y"})
    assert (status, body["code"], body["retry_after"]) == (429, 30046, 6.0)


@pytest.mark.parametrize("scope", ["user", "shared", "global"])
async def test_client_waits_and_retries_after_429(
    sandbox: Sandbox, bot: commands.Bot, connect: Connect, scope: str
) -> None:
    channel = sandbox.add_channel("general")
    async with connect(bot):
        sandbox.faults.rate_limit("POST", MESSAGES, retry_after=0.01, scope=scope, times=2)
        await bot.get_partial_messageable(channel.id).send("patience")
    statuses = [each.status for each in sandbox.requests if each.path.endswith("/messages")]
    assert statuses == [429, 429, 200]
    assert sandbox.invalid_requests == (0 if scope == "shared" else 2)


async def test_server_error_raises(sandbox: Sandbox, bot: commands.Bot, connect: Connect) -> None:
    channel = sandbox.add_channel("general")
    async with connect(bot):
        sandbox.faults.fail("POST", MESSAGES, status=503)
        with pytest.raises(discord.DiscordServerError):
            await bot.get_partial_messageable(channel.id).send("hello")
    assert sandbox.messages(channel.id) == []


@pytest.mark.parametrize("after_effect", [False, True])
async def test_nonce_finds_a_message_sent_without_response(
    sandbox: Sandbox, bot: commands.Bot, connect: Connect, after_effect: bool
) -> None:
    channel = sandbox.add_channel("general")
    async with connect(bot):
        sandbox.faults.drop("POST", MESSAGES, after_effect=after_effect)
        place = bot.get_partial_messageable(channel.id)
        with pytest.raises(aiohttp.ClientError):
            await place.send("hello", nonce="n1")
        assert len(sandbox.messages(channel.id)) == int(after_effect)
        await place.send("hello", nonce="n1")
    assert [each.content for each in sandbox.messages(channel.id)] == ["hello"]
    assert [each.status for each in sandbox.requests if each.path.endswith("/messages")] == [0, 200]


async def test_held_request_waits_for_release(sandbox: Sandbox, bot: commands.Bot, connect: Connect) -> None:
    channel = sandbox.add_channel("general")
    async with connect(bot):
        hold = sandbox.faults.hold("POST", MESSAGES)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bot.get_partial_messageable(channel.id).send, "slow")
            with anyio.fail_after(5):
                await hold.arrived.wait()
            assert sandbox.messages(channel.id) == []
            hold.release()
    assert [each.content for each in sandbox.messages(channel.id)] == ["slow"]


async def test_server_stops_during_a_held_request(clock: ManualClock) -> None:
    async with Sandbox(clock=clock) as server, anyio.create_task_group() as tasks:
        hold = server.faults.hold("GET", "^/users/@me$")
        tasks.start_soon(send, server, "GET", "/users/@me")
        with anyio.fail_after(5):
            await hold.arrived.wait()
        server.faults.clear()


async def test_request_is_checked_and_logged(clock: ManualClock) -> None:
    def check(method: str, path: str, body: object) -> list[str]:
        return [f"{method} {path.count('/')} {body}"]

    async with Sandbox(clock=clock, request_check=check) as server:
        alice = server.add_member("Alice")
        await send(server, "POST", "/users/@me/channels", {"recipient_id": alice.id})
        assert server.complaints == [
            f"POST /users/@me/channels: POST 3 {{'recipient_id': '{alice.id}'}}",
        ]
        record = server.requests[-1]
        assert (record.method, record.path, record.status) == ("POST", "/users/@me/channels", 200)


async def test_invalid_json_body_is_refused(sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bot {sandbox.token}", "Content-Type": "application/json"}
    address = sandbox.api_url + "/users/@me/channels"
    async with aiohttp.ClientSession() as session, session.post(address, data="{", headers=headers) as response:
        assert (response.status, (await response.json())["code"]) == (400, 50109)


async def test_wrong_token_is_401(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession() as session, session.get(sandbox.api_url + "/users/@me") as response:
        assert (response.status, await response.json()) == (401, {"message": "401: Unauthorized", "code": 0})
