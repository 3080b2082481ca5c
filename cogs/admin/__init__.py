"""The commands for admins, `sendref-cashb` and what may follow it, and `referral-…`. A file is one part of them."""

from cogs.admin.dashboard import DashboardLink
from cogs.admin.exporting import ExportCommands
from cogs.admin.payouts import Payouts
from cogs.admin.referrals import Referrals
from cogs.admin.reversals import ReversalCommands
from cogs.admin.runs import RunCommands
from cogs.admin.schedule import ScheduleCommands
from cogs.admin.statistics import StatisticsCommands


class AdminCommands(
    Payouts,
    ExportCommands,
    ReversalCommands,
    RunCommands,
    ScheduleCommands,
    StatisticsCommands,
    DashboardLink,
    Referrals,
):
    """All of them as one cog."""


__all__ = ["AdminCommands"]
