"""The slash commands for members. Their answers are private. Each file has a part of them."""

from cashback.cogs.members.accounts import Accounts
from cashback.cogs.members.invitations import Invitations


class MemberCommands(Invitations, Accounts):
    """All commands for members as one cog."""


__all__ = ["MemberCommands"]
