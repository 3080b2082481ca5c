"""What a person types into the page's one line, and what the bot gets of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from sandbox import ManualClock, Sandbox, SandboxError
from sandbox.typed import read_command, with_mentions

pytestmark = pytest.mark.anyio

Api = Callable[..., Awaitable[Any]]
COMMAND = {
    "name": "move",
    "description": "Move things",
    "options": [
        {"name": "to", "description": "d", "type": 7},
        {"name": "role", "description": "d", "type": 8},
        {"name": "whom", "description": "d", "type": 6},
        {"name": "share", "description": "d", "type": 10, "min_value": 0, "max_value": 1},
        {"name": "count", "description": "d", "type": 4},
        {"name": "loud", "description": "d", "type": 5},
        {"name": "mode", "description": "d", "type": 3, "choices": [{"name": "Fast", "value": "fast"}]},
        {"name": "note", "description": "d", "type": 3},
    ],
}


@pytest.fixture
async def registered(sandbox: Sandbox, api: Api) -> Sandbox:
    reply = await api("POST", f"/applications/{sandbox.bot_user_id}/commands", COMMAND)
    assert reply.status == 201
    return sandbox


async def test_all_option_kinds_can_be_typed(registered: Sandbox) -> None:
    channel, role = registered.add_channel("general"), registered.add_role("Admin")
    alice = registered.add_member("Alice")
    line = f"/move to:#general role:@admin whom:<@{alice.id}> share:0.5 count:3 loud:yes mode:fast note:two words"
    path, options = read_command(line, registered.commands.usable(), registered.state)
    assert path == "move"
    assert options == {
        "to": channel.id,
        "role": role.id,
        "whom": alice.id,
        "share": 0.5,
        "count": 3,
        "loud": True,
        "mode": "fast",
        "note": "two words",
    }
    used = await registered.slash(channel.id, alice.id, path, options)
    assert [each["value"] for each in used.data["options"]][:3] == [str(channel.id), str(role.id), str(alice.id)]
    assert {key: list(each) for key, each in used.data["resolved"].items()} == {
        "channels": [str(channel.id)],
        "roles": [str(role.id)],
        "users": [str(alice.id)],
        "members": [str(alice.id)],
    }


@pytest.mark.parametrize("line", ["/move count:many", "/move loud:perhaps", "/move whom:@ghost", '/move note:"open'])
async def test_invalid_option_value_is_refused(registered: Sandbox, line: str) -> None:
    with pytest.raises(SandboxError):
        read_command(line, registered.commands.usable(), registered.state)


async def test_unknown_choice_is_refused(registered: Sandbox) -> None:
    channel, alice = registered.add_channel("general"), registered.add_member("Alice")
    with pytest.raises(SandboxError, match="must be one of"):
        await registered.slash(channel.id, alice.id, "move", {"mode": "slow"})


async def test_longest_matching_name_is_mentioned(sandbox: Sandbox) -> None:
    ann, anna = sandbox.add_member("Ann"), sandbox.add_member("Ann Lee")
    channel = sandbox.add_channel("general")
    text = with_mentions("@Ann Lee and @Ann in #general, not ann@Ann or @Annette", sandbox.state)
    assert text == f"<@{anna.id}> and <@{ann.id}> in <#{channel.id}>, not ann@Ann or @Annette"


@pytest.mark.parametrize(
    "bodies",
    [
        [{"name": "x" * 33, "description": "d"}],
        [{"name": "x", "description": ""}],
        [{"name": "x", "description": "d"}] * 2,
        [{"name": "x", "description": "d", "options": [{}] * 26}],
        {"name": "x"},
    ],
)
async def test_command_over_limits_is_refused(sandbox: Sandbox, api: Api, bodies: object) -> None:
    reply = await api("PUT", f"/applications/{sandbox.bot_user_id}/commands", bodies)
    assert (reply.status, reply.body["code"]) == (400, 50035)
    assert sandbox.commands.usable() == []


async def test_server_failure_is_answered_and_recorded(clock: ManualClock) -> None:
    def check(method: str, path: str, body: object) -> list[str]:
        raise LookupError(method, path, body)

    async with Sandbox(clock=clock, request_check=check) as server:
        headers = {"Authorization": f"Bot {server.token}"}
        address = server.api_url + "/users/@me/channels"
        async with aiohttp.ClientSession(headers=headers) as session, session.post(address, json={}) as response:
            assert response.status == 500
        assert "LookupError" in server.complaints[0]
