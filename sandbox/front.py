"""The middleware of every REST request: the log, the faults, the token, the limits and the errors."""

from __future__ import annotations

import json
import traceback
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import anyio
from aiohttp import web

from sandbox import errors
from sandbox.bodies import Body, read_body
from sandbox.errors import ApiError
from sandbox.faults import ConnectionDroppedError, PageAnsweredError
from sandbox.model import Message

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sandbox.faults import Faults
    from sandbox.ratelimits import RateLimits

PREFIX = "/api/v10"
# The token of an interaction's responses is in their path.
WITHOUT_TOKEN = ("/interactions/", "/webhooks/")
KEPT_REQUESTS = 200_000
ID_LISTS = {"users", "roles", "sticker_ids"}
BODY = web.RequestKey("body", Body)
WRITTEN = web.RequestKey("written", list[Message])


@dataclass(slots=True, kw_only=True, frozen=True)
class RequestRecord:
    """One REST request: `path` is below `/api/v10`, `status` 0 if no response was sent, `at` monotonic seconds."""

    method: str
    path: str
    status: int
    at: float
    body: Any = None


def json_response(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Build a response of exactly the type `application/json`: if a charset follows, clients miss the error code."""
    return web.Response(body=json.dumps(data).encode(), status=status, headers=headers, content_type="application/json")


def with_ids_as_text(body: Any) -> Any:  # noqa: ANN401 — JSON is whatever was sent
    """Copy a body with its snowflakes as text: Discord accepts numbers too, its description only text."""
    if isinstance(body, list):
        return [with_ids_as_text(each) for each in body]
    if not isinstance(body, dict):
        return body
    copy = {key: with_ids_as_text(each) for key, each in body.items()}
    for key, each in copy.items():
        if key.endswith("_id") and isinstance(each, int):
            copy[key] = str(each)
        elif key in ID_LISTS and isinstance(each, list):
            copy[key] = [str(item) if isinstance(item, int) else item for item in each]
    # An attachment's id is the number of its file; a component's, also `id`, is a number in the description too.
    for each in copy.get("attachments") or []:
        if isinstance(each, dict) and isinstance(each.get("id"), int):
            each["id"] = str(each["id"])
    return copy


class Front:
    """The middleware of the REST API."""

    def __init__(
        self,
        faults: Faults,
        rate_limits: RateLimits,
        *,
        token: str,
        clock: Callable[[], float],
        request_check: Callable[[str, str, object], list[str]] | None,
    ) -> None:
        """`complaints` collects those of `request_check` and this server's own failures."""
        self._faults = faults
        self._rate_limits = rate_limits
        self._token = token
        self._clock = clock
        self._request_check = request_check
        self.complaints: list[str] = []
        self.requests: list[RequestRecord] = []

    async def middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Serve one request and log it; every failure inside becomes a response here."""
        path = request.path.removeprefix(PREFIX)
        request[BODY] = Body()
        request[WRITTEN] = []
        arrived_at = anyio.current_time()
        status = 0
        try:
            response = await self._answer(request, path, handler)
            status = response.status
            self._log(request, path, status, arrived_at)
            # A client that disconnected gets no response, which is not a failure of this server.
            with suppress(ConnectionResetError):
                await response.prepare(request)
                await response.write_eof()
        except ConnectionDroppedError:
            self._log(request, path, 0, arrived_at)
            if request.transport is not None:
                request.transport.close()
            response = web.Response(status=503)
        finally:
            for message in request[WRITTEN]:
                message.settle(anyio.current_time())
        return response

    def _log(self, request: web.Request, path: str, status: int, at: float) -> None:
        if len(self.requests) >= KEPT_REQUESTS:
            del self.requests[: KEPT_REQUESTS // 2]
        body = request[BODY].json
        self.requests.append(RequestRecord(method=request.method, path=path, status=status, at=at, body=body))

    async def _answer(
        self, request: web.Request, path: str, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        headers: dict[str, str] = {}
        try:
            request[BODY] = await read_body(request)
            fault = self._faults.take_request(request.method, path)
            if fault is not None and not fault.after_effect:
                await fault.strike()
            resource = request.match_info.route.resource
            route = path if resource is None else resource.canonical.removeprefix(PREFIX)
            headers = self._rate_limits.admit(request.method, route, request.match_info)
            self._authorize(request, path)
            self._check(request, path)
            response = await handler(request)
            if fault is not None and fault.after_effect:
                await fault.strike()
        except ApiError as error:
            headers |= error.headers
            shared = error.headers.get("X-RateLimit-Scope") == "shared"
            self._rate_limits.count_answer(error.status, shared=shared)
            response = json_response(error.body, error.status)
        except PageAnsweredError as page:
            response = web.Response(text=page.text, status=page.status, content_type="text/html")
        except web.HTTPException as error:
            response = json_response({"message": f"{error.status}: {error.reason}", "code": 0}, error.status)
        except ConnectionDroppedError:
            raise
        except Exception as error:  # noqa: BLE001 — the one place where a failure of this server becomes a response
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.complaints.append(f"{request.method} {path}: {error!r} at {where.filename}:{where.lineno}")
            response = json_response({"message": "500: Internal Server Error", "code": 0}, 500)
        response.headers.update({"Date": formatdate(self._clock(), usegmt=True), **headers})
        return response

    def _authorize(self, request: web.Request, path: str) -> None:
        if path.startswith(WITHOUT_TOKEN) or path == "/gateway":
            return
        if request.headers.get("Authorization") != f"Bot {self._token}":
            raise errors.unauthorized()

    def _check(self, request: web.Request, path: str) -> None:
        body = request[BODY].json
        if self._request_check is not None and body is not None:
            found = self._request_check(request.method, path, with_ids_as_text(body))
            self.complaints += [f"{request.method} {path}: {each}" for each in found]
