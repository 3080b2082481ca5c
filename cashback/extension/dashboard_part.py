"""The dashboard and the metrics in the bot. If they are not enabled, nothing of them is imported: it would be 7 MB."""

from typing import TYPE_CHECKING, Any

from cashback.database import Database
from cashback.domain.ports import Messenger, Observer
from cashback.services import AdminService
from cashback.settings import Settings

if TYPE_CHECKING:
    from cashback.dashboard import Dashboard, Metrics


class DashboardPart:
    """Counts for the metrics what passes, if the dashboard is enabled."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metrics = _metrics(settings) if settings.dashboard.enabled else None

    def counting_observer(self, following: Observer) -> Observer:
        """Return an observer that counts, then calls the next one; without metrics the next one itself."""
        if self._metrics is None:
            return following
        from cashback.dashboard import CountingObserver  # noqa: PLC0415 -- the point of this module

        return CountingObserver(self._metrics, following)

    def counting_messenger(self, following: Messenger) -> Messenger:
        """Return a messenger that counts what the next one sends; without metrics the next one itself."""
        if self._metrics is None:
            return following
        from cashback.dashboard import CountingMessenger  # noqa: PLC0415 -- as above

        return CountingMessenger(self._metrics, following)

    def dashboard(self, database: Database, service: AdminService, **asked: Any) -> "Dashboard | None":  # noqa: ANN401 -- as `Dependencies` has them
        """Return the dashboard with what it asks the program, as in `Dependencies`; None if it is not enabled."""
        if self._metrics is None:
            return None
        from cashback.dashboard import Dashboard, Dependencies  # noqa: PLC0415 -- as above

        return Dashboard(database, service, self._settings, Dependencies(metrics=self._metrics, **asked))


def _metrics(settings: Settings) -> "Metrics":
    from cashback.dashboard import Metrics  # noqa: PLC0415 -- as above

    return Metrics(settings.intake_keys)
