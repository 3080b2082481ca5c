"""Patreon: the members export has sums over the life of a membership, no orders, and Discord names instead of ids."""

from typing import Final

from cashback.shops.kinds.kind import FileKind

MEMBERS: Final = FileKind(
    name="Patreon members",
    identified_by=frozenset({"name", "email", "discord", "patron status", "lifetime amount"}),
    refusal="it has each member's sums, not orders, and Discord names instead of ids",
)
