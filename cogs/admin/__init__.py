"""The commands for admins, one group: `sendref-cashb` and what may follow it. A file is one part of them."""

from cogs.admin.payouts import Payouts


class AdminCommands(Payouts):
    """All of them as one cog."""


__all__ = ["AdminCommands"]
