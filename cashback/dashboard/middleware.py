"""What every request passes: the doorman, the form's token, and the one place where an error becomes an answer."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web

from cashback.dashboard import problems
from cashback.dashboard.auth import VISITOR, SessionAuth, Visitor, is_same
from cashback.dashboard.metrics import Metrics
from cashback.dashboard.pages import error_page
from cashback.dashboard.problems import ProblemError
from cashback.domain.errors import (
    BlacklistedError,
    BusyError,
    CashbackError,
    DatabaseUnavailableError,
    NotAllowedError,
    NothingPendingError,
    RolesUnknownError,
    StaleBatchError,
    UnknownBatchError,
)

OPEN_TO_ALL: Final = ("/sign-in", "/static/", "/api/", "/metrics", "/healthz", "/readyz")
API: Final = "/api/v1/"

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

STATUS_OF: Final[dict[type[CashbackError], int]] = {
    NotAllowedError: HTTPStatus.FORBIDDEN,
    UnknownBatchError: HTTPStatus.NOT_FOUND,
    NothingPendingError: HTTPStatus.CONFLICT,
    BlacklistedError: HTTPStatus.CONFLICT,
    StaleBatchError: HTTPStatus.CONFLICT,
    BusyError: HTTPStatus.CONFLICT,
    DatabaseUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    RolesUnknownError: HTTPStatus.SERVICE_UNAVAILABLE,
}

PROBLEM_OF: Final = {404: problems.NOT_FOUND, 405: problems.METHOD, 500: problems.FAILED}

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Say to the browser what no page of ours needs, so that nobody else's words can use it."""
    response.headers.update(HEADERS)
    if not request.path.startswith("/static/"):
        response.headers.setdefault("Cache-Control", "no-store")


class Front:
    """Stands before all pages and the API."""

    def __init__(self, doorman: SessionAuth, metrics: Metrics) -> None:
        """Take who knows the sessions, and the numbers that count the intake's requests."""
        self._doorman = doorman
        self._metrics = metrics

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Serve one request; whatever happens inside becomes an answer here."""
        response = await self._answer(request, handler)
        if request.path.startswith(API):
            self._metrics.taken_in.labels(response.status).inc()
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if not request.path.startswith(OPEN_TO_ALL):
                acts = request.method not in {"GET", "HEAD"}
                visitor = await self._doorman.visitor_of(request, now=acts)
                if visitor is None:
                    return _turned_away(request, acts=acts)
                request[VISITOR] = visitor
                if acts:
                    await _check_form(request, visitor)
            return await handler(request)
        except ProblemError as error:
            return problems.problem(error.kind, error.detail, pointer=error.pointer)
        except web.HTTPException as error:
            if error.status < HTTPStatus.BAD_REQUEST:
                raise
            return _answer(request, error.status, f"{error.reason}.")
        except CashbackError as error:
            return _answer(request, STATUS_OF.get(type(error), HTTPStatus.BAD_REQUEST), str(error))
        except ConnectionResetError:
            # Whoever asked has gone.
            raise
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            return _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong; the log says what.")


def _turned_away(request: web.Request, *, acts: bool) -> web.StreamResponse:
    if acts or "text/event-stream" in request.headers.get("Accept", ""):
        return error_page(request, HTTPStatus.UNAUTHORIZED, "You are not signed in, or not any more.")
    return web.Response(status=HTTPStatus.FOUND, headers={"Location": "/sign-in"})


async def _check_form(request: web.Request, visitor: Visitor) -> None:
    """Refuse a form that is none of ours: another site may send one, but cannot know this session's token."""
    token = (await request.post()).get("form_token", "")
    if not isinstance(token, str) or not is_same(token, visitor.form_token):
        raise NotAllowedError("This form does not belong to your session; nothing was done. Load the page again.")


def _answer(request: web.Request, status: int, text: str) -> web.StreamResponse:
    if request.path.startswith(API):
        return problems.problem(PROBLEM_OF.get(status, problems.UNAVAILABLE), text)
    return error_page(request, status, text)
