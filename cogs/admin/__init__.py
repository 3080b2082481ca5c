"""The commands for admins, one group: `sendref-cashb` and what may follow it. A file is one part of them."""

from cogs.admin.dashboard import DashboardLink
from cogs.admin.payouts import Payouts
from cogs.admin.runs import RunCommands
from cogs.admin.schedule import ScheduleCommands


class AdminCommands(Payouts, RunCommands, ScheduleCommands, DashboardLink):
    """All of them as one cog."""


__all__ = ["AdminCommands"]
