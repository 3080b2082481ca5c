"""The slash commands for members. Their answers are private. Each file has a part of them."""

from cashback.cogs.members.accounts import Accounts
from cashback.cogs.members.help import HelpCommand
from cashback.cogs.members.invitations import Invitations
from cashback.cogs.members.shops import ShopCommands
from cashback.cogs.members.wallets import WalletCommands


class MemberCommands(Invitations, Accounts, WalletCommands, ShopCommands, HelpCommand, name="Cashback"):
    """All commands for members as one cog."""


__all__ = ["MemberCommands"]
