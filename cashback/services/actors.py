"""The actors: the person or process that uses a service, and from which source."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Source(StrEnum):
    """The source of an action."""

    DISCORD = "discord"
    CLI = "cli"
    SCHEDULE = "schedule"
    DASHBOARD = "dashboard"
    SHOP = "shop"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The actor of an action. An actor of Discord or the dashboard carries the member's roles of this moment."""

    source: Source
    user_id: int | None = None
    role_ids: frozenset[int] = frozenset()
    key: str | None = None

    def __str__(self) -> str:
        """Return the name that batches and the audit log keep."""
        who = self.key if self.user_id is None else self.user_id
        return f"{self.source}:{who}" if who is not None else str(self.source)


CLI: Final = Actor(source=Source.CLI)
SCHEDULE: Final = Actor(source=Source.SCHEDULE)
SYSTEM: Final = Actor(source=Source.SYSTEM)
