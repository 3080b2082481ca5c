"""The slash commands for members. Their answers are for one pair of eyes. A file is one part of them."""

from cashback.cogs.members.accounts import Accounts
from cashback.cogs.members.invitations import Invitations


class MemberCommands(Invitations, Accounts):
    """All of them as one cog."""


__all__ = ["MemberCommands"]
