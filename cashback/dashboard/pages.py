"""Rendering of pages. Templates come with the package and escape every value."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp_jinja2
import anyio
import jinja2
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from cashback.dashboard import template_filters
from cashback.dashboard.audit_sentences import sentence
from cashback.dashboard.auth import VISITOR
from cashback.dashboard.people import PEOPLE, shown_actor
from cashback.database.referral_program.people import LARGEST_ID
from cashback.domain.money import money_style

FORM_SECONDS: Final = 10
LONGEST_TYPED: Final = 500
TOKENS: Final = ("form_token", "batch_token")
TYPED: Final = ("reason", "reference", "referrer_id", "value")
"""The fields of forms that people type into; the others are chosen by a page."""

LARGEST_PAGE: Final = 1_000_000
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
        finalize=_encodable,
    )
    environment.filters.update(template_filters.FILTERS)
    environment.globals["typed_fields"] = TYPED
    environment.filters.update(shown_actor=shown_actor, sentence=sentence)
    app.router.add_static("/static/", FOLDER / "static", name="static")


def _encodable(value: Any) -> Any:  # noqa: ANN401 -- a template's values
    """Replace bytes of an address that are not UTF-8: a page could not be encoded with them."""
    if isinstance(value, str) and not value.isascii():
        return type(value)(value.encode(errors="replace").decode())
    return value


async def page(request: web.Request, template: str, *, now: datetime, **shown: Any) -> web.Response:  # noqa: ANN401 -- a template's values
    """Render a page, with the names of the people on it."""
    values = await _with_names(request, {"now": now, **_frame(request), **shown})
    return aiohttp_jinja2.render_template(template, request, values)


async def fragment(request: web.Request, template: str, shown: Mapping[str, Any]) -> str:
    """Render a part of a page, with the names of the people on it."""
    return aiohttp_jinja2.render_string(template, request, await _with_names(request, {**_frame(request), **shown}))


async def _with_names(request: web.Request, values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "names": await request.app[PEOPLE].named(values)}


async def error_page(
    request: web.Request, status: int, text: str, *, typed: Sequence[tuple[str, str]] = ()
) -> web.Response:
    """Render an error, with a link back, or with the form and what was typed into it."""
    shown = {**_frame(request), "title": HTTPStatus(status).phrase, "text": text, "now": None, "typed": typed}
    if VISITOR in request:
        shown = await _with_names(request, shown)
    return aiohttp_jinja2.render_template("error.html", request, shown, status=status)


def see_other(address: str) -> web.Response:
    """Redirect after an action, so that reloading the page does not repeat it."""
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": address})


async def form_of(request: web.Request) -> Mapping[str, str | bytes | bytearray | web.FileField]:
    """Read a form. Raises HTTPBadRequest if it is not a form, HTTPRequestTimeout if it arrives too slowly."""
    try:
        with anyio.fail_after(FORM_SECONDS):
            return await request.post()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(reason=f"The form did not arrive within {FORM_SECONDS} seconds") from error
    except (ValueError, LookupError, AssertionError, RuntimeError, HttpProcessingError) as error:
        # An unknown charset or encoding, or a broken multipart body.
        raise web.HTTPBadRequest(reason="The body is not a readable form") from error


async def typed_in(request: web.Request) -> list[tuple[str, str]]:
    """Return the fields of a form, without its tokens, if a person typed something into one of them."""
    form = await form_of(request)
    fields = [(name, value[:LONGEST_TYPED]) for name, value in form.items() if isinstance(value, str)]
    kept = [(name, value) for name, value in fields if name not in TOKENS]
    return kept if any(value for name, value in kept if name in TYPED) else []


async def field_of(request: web.Request, name: str) -> str:
    """Return a text field of a form on one line, without control characters, or an empty text."""
    value = (await form_of(request)).get(name, "")
    if not isinstance(value, str):
        return ""
    return " ".join("".join(each if each.isprintable() else " " for each in value).split())


def _frame(request: web.Request) -> dict[str, Any]:
    """Return the values of the frame around every page."""
    return {"visitor": request.get(VISITOR), "path": request.path, "names": {}, "decimal_sign": money_style().signs[1]}


def number_in(request: web.Request, name: str, *, default: int = 0) -> int:
    """Read a whole number from the query or the path, or the default if it is missing, not a number or too large."""
    text = request.match_info.get(name) or request.query.get(name, "")
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_ID))
    return int(text) if is_number and int(text) <= LARGEST_ID else default


def page_in(request: web.Request) -> int:
    """Read the number of a page from the query: 1 if it is missing or not a number, at most LARGEST_PAGE."""
    return min(max(number_in(request, "page"), 1), LARGEST_PAGE)
