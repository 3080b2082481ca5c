"""Discord's refusals, as exceptions that become JSON bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.model import Json


class SandboxError(Exception):
    """A person cannot do that here: for example, the button is missing, the command unknown, or the member has left."""


class ApiError(Exception):
    """A refusal: HTTP status, Discord's code and message, and further fields of the body and headers."""

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        extra: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.headers = dict(headers or {})
        self.body: Json = {"message": message, "code": code, **(extra or {})}


def unauthorized() -> ApiError:
    """Refuse a missing or wrong token."""
    return ApiError(401, 0, "401: Unauthorized")


def no_such_route() -> ApiError:
    """Refuse a path unknown to Discord, or to this server."""
    return ApiError(404, 0, "404: Not Found")


def unknown_channel() -> ApiError:
    """Refuse an unknown channel."""
    return ApiError(404, 10003, "Unknown Channel")


def unknown_guild() -> ApiError:
    """Refuse an unknown guild."""
    return ApiError(404, 10004, "Unknown Guild")


def unknown_member() -> ApiError:
    """Refuse a person outside the guild."""
    return ApiError(404, 10007, "Unknown Member")


def unknown_message() -> ApiError:
    """Refuse a message that is unknown, deleted, or visible to another person only."""
    return ApiError(404, 10008, "Unknown Message")


def unknown_user() -> ApiError:
    """Refuse an unknown user."""
    return ApiError(404, 10013, "Unknown User")


def unknown_webhook() -> ApiError:
    """Refuse the token of an interaction that has no response yet, or does not exist."""
    return ApiError(404, 10015, "Unknown Webhook")


def unknown_interaction() -> ApiError:
    """Refuse an interaction that does not exist, or whose three seconds are over."""
    return ApiError(404, 10062, "Unknown interaction")


def already_acknowledged() -> ApiError:
    """Refuse a second first response to an interaction."""
    return ApiError(400, 40060, "Interaction has already been acknowledged.")


def invalid_webhook_token() -> ApiError:
    """Refuse an interaction's token after its fifteen minutes."""
    return ApiError(401, 50027, "Invalid Webhook Token")


def empty_message() -> ApiError:
    """Refuse a message without content."""
    return ApiError(400, 50006, "Cannot send an empty message")


def foreign_message() -> ApiError:
    """Refuse an edit by anyone but the author."""
    return ApiError(403, 50005, "Cannot edit a message authored by another user")


def thread_is_archived() -> ApiError:
    """Return the refusal of a change in an archived thread."""
    return ApiError(400, 50083, "Thread is archived")


def not_a_text_channel() -> ApiError:
    """Return the refusal of a message in a category or a forum."""
    return ApiError(400, 50008, "Cannot send messages in a non-text channel")


def invalid_form(errors: Json) -> ApiError:
    """Refuse wrong fields of the body; `errors` is nested like the body."""
    return ApiError(400, 50035, "Invalid Form Body", extra={"errors": errors})


def invalid_json() -> ApiError:
    """Refuse a body that is not JSON."""
    return ApiError(400, 50109, "The request body contains invalid JSON.")


REFUSALS = {
    20026: (403, "Your bot has been flagged by our anti-spam system for abusive behavior."),
    40003: (400, "You are opening direct messages too fast"),
    50001: (403, "Missing Access"),
    50007: (403, "Cannot send messages to this user"),
    50013: (403, "Missing Permissions"),
    50278: (403, "Cannot send messages to this user due to having no mutual guilds"),
}


def refusal(code: int, status: int | None = None) -> ApiError:
    """Build the refusal with this code, one of `REFUSALS`, with its usual status or the given one."""
    usual, message = REFUSALS.get(code, (403, "Refused"))
    return ApiError(status or usual, code, message)
