"""Whether a form came from a page of this dashboard, by what browsers report. Programs report nothing."""

from aiohttp import web

from cashback.settings import DashboardSettings

HIDDEN = "null"
"""The origin of a form from a page with the policy no-referrer, which all pages have but the one of a link."""


def is_own_form(request: web.Request, settings: DashboardSettings, *, may_hide: bool = False) -> bool:
    """Return whether a form is from our own pages; `may_hide` accepts a hidden origin: such a form has a token."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return False
    own = {settings.address.lower(), *([HIDDEN] if may_hide else [])}
    if settings.public_url is None:
        own.add(f"http://{request.host}".lower())
    return all(origin.lower() in own for origin in request.headers.getall("Origin", []))
