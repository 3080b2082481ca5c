"""A shop system's deliveries: how they prove themselves, what they mean, and how to set the shop up."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cashback.domain.errors import CashbackError
from cashback.domain.shop_events import ShopEvent


class UnverifiedError(CashbackError):
    """The delivery does not prove that it comes from the shop."""


class StaleError(UnverifiedError):
    """The delivery's timestamp is too old or too new."""


class UnreadableError(CashbackError):
    """The delivery comes from the shop, but a value in it is missing or not what it should be."""


class Counts(StrEnum):
    """Which amount of an order counts: that of the goods, or all that was paid."""

    SUBTOTAL = "subtotal"
    TOTAL = "total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A request of a shop. The names of `headers` are in lower case; `url` is the address that the shop was given."""

    headers: Mapping[str, str]
    body: bytes
    now: datetime
    url: str = ""
    query: Mapping[str, str] | None = None

    def header(self, name: str) -> str:
        """Return a header. Raises UnverifiedError if it is missing."""
        value = self.headers.get(name.lower(), "").strip()
        if not value:
            raise UnverifiedError(f"The header {name} is missing.")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a delivery means. Without events, `remark` explains why it changes nothing.

    `event_id` is None if the shop gives no id that is signed: the body itself is the id then.
    """

    topic: str
    event_id: str | None = None
    events: tuple[ShopEvent, ...] = ()
    remark: str | None = None
    answer: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookKind:
    """One shop system. `verify` raises UnverifiedError; `read` raises UnreadableError.

    `parameter` is the name under which a link can carry the member's id into the checkout, None if no link can.
    `greeting` answers a first request that the shop does not sign. `steps` are what to do in the shop's admin pages.
    """

    name: str
    title: str
    verify: Callable[[Delivery, Sequence[bytes]], None]
    read: Callable[[Delivery, Counts], Reading]
    steps: tuple[str, ...]
    parameter: str | None = None
    greeting: Callable[[Delivery], bool] | None = None
    has_secret_in_address: bool = False
    is_secret_invented: bool = False
    """Whether the shop's owner chooses the secret."""
