"""The points to build on: what a package outside this project imports to add to the program without changing it.

`cashback.extend.shops` has those for shops. docs/reference/extending.md lists all and says what may change; everything
else is private.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cashback.domain.model import BatchReport, ChunkCredited, Delivery, DeliveryStatus, PayoutNotice
from cashback.domain.money import dollars
from cashback.domain.ports import Messenger, Observer, Page

__all__ = [
    "Additions",
    "BatchReport",
    "ChunkCredited",
    "Delivery",
    "DeliveryStatus",
    "Messenger",
    "Observer",
    "Page",
    "PayoutNotice",
    "dollars",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Additions:
    """Set one as `bot.cashback_additions` before the extension is loaded.

    `messenger` gets the messenger that sends direct messages on Discord, and returns the one that is used instead: it
    may pass messages on to the first. `observers` are notified about the progress of every run. `pages` are
    added to the dashboard.
    """

    messenger: Callable[[Messenger], Messenger] | None = None
    observers: tuple[Observer, ...] = ()
    pages: tuple[Page, ...] = ()
