"""Bodies that Discord refuses are refused, with the field named."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sandbox import Sandbox

pytestmark = pytest.mark.anyio

Api = Callable[..., Awaitable[Any]]


def option(**changes: object) -> dict[str, object]:
    """Make an option of a command, some fields of which are different."""
    return {"type": 3, "name": "who", "description": "Who", **changes}


def choices(count: int) -> list[dict[str, object]]:
    """Make so many choices."""
    return [{"name": f"c{n}", "value": f"c{n}"} for n in range(count)]


def button(**changes: object) -> dict[str, object]:
    """Make a button, some fields of which are different."""
    return {"type": 2, "style": 1, "label": "a", "custom_id": "a", **changes}


def row(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    """Make a row of buttons or a menu."""
    return [{"type": 1, "components": list(parts)}]


COMMANDS: dict[str, dict[str, object]] = {
    "26 choices": {"options": [option(choices=choices(26))]},
    "26 options": {"options": [option(name=f"o{n}") for n in range(26)]},
    "an option without description": {"options": [option(description=None)]},
    "an option with an empty description": {"options": [option(description="")]},
    "an option of type 99": {"options": [option(type=99)]},
    "an option without type": {"options": [option(type=None)]},
    "an option of type true": {"options": [option(type=True)]},
    "an option with capitals": {"options": [option(name="Who")]},
    "an option with a space": {"options": [option(name="who is")]},
    "capitals in the name": {"name": "Pay"},
    "a space in the name": {"name": "pay all"},
    "a name that is too long": {"name": "p" * 33},
    "no name": {"name": None},
    "no description": {"description": None},
    "a description that is too long": {"description": "d" * 101},
    "required after optional": {"options": [option(), option(name="what", required=True)]},
    "required that is a word": {"options": [option(required="yes")]},
    "two options of one name": {"options": [option(), option()]},
    "choices of the wrong type": {"options": [option(type=4, choices=[{"name": "a", "value": "a"}])]},
    "a choice without name": {"options": [option(choices=[{"value": "a"}])]},
    "choices and autocomplete": {"options": [option(choices=choices(1), autocomplete=True)]},
    "a minimum for text": {"options": [option(min_value=1)]},
    "a length for numbers": {"options": [option(type=4, max_length=5)]},
    "subcommands beside options": {"options": [option(type=1, name="sub"), option()]},
    "a group in a subcommand": {"options": [option(type=1, options=[option(type=2, options=[])])]},
    "options that are no list": {"options": "none"},
    "an option that is a word": {"options": ["none"]},
    "a command type of 9": {"type": 9},
    "an option whose type is a list": {"options": [option(type=[3])]},
    "a choice's name of 101 characters": {"options": [option(choices=[{"name": "c" * 101, "value": "a"}])]},
    "a choice's value that is too large": {"options": [option(type=4, choices=[{"name": "a", "value": 2**54}])]},
    "choices that are no list": {"options": [option(choices={})]},
    "a minimum above the maximum": {"options": [option(type=4, min_value=5, max_value=1)]},
    "a shortest length above the longest": {"options": [option(min_length=5, max_length=1)]},
    "a bound that is too large": {"options": [option(type=4, max_value=2**54)]},
    "a translation into no language": {"name_localizations": {"klingon": "pay"}},
    "a translated name with capitals": {"name_localizations": {"de": "Zahle"}},
    "a translated name that is empty": {"options": [option(name_localizations={"de": ""})]},
    "a translated description that is too long": {"description_localizations": {"de": "d" * 101}},
    "a choice's translation that is a number": {
        "options": [option(choices=[{"name": "a", "value": "a", "name_localizations": {"de": 5}}])]
    },
    "translations that are a word": {"description_localizations": "de"},
    "a context of 9": {"contexts": [9]},
    "a context twice": {"contexts": [0, 0]},
    "no contexts": {"contexts": []},
    "an installation of 2": {"integration_types": [2]},
    "a type of channel that is unknown": {"options": [option(type=7, channel_types=[99])]},
    "types of channels for text": {"options": [option(channel_types=[0])]},
    "permissions beyond all": {"default_member_permissions": str(2**60)},
}

MESSAGES: dict[str, dict[str, object]] = {
    "inline that is a word": {"embeds": [{"fields": [{"name": "n", "value": "v", "inline": "yes"}]}]},
    "a field that is a word": {"embeds": [{"fields": ["n"]}]},
    "fields that are no list": {"embeds": [{"title": "t", "fields": {"name": "n"}}]},
    "a footer that is a word": {"embeds": [{"title": "t", "footer": "f"}]},
    "a title that is a number": {"embeds": [{"title": 5}]},
    "a color that is true": {"embeds": [{"title": "t", "color": True}]},
    "a link without scheme": {"embeds": [{"title": "t", "url": "example.com"}]},
    "mentions of an unknown kind": {"content": "x", "allowed_mentions": {"parse": ["friends"]}},
    "mentions that are a word": {"content": "x", "allowed_mentions": {"parse": "users"}},
    "mentioned people that are words": {"content": "x", "allowed_mentions": {"users": ["bob"]}},
    "101 mentioned people": {
        "content": "x",
        "allowed_mentions": {"users": [str(n) for n in range(10**17, 10**17 + 101)]},
    },
    "people both listed and parsed": {"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["5"]}},
    "replied_user that is a word": {"content": "x", "allowed_mentions": {"replied_user": "yes"}},
    "flags that are true": {"content": "x", "flags": True},
    "a disabled that is a word": {
        "components": [
            {"type": 1, "components": [{"type": 2, "style": 1, "label": "a", "custom_id": "a", "disabled": "no"}]}
        ]
    },
    "a button that is a word": {"components": [{"type": 1, "components": ["a"]}]},
    "a part whose type is a list": {"components": row({"type": [2]})},
    "a row without parts": {"components": [{"type": 1, "components": []}]},
    "a button of style true": {"components": row(button(style=True))},
    "a button without label and emoji": {"components": row(button(label=None))},
    "a link with a custom id": {"components": row(button(style=5, url="https://example.com"))},
    "two buttons of one custom id": {"components": row(button(), button())},
    "an emoji without name": {"components": row(button(emoji={}))},
    "an emoji whose id is a word": {"components": row(button(emoji={"name": "a", "id": "smile"}))},
    "an emoji with a long name": {"components": row(button(emoji={"name": "e" * 33}))},
    "a menu without options": {"components": row({"type": 3, "custom_id": "m", "options": []})},
    "a menu whose options are a number": {"components": row({"type": 3, "custom_id": "m", "options": 5})},
    "a menu of unknown channels": {"components": row({"type": 8, "custom_id": "m", "channel_types": [99]})},
    "a menu with a default that is no id": {
        "components": row({"type": 5, "custom_id": "m", "default_values": [{"id": "me", "type": "user"}]})
    },
    "a menu with a default of no kind": {
        "components": row({"type": 5, "custom_id": "m", "default_values": [{"id": "5"}]})
    },
    "four stickers": {"content": "x", "sticker_ids": ["1", "2", "3", "4"]},
    "a sticker that is a word": {"content": "x", "sticker_ids": ["wave"]},
    "a reply to a word": {"content": "x", "message_reference": {"message_id": "that"}},
    "a reply to nothing": {"content": "x", "message_reference": {}},
    "enforce_nonce that is a word": {"content": "x", "enforce_nonce": "yes"},
    "attachments that are words": {"content": "x", "attachments": ["a.txt"]},
    "an attachment without id": {"content": "x", "attachments": [{"filename": "a.txt"}]},
    "people mentioned twice": {"content": "x", "allowed_mentions": {"users": ["5", "5"]}},
    "embeds of 6,001 characters": {
        "embeds": [{"description": "d" * 3000}, {"description": "d" * 3000}, {"title": "t"}]
    },
    "an icon that is a number": {"embeds": [{"author": {"name": "a", "icon_url": 5}}]},
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("in_bulk", [True, False])
async def test_a_command_that_discord_refuses_is_refused(
    sandbox: Sandbox, api: Api, name: str, *, in_bulk: bool
) -> None:
    body = {"name": "pay", "description": "Pay", "type": 1, **COMMANDS[name]}
    path = f"/applications/{sandbox.bot_user_id}/commands"
    reply = await (api("PUT", path, [body]) if in_bulk else api("POST", path, body))
    assert (reply.status, reply.body["code"]) == (400, 50035)
    assert reply.body["errors"]
    assert sandbox.commands.all() == []


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_message_that_discord_refuses_is_refused(sandbox: Sandbox, api: Api, name: str) -> None:
    channel = sandbox.add_channel("general")
    reply = await api("POST", f"/channels/{channel.id}/messages", MESSAGES[name])
    assert (reply.status, reply.body["code"]) == (400, 50035)
    assert sandbox.messages(channel.id) == []


@pytest.mark.parametrize(
    "body",
    [
        {"name": "pay", "description": "Pay"},
        {"name": "größe", "description": "Ü"},
        {"name": "支払う", "description": "払う", "options": [option(name="誰")]},
        {"name": "Show Profile", "type": 2},
        {
            "name": "pay",
            "description": "Pay",
            "options": [option(choices=choices(25), required=True), option(name="b")],
        },
        {"name": "a", "description": "A", "options": [option(type=2, options=[option(type=1, options=[option()])])]},
        {"name": "n", "description": "N", "options": [option(type=10, min_value=0.5, max_value=2)]},
        {"name": "f", "description": "F", "options": [option(type=11)]},
        {"name": "f", "description": "F", "options": [option(type=7, channel_types=[0, 5])]},
        {
            "name": "pay",
            "description": "Pay",
            "name_localizations": {"de": "zahle", "ja": "支払う"},
            "description_localizations": {"de": "Zahle aus"},
            "options": [option(choices=[{"name": "a", "value": "a", "name_localizations": {"de": "Ä"}}])],
            "contexts": [0, 1],
            "integration_types": [0, 1],
            "default_member_permissions": "32",
        },
    ],
)
async def test_a_command_that_discord_takes_is_taken(sandbox: Sandbox, api: Api, body: dict[str, object]) -> None:
    reply = await api("POST", f"/applications/{sandbox.bot_user_id}/commands", body)
    assert (reply.status, reply.body["name"]) == (201, body["name"])


def label(**changes: object) -> dict[str, Any]:
    """Make a labelled text of a form, some fields of which are different."""
    return {"type": 18, "label": "L", "component": {"type": 4, "custom_id": "l", "style": 1, **changes}}


async def test_suggestions_and_forms_that_discord_refuses_are_refused(sandbox: Sandbox, api: Api) -> None:
    channel, alice = sandbox.add_channel("general"), sandbox.add_member("Alice")
    command = {"name": "pay", "description": "Pay", "options": [option(autocomplete=True)]}
    await api("PUT", f"/applications/{sandbox.bot_user_id}/commands", [command])
    asked = await sandbox.slash(channel.id, alice.id, "pay")
    callback = f"/interactions/{asked.id}/{asked.token}/callback"
    [text_row] = row({"type": 4, "custom_id": "why", "label": "Why", "style": 1})
    for data in (
        {"title": "t" * 46, "custom_id": "f", "components": [text_row]},
        {"title": "t", "components": [text_row]},
        {"title": "t", "custom_id": "f", "components": []},
        {"title": "t", "custom_id": "f", "components": [text_row] * 6},
        {"title": "t", "custom_id": "f", "components": [{"type": 1, "components": [{"type": 2}]}]},
        {"title": "t", "custom_id": "f", "components": [text_row, text_row]},
        {"title": "t", "custom_id": "f", "components": [{"type": [1]}]},
        {"title": "t", "custom_id": "f", "components": [{"type": 10}]},
        {"title": "t", "custom_id": "f", "components": [label(min_length=-1)]},
        {"title": "t", "custom_id": "f", "components": [label(max_length=4001)]},
        {"title": "t", "custom_id": "f", "components": [label(type=3, options=[])]},
        {"title": "t", "custom_id": "f", "components": [label(type=2)]},
        {"title": "t", "custom_id": "f", "components": [{**label(), "description": "d" * 101}]},
    ):
        assert (await api("POST", callback, {"type": 9, "data": data})).body["code"] == 50035
    assert (await api("POST", callback, {"type": 4, "data": {"content": "ok"}})).status == 204


async def test_both_scopes_are_shown_and_direct_messages_have_the_global_one(sandbox: Sandbox, api: Api) -> None:
    application = f"/applications/{sandbox.bot_user_id}"
    command = {"name": "pay", "description": "Pay"}
    await api("PUT", f"{application}/commands", [command, {"name": "invite", "description": "Invite"}])
    await api("PUT", f"{application}/guilds/{sandbox.guild_id}/commands", [command])
    assert sorted(each["name"] for each in sandbox.commands.usable()) == ["invite", "pay", "pay"]
    assert sorted(each["name"] for each in sandbox.commands.usable(in_guild=False)) == ["invite", "pay"]


async def test_a_command_is_changed_and_removed_by_its_id(sandbox: Sandbox, api: Api) -> None:
    path = f"/applications/{sandbox.bot_user_id}/commands"
    made = await api("POST", path, {"name": "pay", "description": "Pay"})
    one = f"{path}/{made.body['id']}"
    assert (await api("PATCH", one, {"description": "Pay all"})).body["description"] == "Pay all"
    assert (await api("GET", one)).body["name"] == "pay"
    assert (await api("DELETE", one)).status == 204
    assert (await api("GET", one)).body["code"] == 10063
