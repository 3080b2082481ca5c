"""Interactions: a person's slash command, click or form, and its one response within three seconds."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sandbox import errors, message_payloads, payloads
from sandbox.answers import ALLOWED, Answer, AnswerKind, Interaction, InteractionKind
from sandbox.commands import used_name
from sandbox.model import EPHEMERAL, LOADING, EventName, Invocation
from sandbox.state import Draft

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.model import Json, Message
    from sandbox.sessions import Hub
    from sandbox.state import State

ANSWER_SECONDS = 3.0
TOKEN_SECONDS = 900.0


class Interactions:
    """Starts interactions and enforces the rules of their responses."""

    def __init__(self, state: State, hub: Hub) -> None:
        self._state = state
        self._hub = hub
        self._by_id: dict[int, Interaction] = {}
        self._by_token: dict[str, Interaction] = {}

    def start(
        self,
        kind: InteractionKind,
        *,
        channel_id: int,
        member_id: int,
        data: Json,
        message: Message | None = None,
        source: Interaction | None = None,
    ) -> Interaction:
        """Send an interaction to the bots."""
        self._forget_old()
        interaction = Interaction(
            id=self._state.new_id(),
            token=secrets.token_urlsafe(48),
            kind=kind,
            member_id=member_id,
            channel_id=channel_id,
            data=data,
            created_at=self._state.clock(),
            message=message,
            source=source,
        )
        self._by_id[interaction.id] = self._by_token[interaction.token] = interaction
        self._hub.dispatch(EventName.INTERACTION_CREATE, self._payload(interaction))
        return interaction

    def answer(
        self,
        interaction_id: int,
        token: str,
        kind_number: int,
        data: Json,
        write: Callable[[Interaction, AnswerKind], Draft],
    ) -> Interaction:
        """Accept a bot's first response, or refuse it as late, repeated or of the wrong kind.

        `write` reads its message.
        """
        interaction = self._by_id.get(interaction_id)
        if interaction is None or interaction.token != token:
            raise errors.unknown_interaction()
        if interaction.answer is not None:
            interaction.refused += 1
            raise errors.already_acknowledged()
        if self._state.clock() - interaction.created_at > ANSWER_SECONDS:
            interaction.refused += 1
            raise errors.unknown_interaction()
        if kind_number not in set(ALLOWED[interaction.kind]):
            reason = f"Value must be one of {sorted(int(each) for each in ALLOWED[interaction.kind])}."
            raise errors.invalid_form({"type": {"_errors": [{"code": "BASE_TYPE_CHOICES", "message": reason}]}})
        kind = AnswerKind(kind_number)
        message = self._first_message(interaction, kind, write(interaction, kind))
        interaction.settle(Answer(kind=kind, data=data, message=message))
        return interaction

    def by_token(self, token: str) -> Interaction:
        """Find the interaction of a webhook token that has a response and is younger than fifteen minutes."""
        interaction = self._by_token.get(token)
        if interaction is None:
            raise errors.invalid_webhook_token()
        if self._state.clock() - interaction.created_at > TOKEN_SECONDS:
            raise errors.invalid_webhook_token()
        if interaction.answer is None:
            raise errors.unknown_webhook()
        return interaction

    def follow_up(self, interaction: Interaction, draft: Draft) -> Message:
        """Write a further message; the first one after a deferral replaces the loading message."""
        original = interaction.original
        if original is not None and original.loading and not original.deleted:
            self.edit(interaction, original, draft)
            return original
        message = self._write(interaction, draft)
        interaction.followups.append(message)
        interaction.complete()
        return message

    def edit(self, interaction: Interaction, message: Message, draft: Draft) -> None:
        """Change one of its messages; a loading message stops loading."""
        first_fill = message.loading
        message.flags &= ~LOADING
        self._state.edit(message, draft, first_fill=first_fill)
        interaction.complete()

    def find(self, interaction: Interaction, message_id: str) -> Message:
        """Find the message of a webhook route: `@original`, a follow-up, or the clicked message."""
        own = [interaction.original, *interaction.followups]
        if message_id == "@original":
            own = [interaction.original]
        for message in own:
            if message is not None and not message.deleted and message_id in {"@original", str(message.id)}:
                return message
        raise errors.unknown_message()

    def _forget_old(self) -> None:
        """Forget interactions with expired tokens; they are then unknown."""
        for old in list(self._by_id.values()):
            if self._state.clock() - old.created_at <= TOKEN_SECONDS:
                break
            del self._by_id[old.id], self._by_token[old.token]

    def _first_message(self, interaction: Interaction, kind: AnswerKind, draft: Draft) -> Message | None:
        if kind is AnswerKind.DEFERRED_MESSAGE:
            return self._write(interaction, Draft(flags=draft.flags | LOADING))
        if kind is AnswerKind.MESSAGE:
            return self._write(interaction, draft)
        if kind is AnswerKind.UPDATE and interaction.message is not None:
            self._state.edit(interaction.message, draft)
        return interaction.message if kind in {AnswerKind.UPDATE, AnswerKind.DEFERRED_UPDATE} else None

    def _write(self, interaction: Interaction, draft: Draft) -> Message:
        private = bool(draft.flags & EPHEMERAL)
        return self._state.post(
            interaction.channel_id,
            self._state.bot.id,
            draft,
            ephemeral_to=interaction.member_id if private else None,
            invocation=_invocation(interaction),
        )

    def _payload(self, interaction: Interaction) -> Json:
        state = self._state
        channel = state.channel(interaction.channel_id)
        person = state.user(interaction.member_id)
        shape: Json = {
            "id": str(interaction.id),
            "application_id": str(state.bot.id),
            "type": int(interaction.kind),
            "data": interaction.data,
            "channel": payloads.channel(state, channel),
            "channel_id": str(channel.id),
            "token": interaction.token,
            "version": 1,
            "locale": person.locale,
            "app_permissions": payloads.BOT_PERMISSIONS,
            "entitlements": [],
            "authorizing_integration_owners": {"0": str(state.guild_id)},
            "context": 1 if channel.is_direct else 0,
            "attachment_size_limit": payloads.ATTACHMENT_BYTES,
        }
        if channel.is_direct:
            shape["user"] = payloads.user(person)
        else:
            shape["member"] = {**payloads.member(person), "permissions": str(state.permissions_of(person))}
            shape["guild_id"] = str(state.guild_id)
            shape["guild"] = {"id": str(state.guild_id), "locale": "en-US", "features": []}
            shape["guild_locale"] = "en-US"
        if interaction.message is not None:
            shape["message"] = message_payloads.message(state, interaction.message)
        return shape


def _invocation(interaction: Interaction) -> Invocation:
    """Describe what a message responds to; a form names the command or click that opened it."""
    command = interaction.kind is InteractionKind.COMMAND
    form = interaction.kind is InteractionKind.MODAL
    return Invocation(
        id=interaction.id,
        kind=interaction.kind,
        name=used_name(interaction.data) if command else None,
        user_id=interaction.member_id,
        message_id=interaction.message.id if interaction.message is not None and not form else None,
        trigger=_invocation(interaction.source) if form and interaction.source is not None else None,
    )
