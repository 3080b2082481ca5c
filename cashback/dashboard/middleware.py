"""The middleware of every request: sessions, form tokens, and the one place that turns errors into answers."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web

from cashback.dashboard import problems
from cashback.dashboard.auth import VISITOR, SessionAuth, Visitor, is_same
from cashback.dashboard.client_address import address_of
from cashback.dashboard.connections import Connections
from cashback.dashboard.form_origin import is_own_form
from cashback.dashboard.metrics import Metrics
from cashback.dashboard.pages import error_page, form_of, typed_in
from cashback.dashboard.problems import ProblemError
from cashback.dashboard.request_log import RequestLog
from cashback.dashboard.signatures import KEY_HEADER
from cashback.database.errors import LedgerMovedError
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
from cashback.settings import DashboardSettings

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

CORRECTABLE: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT})
"""Statuses of a form that may be sent again with other values."""

REFUSALS: Final = frozenset({401, 403, 408, 413, 429, 503})
"""Statuses that are logged, because their number shows an attack or a mistake of a client."""

STATUS_OF: Final[dict[type[CashbackError], int]] = {
    NotAllowedError: HTTPStatus.FORBIDDEN,
    UnknownBatchError: HTTPStatus.NOT_FOUND,
    NothingPendingError: HTTPStatus.CONFLICT,
    BlacklistedError: HTTPStatus.CONFLICT,
    StaleBatchError: HTTPStatus.CONFLICT,
    BusyError: HTTPStatus.CONFLICT,
    DatabaseUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    LedgerMovedError: HTTPStatus.SERVICE_UNAVAILABLE,
    RolesUnknownError: HTTPStatus.SERVICE_UNAVAILABLE,
}

PROBLEM_OF: Final = {404: problems.NOT_FOUND, 405: problems.METHOD, 500: problems.FAILED}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Forbid the browser everything that our pages do not need, so that injected content cannot use it."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if not request.path.startswith("/static/"):
        response.headers.setdefault("Cache-Control", "no-store")


class Middleware:
    """Serves every request of the pages and the API."""

    def __init__(
        self,
        session_auth: SessionAuth,
        metrics: Metrics,
        connections: Connections,
        request_log: RequestLog,
        settings: DashboardSettings,
    ) -> None:
        self._connections = connections
        self._logger = request_log
        self._settings = settings
        self._session_auth = session_auth
        self._metrics = metrics

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Serve one request; every error becomes an answer."""
        address = address_of(request, trusted_proxies=self._settings.proxies)
        response = None
        try:
            self._connections.begin(request, address)
            response = await self._answer(request, handler)
        except web.HTTPServiceUnavailable as error:
            response = await _answer(request, error.status, f"{error.reason}.")
            response.force_close()
        finally:
            self._connections.end(request, None if response is None else response.status)
        if response.status in REFUSALS:
            self._logger.warning(
                "%s %s from %s: status %d", request.method, _route_of(request), address, response.status
            )
        if request.path.startswith(API):
            self._metrics.count_delivery(request.headers.get(KEY_HEADER, ""), response.status)
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if not request.path.startswith(OPEN_TO_ALL):
                is_action = request.method not in {"GET", "HEAD"}
                visitor = await self._session_auth.visitor_of(request, now=is_action)
                if visitor is None:
                    return await _not_signed_in(request, is_action=is_action)
                request[VISITOR] = visitor
                self._connections.lift_time_limit(request)
                if is_action:
                    await self._check_form(request, visitor)
            return await handler(request)
        except ProblemError as error:
            return problems.problem(error.kind, error.detail, pointer=error.pointer)
        except web.HTTPException as error:
            if error.status < HTTPStatus.BAD_REQUEST:
                raise
            return await _answer(request, error.status, f"{error.reason}.")
        except CashbackError as error:
            return await _refuse(request, STATUS_OF.get(type(error), HTTPStatus.BAD_REQUEST), str(error))
        except ConnectionResetError:
            # The client has disconnected.
            raise
        except Exception:
            self._logger.exception("%s %s failed", request.method, _route_of(request))
            return await _answer(
                request,
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "An error in the program; its log has the details.",
            )

    async def _check_form(self, request: web.Request, visitor: Visitor) -> None:
        """Refuse a form of another site, or without this session's token. Raises NotAllowedError."""
        token = (await form_of(request)).get("form_token", "")
        is_of_session = isinstance(token, str) and is_same(token, visitor.form_token)
        if not is_of_session or not is_own_form(request, self._settings, may_hide=True):
            raise NotAllowedError("This form does not belong to your session; nothing was done. Load the page again.")


def _route_of(request: web.Request) -> str:
    """Return the route of a request for the log, without the tokens and ids in its path."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "unknown path"


async def _not_signed_in(request: web.Request, *, is_action: bool) -> web.StreamResponse:
    if is_action or "text/event-stream" in request.headers.get("Accept", ""):
        return await error_page(request, HTTPStatus.UNAUTHORIZED, "Your session has ended. Sign in again.")
    return web.Response(status=HTTPStatus.FOUND, headers={"Location": "/sign-in"})


async def _refuse(request: web.Request, status: int, text: str) -> web.StreamResponse:
    """Answer with a refusal. What a person typed into a form stays there to be corrected."""
    if status not in CORRECTABLE or request.path.startswith(API) or request.method != "POST":
        return await _answer(request, status, text)
    return await error_page(request, status, text, typed=await typed_in(request))


async def _answer(request: web.Request, status: int, text: str) -> web.StreamResponse:
    if request.path.startswith(API):
        return problems.problem(PROBLEM_OF.get(status, problems.UNAVAILABLE), text)
    return await error_page(request, status, text)
