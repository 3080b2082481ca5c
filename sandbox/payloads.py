"""The JSON shapes in which Discord shows its objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.state import ROLE_MENTION, USER_MENTION

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.model import Attachment, Channel, Invocation, Json, Member, Message, Role
    from sandbox.state import State

GATEWAY_MESSAGE_CONTENT = 1 << 18
GATEWAY_GUILD_MEMBERS = 1 << 14
ATTACHMENT_BYTES = 10 * 1024 * 1024
BOT_PERMISSIONS = "2251799813685247"
EMPTY_IN_A_GUILD = (
    "icon",
    "description",
    "home_header",
    "splash",
    "discovery_splash",
    "banner",
    "application_id",
    "afk_channel_id",
    "system_channel_id",
    "widget_channel_id",
    "max_presences",
    "vanity_url_code",
    "rules_channel_id",
    "safety_alerts_channel_id",
    "public_updates_channel_id",
    "incidents_data",
)


def iso(moment: datetime) -> str:
    """Write a moment as Discord does."""
    return moment.isoformat(timespec="microseconds")


def user(member: Member) -> Json:
    """Show a person, wherever they are."""
    shape: Json = {
        "id": str(member.id),
        "username": member.name,
        "discriminator": "0",
        "global_name": None if member.bot else member.name,
        "avatar": None,
        "banner": None,
        "accent_color": None,
        "avatar_decoration_data": None,
        "collectibles": None,
        "primary_guild": None,
        "public_flags": 0,
        "flags": 0,
    }
    if member.bot:
        shape["bot"] = True
    return shape


def current_user(member: Member) -> Json:
    """Show the bot, as it sees itself."""
    return {**user(member), "mfa_enabled": True, "locale": "en-US", "verified": True, "email": None}


def member_without_user(member: Member) -> Json:
    """Show a person's membership, as it stands beside a message's author."""
    return {
        "roles": [str(role_id) for role_id in member.role_ids],
        "joined_at": iso(member.joined_at),
        "nick": None,
        "avatar": None,
        "banner": None,
        "premium_since": None,
        "communication_disabled_until": None,
        "pending": False,
        "deaf": False,
        "mute": False,
        "flags": 0,
    }


def member(person: Member) -> Json:
    """Show a person's membership."""
    return {**member_without_user(person), "user": user(person)}


def role(each: Role) -> Json:
    """Show a role."""
    return {
        "id": str(each.id),
        "name": each.name,
        "permissions": str(each.permissions),
        "position": each.position,
        "color": each.color,
        "colors": {"primary_color": each.color, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "managed": False,
        "mentionable": True,
        "icon": None,
        "unicode_emoji": None,
        "flags": 0,
    }


def channel(state: State, each: Channel) -> Json:
    """Show a channel of the guild, or a DM."""
    last = None if each.last_message_id is None else str(each.last_message_id)
    if each.recipient_id is not None:
        recipient = user(state.user(each.recipient_id))
        return {"id": str(each.id), "type": 1, "flags": 0, "last_message_id": last, "recipients": [recipient]}
    return {
        "id": str(each.id),
        "type": 0,
        "guild_id": str(state.guild_id),
        "name": each.name,
        "position": each.position,
        "permission_overwrites": [],
        "parent_id": None,
        "topic": None,
        "nsfw": False,
        "rate_limit_per_user": 0,
        "last_message_id": last,
        "flags": 0,
    }


def guild(state: State) -> Json:
    """Show the guild, as REST shows it."""
    owner = next((each for each in state.guild_members() if not each.bot), state.bot)
    nothing = dict.fromkeys(EMPTY_IN_A_GUILD)
    return {
        **nothing,
        "id": str(state.guild_id),
        "name": state.guild_name,
        "owner_id": str(owner.id),
        "features": [],
        "region": "local",
        "afk_timeout": 300,
        "system_channel_flags": 0,
        "widget_enabled": False,
        "verification_level": 0,
        "roles": [role(each) for each in state.roles.values()],
        "default_message_notifications": 0,
        "mfa_level": 0,
        "explicit_content_filter": 0,
        "max_members": 500_000,
        "max_stage_video_channel_users": 50,
        "max_video_channel_users": 25,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "preferred_locale": "en-US",
        "premium_progress_bar_enabled": False,
        "nsfw": False,
        "nsfw_level": 0,
        "emojis": [],
        "stickers": [],
    }


def guild_create(state: State, *, large_threshold: int, with_members: bool) -> Json:
    """Show the guild as the Gateway announces it; without the presences intent only the bot is among its members."""
    people = state.guild_members()
    return {
        **guild(state),
        "joined_at": iso(state.bot.joined_at),
        "large": len(people) > large_threshold,
        "unavailable": False,
        "member_count": len(people),
        "members": [member(each) for each in (people if with_members else [state.bot])],
        "channels": [channel(state, each) for each in state.guild_channels()],
        "threads": [],
        "presences": [],
        "voice_states": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def application(state: State) -> Json:
    """Show the bot's application."""
    owner = next((each for each in state.guild_members() if not each.bot), state.bot)
    return {
        "id": str(state.bot.id),
        "name": state.bot.name,
        "icon": None,
        "description": "",
        "type": None,
        "bot": user(state.bot),
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "flags": GATEWAY_MESSAGE_CONTENT | GATEWAY_GUILD_MEMBERS,
        "flags_new": str(GATEWAY_MESSAGE_CONTENT | GATEWAY_GUILD_MEMBERS),
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "owner": user(owner),
        "approximate_guild_count": 1,
        "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "team": None,
        "eligible_oauth2_scopes": [],
    }


def attachment(each: Attachment) -> Json:
    """Show a file of a message."""
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
    """Show what a message answers."""
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
    return shape


def message(state: State, each: Message) -> Json:
    """Show a message."""
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


def message_type(each: Message) -> int:
    """Discord's number for the kind of message: 20 answers a slash command, 19 replies, 0 is any other."""
    if each.invocation is not None and each.invocation.name is not None:
        return 20
    return 0 if each.reference_id is None else 19


def numbered(rows: list[Json]) -> list[Json]:
    """Components with the ids that Discord gives them, in reading order."""
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
    """Show a message as the Gateway sends it: in the guild with its guild and its author's membership."""
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
