"""Who sees a channel: roles and a channel's own rules, combined as Discord combines them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.model import ADMINISTRATOR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.model import Channel, Json, Member
    from sandbox.state import State

VIEW_CHANNEL = 1 << 10
ROLE, MEMBER = 0, 1


def sees(state: State, member: Member, channel: Channel) -> bool:
    """Return whether a member sees a channel; a thread is seen like its channel."""
    if channel.is_direct:
        return channel.recipient_id == member.id
    if channel.is_thread and channel.parent_id in state.channels:
        return sees(state, member, state.channels[channel.parent_id])
    if not member.in_guild:
        return False
    bits = state.permissions_of(member)
    if bits & ADMINISTRATOR:
        return True
    rules = {int(each["id"]): each for each in channel.overwrites}
    for ids in ([state.guild_id], member.role_ids, [member.id]):
        bits = _changed(bits, [rules[each] for each in ids if each in rules])
    return bool(bits & VIEW_CHANNEL)


def only_for(state: State, role_ids: Iterable[int]) -> list[Json]:
    """Return the rules of a channel that these roles and the bot see, and nobody else."""
    allowed = [(each, ROLE) for each in role_ids] + [(state.bot.id, MEMBER)]
    hidden = {"id": str(state.guild_id), "type": ROLE, "allow": "0", "deny": str(VIEW_CHANNEL)}
    return [hidden, *({"id": str(i), "type": kind, "allow": str(VIEW_CHANNEL), "deny": "0"} for i, kind in allowed)]


def _changed(bits: int, rules: list[Json]) -> int:
    """Apply rules of one level: what one of them allows is allowed, whatever the others deny."""
    for each in rules:
        bits &= ~int(each["deny"])
    for each in rules:
        bits |= int(each["allow"])
    return bits
