"""The REST API's routes for a bot's responses to interactions; their token is in the path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from sandbox import errors, message_payloads
from sandbox.answers import AnswerKind
from sandbox.command_limits import check_choices
from sandbox.form_limits import check_form
from sandbox.front import BODY, PREFIX, json_response
from sandbox.model import EPHEMERAL, LOADING
from sandbox.rest import number
from sandbox.rest_messages import track

if TYPE_CHECKING:
    from sandbox.answers import Interaction
    from sandbox.bodies import Body, Drafts
    from sandbox.interactions import Interactions
    from sandbox.model import Json, Message
    from sandbox.state import Draft, State

TRUE = {"1", "true", "True"}


class Callbacks:
    """Handlers of first responses, follow-ups and edits by token."""

    def __init__(self, state: State, drafts: Drafts, interactions: Interactions) -> None:
        self._state = state
        self._drafts = drafts
        self._interactions = interactions

    def add_routes(self, app: web.Application) -> None:
        """Register the handlers."""
        webhook = PREFIX + "/webhooks/{webhook_id}/{webhook_token}"
        one = webhook + "/messages/{message_id}"
        app.add_routes(
            [
                web.post(PREFIX + "/interactions/{interaction_id}/{interaction_token}/callback", self.answer),
                web.post(webhook, self.follow_up),
                web.get(one, self.get),
                web.patch(one, self.edit),
                web.delete(one, self.delete),
            ]
        )

    async def answer(self, request: web.Request) -> web.Response:
        """Accept the first response."""
        body = request[BODY]
        data = body.fields.get("data") or {}
        kind = _whole(body.fields.get("type"))
        interaction = self._interactions.answer(
            number(request, "interaction_id"),
            request.match_info["interaction_token"],
            kind,
            data,
            lambda interaction, kind: self._first_draft(interaction, kind, data, body),
        )
        if interaction.original is not None:
            track(request, interaction.original)
        if request.query.get("with_response") not in TRUE:
            return web.Response(status=204)
        return json_response(self._answered(interaction, kind))

    async def follow_up(self, request: web.Request) -> web.Response:
        """Write a further message."""
        interaction = self._interaction(request)
        body = request[BODY]
        draft = self._drafts.new(interaction.channel_id, body.fields, body.files)
        message = self._interactions.follow_up(interaction, draft)
        track(request, message)
        return json_response(message_payloads.message(self._state, message))

    async def get(self, request: web.Request) -> web.Response:
        """Return one of the responses."""
        return json_response(message_payloads.message(self._state, self._message(request)))

    async def edit(self, request: web.Request) -> web.Response:
        """Change one of the responses, or the clicked message."""
        message = self._message(request)
        body = request[BODY]
        self._interactions.edit(
            self._interaction(request), message, self._drafts.change(message, body.fields, body.files)
        )
        track(request, message)
        return json_response(message_payloads.message(self._state, message))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete one of the responses."""
        self._state.delete(self._message(request))
        return web.Response(status=204)

    def _interaction(self, request: web.Request) -> Interaction:
        if number(request, "webhook_id") != self._state.bot.id:
            raise errors.unknown_webhook()
        return self._interactions.by_token(request.match_info["webhook_token"])

    def _message(self, request: web.Request) -> Message:
        return self._interactions.find(self._interaction(request), request.match_info["message_id"])

    def _first_draft(self, interaction: Interaction, kind: AnswerKind, data: Json, body: Body) -> Draft:
        """Read the response's message; only a new message has to show something."""
        if kind is AnswerKind.MESSAGE:
            return self._drafts.new(interaction.channel_id, data, body.files)
        if kind is AnswerKind.CHOICES:
            check_choices(data)
        if kind is AnswerKind.MODAL:
            check_form(data)
        if kind is AnswerKind.UPDATE and interaction.message is not None:
            return self._drafts.change(interaction.message, data, body.files)
        return self._drafts.any(interaction.channel_id, data if kind is AnswerKind.DEFERRED_MESSAGE else {}, ())

    def _answered(self, interaction: Interaction, kind: int) -> Json:
        told: Json = {"id": str(interaction.id), "type": int(interaction.kind)}
        shape: Json = {"interaction": told}
        message = interaction.original
        if message is not None:
            told["response_message_id"] = str(message.id)
            told["response_message_loading"] = bool(message.flags & LOADING)
            told["response_message_ephemeral"] = bool(message.flags & EPHEMERAL)
            if kind in {AnswerKind.MESSAGE, AnswerKind.UPDATE}:
                shape["resource"] = {"type": kind, "message": message_payloads.message(self._state, message)}
        return shape


def _whole(value: object) -> int:
    """Read the type of a response; what is not a number is no known type."""
    return value if isinstance(value, int) else 0
