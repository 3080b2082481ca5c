"""Discord's answers to requests that it refuses, as exceptions that become JSON bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.model import Json


class SandboxError(Exception):
    """A person cannot do that here: the button is not there, the command is unknown, the member has left."""


class ApiError(Exception):
    """A refusal: HTTP status, Discord's code and message, and what more the body and the headers say."""

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        extra: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep what the answer will say."""
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.headers = dict(headers or {})
        self.body: Json = {"message": message, "code": code, **(extra or {})}


def unauthorized() -> ApiError:
    """Say that the token is missing or wrong."""
    return ApiError(401, 0, "401: Unauthorized")


def no_such_route() -> ApiError:
    """Say that the path is none of Discord's, or none that this server has."""
    return ApiError(404, 0, "404: Not Found")


def unknown_channel() -> ApiError:
    """There is no such channel."""
    return ApiError(404, 10003, "Unknown Channel")


def unknown_guild() -> ApiError:
    """There is no such guild."""
    return ApiError(404, 10004, "Unknown Guild")


def unknown_member() -> ApiError:
    """Say that the person is not in the guild."""
    return ApiError(404, 10007, "Unknown Member")


def unknown_message() -> ApiError:
    """Say that the message is not there, or was deleted, or is somebody's alone."""
    return ApiError(404, 10008, "Unknown Message")


def unknown_user() -> ApiError:
    """There is no such person."""
    return ApiError(404, 10013, "Unknown User")


def unknown_webhook() -> ApiError:
    """Say that the interaction behind the token has not been answered yet, or never was."""
    return ApiError(404, 10015, "Unknown Webhook")


def unknown_interaction() -> ApiError:
    """There is no such interaction, or its three seconds are over."""
    return ApiError(404, 10062, "Unknown interaction")


def already_acknowledged() -> ApiError:
    """Say that an interaction takes one first answer."""
    return ApiError(400, 40060, "Interaction has already been acknowledged.")


def invalid_webhook_token() -> ApiError:
    """Say that the fifteen minutes of an interaction's token are over."""
    return ApiError(401, 50027, "Invalid Webhook Token")


def empty_message() -> ApiError:
    """Say that a message needs something to show."""
    return ApiError(400, 50006, "Cannot send an empty message")


def foreign_message() -> ApiError:
    """Only its author edits a message."""
    return ApiError(403, 50005, "Cannot edit a message authored by another user")


def invalid_form(errors: Json) -> ApiError:
    """Say which fields of the body are wrong; `errors` is nested like the body."""
    return ApiError(400, 50035, "Invalid Form Body", extra={"errors": errors})


def invalid_json() -> ApiError:
    """Say that the body is not JSON."""
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
    """Make the refusal with this code, one of `REFUSALS`, with its usual status or the one given."""
    usual, message = REFUSALS.get(code, (403, "Refused"))
    return ApiError(status or usual, code, message)
