"""The page of the settings in force: for reading, and to apply the configured schedule."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from aiohttp import web

from cashback.dashboard.auth import VISITOR
from cashback.dashboard.pages import page, see_other
from cashback.dashboard.setting_names import NAMES
from cashback.dashboard.template_filters import state
from cashback.database import Database
from cashback.domain.money import DOLLARS, dollars, money_style
from cashback.services import AdminService
from cashback.settings import Settings

PLACES: Final = ("role_ids", "logging_channels")
"""The parts whose values are ids of roles and channels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: its name in words, its key, its value in words, and what it may be.

    `place_id` is the id of a role or a channel; then the value is its name, or the id if the name is unknown.
    """

    name: str
    key: str
    value: str
    meaning: str
    place_id: int | None = None


class SettingsPage:
    """Shows the settings with which this process runs."""

    def __init__(
        self,
        database: Database,
        service: AdminService,
        settings: Settings,
        place_name: Callable[[int], str | None],
    ) -> None:
        self._database = database
        self._service = service
        self._settings = settings
        self._place_name = place_name

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [web.get("/settings", self.show), web.post("/settings/reload-schedule", self.reload_schedule)]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show the page."""
        return await page(
            request,
            "settings.html",
            now=self._database.now(),
            terms=self._service.terms_line,
            schedule=await self._service.schedule_overview(),
            groups={state(name).capitalize(): list(self._rows(name, getattr(self._settings, name))) for name in NAMES},
        )

    async def reload_schedule(self, request: web.Request) -> web.StreamResponse:
        """Read the configuration again and put its schedule in force."""
        await self._service.reload_schedule(request[VISITOR].actor)
        return see_other("/settings")

    def _rows(self, part: str, group: Any) -> Iterable[Setting]:  # noqa: ANN401 -- a part of the settings
        for name, field in type(group).model_fields.items():
            key, value = field.alias or name, getattr(group, name)
            place_id = value if part in PLACES else None
            shown = _in_words(key, value) if place_id is None else self._place_name(place_id) or str(place_id)
            yield Setting(name=NAMES[part][key], key=key, value=shown, meaning=_meaning(field), place_id=place_id)


def _meaning(field: Any) -> str:  # noqa: ANN401 -- the settings' library stays in the settings
    """Return what a setting may be. If it may be null, that is at the type next to null."""
    inner = (each for kind in get_args(field.annotation) for each in get_args(kind)[1:])
    found = (getattr(each, "description", None) for each in (field, *inner))
    meaning = next(filter(None, found), "")
    if money_style().currency == DOLLARS:
        return meaning
    return meaning.replace(" of cents", " of the currency's smallest units")


def _in_words(key: str, value: Any) -> str:  # noqa: ANN401 -- whatever a setting holds
    if value is None or hasattr(value, "get_secret_value"):
        return "not set" if value is None else "set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and "_cents" in key:
        return dollars(value)
    if isinstance(value, Mapping | list | tuple | frozenset):
        return ", ".join(map(str, value)) or "none"
    return str(value)
