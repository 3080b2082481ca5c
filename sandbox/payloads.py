"""Discord's JSON shapes of people, channels, the guild and the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.channel_types import ChannelType

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.model import Channel, Json, Member, Role
    from sandbox.state import State

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
    """Format a moment like Discord."""
    return moment.isoformat(timespec="microseconds")


def user(member: Member) -> Json:
    """Serialize a user."""
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
    """Serialize the bot for itself."""
    return {**user(member), "mfa_enabled": True, "locale": "en-US", "verified": True, "email": None}


def member_without_user(member: Member) -> Json:
    """Serialize a person's membership as a part of a message."""
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
    """Serialize a person's membership."""
    return {**member_without_user(person), "user": user(person)}


def role(each: Role) -> Json:
    """Serialize a role."""
    return {
        "id": str(each.id),
        "name": each.name,
        "permissions": str(each.permissions),
        "position": each.position,
        "color": each.color,
        "colors": {"primary_color": each.color, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "managed": each.managed,
        **({"tags": {"integration_id": str(each.id)}} if each.managed else {}),
        "mentionable": True,
        "icon": None,
        "unicode_emoji": None,
        "flags": 0,
    }


def channel(state: State, each: Channel) -> Json:
    """Serialize a channel of the guild, or a DM."""
    last = None if each.last_message_id is None else str(each.last_message_id)
    if each.recipient_id is not None:
        recipient = user(state.user(each.recipient_id))
        return {"id": str(each.id), "type": 1, "flags": 0, "last_message_id": last, "recipients": [recipient]}
    if each.is_thread:
        return thread(state, each)
    shape: Json = {
        "id": str(each.id),
        "type": int(each.kind),
        "guild_id": str(state.guild_id),
        "name": each.name,
        "position": each.position,
        "permission_overwrites": each.overwrites,
        "parent_id": None if each.parent_id is None else str(each.parent_id),
        "topic": None,
        "nsfw": False,
        "rate_limit_per_user": 0,
        "last_message_id": last,
        "flags": 0,
    }
    if each.kind in {ChannelType.VOICE, ChannelType.STAGE}:
        shape |= {"bitrate": 64_000, "user_limit": 0, "rtc_region": None}
    if each.kind in {ChannelType.FORUM, ChannelType.MEDIA}:
        shape |= {"available_tags": [], "default_reaction_emoji": None, "default_sort_order": None}
        shape |= {"default_forum_layout": 0} if each.kind == ChannelType.FORUM else {}
    return shape


def thread(state: State, each: Channel) -> Json:
    """Return the JSON of a thread."""
    last = None if each.last_message_id is None else str(each.last_message_id)
    created_at = iso(each.created_at or state.now())
    return {
        "id": str(each.id),
        "type": int(each.kind),
        "guild_id": str(state.guild_id),
        "name": each.name,
        "parent_id": str(each.parent_id),
        "owner_id": str(state.bot.id),
        "rate_limit_per_user": 0,
        "last_message_id": last,
        "flags": 0,
        "message_count": len(state.history(each.id)),
        "total_message_sent": len(state.history(each.id)),
        "member_count": 1,
        "thread_metadata": {
            "archived": each.archived,
            "auto_archive_duration": 1440,
            "archive_timestamp": created_at,
            "locked": each.locked,
            "create_timestamp": created_at,
        },
    }


def guild(state: State) -> Json:
    """Serialize the guild for REST."""
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
    """Serialize the guild for the Gateway; without the presences intent only the bot is among its members."""
    people = state.guild_members()
    return {
        **guild(state),
        "joined_at": iso(state.bot.joined_at),
        "large": len(people) > large_threshold,
        "unavailable": False,
        "member_count": len(people),
        "members": [member(each) for each in (people if with_members else [state.bot])],
        "channels": [channel(state, each) for each in state.guild_channels()],
        "threads": [thread(state, each) for each in state.threads() if not each.archived],
        "presences": [],
        "voice_states": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def application(state: State) -> Json:
    """Serialize the bot's application."""
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
        "flags": state.application_flags,
        "flags_new": str(state.application_flags),
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
