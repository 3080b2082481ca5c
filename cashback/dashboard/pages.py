"""Rendering of pages. Templates come with the package and escape every value."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp_jinja2
import jinja2
from aiohttp import web

from cashback.dashboard import template_filters
from cashback.dashboard.auth import VISITOR

FOLDER: Final = Path(__file__).parent


def set_up(app: web.Application) -> None:
    """Register the templates and static files with an application."""
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(template_filters.FILTERS)
    app.router.add_static("/static/", FOLDER / "static", name="static")


def page(request: web.Request, template: str, *, now: datetime, **shown: Any) -> web.Response:  # noqa: ANN401 -- a template's values
    """Render a page."""
    return aiohttp_jinja2.render_template(template, request, {"now": now, **_frame(request), **shown})


def fragment(request: web.Request, template: str, shown: Mapping[str, Any]) -> str:
    """Render a part of a page."""
    return aiohttp_jinja2.render_string(template, request, {**_frame(request), **shown})


def error_page(request: web.Request, status: int, text: str) -> web.Response:
    """Render an error, with a link back."""
    shown = {**_frame(request), "title": HTTPStatus(status).phrase, "text": text, "now": None}
    return aiohttp_jinja2.render_template("error.html", request, shown, status=status)


def see_other(address: str) -> web.Response:
    """Redirect after an action, so that reloading the page does not repeat it."""
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": address})


def _frame(request: web.Request) -> dict[str, Any]:
    """Return the values of the frame around every page."""
    return {"visitor": request.get(VISITOR), "path": request.path}


def number_in(request: web.Request, name: str, *, default: int = 0) -> int:
    """Read a whole number from the query or the path, or the default if it is missing or not a number."""
    text = request.match_info.get(name) or request.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < len(str(2**63)) else default
