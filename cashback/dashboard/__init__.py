"""The dashboard: web pages for admins, the purchase intake and the metrics, as one server in the bot's process."""

from cashback.dashboard.metrics import CountingMessenger, CountingObserver, Metrics
from cashback.dashboard.server import Dashboard, Dependencies

__all__ = ["CountingMessenger", "CountingObserver", "Dashboard", "Dependencies", "Metrics"]
