"""The commands for admins, one group: `sendref-cashb` and what may follow it. A file is one part of them."""

from cogs.admin.dashboard import DashboardLink
from cogs.admin.payouts import Payouts


class AdminCommands(Payouts, DashboardLink):
    """All of them as one cog."""


__all__ = ["AdminCommands"]
