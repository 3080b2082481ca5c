"""All kinds of shops: those of this project, and those that other installed packages add as `cashback.shops`."""

from collections.abc import Collection, Mapping
from functools import cache

from cashback.domain import entry_points
from cashback.domain.errors import CashbackError
from cashback.shops import kinds, webhooks
from cashback.shops.kinds.kind import FileKind
from cashback.shops.webhooks.kind import WebhookKind


def recognise(columns: Collection[str]) -> FileKind | None:
    """Return the kind of file whose columns a header has, None for a file of no known shop. Raises CashbackError."""
    return kinds.recognise(columns) or next((each for each in _files() if each.identified_by <= set(columns)), None)


def webhook_kinds() -> Mapping[str, WebhookKind]:
    """Return the shop systems whose deliveries are understood, by their names. Raises CashbackError."""
    return {**_deliveries(), **webhooks.KINDS}


@cache
def _added() -> tuple[FileKind | WebhookKind, ...]:
    found = []
    for point in entry_points.added(entry_points.SHOPS).values():
        kind = entry_points.load(point)
        package = entry_points.package_of(point)
        if not isinstance(kind, (FileKind, WebhookKind)):
            raise CashbackError(
                f"{point.group} {point.name!r} of the package {package} is a {type(kind).__name__}, but must be a"
                " FileKind or a WebhookKind; update or uninstall that package."
            )
        if isinstance(kind, WebhookKind) and kind.name != point.name:
            raise CashbackError(
                f"{point.group} {point.name!r} of the package {package} has the name {kind.name!r} inside, but both"
                " must be the same; update or uninstall that package."
            )
        found.append(kind)
    return tuple(found)


def _files() -> list[FileKind]:
    return [kind for kind in _added() if isinstance(kind, FileKind)]


def _deliveries() -> dict[str, WebhookKind]:
    return {kind.name: kind for kind in _added() if isinstance(kind, WebhookKind)}
