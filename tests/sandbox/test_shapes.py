"""The sandbox's responses match Discord's own description; skipped if that is not available."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sandbox import Sandbox

pytestmark = pytest.mark.anyio

Api = Callable[..., Awaitable[Any]]


async def test_responses_match_discord_schemas(sandbox: Sandbox, api: Api, description: Any) -> None:  # noqa: ANN401 — a module
    if description is None:
        pytest.skip("Discord's description is not on this machine")
    role, channel = sandbox.add_role("Admin"), sandbox.add_channel("general")
    alice = sandbox.add_member("Alice", [role.id])
    button = {"type": 2, "style": 3, "label": "Pay", "custom_id": "pay"}
    body = {
        "content": f"<@{alice.id}> <@&{role.id}>",
        "embeds": [{"title": "t", "color": 1, "fields": [{"name": "n", "value": "v", "inline": True}]}],
        "components": [{"type": 1, "components": [button]}],
    }
    messages = f"/channels/{channel.id}/messages"
    sent = await api("POST", messages, body)
    click = await sandbox.click(int(sent.body["id"]), "pay", alice.id)
    guild, application = f"/guilds/{sandbox.guild_id}", f"/applications/{sandbox.bot_user_id}"
    command = {"name": "pay", "description": "Pay", "type": 1, "options": []}
    requests: list[tuple[str, str, object]] = [
        ("GET", "/gateway", None),
        ("GET", "/gateway/bot", None),
        ("GET", "/users/@me", None),
        ("GET", "/users/@me/guilds", None),
        ("GET", f"/users/{alice.id}", None),
        ("GET", "/applications/@me", None),
        ("GET", "/oauth2/applications/@me", None),
        ("GET", f"{guild}?with_counts=true", None),
        ("GET", f"{guild}/channels", None),
        ("GET", f"{guild}/roles", None),
        ("GET", f"{guild}/members?limit=10", None),
        ("GET", f"{guild}/members/search?query=al", None),
        ("GET", f"{guild}/members/{alice.id}", None),
        ("GET", f"/channels/{channel.id}", None),
        ("POST", "/users/@me/channels", {"recipient_id": str(alice.id)}),
        ("POST", messages, body),
        ("POST", messages, {"content": "re", "message_reference": {"message_id": sent.body["id"]}}),
        ("GET", messages, None),
        ("GET", f"{messages}/{sent.body['id']}", None),
        ("PATCH", f"{messages}/{sent.body['id']}", {"content": "new"}),
        ("PUT", f"{application}/commands", [command]),
        ("PUT", f"{application}{guild}/commands", [command]),
        ("GET", f"{application}/commands", None),
        ("POST", f"/interactions/{click.id}/{click.token}/callback?with_response=true", {"type": 4, "data": body}),
        ("GET", f"/webhooks/{sandbox.bot_user_id}/{click.token}/messages/@original", None),
        ("POST", f"/webhooks/{sandbox.bot_user_id}/{click.token}", {"content": "more"}),
        ("POST", messages, {"content": "x" * 2001}),
    ]
    wrong: list[str] = []
    for method, path, sending in requests:
        reply = await api(method, path, sending)
        plain = path.partition("?")[0]
        found = description.check_response(method, plain, reply.status, reply.body)
        wrong += [f"{method} {path} {reply.status}: {each}" for each in found]
        assert reply.status == 200 or len(str(sending)) > 2000, (path, reply.body)
    assert wrong == []
    assert [each.buttons[0].label for each in sandbox.messages(channel.id) if each.buttons] == ["Pay"] * 3
