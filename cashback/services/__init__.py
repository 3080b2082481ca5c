"""The services: what an admin may do and until when, for Discord, the command line and the schedule alike.

Who counts as an admin is decided here, not in a view; every refusal is in the audit log. That two admins are two
people is decided where it is recorded, in the ledger. Each file is one part.
"""

from cashback.services.actors import CLI, SCHEDULE, Actor, Source
from cashback.services.auto_withdrawals import AutoWithdrawals
from cashback.services.members import Members, read_code
from cashback.services.notifications import Notifications
from cashback.services.orders import Orders
from cashback.services.proposals import EVERYONE, Proposals
from cashback.services.reconciliation import Reconciliation
from cashback.services.reversals import Reversals
from cashback.services.runs import Runs
from cashback.services.setup import Setup
from cashback.services.shops import Shops
from cashback.services.sign_ins import SignIns
from cashback.services.terms import batch_limits_of


class AdminService(
    Reconciliation,
    Members,
    Notifications,
    Orders,
    Proposals,
    Reversals,
    Runs,
    Setup,
    Shops,
    SignIns,
    AutoWithdrawals,
):
    """Checks admins' requests and hands approved batches to the runner."""


__all__ = ["CLI", "EVERYONE", "SCHEDULE", "Actor", "AdminService", "Source", "batch_limits_of", "read_code"]
