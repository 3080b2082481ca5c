"""The commands for admins, `sendref-cashb` and what may follow it, and `referral-…`. A file is one part of them."""

from cogs.admin.dashboard import DashboardLink
from cogs.admin.exporting import ExportCommands
from cogs.admin.history import HistoryCommands
from cogs.admin.payouts import Payouts
from cogs.admin.referrals import Referrals
from cogs.admin.reversals import ReversalCommands
from cogs.admin.runs import RunCommands
from cogs.admin.schedule import ScheduleCommands
from cogs.admin.statistics import StatisticsCommands
from cogs.admin.status import StatusCommands


class AdminCommands(
    Payouts,
    ExportCommands,
    HistoryCommands,
    ReversalCommands,
    RunCommands,
    ScheduleCommands,
    StatisticsCommands,
    StatusCommands,
    DashboardLink,
    Referrals,
):
    """All of them as one cog."""


__all__ = ["AdminCommands"]
