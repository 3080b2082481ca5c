"""Discord's JSON shapes of messages and their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.payloads import iso, member_without_user, user
from sandbox.state import ROLE_MENTION, USER_MENTION

if TYPE_CHECKING:
    from sandbox.model import Attachment, Invocation, Json, Message
    from sandbox.state import State


def attachment(each: Attachment) -> Json:
    """Serialize a file of a message."""
    shape: Json = {
        "id": str(each.id),
        "filename": each.filename,
        "size": len(each.data),
        "url": each.url,
        "proxy_url": each.url,
        "content_type": each.content_type,
    }
    if each.description is not None:
        shape["description"] = each.description
    return shape


def invocation(state: State, each: Invocation) -> Json:
    """Serialize the interaction that a message answers."""
    shape: Json = {
        "id": str(each.id),
        "type": each.kind,
        "user": user(state.user(each.user_id)),
        "authorizing_integration_owners": {"0": str(state.guild_id)},
    }
    if each.name is not None:
        shape["name"] = each.name
    if each.message_id is not None:
        shape["interacted_message_id"] = str(each.message_id)
    if each.trigger is not None:
        shape["triggering_interaction_metadata"] = invocation(state, each.trigger)
    return shape


def message(state: State, each: Message) -> Json:
    """Serialize a message."""
    mentioned = dict.fromkeys(int(found) for found in USER_MENTION.findall(each.content))
    shape: Json = {
        "id": str(each.id),
        "channel_id": str(each.channel_id),
        "type": message_type(each),
        "author": user(state.user(each.author_id)),
        "content": each.content,
        "timestamp": iso(each.created_at),
        "edited_timestamp": None if each.edited_at is None else iso(each.edited_at),
        "tts": each.tts,
        "mention_everyone": each.pings_everyone,
        "mentions": [user(state.members[found]) for found in mentioned if found in state.members],
        "mention_roles": [found for found in ROLE_MENTION.findall(each.content) if int(found) in state.roles],
        "attachments": [attachment(file) for file in each.attachments],
        "embeds": [{"type": "rich", **embed} for embed in each.embeds],
        "components": numbered(each.components),
        "pinned": False,
        "flags": each.flags,
    }
    if each.reactions:
        shape["reactions"] = [reaction(state, emoji, people) for emoji, people in each.reactions.items()]
    if each.nonce is not None:
        shape["nonce"] = each.nonce
    if each.reference_id is not None:
        shape["message_reference"] = {
            "type": 0,
            "channel_id": str(each.channel_id),
            "message_id": str(each.reference_id),
        }
    if each.invocation is not None:
        shape["interaction_metadata"] = invocation(state, each.invocation)
        shape["application_id"] = shape["webhook_id"] = str(state.bot.id)
    return shape


def reaction(state: State, emoji: str, people: list[int]) -> Json:
    """Return the JSON of the reactions with one emoji."""
    return {
        "emoji": partial_emoji(emoji),
        "count": len(people),
        "count_details": {"burst": 0, "normal": len(people)},
        "burst_colors": [],
        "me": state.bot.id in people,
        "me_burst": False,
    }


def partial_emoji(emoji: str) -> Json:
    """Return the JSON of an emoji: a character, or `name:id`."""
    name, colon, emoji_id = emoji.removeprefix("a:").partition(":")
    return {"id": emoji_id if colon else None, "name": name if colon else emoji}


def message_type(each: Message) -> int:
    """Discord's number for the kind of message: 20 answers a slash command, 19 replies, 0 is any other."""
    if each.invocation is not None and each.invocation.name is not None:
        return 20
    return 0 if each.reference_id is None else 19


def numbered(rows: list[Json]) -> list[Json]:
    """Return the components with the ids that Discord gives them, in reading order."""
    shown: list[Json] = []
    next_id = 1
    for row in rows:
        inner: list[Json] = []
        row_id = next_id
        next_id += 1
        for part in row.get("components", []):
            inner.append({"id": next_id, **part})
            next_id += 1
        shown.append({"id": row_id, **row, "components": inner})
    return shown


def gateway_message(state: State, each: Message) -> Json:
    """Serialize a message for the Gateway: in the guild, with the guild and its author's membership."""
    shape = message(state, each)
    if not state.channel(each.channel_id).is_direct:
        shape["guild_id"] = str(state.guild_id)
        author = state.user(each.author_id)
        if author.in_guild:
            shape["member"] = member_without_user(author)
        for mention in shape["mentions"]:
            person = state.user(int(mention["id"]))
            if person.in_guild:
                mention["member"] = member_without_user(person)
    return shape
