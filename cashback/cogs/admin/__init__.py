"""The commands for admins: `sendref-cashb` with its subcommands, and `referral-…`. Each file has a part of them."""

from cashback.cogs.admin.base import CommandServices
from cashback.cogs.admin.dashboard import DashboardLink
from cashback.cogs.admin.exporting import ExportCommands
from cashback.cogs.admin.help import HelpForAdmins
from cashback.cogs.admin.history import HistoryCommands
from cashback.cogs.admin.notifications import NotificationCommands
from cashback.cogs.admin.orders import OrderCommands
from cashback.cogs.admin.payouts import Payouts
from cashback.cogs.admin.referrals import Referrals
from cashback.cogs.admin.reversals import ReversalCommands
from cashback.cogs.admin.runs import RunCommands
from cashback.cogs.admin.schedule import ScheduleCommands
from cashback.cogs.admin.setup import SetupCommands
from cashback.cogs.admin.statistics import StatisticsCommands
from cashback.cogs.admin.status import StatusCommands
from cashback.cogs.admin.withdrawals import WithdrawalCommands


class AdminCommands(
    Payouts,
    ExportCommands,
    HelpForAdmins,
    HistoryCommands,
    NotificationCommands,
    OrderCommands,
    ReversalCommands,
    RunCommands,
    ScheduleCommands,
    SetupCommands,
    StatisticsCommands,
    StatusCommands,
    DashboardLink,
    Referrals,
    WithdrawalCommands,
    name="Cashback for admins",
):
    """All commands for admins as one cog."""


__all__ = ["AdminCommands", "CommandServices"]
